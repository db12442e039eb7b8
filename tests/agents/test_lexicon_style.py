"""The lexicon style: whatever a schema allows, can be read and is grounded."""

import random
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from limner import Cue, Interaction, Item, Limner
from limner.agents.build_case import build_case
from limner.agents.build_form import form_of
from limner.agents.drawing import Drawing
from limner.agents.phrasing import openings, sentence_pattern
from limner.agents.state import Draft, State
from limner.settings import load_settings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.scripted import Scripted, ScriptedChat

Open = Callable[..., Awaitable[Drawing]]

NASTY = (
    "C++ & (Advanced) [Regex] $5.00?",
    "L'été à l'ombre (1998)",
    "日本の庭と石 (2004)",
    "Rock 'n' Roll | Vol. 2 ^best^ *live*",
    "50% off {now} or never",
    "Back\\slash\\d+ handbook",
    'Say "hello" softly',
    "Ärger & Übermut – Straße",  # noqa: RUF001  # a dash is what titles have
    "Don’t look back, ever",  # noqa: RUF001  # a typographic apostrophe is what titles have
    "😀 emoji garden",
    "tabs\tand\nlines",
    "a.b.c.d",
)


def spell(pattern: str, rng: random.Random) -> str:
    """Write a random text that a draft's pattern allows, and check that it does."""
    text = re.sub(
        r"\((?:[^()\\]|\\.)*\)",
        lambda group: rng.choice(re.split(r"(?<!\\)\|", group.group()[1:-1])),
        pattern.removeprefix("^").removesuffix("$"),
    )
    text = re.sub(r"\\(.)", r"\1", text.replace("[.]", "."))
    assert re.fullmatch(pattern, text), (pattern, text)
    return text


def answer_by(schema: Mapping[str, Any], rng: random.Random) -> Any:
    """Write a random value that a schema of the lexicon style allows."""
    if "pattern" in schema:
        return spell(schema["pattern"], rng)
    if "const" in schema or "enum" in schema:
        return schema.get("const") or rng.choice(schema["enum"])
    if "anyOf" in schema:
        return answer_by(rng.choice(schema["anyOf"]), rng)
    if schema["type"] == "array":
        return [answer_by(schema["items"], rng) for _ in range(rng.randint(1, schema["maxItems"]))]
    return {name: answer_by(part, rng) for name, part in schema["properties"].items()}


def babbling(seed: int) -> Callable[[ChatRequest], Scripted]:
    """A model that writes anything that fits."""
    rng = random.Random(seed)

    def answer(request: ChatRequest) -> Scripted:
        if request.purpose == "judge_pair":
            return str(rng.randint(0, 9))
        assert request.json_schema is not None
        written: Mapping[str, Any] = answer_by(request.json_schema, rng)
        return written

    return answer


def nasty_world(later: datetime) -> tuple[list[Item], list[Interaction]]:
    items = [
        Item(item_id=f"n{place}", title=title, categories=("odd & even's",) if place % 2 else ())
        for place, title in enumerate(NASTY)
    ]
    events = [
        Interaction(
            event_id=f"n-{user}-{place}",
            user_id=user,
            item_id=f"n{place}",
            kind="rating",
            at=later - timedelta(days=30 - place),
            rating=1.0 if place == 4 else 5.0,
        )
        for user in ("ada", "bo")
        for place in range(len(NASTY))
    ]
    return items, events


@pytest.mark.parametrize("world", ["plain", "nasty"])
async def test_whatever_the_patterns_allow_is_read_into_cited_sentences(
    open_drawing: Open, items: list[Item], events: list[Interaction], later: datetime, world: str
) -> None:
    chosen = nasty_world(later) if world == "nasty" else (items, events)
    drawing = await open_drawing(None, style="lexicon", items=chosen[0], events=chosen[1])
    state = State(user_id="ada", item_id=None, as_of=later, run_id="", cues=[], item_cues=[])
    deps = replace(drawing.deps, budget=Budget())
    case = await build_case(deps, state)
    form = form_of(case, state, deps)
    visible = {event.event_id for event in case.visible}

    for seed in range(60):
        schema = form.schema(seed=seed, best=None)
        blank = Draft(round=0, draft_ix=seed, facets=(), claims=(), at=later)
        draft = form.fill(blank, answer_by(schema, random.Random(seed)))
        assert len(draft.facets) == len(schema["properties"])
        assert all(claim.evidence and set(claim.evidence) <= visible for claim in draft.claims)


async def test_drafts_of_different_seeds_differ(open_drawing: Open, later: datetime) -> None:
    chat = ScriptedChat(babbling(0))
    drawing = await open_drawing(chat, style="lexicon", drafting={"rounds": 0})

    await drawing.profile("ada", as_of=later, budget=Budget())

    schemas = [str(r.json_schema) for r in chat.requests if r.purpose == "draft_profile"]
    assert len(set(schemas)) == len(schemas) == 4


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("world", ["plain", "nasty"])
async def test_a_model_that_babbles_within_the_schema_still_draws_a_grounded_portrait_and_pair(
    open_drawing: Open, items: list[Item], events: list[Interaction], later: datetime, world: str, seed: int
) -> None:
    chosen = nasty_world(later) if world == "nasty" else (items, events)
    drawing = await open_drawing(
        ScriptedChat(babbling(seed)), style="lexicon", items=chosen[0], events=chosen[1]
    )

    profile = await drawing.profile("ada", as_of=later, budget=Budget())
    pair = await drawing.pair("ada", chosen[0][-1].item_id, as_of=later, budget=Budget())

    assert profile.notes == () or profile.source == "extractive"
    assert profile.text and all(claim.evidence for claim in profile.claims)
    assert pair.user.profile and pair.item.profile and pair.reasons
    rollouts = [rollout async for batch in drawing.deps.store.rollouts() for rollout in batch]
    assert all(rollout.facets for rollout in rollouts)  # nothing that fits is unreadable


async def test_notes_can_only_name_phrases_of_their_own_entry(
    open_drawing: Open, cues_of: Callable[[Drawing, str], Awaitable[list[Cue]]], later: datetime
) -> None:
    chat = ScriptedChat(babbling(1))
    drawing = await open_drawing(chat, style="lexicon")

    await drawing.profile("ada", as_of=later, budget=Budget())

    history = {event.event_id: event for event in await drawing.deps.store.history("ada", as_of=later)}
    found = await drawing.deps.store.items([event.item_id or "" for event in history.values()])
    cues = await cues_of(drawing, "user:ada")
    assert cues
    for cue in cues:
        for event in (history[event_id] for event_id in cue.evidence):
            assert cue.facet in f"{found[event.item_id or ''].describe()} {event.text}".casefold()


async def test_a_revision_offers_what_the_critique_missed(open_drawing: Open, later: datetime) -> None:
    chat = ScriptedChat(babbling(2))
    drawing = await open_drawing(chat, style="lexicon", drafting={"accept": 2.0})

    await drawing.profile("ada", as_of=later, budget=Budget())

    [prompt, *_] = [r for r in chat.requests if r.purpose == "revise_profile"]
    assert prompt.json_schema is not None
    advice = re.search(r"Say more about ([^.]*)\.", prompt.messages[1].content)
    if advice:
        offered = str(prompt.json_schema)
        assert any(phrase in offered for phrase in advice.group(1).split(", "))


GERMAN = "Das Buch hat mir sehr gut gefallen, weil die Rosen im Garten so schön beschrieben sind und ich viel lernte."
POLISH = (
    "Bardzo podobała mi się ta książka, ponieważ róże w ogrodzie są pięknie opisane i dużo się nauczyłem."
)


@pytest.mark.parametrize(("review", "language"), [(GERMAN, "de"), (POLISH, "pl")])
async def test_the_users_language_is_kept(
    open_drawing: Open, events: list[Interaction], later: datetime, review: str, language: str
) -> None:
    said = [event.model_copy(update={"text": review}) for event in events]
    chat = ScriptedChat(babbling(0))
    drawing = await open_drawing(chat, style="lexicon", events=said)

    profile = await drawing.profile("ada", as_of=later, budget=Budget())

    assert profile.language == language
    assert all(f"language: {language}" in r.messages[0].content for r in chat.requests)
    english = openings("en", "like") + openings("en", "dislike")
    assert not any(profile.text.startswith(start) for start in english)
    if language == "de":
        assert any(profile.facets[0].text.startswith(start) for start in openings("de", "like"))
    else:
        assert openings(language, "like") == []


@pytest.mark.parametrize("phrase", [*NASTY, "a|b", "x)", "(y", "tail\\"])
def test_a_pattern_takes_a_phrase_by_its_letters(phrase: str) -> None:
    pattern = sentence_pattern([phrase], "xx", "like", seed=0)

    assert re.fullmatch(pattern, f"{phrase}.")
    assert not re.fullmatch(pattern, "anything.")


@pytest.mark.weights
@pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")
async def test_the_embedded_model_draws_real_portraits(
    weights: Path, sample_folder: Path, tmp_path: Path
) -> None:
    settings = load_settings(
        store=tmp_path / "store", models_dir=weights, drafting={"drafts": 1, "rounds": 0, "cue_history": 4}
    )
    async with Limner(settings) as limner:
        await limner.import_file(sample_folder / "items.jsonl")
        await limner.import_file(sample_folder / "interactions.jsonl")
        users = [user async for user in limner.users()][:2]

        outcomes = [outcome async for outcome in limner.profiles(users)]

        for outcome in outcomes:
            assert outcome.error is None and outcome.profile is not None
            profile = outcome.profile
            history = [event.event_id for event in await limner.history(profile.user_id)]
            assert profile.text and profile.usage.calls >= 2
            for claim in profile.claims:
                assert claim.evidence and set(claim.evidence) <= set(history[:-3])
            assert profile.reward is not None
        rollouts = [rollout async for rollout in limner.rollouts()]
        drafts = [rollout for rollout in rollouts if rollout.round >= 0]
        assert drafts and all(draft.facets for draft in drafts)
        for outcome in outcomes:
            run = [r for r in rollouts if r.user_id == outcome.user_id]
            [floor] = [r.rewards["total"] for r in run if r.round == -1]
            assert sum(r.selected for r in run) == 1
            assert outcome.profile and (outcome.profile.reward or 0.0) >= floor
