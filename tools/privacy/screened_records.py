"""What Limner makes of people's words, without the sentences that may not be kept."""

import re
from collections.abc import Callable

from ...models import Cue, Profile, Rollout
from ...pairings import Pair, PairSide
from .screen import Screen

NOTE = "sentences that give orders to a model, or tell what the privacy settings withhold, were left out"
_SENTENCE_END = re.compile(r"(?<=[.!?…。！？])\s*")  # noqa: RUF001  # these end sentences too


def screened_cues(screen: Screen, cues: list[Cue]) -> list[Cue]:
    """Return the observations that may be kept."""
    return [cue for cue in cues if screen.allows(cue.text) and screen.allows(cue.facet)]


def screened_profile(screen: Screen, profile: Profile) -> Profile:
    """Return a portrait without the sentences, and the entries of its raw tail, that may not be told."""
    gone = {
        facet.text
        for facet in profile.facets
        if not (screen.allows(facet.text) and screen.allows(facet.name))
    }
    gone |= {claim.text for claim in profile.claims if not screen.allows(claim.text)}
    recent = tuple(event for event in profile.recent if screen.allows(event.title))
    if not gone and len(recent) == len(profile.recent):
        return profile
    facets = tuple(facet for facet in profile.facets if facet.text not in gone)
    return profile.model_copy(
        update={
            "facets": facets,
            "claims": tuple(claim for claim in profile.claims if claim.text not in gone),
            "text": " ".join(facet.text for facet in facets) if gone else profile.text,
            "likes": tuple(text for text in profile.likes if text not in gone),
            "dislikes": tuple(text for text in profile.dislikes if text not in gone),
            "recent": recent,
            "notes": tuple(dict.fromkeys((*profile.notes, NOTE))),
        }
    )


def screened_side(side: PairSide, allowed: Callable[[str], bool]) -> PairSide:
    """Return one side of a pair without what may not be kept."""
    changed = {
        name: kept
        for name in ("cue", "instruction", "profile")
        if (kept := _sentences(said := getattr(side, name), allowed)) != said
    }
    return side.model_copy(update=changed) if changed else side


def screened_pair(screen: Screen, pair: Pair) -> Pair:
    """Return a pair without the sentences that may not be told."""
    user, item = screened_side(pair.user, screen.allows), screened_side(pair.item, screen.safe)
    reasons = tuple(reason for reason in pair.reasons if screen.allows(reason.text))
    because = pair.because if screen.allows(pair.because) else ""
    if (user, item, reasons, because) == (pair.user, pair.item, pair.reasons, pair.because):
        return pair
    return pair.model_copy(update={"user": user, "item": item, "reasons": reasons, "because": because})


def screened_rollout(screen: Screen, rollout: Rollout) -> Rollout:
    """Return a draft for the log; of one that says what may not be kept the completion is left out.

    Nobody is to learn from it, and it is no longer what the model wrote.
    """
    facets = tuple(facet for facet in rollout.facets if screen.allows(facet.text))
    claims = tuple(claim for claim in rollout.claims if screen.allows(claim.text))
    sides = rollout.sides
    if sides:
        sides = (screened_side(sides[0], screen.allows), screened_side(sides[1], screen.safe))
    written = _written(rollout.completion)
    clean = (facets, claims, sides) == (rollout.facets, rollout.claims, rollout.sides)
    if clean and screen.allows(written):
        return rollout
    return rollout.model_copy(
        update={
            "facets": facets,
            "claims": claims,
            "sides": sides,
            "profile_text": " ".join(facet.text for facet in facets),
            "completion": "",
            "token_ids": None,
            "token_logprobs": None,
        }
    )


def _written(completion: str) -> str:
    """Return a completion without the marks of JSON, which would hide where its sentences end."""
    return re.sub(r'[{}\[\]]|\\?"\s*[:,]?\s*', " ", completion)


def _sentences(text: str, allowed: Callable[[str], bool]) -> str:
    if allowed(text):
        return text
    return " ".join(part for part in _SENTENCE_END.split(text) if part and allowed(part))
