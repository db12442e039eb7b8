"""Node: write n first drafts at once, of a profile or of a pair.

Reads `cues`, `item_cues`; writes `drafts` (the extractive floor first), `prompts`, `round`, `spent`, `notes`,
`exhausted`. One model call for each draft.
"""

from langgraph.runtime import Runtime

from .build_case import case_of
from .build_form import form_of
from .sampling import Drafted, sample_drafts
from .state import Deps, State


async def draft_profiles(state: State, runtime: Runtime[Deps]) -> Drafted:
    """Draft candidates; whatever the model does, the extractive floor is among them."""
    deps = runtime.context
    case = await case_of(deps, state)
    form = form_of(case, state, deps)
    floor = form.floor(deps.clock.now())
    graded = case.has_exam or state.get("outcome") is not None
    count = deps.settings.drafting.drafts if graded else 1
    request = form.request(advice="", best=None)
    sampled = await sample_drafts(deps, form, request, count=0 if state["exhausted"] else count, round_=0)
    return {
        "drafts": [floor, *sampled.drafts],
        "prompts": {0: request.messages},
        "round": 0,
        "spent": state["spent"] + sampled.usage,
        "notes": [*state["notes"], *sampled.notes],
        "exhausted": state["exhausted"] or sampled.exhausted,
    }
