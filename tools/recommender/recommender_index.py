"""The recommender's index: everything that ranks a catalogue, in one file that is there whole or not at all.

It knows the moment before which all of it happened, and what it was built from, so whoever opens it can tell
whether it still serves. No pickle: arrays, and JSON for the rest.
"""

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...records import Record
from ..card_scores import CardVectors
from ..embedder import FloatArray
from ..grouping.grouping import GroupItems, Groups
from ..matrices import Matrix, sparse
from ..space import Space
from ..spans import IntArray
from ..whole_files import whole_file
from .calibration import Calibration, Form, Kind
from .recommender_portraits import Cards, Portrayed, card_matrix, nobody, profile_scores
from .recommender_signals import Crowd, Signals, Words
from .seqknn import SeqKnnOptions

FORMAT = 1
"""Of the file; one of another format is built anew."""

_BROKEN = (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error)


class IndexFacts(Record):
    """What an index rests on."""

    format: int = FORMAT
    """Of the file."""

    name: str
    """Hash of the rest and of the weights."""

    as_of: int
    """Nothing at or after this is in it; microseconds since 1970."""

    events: int
    """Choices of items before that."""

    held_back: int
    """Users whose last choice decided the weights; 0 for untaught weights."""

    catalogue: str
    """Hash of the items and their texts."""

    cards: str
    """Hash of the cards."""

    encoder: str
    """`Embedder.name`."""

    space: str
    """`Space.name`."""

    temperature: float
    """Of the late interaction, in cosine units."""

    fitting: str = ""
    """Hash of the settings that the weights were fitted by."""

    forgets: int = 0
    """How many forgets the tenant had had; after another one it is built anew."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RecommenderIndex:
    """Ranks a catalogue."""

    facts: IndexFacts
    item_ids: Sequence[str]
    """The catalogue in id order; an item's number is its place here."""

    counts: FloatArray
    """How often each item was chosen, shape `(N,)`."""

    signals: Signals
    cards: Cards | None
    calibration: Calibration

    @cached_property
    def number(self) -> Mapping[str, int]:
        """Number of each item by id."""
        return {item_id: place for place, item_id in enumerate(self.item_ids)}

    def scores(
        self, items: IntArray, starts: IntArray, portraits: Sequence[Portrayed] = ()
    ) -> dict[str, FloatArray]:
        """Score every item by every signal that counts, each `(Q, N)`.

        Args:
            items: Histories one after the other, as numbers, each oldest first.
            starts: Where each history begins, and their end, shape `(Q + 1,)`.
            portraits: One a query, or none at all.
        """
        temperature = self.facts.temperature
        found = all_scores(self.signals, self.cards, items, starts, portraits, temperature)
        return {form.name: found[form.name] for form in self.calibration.forms if form.name in found}


def all_scores(
    signals: Signals,
    cards: Cards | None,
    items: IntArray,
    starts: IntArray,
    portraits: Sequence[Portrayed],
    temperature: float,
) -> dict[str, FloatArray]:
    """Score every item by every signal there is; arguments as in `RecommenderIndex.scores`."""
    found = signals.scores(items, starts)
    words = signals.words
    if words is None:
        return found
    told = portraits or [nobody(words.had.shape[1])] * (len(starts) - 1)
    if any(len(portrait.likes) for portrait in told):
        found["profile"] = profile_scores(told, words, temperature=temperature)
    if cards is not None:
        last = signals.options.last
        found["card"] = card_matrix(told, items, starts, cards, words, last=last, temperature=temperature)
    return found


def save_index(index: RecommenderIndex, path: Path) -> None:
    """Write an index; until it is whole, and after a failure, an earlier one stays."""
    told = {
        "facts": index.facts.model_dump(),
        "item_ids": list(index.item_ids),
        "options": index.signals.options.model_dump(),
        "forms": [list(form) for form in index.calibration.forms],
        "edges": list(index.calibration.edges),
        "measured": index.calibration.measured,
        "groups": _scalars(index.signals.crowd),
    }
    arrays: dict[str, NDArray[Any]] = {
        "told": np.frombuffer(json.dumps(told).encode(), dtype=np.uint8),
        "counts": index.counts,
        "knots": index.calibration.knots,
        "weights": index.calibration.weights,
        "bias": index.calibration.bias,
    }
    signals = index.signals
    _put(arrays, "pairs", signals.pairs)
    _put(arrays, "attributes", signals.attributes)
    if signals.words is not None:
        arrays["vectors"] = signals.words.had.astype(np.float16)
    if signals.trend is not None:
        arrays["trend"] = signals.trend
    if signals.crowd is not None:
        groups, had = signals.crowd
        _put(arrays, "group_counts", had.counts)
        arrays |= {"group_vectors": groups.vectors, "centre": groups.centre}
        arrays |= {"group_totals": had.totals, "item_shares": had.shares}
    if index.cards is not None:
        arrays["card_items"] = index.cards.items
        arrays |= {f"card_{name}": part for name, part in index.cards.vectors._asdict().items()}
    with whole_file(path) as draft, draft.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)


def load_index(path: Path, space: Space) -> RecommenderIndex | None:
    """Read an index; `None` if there is none, or one that cannot be read and is to be built anew.

    Args:
        path: Written by `save_index`.
        space: The space that it was built with, by name.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        told: dict[str, Any] = json.loads(arrays["told"].tobytes())
        facts = IndexFacts.model_validate(told["facts"])
        if facts.format != FORMAT or facts.space != space.name:
            return None
        return RecommenderIndex(
            facts=facts,
            item_ids=told["item_ids"],
            counts=arrays["counts"],
            signals=_signals(arrays, told, space),
            cards=_cards(arrays),
            calibration=Calibration(
                forms=tuple(_form(*form) for form in told["forms"]),
                knots=arrays["knots"],
                edges=tuple(told["edges"]),
                weights=arrays["weights"],
                bias=arrays["bias"],
                measured=told["measured"],
            ),
        )
    except _BROKEN:
        return None


def read_facts(path: Path) -> IndexFacts | None:
    """Return what an index says that it rests on; `None` if the file cannot be read."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            told: dict[str, Any] = json.loads(archive["told"].tobytes())
        return IndexFacts.model_validate(told["facts"])
    except _BROKEN:
        return None


def _signals(arrays: Mapping[str, NDArray[Any]], told: Mapping[str, Any], space: Space) -> Signals:
    words = Words.of(arrays["vectors"].astype(np.float32), space) if "vectors" in arrays else None
    crowd = None
    if "group_vectors" in arrays:
        groups = Groups(vectors=arrays["group_vectors"], centre=arrays["centre"], **told["groups"])
        counts: Matrix = _get(arrays, "group_counts")
        had = GroupItems(counts=counts, totals=arrays["group_totals"], shares=arrays["item_shares"])
        crowd = Crowd(groups, had)
    return Signals(
        options=SeqKnnOptions.model_validate(told["options"]),
        pairs=_get(arrays, "pairs"),
        attributes=_get(arrays, "attributes"),
        words=words,
        crowd=crowd,
        trend=arrays.get("trend"),
    )


def _cards(arrays: Mapping[str, NDArray[Any]]) -> Cards | None:
    if "card_items" not in arrays:
        return None
    vectors = CardVectors(**{name: arrays[f"card_{name}"] for name in CardVectors._fields})
    return Cards(arrays["card_items"], vectors)


def _form(name: str, kind: Kind, scale: float) -> Form:
    return Form(name, kind, scale)


def _scalars(crowd: Crowd | None) -> dict[str, float]:
    names = ("temperature", "most", "rounds", "blend")
    return {} if crowd is None else {name: getattr(crowd.groups, name) for name in names}


def _put(arrays: dict[str, NDArray[Any]], name: str, matrix: Matrix | None) -> None:
    if matrix is not None:
        parts = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr}
        arrays |= {f"{name}_{part}": values for part, values in parts.items()}
        arrays[f"{name}_shape"] = np.array(matrix.shape, dtype=np.int64)


def _get(arrays: Mapping[str, NDArray[Any]], name: str) -> Matrix | None:
    if f"{name}_data" not in arrays:
        return None
    parts = tuple(arrays[f"{name}_{part}"] for part in ("data", "indices", "indptr"))
    return sparse.csr_array(parts, shape=tuple(arrays[f"{name}_shape"].tolist()))
