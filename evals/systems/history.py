"""H: the raw history under an encoder, without a word written about it."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveInt

from ...agents.case import mean_vector
from ...records import Item, Record
from ..dataset import FloatArray, IntArray
from ..encoding import Encoding, label_of
from ..options import given_or, named, read_options
from ..pooling import score_late
from ..spaces import OwnSpace
from ..splits import Past, Queries
from ..system import System
from ..workspace import Workspace

_SEPARATOR = ". "


class HistoryOptions(Record):
    """How a history becomes vectors."""

    encoder: str = ""
    """`minilm`, `sentence-transformers/FOLDER`, or a LiteLLM embedding model; absent for the configured one."""

    form: Literal["last10", "mean", "decayed", "late"] = "late"
    """`last10`: the texts as one text; `mean` and `decayed`: one mean vector; `late`: a vector an item."""

    last: NonNegativeInt = 10
    """Newest items that are used; 0 for all."""

    decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    """Weight of an item relative to the next newer one, for `decayed`; a taught space's own unless it is given."""

    chars: PositiveInt = 100
    """Characters of each item's text in `last10`: encoders cut long texts off."""

    space: str = ""
    """`fit` to teach one on the past, or a file of `limner distill embed`; absent for the encoder's own."""

    teaching_seed: NonNegativeInt | None = None
    """Seed of `space=fit`; that of the run if absent."""


def make_history(options: Mapping[str, str], workspace: Workspace) -> System:
    """Return the system `history`."""
    chosen = read_options(HistoryOptions, "history", options)
    return HistorySystem(chosen, workspace)


class HistorySystem:
    """Scores items by their nearness to what the user had."""

    def __init__(self, options: HistoryOptions, workspace: Workspace) -> None:
        encoder = options.encoder or workspace.settings.embedder
        self._options = options
        self._encoding = Encoding(encoder, workspace)
        self._own = OwnSpace(options.space, self._encoding, workspace)
        shown = {"encoder": label_of(encoder)} | ({"space": self._own.label} if options.space else {})
        self.name = named("history", options.model_copy(update=shown))
        self._temperature = workspace.settings.critic.temperature
        self._items: Sequence[Item] = ()

    def fit(self, past: Past) -> None:
        """Encode the catalogue, and teach the space if it is to be taught."""
        self._items = past.items
        self._encoding.encode_items(past.items)
        self._own.fit(past, seed=self._options.teaching_seed)

    @property
    def learns(self) -> bool:
        """Whether `fit` teaches a space."""
        return self._own.learns

    @property
    def chosen(self) -> Mapping[str, object]:
        """The space in use."""
        return self._own.chosen

    def score(self, queries: Queries) -> FloatArray:
        """Score every item; an empty history scores all alike."""
        matrix = self._encoding.encode_items(self._items)
        newest = recent_items(queries, self._options.last)
        if self._options.form == "late":
            return score_late(
                [self._own.users(matrix[items]) for items in newest],
                self._own.items(matrix),
                temperature=self._own.space.temperature or self._temperature,
            )
        scores: FloatArray = self._vectors(newest, matrix) @ self._own.items(matrix).T
        return scores

    def _vectors(self, newest: Sequence[IntArray], matrix: FloatArray) -> FloatArray:
        """Return one vector a user, shape `(Q, D)`; zeros for an empty history."""
        vectors = np.zeros((len(newest), matrix.shape[1]), dtype=np.float32)
        told = [query for query, items in enumerate(newest) if len(items)]
        if self._options.form == "last10":
            texts = [history_text(self._items, newest[query], self._options.chars) for query in told]
            vectors[told] = self._own.users(self._encoding.encode(texts))
            return vectors
        for query in told:
            items = newest[query]
            vectors[query] = mean_vector(matrix[items], self._decay ** np.arange(len(items)))
        vectors[told] = self._own.users(vectors[told])
        return vectors

    @property
    def _decay(self) -> float:
        if self._options.form == "mean":
            return 1.0
        return given_or(self._options, "decay", self._own.space.decay)


def recent_items(queries: Queries, last: int) -> list[IntArray]:
    """Return the newest items of each history, newest first; all of them if `last` is 0."""
    histories = (queries.items_of(query)[::-1] for query in range(len(queries)))
    return [items[:last] if last else items for items in histories]


def history_text(items: Sequence[Item], newest: IntArray, chars: int) -> str:
    """Join the texts of some items, in the order given: what an encoder cuts off is the oldest."""
    numbers: list[int] = newest.tolist()
    texts = (items[number].describe(chars) for number in numbers)
    return _SEPARATOR.join(text for text in texts if text)
