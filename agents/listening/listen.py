"""Take a chat as behaviour: keep the user's own turns, note what they tell, and forget what is to be forgotten."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime

from ...contexts import Heard
from ...models import Cue
from ...records import Interaction
from ...tools.store import Store
from ..spoken_language import spoken_language
from ..standing import weigh
from .forget_requests import Meant, what_is_meant
from .hear_turns import Listening, note_turns

_END = datetime.max.replace(tzinfo=UTC)
_PAST = 400
"""Newest interactions that requests to forget, and statements that take something back, reach."""

Forget = Callable[[Sequence[str]], Awaitable[None]]
"""Forgets interactions, by event id."""


async def hear(
    store: Store,
    listening: Listening,
    user_id: str,
    turns: Sequence[Interaction],
    shelf: str,
    *,
    forget: Forget,
) -> Heard:
    """Keep turns that are new, note what they tell, and carry out requests to forget.

    A request to forget is not kept, nor is what it means; what is stored of that is forgotten. Everything is durable
    when this returns, and hearing the same again changes nothing.

    Args:
        store: Where.
        listening: How turns are read.
        user_id: Whose turns.
        turns: The user's own, in order.
        shelf: Where the user's observations are kept.
        forget: How interactions are forgotten.
    """
    if not turns:
        return Heard(user_id=user_id, recorded=0, repeated=0)
    done = await store.cued_events(shelf)
    past = await store.history(user_id, as_of=_END, last=_PAST)
    spoken = [event for event in past if event.kind == "message"]
    meant = what_is_meant(turns, spoken, done, listening.language)
    stored = {event.event_id for event in past}
    forgotten = sorted(meant.gone & stored)
    if forgotten:
        await forget(forgotten)
        done = await store.cued_events(
            shelf
        )  # what was noted beside it went with it, and is to be noted again
    kept = [turn for turn in turns if turn.event_id not in meant.asking | meant.gone]
    recorded = await store.record(kept)
    if recorded.forgotten:  # what was forgotten is refused, and must not be noted either
        held = {event.event_id for event in await store.history(user_id, as_of=_END, last=_PAST)}
        kept = [turn for turn in kept if turn.event_id in held]
    noted = await note_turns(listening, [turn for turn in store.shown(kept) if turn.event_id not in done])
    before = await store.cues(shelf) if noted.cues else []
    if read := {*noted.read, *meant.asking} - done:
        await store.add_cues(shelf, noted.cues, sorted(read))
    known = {event.event_id: event for event in (*past, *kept)}
    return Heard(
        user_id=user_id,
        recorded=recorded.added,
        repeated=recorded.repeated,
        cues=tuple(noted.cues),
        retracted=tuple(_taken_back(before, noted.cues, known, listening.language)),
        forgotten=tuple(forgotten),
        usage=noted.usage,
        failed=tuple(noted.failed),
        notes=(*_notes(user_id, meant), *noted.notes),
    )


async def language_of(store: Store, user_id: str, turns: Sequence[Interaction]) -> str:
    """Return the language of turns; that of the user's portrait where they do not tell."""
    profile = await store.profile(user_id)
    return spoken_language(turns, profile.language if profile else None)


def _notes(user_id: str, meant: Meant) -> list[str]:
    """Say what was not done, and how it is done."""
    notes: list[str] = []
    if meant.everything:
        notes.append(
            f"the user asked to be forgotten and nothing was deleted: `limner.forget({user_id!r})` deletes all that is "
            "known, and cannot be undone; ask the user first"
        )
    if meant.vain:
        notes.append(f"requests to forget that mean nothing that was said: {meant.vain}")
    if meant.unsure:
        notes.append(
            f"turns that may ask to forget what was said last, or only change the subject: {meant.unsure}; nothing was "
            f"forgotten: ask the user, then `limner.forget({user_id!r}, event_id=…)` deletes one turn"
        )
    return notes


def _taken_back(
    before: Sequence[Cue], fresh: Sequence[Cue], events: Mapping[str, Interaction], language: str
) -> list[Cue]:
    """Return the earlier observations that the new ones outweigh."""
    gone = {cue.cue_id for cue in weigh(before, events, language).outweighed}
    return [cue for cue in weigh([*before, *fresh], events, language).outweighed if cue.cue_id not in gone]
