"""What every encoder must do, and what each does on its own."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import blake2b
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from limner.errors import (
    MissingExtraError,
    ModelOutputError,
    ModelUnavailableError,
    WeightsMissingError,
)
from limner.sections import ChatSettings
from limner.tools.clock import ManualClock
from limner.tools.embedder import Embedder, FloatArray, HashingEmbedder
from limner.tools.encoders import (
    CachedEmbedder,
    LiteLLMEmbedder,
    MiniLMEmbedder,
    SentenceTransformersEmbedder,
    open_embedder,
)
from limner.tools.sql.sql_store import open_store

# LiteLLM silences this at import, but pytest restores the filters after each test.
pytestmark = pytest.mark.filterwarnings("ignore:.*`ReadOnly` qualifier:UserWarning")

TEXTS = ["Likes jazz guitar.", "", "Плохая погода, 日本語, 🎸", "likes", "x" * 3000, "Likes jazz guitar."]
MODEL = "openai/tiny"


class Server:
    """An OpenAI-compatible embedding server that answers as it is told."""

    def __init__(self) -> None:
        self.requests: list[Mapping[str, Any]] = []
        self.keys: list[str | None] = []
        self.refusals: list[tuple[int, dict[str, str]]] = []
        """Status and headers of the next answers, before it answers well."""

        self.vector: Callable[[str], list[float]] = _vector
        self.rows: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda rows: rows[::-1]
        self.http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.url = f"http://127.0.0.1:{self.http.server_port}/v1"

    def answer(self, asked: Mapping[str, Any]) -> tuple[int, dict[str, str], Any]:
        """Refuse, or give one vector a text, in reverse order: `index` says which is whose."""
        if self.refusals:
            status, headers = self.refusals.pop(0)
            return status, headers, {"error": {"message": "not now", "type": "x", "code": str(status)}}
        rows = [
            {"object": "embedding", "index": index, "embedding": self.vector(text)}
            for index, text in enumerate(asked["input"])
        ]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return 200, {}, {"object": "list", "model": "tiny", "data": self.rows(rows), "usage": usage}


def _handler(server: Server) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
            server.requests.append(asked)
            server.keys.append(self.headers["authorization"])
            status, headers, answer = server.answer(asked)
            body = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep quiet."""

    return Handler


def _vector(text: str) -> list[float]:
    """Return five numbers that are not of unit norm."""
    return [1.0 + byte for byte in blake2b(text.encode(), digest_size=5).digest()]


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.http.shutdown()
    thread.join()
    server.http.server_close()


def _remote(server: Server, **settings: Any) -> LiteLLMEmbedder:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    return LiteLLMEmbedder(MODEL, api_base=server.url, settings=ChatSettings(**settings), clock=clock)


@pytest.fixture(
    params=["hashing", "cached", "litellm", pytest.param("minilm", marks=pytest.mark.weights)],
)
async def embedder(request: pytest.FixtureRequest) -> AsyncIterator[Embedder]:
    """Every kind of encoder."""
    made: Embedder
    if request.param == "hashing":
        made = HashingEmbedder()
    elif request.param == "cached":
        made = CachedEmbedder(HashingEmbedder(), in_memory=2)
    elif request.param == "litellm":
        made = _remote(request.getfixturevalue("server"))
    else:
        made = MiniLMEmbedder(request.getfixturevalue("weights"), threads=2)
    yield made
    await made.aclose()


async def test_there_is_one_unit_vector_for_each_text(embedder: Embedder) -> None:
    vectors = await embedder.embed(TEXTS)

    assert vectors.shape == (len(TEXTS), embedder.dimension)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


async def test_vectors_come_in_the_order_of_the_texts_and_do_not_depend_on_their_neighbours(
    embedder: Embedder,
) -> None:
    texts = [*TEXTS, *(f"item {number}" for number in range(70))]
    together = await embedder.embed(texts)
    alone = np.concatenate([await embedder.embed([text]) for text in texts[::-1]])[::-1]

    np.testing.assert_array_equal(together, alone)  # exactly: the cache and resumed runs rely on it
    np.testing.assert_array_equal(together[0], together[5])
    assert len(np.unique(together, axis=0)) > 50  # the double's 64 slots collide


async def test_no_texts_give_no_vectors(embedder: Embedder) -> None:
    assert (await embedder.embed([])).shape == (0, embedder.dimension)
    await embedder.embed(["x"])
    assert (await embedder.embed([])).shape == (0, embedder.dimension)
    assert embedder.dimension > 0


async def test_calls_at_the_same_time_do_not_mix(embedder: Embedder) -> None:
    texts = [f"text {number}" for number in range(12)]
    one_by_one = [await embedder.embed([text]) for text in texts]

    at_once = await asyncio.gather(*(embedder.embed([text]) for text in texts))

    np.testing.assert_array_equal(np.concatenate(at_once), np.concatenate(one_by_one))


def test_the_name_is_known_before_anything_is_loaded(embedder: Embedder) -> None:
    assert embedder.name


@pytest.mark.weights
async def test_minilm_puts_like_with_like(weights: Path) -> None:
    encoder = MiniLMEmbedder(weights)
    jazz, guitar, plumbing = await encoder.embed(
        ["She loves jazz music.", "A fan of guitar records.", "How to fix a leaking pipe."]
    )
    await encoder.aclose()

    assert jazz @ guitar > 0.3 > jazz @ plumbing
    assert encoder.name == "minilm-b941bf19f1f1"  # the published sha256


@pytest.mark.weights
async def test_minilm_reads_no_more_than_it_was_trained_on(weights: Path) -> None:
    encoder = MiniLMEmbedder(weights)
    # 254 words of one token each, and the two marks around a text, are 256.
    whole, longer, shorter = await encoder.embed(["dog " * 254, "dog " * 254 + "cat", "dog " * 253 + "cat"])
    await encoder.aclose()

    np.testing.assert_array_equal(whole, longer)
    assert not np.array_equal(whole, shorter)


def test_minilm_without_weights_says_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match="limner models fetch minilm"):
        open_embedder("minilm", models_dir=tmp_path, chat=ChatSettings(), store=None)


async def test_a_text_is_encoded_once_however_often_it_is_asked_for() -> None:
    inner = HashingEmbedder()
    encoder = CachedEmbedder(inner)

    first = await encoder.embed(["a", "b", "a"])
    again = await encoder.embed(["b", "c", "a"])

    assert inner.texts == ["a", "b", "c"]
    np.testing.assert_array_equal(again[[2, 0]], first[:2])


async def test_memory_is_bounded_and_keeps_what_was_used_last() -> None:
    inner = HashingEmbedder()
    encoder = CachedEmbedder(inner, in_memory=2)

    for text in ("a", "b", "a", "c", "a", "b"):  # c pushes b out, not a
        await encoder.embed([text])

    assert inner.texts == ["a", "b", "c", "b"]


async def test_vectors_survive_in_the_store(tmp_path: Path) -> None:
    store = await open_store(folder=tmp_path, database_url=None, tenant="default")
    before = await CachedEmbedder(HashingEmbedder(), store).embed(TEXTS)
    inner = HashingEmbedder()

    after = CachedEmbedder(inner, store)
    vectors = await after.embed(TEXTS)
    await store.aclose()

    np.testing.assert_array_equal(vectors, before)
    assert inner.texts == []
    assert after.name == inner.name


async def test_vectors_of_another_encoder_are_not_taken_from_the_store(tmp_path: Path) -> None:
    class Other(HashingEmbedder):
        name = "other"

    store = await open_store(folder=tmp_path, database_url=None, tenant="default")
    await CachedEmbedder(HashingEmbedder(), store).embed(["a"])
    inner = Other(dimension=8)

    vectors = await CachedEmbedder(inner, store).embed(["a"])
    await store.aclose()

    assert vectors.shape == (1, 8)
    assert inner.texts == ["a"]


async def test_cached_vectors_of_a_model_that_was_replaced_under_its_name_are_made_anew(
    tmp_path: Path,
) -> None:
    store = await open_store(folder=tmp_path, database_url=None, tenant="default")
    try:
        await CachedEmbedder(HashingEmbedder(16), store).embed(["a", "b"])
        replaced = CachedEmbedder(HashingEmbedder(24), store)

        assert (await replaced.embed(["b", "c"])).shape == (2, 24)

        inner = HashingEmbedder(24)
        assert (await CachedEmbedder(inner, store).embed(["b", "c"])).shape == (2, 24)
        assert inner.texts == []  # what was made anew is what is kept
    finally:
        await store.aclose()


async def test_a_remote_vector_is_scaled_to_unit_norm(server: Server) -> None:
    server.vector = lambda _: [3.0, 4.0]

    vectors = await _remote(server).embed(["x"])

    np.testing.assert_allclose(vectors, [[0.6, 0.8]], atol=1e-6)


async def test_many_texts_go_in_batches_and_an_empty_one_is_sent_as_a_space(server: Server) -> None:
    await _remote(server).embed(["", *(f"t{number}" for number in range(64))])

    assert sorted(len(request["input"]) for request in server.requests) == [1, 64]
    assert " " in [text for request in server.requests for text in request["input"]]


async def test_the_key_and_the_model_reach_the_server(server: Server, tmp_path: Path) -> None:
    chat = ChatSettings(api_base=server.url, api_key=SecretStr("k-123"))

    await open_embedder(MODEL, models_dir=tmp_path, chat=chat, store=None).embed(["x"])

    assert server.keys == ["Bearer k-123"]
    assert server.requests[0]["model"] == "tiny"


async def test_another_providers_key_and_address_are_not_used(server: Server, tmp_path: Path) -> None:
    chat = ChatSettings(api_base=server.url, api_key=SecretStr("k-123"), attempts=1)
    encoder = open_embedder(
        "hosted_vllm/tiny", models_dir=tmp_path, chat=chat, store=None, chat_model="openai/big"
    )

    with pytest.raises(ModelUnavailableError):
        await encoder.embed(["x"])

    assert server.requests == []


async def test_a_server_that_recovers_is_asked_again(server: Server) -> None:
    server.refusals = [(503, {}), (429, {"retry-after": "2"})]

    vectors = await _remote(server, attempts=3).embed(["x"])

    assert vectors.shape == (1, 5)
    assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "attempts"), [(500, 2), (401, 1)])
async def test_a_server_that_keeps_failing_is_given_up(server: Server, status: int, attempts: int) -> None:
    server.refusals = [(status, {})] * 2

    with pytest.raises(ModelUnavailableError, match=f"failed {attempts} times.*not now"):
        await _remote(server, attempts=2).embed(["x"])

    assert len(server.requests) == attempts


def _as_long_as_the_text(text: str) -> list[float]:
    return [1.0] * len(text)


def _zeros(_: str) -> list[float]:
    return [0.0, 0.0]


def _nothing(_: str) -> list[float]:
    return []


@pytest.mark.parametrize(
    ("vector", "reason"),
    [(_as_long_as_the_text, "vectors of 1, 2 numbers"), (_zeros, "no direction"), (_nothing, "no direction")],
)
async def test_vectors_that_cannot_be_right_are_refused(
    server: Server, vector: Callable[[str], list[float]], reason: str
) -> None:
    server.vector = vector

    with pytest.raises(ModelOutputError, match=reason):
        await _remote(server).embed(["a", "bb"])


async def test_a_missing_vector_is_noticed(server: Server) -> None:
    server.rows = lambda rows: rows[1:]

    with pytest.raises(ModelOutputError, match="1 vectors for 2 texts"):
        await _remote(server).embed(["a", "bb"])


def test_an_encoder_may_be_used_from_one_event_loop_after_another(server: Server) -> None:
    encoder = _remote(server)

    first, second = (asyncio.run(encoder.embed(["a"])) for _ in range(2))

    np.testing.assert_array_equal(first, second)


async def test_a_server_that_changes_its_dimension_is_refused(server: Server) -> None:
    encoder = _remote(server)
    await encoder.embed(["a"])
    server.vector = lambda _: [1.0, 2.0]

    with pytest.raises(ModelOutputError, match="vectors of 2 numbers, not 5"):
        await encoder.embed(["b"])

    assert encoder.dimension == 5


def test_an_extra_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(_: str) -> None:
        return None

    monkeypatch.setattr("importlib.util.find_spec", find)

    with pytest.raises(MissingExtraError, match=r"limner\[encoders\]"):
        open_embedder("sentence-transformers/x", models_dir=tmp_path, chat=ChatSettings(), store=None)


async def test_a_sentence_transformers_folder_that_is_none_is_named(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra `encoders` is not installed")

    with pytest.raises(ModelUnavailableError, match="absent"):
        await SentenceTransformersEmbedder(str(tmp_path / "absent")).embed(["x"])


def test_the_double_is_opened_by_name(tmp_path: Path) -> None:
    encoder = open_embedder("hashing", models_dir=tmp_path, chat=ChatSettings(), store=None)

    assert (encoder.name, encoder.dimension) == ("hashing-v1", 64)


class _Counting(HashingEmbedder):
    """Notes how many texts came at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes: list[int] = []

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        self.sizes.append(len(texts))
        return await super().embed(texts)


async def test_new_texts_reach_the_encoder_in_one_call() -> None:
    inner = _Counting()
    encoder = CachedEmbedder(inner)

    await encoder.embed(["a"])
    await encoder.embed(["a", "b", "c"])
    await encoder.embed(["a", "b"])

    assert inner.sizes == [1, 2]
