"""10H+P: the last items as they are, and a portrait for the rest."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveInt

from ...models import Profile
from ...records import Item, Record, Usage
from ..dataset import FloatArray, IntArray
from ..encoding import Encoding, label_of
from ..options import named, read_options
from ..pooling import score_late, share_late, standardise
from ..portraits.liked_texts import liked_texts
from ..portraits.painters import EXTRACTIVE, LoopPainter, Painter
from ..portraits.portraits import Portraits
from ..splits import Past, Queries
from ..system import System
from ..workspace import Workspace
from .history import history_text, recent_items
from .portrait import profile_vectors


class HistoryPortraitOptions(Record):
    """How a history and a portrait become one scorer."""

    encoder: str = ""
    """`minilm`, `sentence-transformers/FOLDER`, or a LiteLLM embedding model; absent for the configured one."""

    writer: str = EXTRACTIVE
    """`extractive`, or a LiteLLM model string such as `limner/smollm2-135m`."""

    form: Literal["late", "sum", "concat"] = "late"
    """`late`: one soft maximum over the vectors of both; `sum`: z-scores of each, added up; `concat`: one text."""

    last: PositiveInt = 10
    """Newest items of the history."""

    weight: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of the portrait in `late` and `sum`."""

    chars: PositiveInt = 100
    """Characters of each item's text in `concat`: encoders cut long texts off."""


def make_history_profile(options: Mapping[str, str], workspace: Workspace) -> System:
    """Return the system `history-profile`."""
    chosen = read_options(HistoryPortraitOptions, "history-profile", options)
    return HistoryPortraitSystem(chosen, workspace, LoopPainter(chosen.writer))


class HistoryPortraitSystem:
    """Scores items by the last ones and by a portrait; either alone where the other is missing."""

    def __init__(self, options: HistoryPortraitOptions, workspace: Workspace, painter: Painter) -> None:
        encoder = options.encoder or workspace.settings.embedder
        self.name = named("history-profile", options.model_copy(update={"encoder": label_of(encoder)}))
        self.portraits = Portraits(workspace, painter=painter)
        self._options = options
        self._encoding = Encoding(encoder, workspace)
        self._temperature = workspace.settings.critic.temperature
        self._items: Sequence[Item] = ()

    def fit(self, past: Past) -> None:
        """Encode the catalogue; nobody is drawn before somebody asks."""
        self._items = past.items
        self.portraits.fit(past)
        self._encoding.encode_items(past.items)

    def score(self, queries: Queries) -> FloatArray:
        """Score every item; a user without history scores all alike."""
        matrix = self._encoding.encode_items(self._items)
        newest = recent_items(queries, self._options.last)
        profiles = self.portraits.draw(queries)
        if self._options.form == "concat":
            return self._score_text(newest, profiles, matrix)
        by_history = score_late([matrix[items] for items in newest], matrix, temperature=self._temperature)
        vectors = profile_vectors(profiles, self._encoding)
        by_profile = score_late(vectors, matrix, temperature=self._temperature)
        drawn = np.array([len(rows) > 0 for rows in vectors], dtype=np.bool_)
        weight = self._options.weight
        if self._options.form == "sum":
            mixed: FloatArray = (
                standardise(by_history) * (1 - weight) + standardise(by_profile) * weight
            ).astype(np.float32)
            return mixed
        joined = share_late(by_history, by_profile, weight=weight, temperature=self._temperature)
        scores: FloatArray = np.where(drawn[:, None], joined, by_history)
        return scores

    @property
    def usage(self) -> Usage:
        """What the portraits cost when they were drawn."""
        return self.portraits.usage

    @property
    def kept_seconds(self) -> float:
        """Seconds of the calls behind portraits of an earlier run."""
        return self.portraits.kept_seconds

    @property
    def complete(self) -> bool:
        """Whether whoever should have written the portraits did."""
        return self.portraits.complete

    @property
    def caveats(self) -> Sequence[str]:
        """What a reader should know of the portraits."""
        return self.portraits.caveats

    def texts_seen(self, queries: Queries) -> Sequence[str]:
        """Return what each query was scored by, as words."""
        return self.portraits.texts_seen(queries)

    def _score_text(
        self, newest: Sequence[IntArray], profiles: Sequence[Profile | None], matrix: FloatArray
    ) -> FloatArray:
        """Score by one vector of the portrait, then the items from the newest: the oldest is what is cut off."""
        told = [query for query, items in enumerate(newest) if len(items)]
        texts = [self._text(profiles[query], newest[query]) for query in told]
        vectors = np.zeros((len(newest), matrix.shape[1]), dtype=np.float32)
        vectors[told] = self._encoding.encode(texts)
        return vectors @ matrix.T

    def _text(self, profile: Profile | None, newest: IntArray) -> str:
        portrait = liked_texts(profile.facets)[-1] if profile and profile.facets else ""
        return " ".join(
            part for part in (portrait, history_text(self._items, newest, self._options.chars)) if part
        )
