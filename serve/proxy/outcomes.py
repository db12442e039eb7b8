"""What became of requests: counted, shown to Prometheus, and logged where something is wrong, without any content."""

import logging
import threading
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING, Literal

from ...errors import LimnerError

if TYPE_CHECKING:
    from prometheus_client import Counter as Metric

Outcome = Literal["told", "late", "failed", "no_tenant", "no_user", "no_question", "recorded", "unrecorded"]

_EXPECTED = ("told", "recorded", "no_question")
_log = logging.getLogger(__name__)


class Outcomes:
    """Counts from any thread."""

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()
        """How often each outcome came."""

        self._lock = threading.Lock()

    def add(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Count one; what nobody expects is logged the first, second, fourth, eighth … time."""
        with self._lock:
            self.counts[outcome] += 1
            count = self.counts[outcome]
        metric = _metric()
        if metric is not None:
            metric.labels(outcome).inc()
        if outcome not in _EXPECTED and not count & (count - 1):
            reason = (
                error.code if isinstance(error, LimnerError) else type(error).__name__ if error else "none"
            )
            _log.warning("limner: %s, %d so far; error: %s", outcome, count, reason)


@cache
def _metric() -> "Metric | None":
    """Return the counter that the proxy's `/metrics` shows, where Prometheus' client is installed."""
    try:
        from prometheus_client import Counter as Metric
    except ImportError:
        return None
    return Metric("limner_proxy_requests", "Requests by what became of them", ["outcome"])
