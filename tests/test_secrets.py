"""A planted key reaches no error, log, trace, rollout or file, whatever the model's server does with it."""

import json
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from limner import Limner
from limner.evals.bench.loopback_server import LoopbackServer, Reply
from limner.settings import load_settings

KEY = "hunter2-planted-key-of-the-owner"
SHAPED = "sk-proj-abcdefgh12345678"
START = datetime(2026, 1, 1, tzinfo=UTC)
ECHO = f"you sent {KEY} and {SHAPED}"
ANSWER = json.dumps(
    {
        "cues": [{"ref": "e1", "theme": "roses", "polarity": "like", "note": f"roses {KEY}"}],
        "likes": [{"evidence": ["e1"], "theme": "roses", "sentence": f"Enjoys roses and {KEY} {SHAPED}."}],
    }
)
FAILURES = {
    "rejected": Reply(status=400, text=ECHO),
    "refused": Reply(status=401, text=ECHO),
    "too many": Reply(status=429, text=ECHO),
    "broken": Reply(status=500, text=ECHO),
    "dropped": Reply(fault="drop"),
    "no JSON": Reply(text=ECHO),
    "echoed in an answer": Reply(text=ANSWER),
}


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What was traced."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    yield exporter
    provider.shutdown()


@pytest.mark.parametrize("failure", FAILURES)
async def test_a_planted_key_is_nowhere(
    tmp_path: Path,
    spans: InMemorySpanExporter,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
    failure: str,
) -> None:
    caplog.set_level(logging.DEBUG)
    told: list[str] = []
    async with LoopbackServer(FAILURES[failure]) as server:
        settings = load_settings(
            store=tmp_path,
            embedder="hashing",
            model="openai/main",
            drafting={"drafts": 1, "rounds": 0, "style": "free"},
            chat={"api_base": server.url, "api_key": KEY, "attempts": 1, "trace_content": True},
        )
        told.append(repr(settings))
        async with Limner(settings) as limner:
            words = ("roses", "compost", "ferns", "tulips", "mosses")
            await limner.add_items([{"item_id": word, "title": word, "tags": [word]} for word in words])
            events = [
                {"item_id": word, "kind": "purchase", "at": START + timedelta(days=day)}
                for day, word in enumerate(words)
            ]
            await limner.record("ada", events)
            told.append((await limner.profile("ada")).model_dump_json())
            told += [rollout.model_dump_json() async for rollout in limner.rollouts()]
        assert server.count > 0
        assert any(KEY.encode() in head for head in server.heads)

    traced = [span.to_json() for span in spans.get_finished_spans()]
    assert traced
    files = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    out, err = capfd.readouterr()
    written = " ".join([*told, *traced, caplog.text, out, err])
    assert KEY not in written and SHAPED not in written
    assert KEY.encode() not in files and SHAPED.encode() not in files
