"""Portraits of the users of queries, drawn by Limner and kept, so that nobody is drawn twice.

Each kind of portrait has a Limner store of its own in the workspace's folder, filled with the past and with the
histories of the queries. Every portrait is drawn with its query's `as_of`, so nothing at or after it is used,
whatever the store holds. Drawing goes on where it was interrupted: an up-to-date portrait is left alone.
"""

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ...agents.colophon import INCOMPLETE
from ...contexts import Context
from ...face import Limner
from ...models import Profile
from ...records import Usage, content_hash
from ...settings import NO_MODEL, Settings
from ...tools.space import load_space
from ...tools.waiting import wait_for
from ..splits import Past, Queries
from ..workspace import Workspace
from .drawn import DrawnFile
from .heard import Asked, tell
from .moments import interactions_of, moment_of
from .painters import EXTRACTIVE, LoopPainter, Painter
from .studio import Wanted, open_studio

if TYPE_CHECKING:
    from ...tools.chat import ChatModel

T = TypeVar("T")

LOCK = "owner.lock"
"""File that a process holds while it has a store open."""


class Portraits:
    """Draws and keeps one kind of portrait.

    Args:
        workspace: Where the stores lie, and how models are reached.
        writer: `extractive`, or a LiteLLM model string.
        painter: Another way for portraits to come about than Limner's loop; it names its writer itself.
        chat: A model to use in place of every one that is named.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        writer: str = EXTRACTIVE,
        painter: Painter | None = None,
        chat: "ChatModel | None" = None,
    ) -> None:
        self._painter: Painter = painter or LoopPainter(writer)
        self._workspace, self._chat = workspace, chat
        self.usage = Usage()
        """What all portraits cost when they were drawn, in this run or an earlier one, of every past."""

        self.kept_seconds = 0.0
        """Seconds of the calls in `usage` that an earlier run made."""

        self.complete = True
        """False once a portrait came about without the model that should have written it."""

        self._drawn: dict[Wanted, Profile] = {}
        self._kept = 0
        self._past: Past | None = None
        self._folder = Path()

    def fit(self, past: Past) -> None:
        """Take in what may be known; portraits of another past are forgotten."""
        self._past, self._drawn, self._kept = past, {}, 0
        self._folder = self._workspace.folder / "portraits" / self._name_of_store(past)

    def draw(self, queries: Queries) -> list[Profile | None]:
        """Return each query's portrait as of its moment; `None` where there is nothing to draw from."""
        wanted = self._wanted(queries)
        self._draw(
            [entry for entry, told in zip(wanted, _has_history(queries), strict=True) if told], queries
        )
        return [self._drawn.get(entry) for entry in wanted]

    def tell(self, queries: Queries, asked: Sequence[str], tokens: int) -> list[Context]:
        """Return what the product tells an assistant about each query's user, after `draw`.

        Args:
            queries: Users at a moment.
            asked: What each user says next; nothing if absent.
            tokens: Most tokens of a context.
        """
        words = asked or [""] * len(queries)
        questions = [
            Asked(entry.user_id, said, entry.as_of, tokens, self._workspace.settings.model)
            for entry, said in zip(self._wanted(queries), words, strict=True)
        ]

        return self.in_store(lambda limner: tell(limner, questions))

    def in_store(self, work: Callable[[Limner], Awaitable[T]]) -> T:
        """Do something with the store of these portraits open, after `fit`."""
        settings = self._settings(self.folder)
        given = None if settings.model == NO_MODEL else self._chat

        async def opened() -> T:
            async with Limner(settings, chat=given) as limner:
                return await work(limner)

        with alone_in(self.folder, self._workspace):
            return wait_for(opened())

    def draw_users(self, wanted: Sequence[Wanted]) -> list[Profile | None]:
        """Return portraits of users of the past at any moments."""
        self._draw(wanted, None)
        return [self._drawn.get(entry) for entry in wanted]

    def texts_seen(self, queries: Queries) -> list[str]:
        """Return the words of each query's portrait; nothing is drawn."""
        return [_text_of(self._drawn.get(entry)) for entry in self._wanted(queries)]

    @property
    def caveats(self) -> tuple[str, ...]:
        """What a reader must know: who wrote in the model's place, and what was drawn in an earlier run."""
        drawn, found = len(self._drawn), list[str]()
        by_rule = sum(profile.source == EXTRACTIVE for profile in self._drawn.values())
        if by_rule and self._painter.writer != EXTRACTIVE:
            found.append(f"{by_rule} of {drawn} portraits are the extractive one, not the model's")
        if self._kept:
            found.append(
                f"{self._kept} of {drawn} portraits were drawn before; calls and seconds are those of then"
            )
        return tuple(found)

    @property
    def folder(self) -> Path:
        """Where the Limner store lies, after `fit`: one for each past, kind, writer and way of drawing."""
        return self._folder

    @property
    def _known(self) -> Past:
        if self._past is None:
            raise RuntimeError("portraits are drawn after `fit`")
        return self._past

    def _wanted(self, queries: Queries) -> list[Wanted]:
        past = self._known
        return [Wanted(past.user_ids[user], moment_of(at, past.card.clock)) for user, at in asked_at(queries)]

    def _draw(self, wanted: Sequence[Wanted], queries: Queries | None) -> None:
        missing = [entry for entry in dict.fromkeys(wanted) if entry not in self._drawn]
        if not missing:
            return
        with alone_in(self.folder, self._workspace):
            file = DrawnFile(self.folder)
            kept = file.read()
            started = datetime.now(UTC)
            self._hang({entry: kept[entry] for entry in missing if entry in kept}, started)
            missing = [entry for entry in missing if entry not in kept]
            if missing:
                painted = wait_for(self._paint(missing, queries))
                file.add(painted)
                self._hang(painted, started)

    def _hang(self, portraits: Mapping[Wanted, Profile], started: datetime) -> None:
        """Take portraits in; a store may have held some of those that were asked for."""
        old = [profile for profile in portraits.values() if profile.created_at < started]
        self._drawn |= portraits
        self._kept += len(old)
        self.kept_seconds += sum(profile.usage.seconds for profile in old)
        self.usage += Usage.total(profile.usage for profile in portraits.values())
        self.complete &= not any(profile.fingerprint.startswith(INCOMPLETE) for profile in portraits.values())

    async def _paint(self, wanted: Sequence[Wanted], queries: Queries | None) -> dict[Wanted, Profile]:
        async with open_studio(
            self._workspace,
            self._settings(self.folder),
            self._known,
            budget=self._workspace.budget,
            painter=self._painter,
            chat=self._chat,
        ) as studio:
            if queries is not None:
                await studio.store.record(list(interactions_of(queries.history, self._known)))
            return await self._painter.paint(studio, wanted)

    def _settings(self, folder: Path) -> Settings:
        settings = settings_of_store(self._workspace.settings, folder, self._painter.drawn_by)
        return self._painter.adapt(settings)

    def _name_of_store(self, past: Past) -> str:
        painter, settings = self._painter, self._settings(Path())
        way = content_hash(
            painter.kind,
            painter.writer,
            settings.drafting,
            settings.critic,
            settings.reward,
            settings.embedder,
            settings.chat.api_base,
            *([load_space(settings.critic.space).name] if settings.critic.space else []),
        )
        return f"{past.card.name}-{painter.kind}-{hash_of(past)[:8]}{way[:8]}".replace("/", "-")


def settings_of_store(settings: Settings, folder: Path, writer: str) -> Settings:
    """Return Limner's settings for a store in a folder, whatever store the user's own settings name.

    Args:
        settings: The user's own.
        folder: Where the store lies.
        writer: `extractive`, or a LiteLLM model string.
    """
    overrides = {
        "store": folder,
        "model": NO_MODEL if writer == EXTRACTIVE else writer,
        "tenant": "default",
        "database_url": None,
        "chroma_url": None,
    }
    return settings.model_copy(update=overrides)


@contextmanager
def alone_in(folder: Path, workspace: Workspace) -> Generator[None]:
    """Hold a store while no other process does: its index has one owner at a time."""
    from filelock import FileLock, Timeout

    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        workspace.notice(f"waiting for another process that draws in {folder.name}")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def asked_at(queries: Queries) -> list[tuple[int, int]]:
    """Return each query's user number and moment."""
    users: list[int] = queries.user.tolist()
    moments: list[int] = queries.as_of.tolist()
    return list(zip(users, moments, strict=True))


def _has_history(queries: Queries) -> list[bool]:
    lengths: list[int] = (queries.starts[1:] - queries.starts[:-1]).tolist()
    return [length > 0 for length in lengths]


def _text_of(profile: Profile | None) -> str:
    if profile is None:
        return ""
    facets = (facet.text for facet in profile.facets)
    return "\n".join([profile.text, *profile.likes, *profile.dislikes, *facets])


def hash_of(past: Past) -> str:
    """Return a hash of everything a portrait can rest on, but for the histories of the queries."""
    events = past.events
    columns = [column.tobytes() for column in (events.user, events.item, events.at)]
    texts = () if events.text is None else tuple(events.text)
    return content_hash(
        past.card.name, tuple(past.user_ids), tuple(past.items), columns, events.rating.tobytes(), texts
    )
