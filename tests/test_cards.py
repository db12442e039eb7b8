"""Cards through the face, its twin and the command line."""

import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from limner import CardOutcome, Limner, LimnerSync, load_settings
from limner.cli import app
from limner.settings import Settings
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Scripted, ScriptedChat

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SUBJECTS = (
    "roses",
    "compost",
    "orchids",
    "comets",
    "nebulae",
    "planets",
    "dinghies",
    "knots",
    "harbours",
    "lamps",
)
ITEMS = [
    {"item_id": f"i{number}", "title": f"All of {word}", "tags": [word]}
    for number, word in enumerate(SUBJECTS)
]


def answer(request: ChatRequest) -> Scripted:
    """Describe every item alike."""
    assert request.json_schema is not None
    part = dict.fromkeys(("liked_by", "disliked_by", "reasoning", "feature"), "All of it.")
    return dict.fromkeys(request.json_schema["properties"], part)


def settings_in(folder: Path, **groups: Any) -> Settings:
    return load_settings(store=folder, embedder="hashing", **groups)


def limner(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with ten items, two of them reviewed."""
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    with LimnerSync(settings_in(tmp_path / "store", model="none")) as opened:
        opened.add_items(ITEMS)
        for number in range(2):
            row = {"item_id": f"i{number}", "kind": "review", "at": NOW, "text": "Lovely roses and compost."}
            opened.record(f"u{number}", [row])
    return tmp_path / "store"


async def test_the_whole_catalogue_is_described_and_read_back(store: Path) -> None:
    chat = ScriptedChat(answer)
    async with Limner(settings_in(store), chat=chat) as opened:
        outcomes = [outcome async for outcome in opened.cards()]
        again = [outcome async for outcome in opened.cards(["i3", "nobody"])]

        assert sorted(outcome.item_id for outcome in outcomes) == sorted(f"i{n}" for n in range(10))
        assert len(chat.requests) == 2 and all(outcome.fresh for outcome in outcomes)
        assert {outcome.item_id: outcome.error and outcome.error.code for outcome in again} == {
            "i3": None,
            "nobody": "unknown_item",
        }
        kept = await opened.doors.store.item_cards(["i3"], as_of=datetime.now(UTC))
        assert kept["i3"] == next(outcome.card for outcome in outcomes if outcome.item_id == "i3")


async def test_a_stream_that_is_left_early_reads_and_writes_no_further(store: Path) -> None:
    asked: list[str] = []

    def ids() -> Any:
        for number in range(10_000):
            asked.append(f"x{number}")
            yield asked[-1]

    async with (
        Limner(settings_in(store), chat=ScriptedChat(answer)) as opened,
        aclosing(opened.cards(ids(), at_once=1)) as outcomes,
    ):
        async for outcome in outcomes:
            assert isinstance(outcome, CardOutcome)
            break

    assert len(asked) <= 3 * 64  # a few chunks, not the whole stream


def test_the_twin_does_the_same(store: Path) -> None:
    with LimnerSync(settings_in(store), chat=ScriptedChat(answer)) as opened:
        estimate = opened.estimate_cards(as_of=NOW + timedelta(days=1))
        found = {outcome.item_id: outcome.card for outcome in opened.cards(as_of=NOW + timedelta(days=1))}

    assert (estimate.items, estimate.calls) == (10, 2)
    assert all(card is not None and card.as_of == NOW + timedelta(days=1) for card in found.values())


def test_the_command_prints_cards_in_the_order_they_were_asked_for(store: Path) -> None:
    cards = document(limner("cards", "i4", "i1", "--model", "none", "--store", store, "--json"))

    assert [card["item_id"] for card in cards] == ["i4", "i1"]
    assert cards[0]["source"] == "extractive" and cards[1]["evidence"]
    shown = limner("cards", "--limit", "3", "--model", "none", "--store", store)
    assert shown.exit_code == 0 and shown.stdout.count("liked by:") == 3


def test_a_dry_run_says_what_it_would_take_and_writes_nothing(store: Path) -> None:
    first = document(
        limner("cards", "--all", "--dry-run", "--model", "openai/nothing", "--store", store, "--json")
    )
    plain = limner("cards", "--all", "--dry-run", "--model", "openai/nothing", "--store", store)

    assert (first["items"], first["calls"], first["up_to_date"]) == (10, 2, 0)
    assert "2 calls (three an item would be 30)" in plain.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["cards"], "name items, or give --limit N, or --all"),
        (["cards", "i1", "--all"], "name items, or give --limit N, or --all"),
        (["cards", "nobody", "--model", "none"], "nobody"),
    ],
)
def test_what_cannot_be_described_is_said(store: Path, words: list[str], says: str) -> None:
    result = limner(*words, "--store", store)

    assert result.exit_code == 1 and says in result.stderr
