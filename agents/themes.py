"""Group what a user did into a few interests, each with the phrases that can name it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..models import Cue
from ..records import Interaction, Polarity
from ..tools.embedder import FloatArray
from .case import Case
from .lexicon import Lexicon, rank_phrases
from .phrasing import SLOTS, Opening

WINDOW = 20
"""Newest interactions that themes are made of; older ones count if their themes keep returning."""

_LASTING = 5
_OLDER = 10
_PHRASES = 7

_EXAMPLES = 3
_EXAMPLE_CHARACTERS = 60
_RECENCY = 0.97
_REVIEW_WEIGHT = 0.3
_ROUNDS = 10
_EVENTS_PER_THEME = 2


@dataclass(frozen=True, kw_only=True)
class Theme:
    """One interest."""

    phrases: tuple[str, ...]
    """Phrases that can name it, best first; never empty."""

    examples: tuple[str, ...]
    """Titles of the interactions nearest to its centre, nearest first; may be empty."""

    events: tuple[Interaction, ...]
    """The interactions it groups, oldest first."""

    polarity: Polarity
    """Whether the user is drawn to it."""

    together: int = _PHRASES
    """How many of the first phrases may stand in one sentence."""

    @property
    def said(self) -> tuple[str, ...]:
        """The phrases of a fixed sentence, best first."""
        return self.phrases[: self.together]

    @property
    def name(self) -> str:
        """The phrase that names it best."""
        return self.phrases[0]

    @property
    def opening(self) -> Opening:
        """How a sentence about it opens."""
        return "dislike" if self.polarity == "dislike" else "like"


def find_themes(case: Case, cues: Sequence[Cue], lexicon: Lexicon, *, most: int) -> tuple[Theme, ...]:
    """Group liked interactions by the meaning of their items, and disliked ones into one theme.

    Args:
        case: The run's material; the last `WINDOW` of `visible` are grouped, and older ones that share the
            themes noted most often.
        cues: Observations; a cue's theme counts as much again for the interactions it cites.
        lexicon: Value of phrases.
        most: Most themes in all.

    Returns:
        Liked themes by number of interactions, then at most one disliked theme. Where no phrase tells anything
        about the catalogue, one theme of the newest words; empty only if no interaction offers a phrase.
    """
    noted = _noted(cues)
    recent = [*_recurring(case, cues), *case.visible[-WINDOW:]]
    liked = [event for event in recent if case.polarity(event) == "like"]
    disliked = [event for event in recent if case.polarity(event) == "dislike"]
    if not liked:
        liked = [event for event in recent if event not in disliked]
    dislikes = _dislikes(case, disliked, noted, lexicon)
    room = max(1, most - (1 if dislikes else 0))
    groups = _cluster(case, liked, most=min(room, -(-len(liked) // _EVENTS_PER_THEME)))
    likes = [theme for group in groups if (theme := _theme(case, group, noted, lexicon, "like"))]
    likes.sort(key=lambda theme: -len(theme.events))
    if dislikes:
        wanted = {phrase for theme in likes for phrase in theme.phrases}
        only = tuple(phrase for phrase in dislikes.phrases if phrase not in wanted)
        if only:
            together = sum(phrase not in wanted for phrase in dislikes.said)
            likes.append(replace(dislikes, phrases=only, together=max(1, together)))
    return tuple(likes[:most]) or _plain_theme(case)


def _dislikes(
    case: Case, events: Sequence[Interaction], noted: dict[str, list[str]], lexicon: Lexicon
) -> Theme | None:
    """Return the theme of what put the user off, with the phrases and titles first that belong together.

    Dislikes are few and of all sorts; a sentence that joined the best phrases of them all would say of each what is
    true of another.
    """
    whole = _theme(case, events, noted, lexicon, "dislike")
    if whole is None:
        return None
    alike = [
        event for event in events if whole.name in {*case.phrases(event), *noted.get(event.event_id, ())}
    ]
    first = _theme(case, alike, noted, lexicon, "dislike") or whole
    phrases = dict.fromkeys((*first.phrases[:SLOTS], *whole.phrases))
    return replace(
        whole,
        phrases=tuple(phrases)[:_PHRASES],
        examples=first.examples,
        together=len(first.phrases[:SLOTS]),
    )


def _recurring(case: Case, cues: Sequence[Cue]) -> list[Interaction]:
    """Return older interactions that the most frequent themes rest on, oldest first: the long memory."""
    older = case.visible[:-WINDOW]
    if not older:
        return []
    heard: Counter[str] = Counter()
    for cue in cues:
        heard[cue.facet] += len(cue.evidence)
    lasting = {facet for facet, count in heard.most_common(_LASTING) if count > 1}
    cited = {event_id for cue in cues if cue.facet in lasting for event_id in cue.evidence}
    return [event for event in older if event.event_id in cited][-_OLDER:]


def _plain_theme(case: Case) -> tuple[Theme, ...]:
    """Name what the newest interaction with any phrase says, however little it tells."""
    for event in reversed(case.visible):
        phrases: list[str] = []
        for phrase in case.phrases(event):
            if not set(phrase.split()) & set(" ".join(phrases).split()):
                phrases.append(phrase)
        if phrases:
            polarity: Polarity = "dislike" if case.polarity(event) == "dislike" else "like"
            return (
                Theme(phrases=tuple(phrases[:_PHRASES]), examples=(), events=(event,), polarity=polarity),
            )
    return ()


def _noted(cues: Sequence[Cue]) -> dict[str, list[str]]:
    themes: dict[str, list[str]] = {}
    for cue in cues:
        for event_id in cue.evidence:
            themes.setdefault(event_id, []).append(cue.facet)
    return themes


def _theme(
    case: Case,
    events: Sequence[Interaction],
    noted: dict[str, list[str]],
    lexicon: Lexicon,
    polarity: Polarity,
) -> Theme | None:
    """Rank the phrases of a group; later interactions count a little more."""
    newest = len(case.visible)
    place = {event.event_id: number for number, event in enumerate(case.visible, start=1)}
    mentions: list[tuple[Sequence[str], float]] = []
    for event in events:
        weight = _RECENCY ** (newest - place[event.event_id])
        mentions.append(([*case.labels(event), *noted.get(event.event_id, [])], weight))
        mentions.append((case.words(event), weight * _REVIEW_WEIGHT))
    ranked = rank_phrases(mentions, lexicon, limit=_PHRASES)
    if not ranked:
        return None
    return Theme(
        phrases=tuple(phrase for phrase, _ in ranked),
        examples=_examples(case, events),
        events=tuple(events),
        polarity=polarity,
    )


def _examples(case: Case, events: Sequence[Interaction]) -> tuple[str, ...]:
    """Return the titles nearest to the group's centre that a sentence can quote."""
    placed = [event for event in events if event.item_id in case.vectors]
    if not placed:
        return ()
    vectors = np.stack([case.vectors[event.item_id or ""] for event in placed])
    nearest = np.argsort(-(vectors @ vectors.mean(axis=0)), kind="stable")
    titles = (" ".join(case.items[placed[place].item_id or ""].title.split()) for place in nearest)
    short = (title for title in titles if 0 < len(title) <= _EXAMPLE_CHARACTERS and '"' not in title)
    return tuple(dict.fromkeys(short))[:_EXAMPLES]


def _cluster(case: Case, events: Sequence[Interaction], *, most: int) -> list[list[Interaction]]:
    """Split interactions by spherical k-means over item vectors, started from far-apart items.

    Interactions without a vector (messages, items without text) join the first group.
    """
    placed = [event for event in events if event.item_id in case.vectors]
    rest = [event for event in events if event.item_id not in case.vectors]
    if not placed:
        return [rest] if rest else []
    vectors = np.stack([case.vectors[event.item_id or ""] for event in placed])
    labels = spherical_k_means(vectors, clusters=max(1, min(most, len(placed))))
    groups = [
        [event for event, label in zip(placed, labels, strict=True) if label == number]
        for number in range(int(labels.max()) + 1)
    ]
    groups = [group for group in groups if group]
    groups[0] = sorted([*groups[0], *rest], key=lambda event: (event.at, event.event_id))
    return groups


def spherical_k_means(vectors: FloatArray, *, clusters: int) -> NDArray[np.intp]:
    """Label unit vectors by the nearest of `clusters` unit centroids; deterministic.

    Args:
        vectors: Shape `(N, D)`, N >= clusters.
        clusters: Number of centroids, >= 1; the first is the last vector, each further one the vector least
            like those before it.

    Returns:
        Labels, shape `(N,)`; a label may stay unused where vectors coincide.

    Examples:
        >>> spherical_k_means(np.eye(3, dtype=np.float32)[[0, 1, 0, 1]], clusters=2).tolist()
        [1, 0, 1, 0]
    """
    chosen = [len(vectors) - 1]
    while len(chosen) < clusters:
        chosen.append(int(np.argmin((vectors @ vectors[chosen].T).max(axis=1))))
    centroids = vectors[chosen]
    labels: NDArray[np.intp] = np.argmax(vectors @ centroids.T, axis=1)
    for _ in range(_ROUNDS):
        sums = np.stack([vectors[labels == number].sum(axis=0) for number in range(clusters)])
        centroids = sums / np.maximum(np.linalg.norm(sums, axis=1, keepdims=True), 1e-9)
        moved = np.argmax(vectors @ centroids.T, axis=1)
        if (moved == labels).all():
            break
        labels = moved
    return labels
