"""Read again what drafts of the log were graded against, and make sure that it is still the same."""

from collections.abc import Sequence
from datetime import datetime

from ...agents.build_case import build_case
from ...agents.case import Case
from ...agents.state import Deps, State
from ...errors import EmptyHistoryError, ExamChangedError, NoTextError, UnknownUserError


async def reopen_case(
    deps: Deps, user_id: str, *, as_of: datetime, held: Sequence[str], neg_seed: int
) -> Case:
    """Return the material that a logged draft was written from and graded against.

    Args:
        deps: What the graph may touch; the catalogue must be indexed.
        user_id: Whose portrait.
        as_of: The moment of the draft.
        held: Ids of the events that were held back from it, oldest first.
        neg_seed: Seed of its negatives.

    Raises:
        ExamChangedError: The store no longer gives the same events or negatives, or nothing to grade with.
    """
    state = State(user_id=user_id, item_id=None, as_of=as_of, run_id="")
    try:
        case = await build_case(deps, state)
    except (UnknownUserError, EmptyHistoryError, NoTextError) as error:
        raise ExamChangedError(user_id, as_of.isoformat(), str(error)) from error
    found = tuple(event.event_id for event in case.held)
    if found != tuple(held):
        reason = f"the log held back {len(held)} events that are not the last {len(found)} of the store"
        raise ExamChangedError(user_id, as_of.isoformat(), reason)
    if case.neg_seed != neg_seed:
        reason = f"the negatives were drawn with seed {neg_seed}, the settings give {case.neg_seed}"
        raise ExamChangedError(user_id, as_of.isoformat(), reason)
    if not case.has_exam:
        raise ExamChangedError(user_id, as_of.isoformat(), "nothing is held back to grade with")
    return case
