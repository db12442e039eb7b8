"""Node: let the critic read every draft that it has not read yet.

Reads `drafts`; writes `drafts` (with critiques), `spent`, `notes`, `exhausted`. No model call unless the text
reward has a weight; embeddings only.
"""

from typing import TypedDict

from langgraph.runtime import Runtime

from ..records import Usage
from .build_case import case_of
from .critic import criticise
from .state import Deps, Draft, State


class Update(TypedDict):
    """The keys this node may change."""

    drafts: list[Draft]
    spent: Usage
    notes: list[str]
    exhausted: bool


async def critique_profiles(state: State, runtime: Runtime[Deps]) -> Update:
    """Grade the readable drafts against what is held back and say what the next one can do better."""
    deps = runtime.context
    case = await case_of(deps, state)
    unread = [draft for draft in state["drafts"] if draft.critique is None and draft.facets]
    review = await criticise(deps, case, unread)
    read = {(draft.round, draft.draft_ix): draft for draft in review.drafts}
    return {
        "drafts": [read.get((draft.round, draft.draft_ix), draft) for draft in state["drafts"]],
        "spent": state["spent"] + review.usage,
        "notes": [*state["notes"], *review.notes],
        "exhausted": state["exhausted"] or review.exhausted,
    }
