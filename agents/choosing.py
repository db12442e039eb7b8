"""Which draft is best, and whether another revision is worth its price."""

from collections.abc import Sequence

from ..sections import DraftingSettings
from .state import Draft


def best_draft(drafts: Sequence[Draft], *, written_by_model: bool) -> Draft | None:
    """Return the readable draft with the highest total reward; the earliest among equals.

    Args:
        drafts: Criticised drafts.
        written_by_model: Leave the extractive floor out.

    Returns:
        The draft, or `None` if there is none. Without an exam (no rewards) the first readable one.
    """
    readable = [draft for draft in drafts if draft.facets and (draft.round >= 0 or not written_by_model)]
    return max(readable, key=lambda draft: -1e9 if draft.total is None else draft.total, default=None)


def wants_revision(drafts: Sequence[Draft], round_: int, settings: DraftingSettings) -> bool:
    """Whether to revise: rounds are left, the best draft is not accepted yet, and the last round gained."""
    best = best_draft(drafts, written_by_model=True)
    if best is None or best.total is None or best.critique is None or best.critique.rank is None:
        return False
    if round_ >= settings.rounds or best.total >= settings.accept:
        return False
    before = best_draft([draft for draft in drafts if draft.round < round_], written_by_model=True)
    if round_ == 0 or before is None or before.total is None:
        return True
    return best.total - before.total >= settings.min_gain
