"""A scorer of pairs nobody wrote: the worth of an item to a user, with its uncertainty, without a model call.

Taught by `distill.pairs` from logged passes and their outcomes; used with numpy alone. The file is a zip of plain
arrays and a JSON header. Without a file a documented prior scores, with honestly wide uncertainty.
"""

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import ScorerFileError, WrongScorerError
from .belief import UNTAUGHT, Belief, Gauge, Values
from .pair_features import FEATURES
from .whole_files import whole_file

FORMAT = 1
"""Of the file; a reader refuses any other."""

Kind = Literal["linear", "trees"]

_ARRAYS: dict[Kind, tuple[str, ...]] = {
    "linear": ("centre", "scale", "weights", "covariance"),
    "trees": ("column", "threshold", "left", "right", "value"),
}
_LEAF = -1
_FIRST_DATE = (1980, 1, 1, 0, 0, 0)
_UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, IndexError, EOFError, AttributeError),
    *(zipfile.BadZipFile, zlib.error, RuntimeError),
)
"""What a file that is no scorer, or half of one, makes its readers raise."""

_PRIOR = {
    "history_soft": 0.1,
    "history_mean": 0.1,
    "history_last": 0.15,
    "sentences_soft": 0.15,
    "avoided_max": -0.05,
    "words_soft": 0.05,
    "overlap": 0.05,
    "item_mean": 0.6,
    "item_events": 0.03,
    "company": 0.03,
    "company_share": 0.4,
    "user_mean": 0.2,
}
"""Weights of the untaught scorer: round numbers, looked at on the past of a film and of a gift-card store (train part of
leave-one-out), where they put the chosen one of ten at an NDCG of 0.57, chance 0.37."""

_PRIOR_MEAN = 0.1
_PRIOR_SD = 0.4
"""Wide enough that an item nobody wants and one that everybody does are no surprise."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CrossScorer:
    """Scores pairs by their features.

    A linear scorer has `centre`, `scale`, `weights`, shape `(F + 1,)` with the constant last, and the covariance of
    the weights, shape `(F + 1, F + 1)`. Trees are arrays of shape `(T, M)`: column (-1 at a leaf), threshold, left and
    right child, value; a row goes left if its value is at most the threshold.
    """

    kind: Kind
    arrays: Mapping[str, NDArray[Any]]
    noise: float
    """Variance of the worth that no feature explains."""

    stretch: float = 1.0
    """Factor on the standard deviation that made it fit held-out users."""

    encoder: str = ""
    """Encoder and space whose vectors the features come from; empty for any."""

    gauges: Mapping[str, Gauge] = field(default_factory=lambda: dict(UNTAUGHT))
    """How passes measure, by whether they are `judged` or `unjudged`."""

    taught: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Where it comes from, and how good it was on held-out users. JSON; no part of the name."""

    @cached_property
    def name(self) -> str:
        """`prior`, or a hash of all that changes a score."""
        if not self.taught:
            return "prior"
        digest = hashlib.blake2b(digest_size=8)
        gauges = sorted((name, tuple(gauge)) for name, gauge in self.gauges.items())
        facts = (FORMAT, FEATURES, self.kind, self.noise, self.stretch, self.encoder, gauges)
        digest.update(repr(facts).encode())
        for name in _ARRAYS[self.kind]:
            array = self.arrays[name]
            digest.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        return f"scorer-{digest.hexdigest()}"

    def score(self, features: Values) -> Belief:
        """Score pairs.

        Args:
            features: By `pair_features`, shape `(N, F)`.

        Returns:
            Mean and standard deviation of each pair's worth, each `(N,)`. The mean is not clipped, so that its
            order stays whole.
        """
        mean, variance = self._linear(features) if self.kind == "linear" else self._trees(features)
        return Belief(mean, self.stretch * np.sqrt(variance + self.noise))

    def check(self, encoder: str) -> None:
        """Refuse features that the scorer was not taught on.

        Raises:
            WrongScorerError: They come from another encoder or space.
        """
        if self.encoder not in ("", encoder):
            raise WrongScorerError(self.name, self.encoder, encoder)

    def _linear(self, features: Values) -> tuple[Values, Values]:
        scaled = (features - self.arrays["centre"]) / self.arrays["scale"]
        rows = np.concatenate([scaled, np.ones((len(features), 1))], axis=1)
        variance = np.einsum("nf,fg,ng->n", rows, self.arrays["covariance"], rows)
        return rows @ self.arrays["weights"], np.maximum(variance, 0.0)

    def _trees(self, features: Values) -> tuple[Values, Values]:
        """Average the trees; their disagreement is what more examples could remove."""
        column, threshold = self.arrays["column"], self.arrays["threshold"]
        trees = np.arange(len(column))[:, None]
        node = np.zeros((len(column), len(features)), dtype=np.intp)
        rows = np.arange(len(features))[None, :]
        single = features.astype(np.float32)  # as the trees were grown
        while True:
            asked = column[trees, node]
            inner = asked != _LEAF
            if not inner.any():
                break
            goes_left = single[rows, np.where(inner, asked, 0)] <= threshold[trees, node]
            child = np.where(goes_left, self.arrays["left"][trees, node], self.arrays["right"][trees, node])
            node = np.where(inner, child, node)
        said = self.arrays["value"][trees, node]
        return said.mean(axis=0), said.var(axis=0)


def untaught_scorer() -> CrossScorer:
    """Return the prior: a fixed combination of the features with the same wide uncertainty everywhere."""
    weights = np.array([*(_PRIOR.get(name, 0.0) for name in FEATURES), _PRIOR_MEAN])
    size = len(FEATURES)
    arrays = {
        "centre": np.zeros(size),
        "scale": np.ones(size),
        "weights": weights,
        "covariance": np.zeros((size + 1, size + 1)),
    }
    return CrossScorer(kind="linear", arrays=arrays, noise=_PRIOR_SD**2)


def save_scorer(scorer: CrossScorer, path: Path) -> None:
    """Write a taught scorer to one file; the same scorer always gives the same bytes.

    Raises:
        ValueError: Nothing was taught: there is nothing to save.
    """
    if not scorer.taught:
        raise ValueError("the untaught scorer has no file; leave `pairing.scorer` unset instead")
    facts = {
        "format": FORMAT,
        "name": scorer.name,
        "features": FEATURES,
        "kind": scorer.kind,
        "noise": scorer.noise,
        "stretch": scorer.stretch,
        "encoder": scorer.encoder,
        "gauges": {name: gauge._asdict() for name, gauge in scorer.gauges.items()},
        "taught": dict(scorer.taught),
    }
    with whole_file(path) as draft, zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
        header = json.dumps(facts, ensure_ascii=False, indent=1, sort_keys=True).encode()
        parts = {"scorer.json": header}
        parts |= {f"{name}.npy": _packed(scorer.arrays[name]) for name in _ARRAYS[scorer.kind]}
        for name, content in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _FIRST_DATE), content, zipfile.ZIP_DEFLATED)


def load_scorer(path: Path, *, encoder: str | None = None) -> CrossScorer:
    """Read a scorer from its file.

    Args:
        path: Written by `save_scorer`.
        encoder: Encoder and space it will be used with; absent to take any.

    Raises:
        ScorerFileError: There is no such file, or it is no scorer, damaged, or of other features or format.
        WrongScorerError: It was taught on another encoder.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            facts: dict[str, Any] = json.loads(archive.read("scorer.json"))
            if facts["format"] != FORMAT:
                reason = f"has format {facts['format']!r}; this version reads {FORMAT}"
                raise ScorerFileError(str(path), reason)
            if tuple(facts["features"]) != FEATURES:
                raise ScorerFileError(str(path), "was taught on other features than this version has")
            kind: Kind = facts["kind"]
            arrays = {
                name: np.load(io.BytesIO(archive.read(f"{name}.npy")), allow_pickle=False)
                for name in _ARRAYS[kind]
            }
        scorer = CrossScorer(
            kind=kind,
            arrays=arrays,
            noise=float(facts["noise"]),
            stretch=float(facts["stretch"]),
            encoder=str(facts["encoder"]),
            gauges={name: Gauge(**gauge) for name, gauge in facts["gauges"].items()},
            taught=facts["taught"],
        )
        found, wanted = scorer.name, facts["name"]
    except _UNREADABLE as error:
        raise ScorerFileError(str(path), f"cannot be read: {error}") from error
    if found != wanted:
        raise ScorerFileError(str(path), f"is damaged: it holds {found}, but says {wanted!r}")
    if encoder is not None:
        scorer.check(encoder)
    return scorer


def open_scorer(path: Path | None, *, encoder: str) -> CrossScorer:
    """Return the scorer that a setting names; the untaught one if it names none.

    Raises:
        ScorerFileError: There is no such file, or it is no scorer.
        WrongScorerError: It was taught on another encoder.
    """
    return untaught_scorer() if path is None else load_scorer(path, encoder=encoder)


def _packed(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()
