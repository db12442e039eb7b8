"""What a profile was drawn from, in one hash."""

from ..records import content_hash
from ..tools.prompt import load_prompt
from .case import Case
from .pairing.pair_judge import PROMPT as JUDGE
from .settle import VERSION as SETTLING
from .stance_tables import tables_hash
from .state import Deps, Style

_DRAFTING: dict[Style, tuple[str, ...]] = {
    "free": ("draft_profile", "revise_profile"),
    "lexicon": ("draft_profile", "revise_profile"),
    "plain": ("draft_plain",),
}


_FORMULAS = 2
"""Counts up when a term of the reward is computed differently."""


_PAIR_FORMULAS = 1
"""Counts up when a term of a pair's reward is computed differently; profiles do not notice."""


def critic_version(deps: Deps, *, pair: bool = False) -> str:
    """Return encoder, space and settings of the critic; rewards compare only within one version.

    Args:
        deps: What a run may touch.
        pair: Whether pairs are graded, which have terms of their own.
    """
    settings, drafting = deps.settings, deps.settings.drafting
    judge = deps.chat.identity if deps.chat and settings.reward.text > 0 else None
    weights = (settings.critic, settings.reward, drafting.holdout, drafting.recent, judge)
    graded_by = content_hash(_FORMULAS, *weights, *(_pair_weights(deps) if pair else ()))
    space = "" if deps.space.is_identity else f":{deps.space.name}"
    return f"{deps.embedder.name}{space}:{graded_by[:8]}"


def _pair_weights(deps: Deps) -> tuple[object, ...]:
    reward = deps.settings.reward
    judge = (deps.chat.identity, JUDGE.version) if deps.chat and reward.rating > 0 else None
    return _PAIR_FORMULAS, reward.rating, reward.pair_rank, deps.settings.pairing.calibrated, judge


def prompt_versions(deps: Deps, case: Case) -> dict[str, int]:
    """Return the version of every prompt that a run of this form may use; none without a model."""
    if deps.chat is None:
        return {}
    drafting = _pair_prompts(deps) if case.item_side else _DRAFTING[deps.style]
    judging = ("choose_next",) if deps.settings.reward.text > 0 else ()
    cueing = () if deps.style == "plain" else ("extract_cues",)
    return {name: load_prompt(name).version for name in (*cueing, *drafting, *judging)}


def _pair_prompts(deps: Deps) -> tuple[str, ...]:
    drafting = "draft_pair" if deps.settings.pairing.paired else "draft_side"
    return (drafting, JUDGE.id) if deps.settings.reward.rating > 0 else (drafting,)


def fingerprint_of(deps: Deps, case: Case) -> str:
    """Hash the history, the model, the prompts and the settings that shape a portrait."""
    pairing = deps.settings.pairing
    return content_hash(
        case.subject,
        case.item_side.item if case.item_side else None,
        [event.event_id for event in case.item_side.events] if case.item_side else None,
        [event.event_id for event in (*case.visible, *case.held)],
        [(item.item_id, item.title, item.brand, item.categories, item.tags) for item in case.items.values()],
        case.scale[:2] if case.scale else None,
        case.language,
        deps.chat.identity if deps.chat else None,
        deps.style,
        deps.settings.drafting,
        deps.screen.fingerprint,
        critic_version(deps, pair=case.item_side is not None),
        *([(pairing.cue, pairing.instruction, pairing.paired)] if case.item_side else []),
        sorted(prompt_versions(deps, case).items()),
        *([tables_hash(), SETTLING] if any(event.kind == "message" for event in case.visible) else []),
    )
