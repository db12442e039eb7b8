"""What `limner recommend` ranks by, measured on full rankings: calibrated fusion of sequences, text and more.

The signals and the calibration are the product's own (`tools.recommender.recommender_signals`, `tools.recommender.calibration`); here they
are built from a past and fitted on validation users. Any system of the harness can be one more signal.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from pydantic import PositiveInt

from ...errors import SettingsError
from ...records import Record, Usage
from ...tools.recommender.calibration import FEWEST, Calibration, Kind, calibrate, knots_of, untaught
from ...tools.recommender.calibration_exam import BLOCK, forms_of, hold_exam
from ...tools.recommender.recommender_signals import (
    GROUPS,
    KINDS,
    SHARES,
    Parts,
    Signals,
    Words,
    signals_of,
    trend_of,
)
from ..dataset import FloatArray, IntArray
from ..encoding import Encoding
from ..options import named, read_options, unknown
from ..spaces import FIT, OwnSpace
from ..splits import Answers, Past, Queries
from ..system import Choosing, Doubtful, Spending, System, Tunable
from ..workspace import Workspace
from .seqknn import SeqKnn

_JOINT = "+"
_SASREC = "sasrec:half=true,patience=3"


class RecommendOptions(Record):
    """Which signals are fused, and how they are fitted."""

    without: str = ""
    """Signals to leave out, joined by `+`: sequence, text, attributes, group, trend, sasrec,
    or one of `extra`."""

    sequence: Literal["seqknn", "sasrec", "both"] = "seqknn"
    """What reads sequences: counts of pairs, a trained network, or both."""

    extra: str = ""
    """Names of systems that are further signals, joined by `+`."""

    encoder: str = ""
    """Encoder of texts; absent for the configured one."""

    space: str = ""
    """`fit` to teach a text space on the past, `frozen`, or a file of `limner distill embed`; absent to teach one
    where somebody teaches."""

    users: PositiveInt = 10_000
    """Validation users at most that decide the weights."""


class Recommend:
    """The product's fusion on a past.

    Args:
        options: Signals.
        workspace: Encodes, teaches, and keeps vectors.
        extra: Systems that are further signals, by name.
    """

    def __init__(
        self, options: RecommendOptions, workspace: Workspace, extra: Mapping[str, System] | None = None
    ) -> None:
        self.options = options
        self.name = named("recommend", options)
        self._left_out = frozenset(_names(options.without))
        self._extra = {name: system for name, system in (extra or {}).items() if name not in self._left_out}
        self._neighbours = SeqKnn()
        self._workspace = workspace
        self._encoding = Encoding(options.encoder or workspace.settings.embedder, workspace)
        wanted = options.space or (FIT if workspace.teach else "")
        self._own = OwnSpace("" if wanted == "frozen" else wanted, self._encoding, workspace)
        self.calibration: Calibration | None = None

    @property
    def learns(self) -> bool:
        """Whether `fit` teaches a space."""
        return self._own.learns

    @property
    def chosen(self) -> Mapping[str, object]:
        """How sequences vote, the space, and what further signals chose."""
        parts = {name: system.chosen for name, system in self._extra.items() if isinstance(system, Choosing)}
        return {"seqknn": dict(self._neighbours.chosen), **self._own.chosen, **parts}

    @property
    def shares(self) -> Mapping[str, Mapping[str, float]]:
        """Mean weights of the signals, by bucket of users."""
        return self.calibration.shares if self.calibration else {}

    @property
    def usage(self) -> Usage:
        """What further signals cost so far."""
        return Usage.total(part.usage for part in self._extra.values() if isinstance(part, Spending))

    @property
    def caveats(self) -> Sequence[str]:
        """What a reader should know of further signals, and whether weights were fitted."""
        found = [
            f"{name}: {caveat}"
            for name, system in self._extra.items()
            if isinstance(system, Doubtful)
            for caveat in system.caveats
        ]
        fitted = self.calibration is not None and self.calibration.measured
        return (
            found if fitted else [*found, "The weights were not fitted: there were too few validation users."]
        )

    @property
    def validation_queries(self) -> int:
        """Validation queries that decide, at most."""
        return self.options.users

    def fit(self, past: Past) -> None:
        """Count sequences, encode the catalogue, teach the space, and fit every further signal."""
        self._past = past
        self._neighbours.fit(past)
        self._encoding.encode_items(past.items)
        if "text" not in self._left_out:
            self._own.fit(past)
        for system in self._extra.values():
            system.fit(past)
        self._counts = np.bincount(past.events.item, minlength=past.n_items).astype(np.float32)
        self._signals = self._build()
        self.calibration = None

    def tune(self, queries: Queries, answers: Answers) -> None:
        """Tune how sequences vote and every further signal, then fit the weights on some of the same users."""
        self._neighbours.tune(queries, answers)
        for system in self._extra.values():
            if isinstance(system, Tunable):
                system.tune(queries, answers)
        self._signals = self._build()
        rows = np.random.default_rng(self._past.seed).permutation(len(queries))[: self.options.users]
        asked = queries.take(np.sort(rows))
        first_answers = answers.item[answers.starts[np.sort(rows)]]
        self.calibration = self._fitted(asked, first_answers)
        self._workspace.notice(f"{self.name}: shares {self.shares}")

    def score(self, queries: Queries) -> FloatArray:
        """Fuse the signals."""
        if self.calibration is None:
            self.calibration = self._untaught(queries.take(np.arange(min(BLOCK, len(queries)))))
        scores = np.empty((len(queries), self._past.n_items), dtype=np.float32)
        for first in range(0, len(queries), BLOCK):
            some = queries.take(np.arange(first, min(first + BLOCK, len(queries))))
            scores[first : first + BLOCK] = self.calibration.score(
                self._asked(some), some.history.item, some.starts, self._counts
            )
        return scores

    def _fitted(self, queries: Queries, answers: IntArray) -> Calibration:
        if len(queries) < FEWEST:
            return self._untaught(queries)
        knots = knots_of(self._counts)
        forms = forms_of(self._asked(queries.take(np.arange(min(BLOCK, len(queries))))), self._kinds)
        exam = hold_exam(
            lambda rows: self._asked(queries.take(rows)),
            queries.history.item,
            queries.starts,
            answers,
            forms=forms,
            counts=self._counts,
            knots=knots,
            seed=self._past.seed,
        )
        return calibrate(exam, forms, knots)

    def _untaught(self, queries: Queries) -> Calibration:
        return untaught(forms_of(self._asked(queries), self._kinds), SHARES, self._counts)

    def _asked(self, queries: Queries) -> dict[str, FloatArray]:
        found = self._signals.scores(queries.history.item, queries.starts)
        kept = {name: scores for name, scores in found.items() if name not in self._silent}
        return kept | {name: system.score(queries) for name, system in self._extra.items()}

    @property
    def _silent(self) -> frozenset[str]:
        """Signals of the past that are made but not used."""
        left_out = {*self._left_out, *(("sequence",) if self.options.sequence == "sasrec" else ())}
        return frozenset(name for part in left_out for name in GROUPS.get(part, ()))

    @property
    def _kinds(self) -> dict[str, Kind]:
        return {**KINDS, **dict.fromkeys(self._extra, "nearness")}

    def _build(self) -> Signals:
        past = self._past
        words = Words.of(self._encoding.encode_items(past.items), self._own.space)
        age = None if past.card.clock == "order" else (past.events.at.max(initial=0) - past.events.at)
        parts = Parts(
            words=words,
            trend=trend_of(past.events.item, age, past.n_items),
            attributes="attributes" not in self._left_out,
            groups="group" not in self._left_out,
        )
        return signals_of(past.events.user, past.events.item, past.items, self._neighbours.options, parts)


def make(options: Mapping[str, str], workspace: Workspace) -> System:
    """Build the system from a spec's options.

    Raises:
        SettingsError: An option or a further signal is unknown.
        MissingExtraError: A signal needs a library that is not installed.
    """
    from ..registry import build

    chosen = read_options(RecommendOptions, "recommend", options)
    specs = {name: name for name in _names(chosen.extra)}
    if chosen.sequence != "seqknn":
        specs["sasrec"] = _SASREC
    left_out, known = _names(chosen.without), (*GROUPS, *specs)
    for name in left_out:
        if name not in known:
            raise SettingsError("recommend:without", f"{name!r} {unknown(name, known, 'signals')}")
    extra = {name: build(spec, workspace) for name, spec in specs.items() if name not in left_out}
    return Recommend(chosen, workspace, extra)


def _names(joined: str) -> list[str]:
    return [name.strip() for name in joined.split(_JOINT) if name.strip()]
