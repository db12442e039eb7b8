"""Personal data and traits that people write of reach no prompt and nothing that is derived; the record keeps them."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from limner import Limner
from limner.settings import load_settings
from limner.tools.chat import ChatRequest
from limner.tools.clock import ManualClock
from limner.tools.scripted import Scripted, ScriptedChat

START = datetime(2026, 1, 1, tzinfo=UTC)
TABLES: dict[str, dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "data" / "privacy.toml").read_text("utf-8")
)
SAID: dict[str, list[str]] = {
    language: [text, *TABLES["traits"][language]] for language, (text, _) in TABLES["held"].items()
}
HELD: dict[str, list[str]] = {
    language: [*parts, *TABLES["traits"][language]] for language, (_, parts) in TABLES["held"].items()
}


def _parrot(request: ChatRequest) -> Scripted:
    """Repeat the last entry shown as a note, and as a sentence, and add a trait of its own."""
    shown = request.messages[1].content.splitlines()
    ref, _, line = next((line for line in reversed(shown) if line.startswith("e")), "e1: roses").partition(
        ": "
    )
    if request.purpose == "extract_cues":
        return {"cues": [{"ref": ref, "theme": "roses", "polarity": "like", "note": line[:110]}]}
    sentences = [f"Enjoys {line[:120]}", "Enjoys roses as a diabetic.", "Enjoys roses."]
    return {"likes": [{"evidence": [ref], "theme": "roses", "sentence": said} for said in sentences]}


async def _draw(folder: Path, **privacy: Any) -> tuple[str, str]:
    """Draw everybody; returns all prompts, and all that was derived."""
    chat = ScriptedChat(_parrot)
    settings = load_settings(
        store=folder,
        embedder="hashing",
        privacy=privacy,
        drafting={"drafts": 1, "rounds": 1, "style": "free"},
    )
    told: list[str] = []
    async with Limner(settings, chat=chat, clock=ManualClock(START + timedelta(days=30))) as limner:
        await limner.add_items(
            [{"item_id": f"r{day}", "title": "Roses", "tags": ["roses"]} for day in range(9)]
        )
        for language, sentences in SAID.items():
            rows = [
                {"item_id": f"r{day}", "kind": "review", "at": START + timedelta(days=day), "text": text}
                for day, text in enumerate(sentences)
            ]
            await limner.record(language, rows)
            told.append((await limner.profile(language)).model_dump_json())
            told.append((await limner.context(language, "roses")).text)
            assert [event.text for event in await limner.history(language)] == sentences
        told += [rollout.model_dump_json() async for rollout in limner.rollouts()]
    asked = "\n".join(part.content for request in chat.requests for part in request.messages)
    return asked, " ".join(told)


async def test_nothing_personal_is_asked_or_derived_in_any_language(tmp_path: Path) -> None:
    asked, told = await _draw(tmp_path)

    for language, parts in HELD.items():
        assert [part for part in parts if part in asked] == [], language
        assert [part for part in parts if part in told] == [], language
    assert "as a diabetic" not in told


async def test_a_policy_that_allows_it_shows_and_tells_it(tmp_path: Path) -> None:
    asked, told = await _draw(tmp_path, redact=False, sensitive=True)

    assert any(part in asked for part in TABLES["traits"]["en"])
    assert "a.berg@example.com" in asked
    assert "Enjoys roses as a diabetic." in told


@pytest.mark.parametrize(("title", "told"), [("The diabetes cookbook", False), ("A healthy cookbook", True)])
async def test_a_context_leaves_out_what_the_purchase_alone_would_tell(
    tmp_path: Path, title: str, told: bool
) -> None:
    settings = load_settings(store=tmp_path, embedder="hashing", model="none")
    async with Limner(settings) as limner:
        await limner.add_items([{"item_id": "b", "title": title}])
        await limner.record("ada", [{"item_id": "b", "kind": "purchase", "at": START}])

        assert (title in (await limner.context("ada")).text) is told
