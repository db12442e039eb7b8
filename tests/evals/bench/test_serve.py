"""The benchmark of the server measures what it says, at tiny sizes; how fast anything is, is not asserted here."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.evals.bench.core import Report
from limner.evals.bench.http_client import Connection
from limner.evals.bench.report import as_markdown
from limner.evals.bench.serve import Sizes, run_serve
from limner.evals.bench.serve_load import Ask, Tally, ask_once, kept_share
from limner.evals.bench.serve_plain import local_app, remote_app
from limner.evals.bench.serve_words import queries, user_id_of
from limner.evals.bench.serve_world import TENANT, World, fill
from limner.tools.embedder import HashingEmbedder
from limner.tools.sql.sql_store import FILE_NAME, SqlStore, open_store

TINY = Sizes(
    users=30,
    cues=70,
    events=4,
    clients=4,
    think=0.05,
    seconds=0.4,
    soak=0.4,
    conversations=2,
    turns=4,
    embedder="hashing",
    model="none",
)
WORLD = World(users=30, cues=70, events=4, seed=7)


def shelf(user_id: str) -> str:
    return f"user:{user_id} by nobody"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    return run_serve(TINY, tmp_path_factory.mktemp("bench"), command="limner bench serve")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(folder=tmp_path, database_url=None, tenant=TENANT)
    yield opened
    await opened.aclose()


def test_every_load_is_measured_paced_and_saturated_and_none_fails(report: Report) -> None:
    values = {measure.measure: measure for measure in report.measures}

    for kind in ("stored profile", "context with a query", "plain FastAPI, the row"):
        for load in ("paced", "saturated"):
            label = f"{kind}, {load}"
            assert (
                values[f"{label}: p50"].value
                <= values[f"{label}: p95"].value
                <= values[f"{label}: p99"].value
            )
            assert values[f"{label}: throughput"].value > 0
            assert (values[f"{label}: errors"].value, values[f"{label}: errors"].met) == (0, True)
    assert values["mixed load over 0.4 s, paced: errors"].met
    assert values["stored profile against plain FastAPI: throughput, saturated"].unit == "ratio"


def test_goals_are_judged_where_the_server_has_room(report: Report) -> None:
    goals = {measure.measure: measure.goal for measure in report.measures if measure.unit == "ms"}

    assert goals["stored profile, paced: p50"] == "< 10"
    assert goals["stored profile, paced: p95"] == "< 50"
    assert goals["context with a query, paced: p50"] == "< 150"
    assert goals["context with a query, paced: p95"] == "< 400"
    assert all(goal is None for name, goal in goals.items() if "saturated" in name or "plain" in name)


def test_the_stable_part_stays_while_the_rest_changes(report: Report) -> None:
    values = {measure.measure: measure for measure in report.measures}

    kept = values["prefix stability: least share of the stable part's bytes that stay"]
    others = values["prefix stability: different volatile parts beside it"]
    # Two conversations of four turns: three later turns each. A message is recorded in every turn.
    assert (kept.value, kept.n, kept.met) == (100, 6, True)
    assert 2 <= others.value <= 6  # what answers the question may leave the message of a turn no room


def test_the_page_says_that_the_store_is_synthetic(report: Report) -> None:
    page = as_markdown(report)

    assert "The store is synthetic: 30 invented users" in page
    assert "fastapi" in page


@pytest.mark.parametrize(
    ("first", "later", "share"),
    [
        (b"abcd", b"abcd", 1.0),
        (b"abcd", b"abcdef", 1.0),
        (b"abcd", b"aXcd", 0.25),
        (b"abcd", b"ab", 0.5),
        (b"", b"a", 0),
    ],
)
def test_the_share_that_stays_counts_bytes_from_the_front(first: bytes, later: bytes, share: float) -> None:
    assert kept_share(first, later) == share


def test_percentiles_are_of_milliseconds() -> None:
    tally = Tally()
    for milliseconds in range(101):  # 0 to 100 ms: each percentile is its own number
        tally.add("profile", milliseconds / 1e3)
    tally.errors["profile 500"] += 2

    facts = tally.facts(wall=10.0)

    assert facts["kinds"]["profile"] == pytest.approx({"n": 101, "p50": 50.0, "p95": 95.0, "p99": 99.0})
    assert (facts["answers"], facts["rate"], facts["errors"]) == (101, pytest.approx(10.1), 2)


async def test_a_refusal_counts_as_an_error_and_in_no_percentile() -> None:
    statuses = {"/v1/users/u1/profile": b"200 OK", "/v1/users/u2/profile": b"404 Not Found"}

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in statuses:
            path = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)[1]
            writer.write(b"HTTP/1.1 " + statuses[path] + b"\r\nContent-Length: 2\r\n\r\n{}")
        writer.close()

    tally = Tally()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, Connection("127.0.0.1", server.sockets[0].getsockname()[1]) as connection:
        for path in statuses:
            await ask_once(connection, Ask("profile", "GET", path), tally)
    facts = tally.facts(wall=2.0)

    assert (facts["kinds"]["profile"]["n"], facts["answers"], facts["rate"]) == (1, 1, 0.5)
    assert (facts["errors"], facts["what"]) == (1, {"profile 404": 1})


async def test_the_store_holds_what_was_ordered_and_is_built_once(store: SqlStore) -> None:
    embedder, seen = HashingEmbedder(), list[int]()

    first = await fill(store, embedder, WORLD, shelf, seen.append)
    again = await fill(store, embedder, WORLD, shelf, seen.append)

    counts = await store.counts()
    assert (first, again, seen) == (30, 0, [30, 30])
    assert (counts.users, counts.profiles, counts.cues, counts.interactions) == (30, 30, 70, 120)
    # 70 cues for 30 users: two each, and a third for every third.
    assert [len(await store.cues(shelf(user_id_of(number)))) for number in range(3)] == [2, 2, 3]


async def test_vectors_of_cues_lie_near_those_of_their_phrases(store: SqlStore) -> None:
    embedder = HashingEmbedder()
    await fill(store, embedder, WORLD, shelf, lambda _: None)
    [cue, *_] = await store.cues(shelf(user_id_of(3)))

    key = hashlib.sha256(cue.text.encode()).hexdigest()
    raw = (await store.cached_vectors(embedder.name, [key]))[key]
    [phrase] = await embedder.embed([cue.text.rpartition(" since ")[0]])

    vector = np.frombuffer(raw, dtype="<f4")
    assert np.linalg.norm(vector) == pytest.approx(1.0, abs=1e-5)
    # A unit vector and noise of length about a half at a right angle: 1 / sqrt(1 + 0.25), give or take.
    assert 0.8 < float(vector @ phrase) < 0.98


def test_no_two_questions_are_alike() -> None:
    source = queries(1)

    assert len({next(source) for _ in range(500)}) == 500


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
async def test_the_plain_server_sends_the_row_as_it_is_stored(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url: str | None = request.getfixturevalue("database_url") if database == "postgresql" else None
    store = await open_store(folder=tmp_path, database_url=url, tenant=TENANT)
    await fill(store, HashingEmbedder(), WORLD, shelf, lambda _: None)
    stored = await store.profile(user_id_of(4))
    await store.aclose()
    plain = remote_app(url, TENANT) if url else local_app(tmp_path / FILE_NAME, TENANT)

    transport = httpx.ASGITransport(plain)
    async with (
        plain.router.lifespan_context(plain),
        httpx.AsyncClient(transport=transport, base_url="http://plain") as client,
    ):
        found = await client.get(f"/rows/{user_id_of(4)}")
        missing = await client.get("/rows/nobody")

    assert stored is not None
    assert found.text == stored.model_dump_json()
    assert missing.status_code == 404


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"nonsense\r\n\r\n"])
async def test_an_answer_that_breaks_off_is_an_error(said: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Connection("127.0.0.1", port) as connection:
        with pytest.raises(OSError, match=r"^no answer to GET /v1/x"):
            await connection.ask("GET", "/v1/x?query=secret")


def test_fewer_cues_than_users_are_refused() -> None:
    result = CliRunner().invoke(app, ["bench", "serve", "--users", "10", "--cues", "5", "--json"])

    assert result.exit_code == 1
    assert "--cues 5 must be at least --users 10" in json.loads(result.stdout)["error"]["message"]
