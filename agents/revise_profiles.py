"""Node: rewrite the best draft with the critique's words.

Reads `drafts`; writes `drafts`, `prompts`, `round`, `spent`, `notes`, `exhausted`. One model call for each
revision.
"""

from langgraph.runtime import Runtime

from .build_case import case_of
from .build_form import form_of
from .choosing import best_draft
from .sampling import Drafted, sample_drafts
from .state import Deps, State


async def revise_profiles(state: State, runtime: Runtime[Deps]) -> Drafted:
    """Draft revisions of the best model draft so far."""
    deps = runtime.context
    case = await case_of(deps, state)
    form = form_of(case, state, deps)
    best = best_draft(state["drafts"], written_by_model=True)
    assert best is not None and best.critique is not None, "the graph revises only criticised drafts"
    round_ = state["round"] + 1
    request = form.request(advice=best.critique.advice, best=best)
    sampled = await sample_drafts(deps, form, request, count=deps.settings.drafting.revisions, round_=round_)
    return {
        "drafts": [*state["drafts"], *sampled.drafts],
        "prompts": {**state["prompts"], round_: request.messages},
        "round": round_,
        "spent": state["spent"] + sampled.usage,
        "notes": [*state["notes"], *sampled.notes],
        "exhausted": state["exhausted"] or sampled.exhausted,
    }
