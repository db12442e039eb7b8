"""What profiles and pairs say alike about how they were made."""

from datetime import datetime
from typing import TypedDict

from ..records import ProfileSource, Usage
from .case import Case
from .fingerprint import critic_version, prompt_versions
from .state import Deps, Draft, State

INCOMPLETE = "incomplete:"
"""Starts the fingerprint of a portrait whose model calls failed or did not fit the budget."""


class Colophon(TypedDict):
    """The fields that a profile and a pair share."""

    user_id: str
    as_of: datetime
    language: str
    source: ProfileSource
    notes: tuple[str, ...]
    reward: float | None
    reward_terms: dict[str, float]
    usage: Usage
    model: str | None
    prompt_versions: dict[str, int]
    critic_version: str
    fingerprint: str
    created_at: datetime


def colophon(deps: Deps, case: Case, state: State) -> Colophon:
    """Say who made what from what, at which price."""
    best = state["best"]
    rewards = best.critique.rewards if best.critique else {}
    graded = case.has_exam or state.get("outcome") is not None
    return {
        "user_id": state["user_id"],
        "as_of": case.as_of,
        "language": case.language,
        "source": "model" if best.round >= 0 else "extractive",
        "notes": tuple(dict.fromkeys(state["notes"])),
        "reward": rewards.get("total") if graded else None,
        "reward_terms": {name: value for name, value in rewards.items() if name != "total"},
        "usage": state["spent"],
        "model": best.model if best.round >= 0 else None,
        "prompt_versions": prompt_versions(deps, case) | _written_with(best),
        "critic_version": critic_version(deps, pair=case.item_side is not None),
        "fingerprint": _fingerprint(deps, state),
        "created_at": deps.clock.now(),
    }


def _written_with(best: Draft) -> dict[str, int]:
    """Return the prompt of the published draft, which a ranking asks with one of its own."""
    return {best.prompt_id: best.prompt_version} if best.round >= 0 else {}


def _fingerprint(deps: Deps, state: State) -> str:
    """Mark what was published for want of the model, so that the next drawing replaces it."""
    learning = state.get("outcome") is not None  # even what cannot be read is learned from
    written = any(draft.round >= 0 and (draft.facets or learning) for draft in state["drafts"])
    complete = deps.chat is None or (written and not state["exhausted"])
    return state["fingerprint"] if complete else f"{INCOMPLETE}{state['fingerprint']}"
