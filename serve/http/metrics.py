"""Numbers for Prometheus. No label names a tenant, a user or a key."""

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from ...errors import LimnerError
from ...records import Usage

if TYPE_CHECKING:
    from ...tools.budget import Budget
    from ...tools.chat import ChatModel, ChatRequest, ChatResult

_SECONDS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.4, 1.0, 2.5, 10.0, 60.0)


class Metrics:
    """What one process counts."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._requests = Counter(
            "limner_http_requests", "Requests answered.", ("method", "route", "status"), registry=registry
        )
        self._seconds = Histogram(
            "limner_http_request_seconds",
            "Time to answer, streams to their end.",
            ("method", "route"),
            registry=registry,
            buckets=_SECONDS,
        )
        self._calls = Counter(
            "limner_model_calls",
            "Requests sent to language models, retries included.",
            ("model", "outcome"),
            registry=registry,
        )
        self._tokens = Counter(
            "limner_model_tokens", "Tokens read and written.", ("model", "direction"), registry=registry
        )
        self._cost = Counter(
            "limner_model_cost_dollars", "Money spent on models.", ("model",), registry=registry
        )
        self._jobs = Counter("limner_jobs", "Jobs that ended.", ("kind", "state"), registry=registry)
        self._running = Gauge("limner_jobs_running", "Jobs under way.", ("kind",), registry=registry)

    def answered(self, method: str, route: str, status: int | None, seconds: float) -> None:
        """Count a request; without a status the client left before there was one."""
        known = method if method in _METHODS else "other"
        self._requests.labels(known, route, status or 499).inc()
        self._seconds.labels(known, route).observe(seconds)

    def called(self, model: str, outcome: str, usage: Usage) -> None:
        """Count what one answer of a model took."""
        self._calls.labels(model, outcome).inc(usage.calls)
        self._tokens.labels(model, "read").inc(usage.prompt_tokens)
        self._tokens.labels(model, "written").inc(usage.completion_tokens)
        self._cost.labels(model).inc(usage.cost)

    def job_began(self, kind: str) -> None:
        """Count a job that runs."""
        self._running.labels(kind).inc()

    def job_ended(self, kind: str, state: str) -> None:
        """Count a job that ran."""
        self._running.labels(kind).dec()
        self._jobs.labels(kind, state).inc()

    def page(self) -> bytes:
        """Return everything in Prometheus' text form."""
        return generate_latest(self.registry)


_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
"""What a client calls its method is its own choice; a label must not be."""


class CountedChat:
    """A model whose calls are counted."""

    def __init__(self, inner: "ChatModel", metrics: Metrics) -> None:
        self._inner, self._metrics = inner, metrics

    @property
    def name(self) -> str:
        """Model string of the first choice."""
        return self._inner.name

    @property
    def identity(self) -> str:
        """That of the model."""
        return self._inner.identity

    async def complete(self, request: "ChatRequest", budget: "Budget") -> "ChatResult":
        """Answer one request; see `ChatModel.complete`."""
        try:
            result = await self._inner.complete(request, budget)
        except LimnerError as error:
            self._metrics.called(self.name, error.code, getattr(error, "usage", Usage()))
            raise
        self._metrics.called(result.model, "answered", result.usage)
        return result

    async def aclose(self) -> None:
        """Release the model."""
        await self._inner.aclose()
