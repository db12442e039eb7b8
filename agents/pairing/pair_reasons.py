"""Why the two sides of a pair fit or not: sentences with evidence on both sides, and one to say aloud."""

import re
import tomllib
from collections import Counter
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

from ...models import Claim, Facet
from ...pairings import Reason
from ...tools.verdicts import is_praise
from ..case import Case
from ..lexicon import item_phrases, text_phrases
from ..state import Deps, Draft

Tone = Literal["because", "apart", "against"]

_MOST_PHRASES = 2
_FEWEST_SPEAKERS = 2
_LEAST_NEARNESS = 0.01
"""So that evidence decides between sentences that have nothing in common."""

_SIGNS: dict[Tone, str] = {
    "because": "{user} + {item}.",
    "apart": "{user} / {item}.",
    "against": "{user} ≠ {item}.",
}


class Match(NamedTuple):
    """A sentence of the user's profile and the item's sentence nearest to it."""

    facet: Facet
    user: Claim
    item: Claim
    nearness: float
    """Cosine of the two sentences."""

    @property
    def support(self) -> float:
        """How well both sentences rest on what they cite, and on each other."""
        return self.user.confidence * self.item.confidence * max(self.nearness, _LEAST_NEARNESS)

    def reason(self) -> Reason:
        """Return it as a reason of the pair."""
        return Reason(
            text=f"{self.user.text} {self.item.text}",
            user_evidence=self.user.evidence,
            item_evidence=self.item.evidence,
        )


async def matches_of(deps: Deps, best: Draft) -> list[Match]:
    """Join each sentence of the user's profile with the item's sentence nearest to it, best supported first."""
    if not best.claims or not best.item_claims:
        return []
    vectors = await deps.embedder.embed([claim.text for claim in (*best.claims, *best.item_claims)])
    cosines = vectors[: len(best.claims)] @ vectors[len(best.claims) :].T
    matches = [
        Match(facet, claim, best.item_claims[int(row.argmax())], float(row.max()))
        for facet, claim, row in zip(best.facets, best.claims, cosines, strict=True)
    ]
    return sorted(matches, key=lambda match: -match.support)


class Told(NamedTuple):
    """What is said of a pair."""

    because: str
    """One sentence; empty if one side has no sentence."""

    reasons: tuple[Reason, ...]
    """The one behind `because` first, then those about what draws the user."""


def tell(case: Case, matches: Sequence[Match], *, fits: bool) -> Told:
    """Say why an item is recommended, or kindly why it may not be the right one.

    A fit is explained by what draws the user, and the lack of one by how far the item is from that. If of all
    the user's sentences one about what the user avoids lies nearest to the item, it is a poor fit for that.
    """
    liked = [match for match in matches if match.facet.polarity != "dislike"]
    avoided = [match for match in matches if match.facet.polarity == "dislike"]
    if not liked and not avoided:
        return Told("", ())
    nearest = max(matches, key=lambda match: match.nearness)
    if nearest in avoided or not liked:
        first, tone = (nearest if nearest in avoided else avoided[0]), _AGAINST
    else:
        first, tone = liked[0], (_BECAUSE if fits else _APART)
    others = [match for match in liked if match is not first]
    return Told(_sentence(case, first, tone), tuple(match.reason() for match in (first, *others)))


_BECAUSE: Tone = "because"
_APART: Tone = "apart"
_AGAINST: Tone = "against"


def _sentence(case: Case, match: Match, tone: Tone) -> str:
    """Fill the language's sentence with phrases that the evidence of each half offers."""
    mine, theirs = user_phrases(case, match), publisher_phrases(case, match)
    shared = [phrase for phrase in mine if phrase in theirs]
    entry = _sentences().get(case.language, {})
    form, joiner = entry.get(tone, _SIGNS[tone]), f" {entry['and']} " if entry else ", "
    user, item = (joiner.join(_distinct([*shared, *phrases])) for phrases in (mine, theirs))
    return form.format(user=user, item=item) if user and item else ""


def user_phrases(case: Case, match: Match) -> list[str]:
    """Return the phrases of a user's sentence that the cited interactions offer, or one of theirs."""
    cited = set(match.user.evidence)
    offered = [
        phrase
        for event in reversed(case.visible)
        if event.event_id in cited
        for phrase in case.phrases(event)
    ]
    return _used(offered, match.user.text)


def publisher_phrases(case: Case, match: Match) -> list[str]:
    """Return the phrases of an item's sentence that its publisher, or several of its users, offer.

    What only one other user said is nobody else's to hear.
    """
    assert case.item_side is not None, "only a pair is explained"
    item_case, cited = case.for_item(), set(match.item.evidence)
    spoken = {
        (event.user_id, phrase)
        for event in item_case.visible
        if event.event_id in cited
        for phrase in item_case.words(event)
    }
    said = Counter(phrase for _, phrase in spoken)
    labels = item_phrases(case.item_side.item, case.language)
    shared = sorted(phrase for phrase, speakers in said.items() if speakers >= _FEWEST_SPEAKERS)
    title = text_phrases(case.item_side.item.title, case.language)
    return _used([*labels, *title, *shared], match.item.text)


def _used(offered: Sequence[str], sentence: str) -> list[str]:
    """Return the phrases that a sentence uses, or the first of all; mere praise names nothing."""
    lowered = sentence.casefold()
    fair = [phrase for phrase in offered if not is_praise(phrase)] or list(offered)
    used = [phrase for phrase in fair if re.search(rf"(?<!\w){re.escape(phrase)}(?!\w)", lowered)]
    return list(dict.fromkeys(used)) or fair[:1]


def _distinct(phrases: Sequence[str]) -> list[str]:
    """Return the first phrases of which none repeats a word of another."""
    kept: list[str] = []
    for phrase in phrases:
        if not set(phrase.split()) & set(" ".join(kept).split()):
            kept.append(phrase)
    return kept[:_MOST_PHRASES]


@cache
def _sentences() -> dict[str, dict[str, str]]:
    return tomllib.loads((files("limner") / "prompts" / "because.toml").read_text(encoding="utf-8"))
