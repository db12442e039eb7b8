"""Stored cues beside the interactions they rest on, and the same with somebody else's interactions."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ...agents.case import Lengths, describe_event, event_text, polarity_of
from ...models import Cue
from ...records import Interaction, Item
from ...tools.store import RatingScale

_LENGTHS = Lengths(title=120, labels=120, quote=800, message=800)
_HEADINGS = {"like": "Likes", "dislike": "Dislikes", "neutral": "Said"}


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One cue and what it says it rests on."""

    user_id: str
    cue: Cue

    texts: tuple[str, ...]
    """Everything that its evidence says, one entry an interaction; empty if none of it is there."""

    lines: tuple[str, ...]
    """The same as a judge is shown it."""

    contradicted: bool = False
    """Whether every rated interaction of the evidence says the opposite of the cue."""

    repeated: bool = False
    """Whether another cue of the same user says the same."""

    @property
    def id(self) -> str:
        """Name of the exhibit."""
        return f"{self.user_id}/{self.cue.cue_id}"

    def note(self) -> str:
        """Return the cue as a judge is shown it."""
        return f"{_HEADINGS[self.cue.polarity]}: {self.cue.text}"


def exhibits_of(
    user_id: str,
    cues: Sequence[Cue],
    history: Sequence[Interaction],
    items: Mapping[str, Item],
    scale: RatingScale | None,
) -> list[Exhibit]:
    """Put a user's cues beside their evidence.

    Args:
        user_id: Whose they are.
        cues: All cues of the user.
        history: Everything the user did.
        items: The items of it, by id.
        scale: Ratings seen in the store.
    """
    events = {event.event_id: event for event in history}
    said = [_said(cue) for cue in cues]
    return [
        _exhibit(user_id, cue, [events[one] for one in cue.evidence if one in events], items, scale, repeated)
        for cue, repeated in zip(cues, (said.count(words) > 1 for words in said), strict=True)
    ]


def draw_exhibits(exhibits: Sequence[Exhibit], count: int, seed: int) -> list[Exhibit]:
    """Draw cues by seed, each stored one as likely as any other; a larger sample begins with the smaller one."""
    drawn = sorted(exhibits, key=lambda exhibit: exhibit.id)
    random.Random(seed).shuffle(drawn)
    return drawn[:count]


def plant(exhibits: Sequence[Exhibit], count: int, seed: int) -> list[Exhibit]:
    """Give cues the evidence of other users' cues: notes that nothing supports, but by accident.

    Where everybody is the same user, there are none.
    """
    rng = random.Random(f"{seed} planted")
    planted: list[Exhibit] = []
    for exhibit in exhibits:
        others = [
            other
            for other in exhibits
            if other.user_id != exhibit.user_id and _said(other.cue) != _said(exhibit.cue)
        ]
        if others and len(planted) < count:
            other = rng.choice(others)
            planted.append(
                replace(exhibit, texts=other.texts, lines=other.lines, contradicted=other.contradicted)
            )
    return planted


def _exhibit(
    user_id: str,
    cue: Cue,
    evidence: Sequence[Interaction],
    items: Mapping[str, Item],
    scale: RatingScale | None,
    repeated: bool,
) -> Exhibit:
    felt = [polarity_of(event, scale) for event in evidence]
    against = {"like": "dislike", "dislike": "like"}.get(cue.polarity)
    rated = [one for one, event in zip(felt, evidence, strict=True) if event.rating is not None]
    return Exhibit(
        user_id=user_id,
        cue=cue,
        texts=tuple(event_text(event, items) for event in evidence),
        lines=tuple(
            describe_event(event, items, one, _LENGTHS) for event, one in zip(evidence, felt, strict=True)
        ),
        contradicted=bool(rated) and all(one == against for one in rated),
        repeated=repeated,
    )


def _said(cue: Cue) -> tuple[str, str]:
    return " ".join(cue.text.casefold().split()), cue.polarity
