"""The tools of the MCP server: what each is called, what it may do, and what it does."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from ...errors import LimnerError
from ...recommendations import Filters
from ...records import Interaction, Record, content_hash
from ...tools.keys import Role
from ..stored import stored_portrait
from .mcp_words import (
    ClaimAnswer,
    ContextAnswer,
    Event,
    Forget,
    ForgetAnswer,
    GetContext,
    GetProfile,
    ProfileAnswer,
    Recommend,
    RecommendAnswer,
    RecommendedItem,
    RecordAnswer,
    RecordEvents,
)

if TYPE_CHECKING:
    from ...face import Limner

_ASK = "nothing was deleted yet; ask the user whether to delete this for good, then call again with `confirm` true"


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool."""

    name: str
    """What assistants call it."""

    title: str
    """What people call it."""

    asked: type[Record]
    """Its arguments; the docstring is its description."""

    answer: type[Record]
    """What it returns."""

    run: "Callable[[Limner, Any], Awaitable[Record]]"
    """Called with an open Limner and `asked`."""

    role: Callable[[Any], Role]
    """Who may call it, by `asked`; the same as over HTTP."""

    reads_only: bool = False
    """Whether it leaves everything as it is."""

    destroys: bool = False
    """Whether it may delete."""

    repeatable: bool = True
    """Whether calling it again with the same arguments changes nothing more."""

    reaches_out: bool = False
    """Whether it may call a language model on another machine."""


async def get_profile(limner: "Limner", asked: GetProfile) -> ProfileAnswer:
    """Return the newest stored portrait.

    Raises:
        UnknownUserError: The user was never recorded.
        NoPortraitError: No portrait was drawn yet.
    """
    profile = await stored_portrait(limner, asked.user_id)
    claims = tuple(ClaimAnswer(text=claim.text, evidence=claim.evidence) for claim in profile.claims)
    return ProfileAnswer(
        user_id=profile.user_id,
        version=profile.version,
        as_of=profile.as_of,
        language=profile.language,
        text=profile.text,
        claims=claims if asked.with_evidence else (),
    )


async def get_context(limner: "Limner", asked: GetContext) -> ContextAnswer:
    """Return what to know about a user; one nobody knows is an answer, not an error."""
    context = await limner.context(asked.user_id, asked.query, max_tokens=asked.max_tokens)
    return ContextAnswer(
        user_id=context.user_id,
        known=context.known,
        text=context.text,
        tokens=context.tokens,
        version=context.version,
        evidence=context.evidence if asked.with_evidence else (),
    )


async def record(limner: "Limner", asked: RecordEvents) -> RecordAnswer:
    """Keep events and, if it is asked for, draw the portrait anew.

    Raises:
        BadRowError: An event is not valid; nothing was recorded.
    """
    now = datetime.now(UTC)
    done = await limner.record(asked.user_id, [_event(asked.user_id, event, now) for event in asked.events])
    version, note = None, ""
    if asked.draw:
        try:
            version = (await limner.profile(asked.user_id)).version
        except LimnerError as error:  # what was recorded stays recorded, so this is no failure of the call
            note = f"recorded, but no portrait was drawn: {error.code}: {error}"
    return RecordAnswer(added=done.added, repeated=done.repeated, version=version, note=note)


def _event(user_id: str, event: Event, now: datetime) -> Interaction | Mapping[str, Any]:
    """Return an event as it is recorded; one without moment and id has the id of its words and the day."""
    fields = event.model_dump(exclude_none=True)
    if event.at is None:
        said = (user_id, event.kind, event.item_id, event.rating, event.text)
        fields = {"event_id": content_hash(*said, now.date().isoformat()), **fields, "at": now}
    return fields


async def recommend(limner: "Limner", asked: Recommend) -> RecommendAnswer:
    """Return what the user may choose next.

    Raises:
        UnknownUserError: The user was never recorded.
        InputError: The catalogue is empty.
    """
    found = await limner.recommend(asked.user_id, k=asked.k, filters=Filters(categories=asked.categories))
    return RecommendAnswer(
        items=tuple(
            RecommendedItem(item_id=item.item_id, title=item.title, because=item.because)
            for item in found.items
        ),
        notes=found.notes,
    )


async def forget(limner: "Limner", asked: Forget) -> ForgetAnswer:
    """Delete what is known about a user, or say what that would take.

    Raises:
        UnknownUserError: The user was never recorded.
    """
    receipt = await limner.forget(
        asked.user_id, item_id=asked.item_id, event_id=asked.event_id, dry_run=not asked.confirm
    )
    note = "" if asked.confirm else _ASK if receipt.removed else "there is nothing to delete"
    return ForgetAnswer(
        forgotten=asked.confirm, removed=receipt.removed, kept=receipt.kept, at=receipt.at, note=note
    )


def _reader(_asked: Record) -> Role:
    return "read"


def _writer(_asked: Record) -> Role:
    return "write"


def _forgetter(asked: Forget) -> Role:
    return "admin" if asked.event_id is None and asked.item_id is None else "write"


TOOLS = (
    Tool(
        name="get_profile",
        title="Read a user's portrait",
        asked=GetProfile,
        answer=ProfileAnswer,
        run=get_profile,
        role=_reader,
        reads_only=True,
    ),
    Tool(
        name="get_context",
        title="What to know about a user",
        asked=GetContext,
        answer=ContextAnswer,
        run=get_context,
        role=_reader,
        reads_only=True,
    ),
    Tool(
        name="record",
        title="Record what a user did or said",
        asked=RecordEvents,
        answer=RecordAnswer,
        run=record,
        role=_writer,
        reaches_out=True,
    ),
    Tool(
        name="recommend",
        title="Recommend items to a user",
        asked=Recommend,
        answer=RecommendAnswer,
        run=recommend,
        role=_reader,
        reads_only=True,
    ),
    Tool(
        name="forget",
        title="Forget a user",
        asked=Forget,
        answer=ForgetAnswer,
        run=forget,
        role=_forgetter,
        destroys=True,
    ),
)
"""In the order in which assistants see them."""
