"""Every draft of a run as a row of the log, ready for offline learning."""

import json

from ..models import Message, Rollout, content_hash
from ..tools.reward import FLOOR
from .case import Case
from .fingerprint import critic_version
from .state import Deps, Draft, State


def rollouts_of(deps: Deps, case: Case, state: State) -> list[Rollout]:
    """Return one rollout for each draft, the extractive floor and unreadable ones included."""
    prompts = state["prompts"]
    return [_rollout(deps, case, state, draft, prompts.get(draft.round, ())) for draft in state["drafts"]]


def _rollout(deps: Deps, case: Case, state: State, draft: Draft, messages: tuple[Message, ...]) -> Rollout:
    chosen = (draft.round, draft.draft_ix) == (state["best"].round, state["best"].draft_ix)
    version = critic_version(deps)
    prompt = json.dumps([message.model_dump() for message in messages])
    unread = {} if draft.round < 0 else {"malformed": 1.0, "total": FLOOR}
    return Rollout(
        rollout_id=content_hash(state["run_id"], draft.round, draft.draft_ix),
        run_id=state["run_id"],
        user_id=state["user_id"],
        item_id=state.get("item_id"),
        round=draft.round,
        draft_ix=draft.draft_ix,
        group_key=content_hash(state["user_id"], prompt, version, case.neg_seed),
        messages=messages,
        completion=draft.completion,
        profile_text=draft.text,
        facets=draft.facets,
        claims=draft.claims,
        finish_reason=draft.finish_reason,
        backend=draft.model,
        model_rev=draft.model_rev,
        temperature=deps.settings.drafting.temperature,
        top_p=deps.settings.drafting.top_p,
        seed=draft.seed,
        token_logprobs=draft.token_logprobs,
        selected=chosen,
        selection_propensity=float(chosen),
        rewards=draft.critique.rewards if draft.critique else unread,
        critic_version=version,
        neg_seed=case.neg_seed,
        prompt_id=draft.prompt_id,
        prompt_version=draft.prompt_version,
        usage=draft.usage,
        at=draft.at,
    )
