"""Next-item questions: what a user chose next, among items that are near, popular and random."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ...agents.case import one_line
from ...records import Item
from ..dataset import Events, FloatArray, IntArray
from ..splits import Past, Problem
from .choices import Choice

Bools = NDArray[np.bool_]

_RECENT = 10
_TWIN = 0.98
_KINDS = 3


class NextItemQuestions:
    """Makes four-option questions: the next item, a near, a popular and a random one.

    The near one is drawn from the closest to the user's last items: in `vectors` if given, else by how many users
    of the past had both. Nothing that the user had or will be asked about is ever a wrong option, nor anything
    with the text of another option, or without text. Options are descriptions, never ids.

    Args:
        past: Tells what is popular and what goes together.
        vectors: Unit vectors of the catalogue, shape `(I, D)`; absent to count users instead.
        seed: Draws the wrong options.
        near: From how many of the closest items the near one is drawn.
        max_chars: Length of a description at most.
    """

    def __init__(
        self,
        past: Past,
        *,
        seed: int,
        vectors: FloatArray | None = None,
        near: int = 20,
        max_chars: int = 80,
    ) -> None:
        self._past, self._vectors, self._seed, self._near = past, vectors, seed, near
        self._texts = [one_line(item.describe(max_chars)) for item in past.items]
        self._named = np.array([bool(text) for text in self._texts])
        self._counts = np.bincount(past.events.item, minlength=past.n_items).astype(np.float64)
        self._user_starts = np.searchsorted(past.events.user, np.arange(len(past.user_ids) + 1))
        self._by_item = np.argsort(past.events.item, kind="stable")
        self._item_starts = np.searchsorted(past.events.item[self._by_item], np.arange(past.n_items + 1))

    def make(self, problem: Problem) -> Iterator[tuple[int, Choice]]:
        """Yield each query's place and question, the right option first.

        A query whose next item has no text, or for which there are no three wrong options, is passed over.
        """
        answers = problem.answers
        for ix in range(len(problem.queries)):
            user = int(problem.queries.user[ix])
            chosen = answers.item[answers.starts[ix] : answers.starts[ix + 1]]
            right = int(chosen[0])
            history = problem.queries.items_of(ix)
            allowed = self._named.copy()
            allowed[history] = allowed[chosen] = False
            rng = np.random.default_rng([self._seed, user])
            wrong = self._wrong(right, history, allowed, rng)
            if self._named[right] and len(wrong) == _KINDS:
                texts = tuple(self._texts[item] for item in (right, *wrong))
                yield ix, Choice(id=self._past.user_ids[user], options=texts, right=0)

    def _wrong(self, right: int, history: IntArray, allowed: Bools, rng: np.random.Generator) -> list[int]:
        """Draw a near, a popular and a random item; where a kind gives none, a random one."""
        if self._vectors is not None:
            allowed = allowed & (self._vectors @ self._vectors[right] < _TWIN)
        taken = {self._texts[right]}
        drawn: list[int] = []
        uniform = np.ones(len(allowed))
        for weights in (self._closeness(history[-_RECENT:], allowed), self._counts, uniform):
            for source in (weights, uniform):
                item = _draw(source * allowed, rng, self._texts, taken)
                if item is not None:
                    drawn.append(item)
                    allowed[item] = False
                    taken.add(self._texts[item])
                    break
        return drawn

    def _closeness(self, recent: IntArray, allowed: Bools) -> NDArray[np.float64]:
        """Return weights that are positive for the closest allowed items alone."""
        if not len(recent):
            return np.zeros(len(allowed))
        if self._vectors is not None:
            scores = (self._vectors @ self._vectors[recent].T).max(axis=1).astype(np.float64) + 1.0
        else:
            scores = self._company(recent)
        scores = scores * allowed
        closest = np.argsort(-scores, kind="stable")[: self._near]
        weights = np.zeros(len(scores))
        weights[closest] = scores[closest] > 0
        return weights

    def _company(self, recent: IntArray) -> NDArray[np.float64]:
        """Count, for every item, the users of the past who had it and one of these."""
        events: Events = self._past.events
        spans = [self._by_item[self._item_starts[item] : self._item_starts[item + 1]] for item in recent]
        users = np.unique(events.user[np.concatenate(spans)])
        counts = np.zeros(len(self._past.items))
        for user in users:
            counts[np.unique(events.item[self._user_starts[user] : self._user_starts[user + 1]])] += 1
        return counts


def describe_items(items: Sequence[Item], numbers: IntArray, max_chars: int = 160) -> list[str]:
    """Return one line for each of some items."""
    return [one_line(items[int(number)].describe(max_chars)) for number in numbers]


def _draw(
    weights: NDArray[np.float64], rng: np.random.Generator, texts: Sequence[str], taken: set[str]
) -> int | None:
    """Draw in proportion to the weights until the text is new; a fixed number of tries keeps it cheap."""
    total = weights.sum()
    if total <= 0:
        return None
    for item in rng.choice(len(weights), size=8, p=weights / total):
        if texts[item] not in taken:
            return int(item)
    return None
