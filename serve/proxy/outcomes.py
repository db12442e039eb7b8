"""What became of requests: counted, shown to Prometheus, and logged where something is wrong, without any content."""

import logging
import threading
from collections import Counter
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Literal

from ...errors import (
    EncoderChangedError,
    LimnerError,
    MissingExtraError,
    ScorerError,
    SettingsError,
    SpaceError,
    StoreError,
    WeightsError,
)
from ..backroom import OpeningError

if TYPE_CHECKING:
    from prometheus_client import Counter as Metric

Outcome = Literal[
    "told", "late", "failed", "no_tenant", "no_user", "no_question", "recorded", "unrecorded", "unread"
]

_EXPECTED = ("told", "recorded", "no_question")
_OURS = (
    EncoderChangedError,
    MissingExtraError,
    OpeningError,
    ScorerError,
    SettingsError,
    SpaceError,
    StoreError,
    WeightsError,
)
"""Errors whose text names what is configured, and never holds a user's words."""

_LEFT_OUT = "requests go through without context and what users say is not recorded until this is mended"
_log = logging.getLogger(__name__)


class Outcomes:
    """Counts from any thread."""

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()
        """How often each outcome came."""

        self._lock = threading.Lock()
        self._reasons: set[str] = set()

    def add(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Count one; what nobody expects is logged the first, second, fourth, eighth … time."""
        with self._lock:
            self.counts[outcome] += 1
            count = self.counts[outcome]
        metric = _metric()
        if metric is not None:
            metric.labels(outcome).inc()
        if outcome not in _EXPECTED and not count & (count - 1):
            _log.warning("limner: %s, %d so far; error: %s", outcome, count, _code(error))
        self.explain(error)

    def unread(self, codes: Sequence[str]) -> None:
        """Count turns that were recorded but not read, and say once for each reason what to do."""
        self.add("unread")
        for code in codes:
            self._say(
                f"limner: turns are recorded but not read, because the model failed ({code}); `limner doctor` says "
                "why; check `model`, its key and `api_base`; what was not read is read with the next portrait"
            )

    def explain(self, error: BaseException | None) -> None:
        """Say in full, once for each, what only whoever runs the proxy can mend."""
        known = error.__cause__ if error is not None and isinstance(error.__cause__, _OURS) else error
        if isinstance(known, _OURS):
            self._say(f"limner: {_LEFT_OUT}: {known.code}: {known}")

    def _say(self, line: str) -> None:
        with self._lock:
            fresh = line not in self._reasons
            self._reasons.add(line)
        if fresh:
            _log.error("%s", line)


def _code(error: BaseException | None) -> str:
    if isinstance(error, LimnerError):
        return error.code
    return type(error).__name__ if error else "none"


@cache
def _metric() -> "Metric | None":
    """Return the counter that the proxy's `/metrics` shows, where Prometheus' client is installed."""
    try:
        from prometheus_client import Counter as Metric
    except ImportError:
        return None
    return Metric("limner_proxy_requests", "Requests by what became of them", ["outcome"])
