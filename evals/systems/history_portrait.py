"""10H+P: the last items as they are, and a portrait for the rest."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt

from ...agents.case import mean_vector
from ...models import Profile
from ..dataset import FloatArray, IntArray
from ..options import given_or, read_options
from ..pooling import score_late, share_late, standardise
from ..portraits.liked_texts import liked_texts
from ..portraits.painters import Painter
from ..splits import Queries
from ..system import System
from ..workspace import Workspace
from .history import history_text, recent_items
from .portrait import DrawnSystem, LoopOptions, profile_vectors


class HistoryPortraitOptions(LoopOptions):
    """How a history and a portrait become one scorer."""

    form: Literal["late", "sum", "concat"] = "late"
    """`late`: one soft maximum over the vectors of both; `sum`: z-scores of each, added up; `concat`: one text."""

    last: PositiveInt = 10
    """Newest items of the history."""

    weight: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of the portrait in `late` and `sum`; in `late` a taught space's own unless it is given."""

    history: Literal["late", "decayed"] = "late"
    """How the items score in `late` and `sum`: a vector an item, or one decayed mean of them."""

    decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.7
    """Weight of an item relative to the next newer one, for `history=decayed`; a taught space's own unless it is
    given."""

    chars: PositiveInt = 100
    """Characters of each item's text in `concat`: encoders cut long texts off."""


def make_history_profile(options: Mapping[str, str], workspace: Workspace) -> System:
    """Return the system `history-profile`."""
    chosen = read_options(HistoryPortraitOptions, "history-profile", options)
    return HistoryPortraitSystem(chosen, workspace, chosen.painter)


class HistoryPortraitSystem(DrawnSystem):
    """Scores items by the last ones and by a portrait; either alone where the other is missing."""

    def __init__(self, options: HistoryPortraitOptions, workspace: Workspace, painter: Painter) -> None:
        super().__init__("history-profile", options, workspace, painter)
        self._options = options

    def score(self, queries: Queries) -> FloatArray:
        """Score every item; a user without history scores all alike."""
        matrix = self._encoding.encode_items(self._items)
        newest = recent_items(queries, self._options.last)
        profiles = self.portraits.draw(queries)
        if self._options.form == "concat":
            return self._score_text(newest, profiles, matrix)
        ranked = self._own.items(matrix)
        by_history = score_late(
            [self._told_by(matrix[items]) for items in newest], ranked, temperature=self.temperature
        )
        vectors = [self._own.users(facets) for facets in profile_vectors(profiles, self._encoding)]
        by_profile = score_late(vectors, ranked, temperature=self.temperature)
        drawn = np.array([len(rows) > 0 for rows in vectors], dtype=np.bool_)
        weight = self._weight
        if self._options.form == "sum":
            mixed: FloatArray = (
                standardise(by_history) * (1 - weight) + standardise(by_profile) * weight
            ).astype(np.float32)
            return mixed
        joined = share_late(by_history, by_profile, weight=weight, temperature=self.temperature)
        scores: FloatArray = np.where(drawn[:, None], joined, by_history)
        return scores

    def _told_by(self, vectors: FloatArray) -> FloatArray:
        """Return what a history's newest items score by, newest first, shape `(H, D)`."""
        if self._options.history == "late" or not len(vectors):
            return self._own.users(vectors)
        decay = given_or(self._options, "decay", self._own.space.decay)
        return self._own.users(mean_vector(vectors, decay ** np.arange(len(vectors)))[None])

    @property
    def _weight(self) -> float:
        learned = self._own.space.share if self._options.form == "late" else None
        return given_or(self._options, "weight", learned)

    def _score_text(
        self, newest: Sequence[IntArray], profiles: Sequence[Profile | None], matrix: FloatArray
    ) -> FloatArray:
        """Score by one vector of the portrait, then the items from the newest: the oldest is what is cut off."""
        told = [query for query, items in enumerate(newest) if len(items)]
        texts = [self._text(profiles[query], newest[query]) for query in told]
        vectors = np.zeros((len(newest), matrix.shape[1]), dtype=np.float32)
        vectors[told] = self._own.users(self._encoding.encode(texts))
        scores: FloatArray = vectors @ self._own.items(matrix).T
        return scores

    def _text(self, profile: Profile | None, newest: IntArray) -> str:
        portrait = liked_texts(profile.facets)[-1] if profile and profile.facets else ""
        return " ".join(
            part for part in (portrait, history_text(self._items, newest, self._options.chars)) if part
        )
