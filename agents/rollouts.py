"""Every draft of a run as a row of the log, ready for offline learning."""

import json
from typing import NamedTuple

from ..models import Rollout
from ..records import Message, content_hash
from ..tools.reward import FLOOR
from .case import Case
from .fingerprint import critic_version
from .state import Deps, Draft, State


class _Round(NamedTuple):
    """What the drafts of one round have in common."""

    messages: tuple[Message, ...]
    group_key: str


def rollouts_of(deps: Deps, case: Case, state: State) -> list[Rollout]:
    """Return one rollout for each draft, the extractive floor and unreadable ones included."""
    version = critic_version(deps, pair=case.item_side is not None)
    rounds = {
        round_: _Round(messages, _group_key(case, state, messages, version))
        for round_, messages in {-1: (), **state["prompts"]}.items()
    }
    return [_rollout(deps, case, state, draft, rounds[draft.round], version) for draft in state["drafts"]]


def _group_key(case: Case, state: State, messages: tuple[Message, ...], version: str) -> str:
    prompt = json.dumps([message.model_dump() for message in messages])
    outcome = state.get("outcome")
    known = () if outcome is None else (outcome,)  # its terms are in the rewards
    return content_hash(state["user_id"], prompt, version, case.neg_seed, *known)


def _rollout(deps: Deps, case: Case, state: State, draft: Draft, asked: _Round, version: str) -> Rollout:
    chosen = (draft.round, draft.draft_ix) == (state["best"].round, state["best"].draft_ix)
    unread = {} if draft.round < 0 else {"malformed": 1.0, "total": FLOOR}
    return Rollout(
        rollout_id=content_hash(state["run_id"], draft.round, draft.draft_ix),
        run_id=state["run_id"],
        user_id=state["user_id"],
        item_id=state.get("item_id"),
        round=draft.round,
        draft_ix=draft.draft_ix,
        group_key=asked.group_key,
        messages=asked.messages,
        completion=draft.completion,
        profile_text=draft.text,
        facets=draft.facets,
        claims=draft.claims,
        sides=draft.pair,
        judgement=draft.judgement,
        outcome=state.get("outcome"),
        finish_reason=draft.finish_reason,
        backend=draft.model,
        model_rev=draft.model_rev,
        temperature=deps.settings.drafting.temperature,
        top_p=deps.settings.drafting.top_p,
        seed=draft.seed,
        token_ids=draft.token_ids,
        token_logprobs=draft.token_logprobs,
        selected=chosen,
        selection_propensity=float(chosen),
        rewards=draft.critique.rewards if draft.critique else unread,
        critic_version=version,
        critic_rank=draft.critique.rank if draft.critique else None,
        as_of=case.as_of,
        held=tuple(event.event_id for event in case.held),
        neg_seed=case.neg_seed,
        prompt_id=draft.prompt_id,
        prompt_version=draft.prompt_version,
        usage=draft.usage,
        at=draft.at,
    )
