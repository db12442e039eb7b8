"""A small invented world, and everything a run of the graph needs, opened on real files."""

import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from limner.agents.audience import Audience
from limner.agents.drawing import STATE_TYPES, Drawing
from limner.agents.extract_cues import PROMPT
from limner.agents.lexicon import Lexicon
from limner.agents.state import Deps
from limner.models import Cue
from limner.records import Interaction, Item
from limner.settings import Settings, load_settings
from limner.tools.budget import Budget
from limner.tools.chat import ChatRequest
from limner.tools.checkpoints import open_checkpointer
from limner.tools.clock import ManualClock
from limner.tools.completion_cache import CachedChat
from limner.tools.embedder import HashingEmbedder
from limner.tools.memory_catalogue import MemoryCatalogue
from limner.tools.scripted import Script, Scripted, ScriptedChat
from limner.tools.sql.sql_store import open_store

START = datetime(2026, 1, 1, 9, tzinfo=UTC)
USERS = ("ada", "bo", "cleo", "dan", "eve", "fay")
THEMES: dict[str, tuple[str, ...]] = {
    "gardening": ("roses", "compost", "orchids", "hedges", "ferns", "tulips"),
    "astronomy": ("telescopes", "comets", "eclipses", "nebulae", "meteors", "planets"),
    "sailing": ("dinghies", "knots", "regattas", "harbours", "lighthouses", "currents"),
    "baking": ("sourdough", "pastry", "meringue", "brioche", "biscuits", "tarts"),
    "chess": ("openings", "endgames", "gambits", "puzzles", "tournaments", "clocks"),
    "beekeeping": ("hives", "honey", "swarms", "queens", "pollen", "smokers"),
}
"""Theme to what its six items are about; user number k follows theme k and theme k + 1."""

_VERBS = {"likes": "Enjoys", "dislikes": "Avoids"}
_SORTS = ("handbook", "kit", "course")
_ENTRY = re.compile(r"^(e\d+): ([^(\n]*)\(([^)\n]*)\)", re.MULTILINE)


def _items() -> list[Item]:
    themed = [
        Item(
            item_id=f"{theme}-{number}",
            title=f"Complete {subject} {_SORTS[number % 3]}",
            categories=(theme,),
            tags=(subject, _SORTS[number % 3]),
            description=f"All about {subject} in {theme}.",
        )
        for theme, subjects in THEMES.items()
        for number, subject in enumerate(subjects)
    ]
    plain = [
        Item(item_id=f"plain-{number}", title=f"Plain {word} lamp", categories=("lamps",), tags=(word,))
        for number, word in enumerate(("desk", "floor", "wall", "garage"))
    ]
    return [*themed, *plain]


def _events() -> list[Interaction]:
    """Twelve events a user, one a day: six of a first theme in turn with six of a second; two are disliked."""
    names = list(THEMES)
    found: list[Interaction] = []
    for place, user in enumerate(USERS):
        for day in range(12):
            theme = names[(place + day % 2) % len(names)]
            item = f"{theme}-{day // 2}"
            subject = THEMES[theme][day // 2]
            liked = day not in (3, 4)
            found.append(
                Interaction(
                    event_id=f"{user}-{day:02}",
                    user_id=user,
                    item_id=item,
                    kind="review",
                    at=START + timedelta(days=day, minutes=place),
                    rating=5.0 if liked else 1.0,
                    text=f"Lovely {subject}, I spent the whole weekend with it."
                    if liked
                    else "Too dull for me.",
                )
            )
    return found


@pytest.fixture
def items() -> list[Item]:
    """Forty items in six themes, and four lamps that nobody bought."""
    return _items()


@pytest.fixture
def events() -> list[Interaction]:
    """Twelve events of each of six users, in order of users."""
    return _events()


@pytest.fixture
def later() -> datetime:
    """A moment after everything happened."""
    return START + timedelta(days=100)


@pytest.fixture
def clock(later: datetime) -> ManualClock:
    """A clock that stands still after everything happened."""
    return ManualClock(later)


@pytest.fixture
def embedder() -> HashingEmbedder:
    """The encoder; remembers every text it was given."""
    return HashingEmbedder()


@pytest.fixture
def catalogue(embedder: HashingEmbedder) -> MemoryCatalogue:
    """An empty index."""
    return MemoryCatalogue(embedder)


Open = Callable[..., Awaitable[Drawing]]


@pytest.fixture
async def open_drawing(
    tmp_path: Path,
    items: list[Item],
    events: list[Interaction],
    embedder: HashingEmbedder,
    catalogue: MemoryCatalogue,
    clock: ManualClock,
) -> AsyncIterator[Open]:
    """Open a `Drawing` over the world: real store and checkpoints in a folder, doubles for the other doors.

    Arguments of the function: `chat`; `style`; `events` and `items` in place of the world's; `folder`; any
    group of `Settings` as a mapping.
    """
    stack = AsyncExitStack()

    async def open_it(
        chat: ScriptedChat | None = None,
        *,
        style: Any = "free",
        events: list[Interaction] = events,
        items: list[Item] = items,
        folder: Path = tmp_path / "store",
        database_url: str | None = None,
        **settings: Any,
    ) -> Drawing:
        chosen = load_settings(**settings)
        store = await open_store(folder=folder, database_url=database_url, tenant="default")
        stack.push_async_callback(store.aclose)
        await store.put_items(items)
        await store.record(events)
        await catalogue.upsert(items)
        saver = await stack.enter_async_context(
            open_checkpointer(folder=folder, database_url=database_url, state_types=STATE_TYPES)
        )
        cached = CachedChat(chat, store, linger=0.0) if chat else None
        if cached:
            stack.push_async_callback(cached.flush)
        deps = Deps(
            settings=chosen,
            store=store,
            catalogue=catalogue,
            embedder=embedder,
            chat=chat,
            budget=Budget(),
            clock=clock,
            lexicon=_lexicon(items),
            audience=_audience(chosen, store, catalogue),
            style=style,
        )
        return Drawing(deps, cached, saver, tenant="default")

    async with stack:
        yield open_it


def _lexicon(items: list[Item]) -> Lexicon:
    lexicon = Lexicon()
    lexicon.learn(items)
    return lexicon


def _audience(settings: Settings, store: Any, catalogue: MemoryCatalogue) -> Audience:
    return Audience(
        store,
        catalogue,
        size=settings.critic.audience,
        last=settings.drafting.recent,
        seed=settings.drafting.seed,
    )


def _paint(request: ChatRequest) -> Scripted:
    """Answer as a good model would: notes, sentences and pairs whose words come from the entries shown."""
    shown = "\n".join(message.content for message in request.messages if message.role == "user")
    entries = [(ref, labels.split(", ")) for ref, _, labels in _ENTRY.findall(shown)]
    rng = random.Random(request.seed)
    if request.purpose == "choose_next":
        return "A"
    if request.purpose == "judge_pair":
        return "4"
    if request.purpose == "extract_cues":
        return {
            "cues": [
                {"ref": ref, "theme": labels[0], "polarity": "like", "note": f"cares for {' '.join(labels)}"}
                for ref, labels in entries
            ]
        }
    if request.purpose == "draft_pair":
        return _paint_pair(entries, rng)
    return _paint_profile(request, dict(entries), rng)


def _paint_profile(
    request: ChatRequest, labels: Mapping[str, list[str]], rng: random.Random
) -> Mapping[str, Any]:
    """Write the sentences that the schema asks for, about entries that it allows."""
    assert request.json_schema is not None, "drafts have a schema"
    draft: dict[str, Any] = {}
    for name, part in request.json_schema["properties"].items():
        offered = part["items"]["properties"]["evidence"]["items"]["enum"]
        refs = [ref for ref in offered if ref in labels]
        draft[name] = [
            {
                "evidence": [ref],
                "theme": labels[ref][0],
                "sentence": f"{_VERBS[name]} {labels[ref][0]} with {' and '.join(labels[ref][1:])}.",
            }
            for ref in rng.sample(refs, min(len(refs), part["minItems"]))
        ]
    return draft


def _paint_pair(entries: list[tuple[str, list[str]]], rng: random.Random) -> Mapping[str, str]:
    labels = [shown for _, shown in entries] or [["roses"]]
    mine, theirs = rng.choice(labels[: len(labels) // 2 or 1]), labels[-1]
    return {
        "user_cue": " ".join(mine),
        "user_instruction": f"Say what {mine[0]} means here.",
        "user_profile": f"Enjoys {mine[0]} with {mine[-1]}.",
        "item_cue": " ".join(theirs),
        "item_instruction": f"Say whom {theirs[0]} suits.",
        "item_profile": f"Suits lovers of {theirs[0]} and {theirs[-1]}.",
    }


@pytest.fixture
def cues_of() -> Callable[[Drawing, str], Awaitable[list[Cue]]]:
    """Return what is noted about a subject, by whoever draws here."""

    async def read(drawing: Drawing, subject: str) -> list[Cue]:
        deps = drawing.deps
        writer = deps.chat.name if deps.chat and deps.style != "plain" else "none"
        return await deps.store.cues(f"{subject} by {writer}/{deps.style}/v{PROMPT.version}")

    return read


@pytest.fixture
def paint() -> Script:
    """A script that answers every prompt of the graph in the free style, grounded in what it is shown."""
    return _paint
