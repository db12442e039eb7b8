"""Node of pairs: let the judge read the two profiles, and grade by the outcome where it is known.

Reads `best`, `drafts`, `outcome`; writes `best`, `drafts`, `spent`, `notes`, `exhausted`. One short model call, or
one for each draft with a known outcome; none if `reward.rating` is 0.
"""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from langgraph.runtime import Runtime

from ...pairings import Judgement
from ...records import Usage
from ..build_case import case_of
from ..calling import Answer, usage_of
from ..case import Case
from ..state import Deps, Draft, State
from .outcomes import known_terms
from .pair_judge import Sides, asks_judge, judge_pairs_of
from .rating_prior import damped_mean

_NO_RATING = "judge_pair: the judge named no rating"


class Update(TypedDict):
    """The keys this node may change."""

    best: Draft
    drafts: list[Draft]
    spent: Usage
    notes: list[str]
    exhausted: bool


async def judge_pairs(state: State, runtime: Runtime[Deps]) -> Update:
    """Judge what is published; with a known outcome every draft, and add the terms of the reward.

    The outcome comes in here and no earlier: drafts, revisions and the choice between them are those of a pair
    whose outcome nobody knows, so what is learned from the log holds for pairs as they are served.
    """
    deps = runtime.context
    case = await case_of(deps, state)
    outcome = state.get("outcome")
    asked = [*state["drafts"], state["best"]] if outcome else [state["best"]]
    verdicts = await _verdicts(deps, case, state, asked)
    best = _judged(state["best"], verdicts)
    drafts = [_judged(draft, verdicts) for draft in state["drafts"]]
    failed = any(answer.note for answer in verdicts.values())
    if outcome:
        graded = await known_terms(
            deps, case, outcome, [*drafts, best], rated=asks_judge(deps) and not failed
        )
        *drafts, best = graded
    notes = {answer.note or _NO_RATING for answer in verdicts.values() if answer.value is None}
    return {
        "best": best,
        "drafts": drafts,
        "spent": state["spent"] + usage_of(list(verdicts.values())),
        "notes": [*state["notes"], *sorted(notes)],
        "exhausted": state["exhausted"] or failed,  # to be finished the next time
    }


async def _verdicts(
    deps: Deps, case: Case, state: State, drafts: Sequence[Draft]
) -> dict[Sides, Answer[Judgement]]:
    """Ask once for each two profiles."""
    if not asks_judge(deps):
        return {}
    wanted = list(dict.fromkeys(_read_by_judge(draft.pair) for draft in drafts if draft.pair))
    usual = await damped_mean(deps.store, state["user_id"], state["item_id"] or "", as_of=state["as_of"])
    answers = await judge_pairs_of(deps, case.scale, usual, wanted)
    return dict(zip(wanted, answers, strict=True))


def _judged(draft: Draft, verdicts: Mapping[Sides, Answer[Judgement]]) -> Draft:
    answer = verdicts.get(_read_by_judge(draft.pair)) if draft.pair else None
    return draft.model_copy(update={"judgement": answer.value}) if answer else draft


def _read_by_judge(sides: Sides) -> Sides:
    """Leave out what the judge does not see, so that drafts with the same profiles are one question."""
    user, item = (side.model_copy(update={"cue": "", "instruction": ""}) for side in sides)
    return user, item
