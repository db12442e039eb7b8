"""What one group of drafts gives to each trainer."""

from typing import Any, NamedTuple

from ...models import Rollout
from ...records import Message
from .advantages import Weighting, advantage_weights, best_of, desirable, normalised_advantages, preference
from .groups import DraftGroup
from .training_rows import (
    Advantage,
    Messages,
    Preference,
    PromptCompletion,
    PromptOnly,
    UnpairedPreference,
)


class Lessons(NamedTuple):
    """Everything that one group gives to trainers."""

    prompt_completion: PromptCompletion
    preference: Preference | None
    unpaired_preference: list[UnpairedPreference]
    advantage: list[Advantage]


def prompt_of(group: DraftGroup) -> PromptOnly:
    """Return the prompt of a group."""
    first = group.drafts[0]
    return PromptOnly(
        **_origin(group),
        round=first.round,
        prompt_id=first.prompt_id,
        prompt_version=first.prompt_version,
        held=first.held,
        neg_seed=first.neg_seed,
        drafts=len(group.drafts),
        best_reward=max(group.rewards),
    )


def lessons_of(group: DraftGroup, weighting: Weighting) -> Lessons:
    """Return what a group of at least two drafts gives to each trainer."""
    origin, rewards, drafts = _origin(group), group.rewards, group.drafts
    advantages = normalised_advantages(rewards)
    weights = advantage_weights(advantages, weighting)
    place = best_of(rewards)
    return Lessons(
        PromptCompletion(
            **origin,
            rollout_id=drafts[place].rollout_id,
            completion=_said(drafts[place]),
            reward=rewards[place],
            drafts=len(drafts),
        ),
        _preference_of(group, weighting),
        [
            UnpairedPreference(
                **origin, rollout_id=draft.rollout_id, completion=_said(draft), label=label, reward=reward
            )
            for draft, label, reward in zip(drafts, desirable(advantages), rewards, strict=True)
            if label is not None
        ],
        [
            Advantage(
                **origin,
                rollout_id=draft.rollout_id,
                completion=_said(draft),
                reward=draft.rewards["total"],
                rewards=draft.rewards,
                advantage=advantage,
                weight=weight,
                drafts=len(drafts),
                backend=draft.backend,
                model_rev=draft.model_rev,
                temperature=draft.temperature,
                top_p=draft.top_p,
                token_ids=draft.token_ids,
                token_logprobs=draft.token_logprobs,
            )
            for draft, advantage, weight in zip(drafts, advantages, weights, strict=True)
        ],
    )


def _preference_of(group: DraftGroup, weighting: Weighting) -> Preference | None:
    places = preference(group.rewards, weighting)
    if places is None:
        return None
    chosen, rejected = (group.drafts[place] for place in places)
    better, worse = chosen.rewards["total"], rejected.rewards["total"]
    return Preference(
        **_origin(group),
        chosen_id=chosen.rollout_id,
        rejected_id=rejected.rollout_id,
        chosen=_said(chosen),
        rejected=_said(rejected),
        chosen_reward=better,
        rejected_reward=worse,
        margin=better - worse,
    )


def _origin(group: DraftGroup) -> dict[str, Any]:
    first = group.drafts[0]
    return {
        "group_key": group.key,
        "user_id": first.user_id,
        "as_of": first.as_of,
        "prompt": first.messages,
    }


def _said(draft: Rollout) -> Messages:
    return (Message(role="assistant", content=draft.completion),)
