"""Background jobs: begun, followed, cancelled, survived."""

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from limner.errors import ModelUnavailableError, StoreError
from limner.serve.http.app import create_app
from limner.serve.http.rooms import Rooms
from limner.tools.chat import ChatRequest
from limner.tools.jobs import JobBook


async def ended(server: Any, job: dict[str, Any]) -> dict[str, Any]:
    """Wait for a job's end."""
    for _ in range(600):
        found: dict[str, Any] = (await server.client.get(f"/v1/jobs/{job['job_id']}")).json()
        if found["state"] not in ("queued", "running"):
            return found
        await asyncio.sleep(0.02)
    raise AssertionError("it does not end")


async def begin(server: Any, **wanted: Any) -> dict[str, Any]:
    answered = await server.client.post("/v1/jobs", json=wanted)
    assert answered.status_code == 202, answered.text
    job: dict[str, Any] = answered.json()
    return job


def sent(stream: str) -> list[dict[str, Any]]:
    """Return the events of a stream: id, event, data."""
    blocks = [block for block in stream.replace("\r\n", "\n").split("\n\n") if block.startswith("id:")]
    fields = [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]
    return [{**one, "data": json.loads(one["data"])} for one in fields]


async def test_portraits_of_everybody_are_drawn_in_the_background(server: Any) -> None:
    await server.fill("ada", "bo")

    job = await ended(server, await begin(server, kind="profiles"))

    assert (job["state"], job["done"], job["total"], job["failed"]) == ("done", 2, 2, 0)
    assert job["result"]["drawn"] == 2
    assert job["result"]["usage"]["calls"] == len(server.chat.requests) > 0
    assert (await server.client.get("/v1/users/bo/profile")).status_code == 200


async def test_entries_that_come_to_nothing_are_named_and_the_others_done(server: Any) -> None:
    await server.fill("ada")

    job = await ended(server, await begin(server, kind="profiles", user_ids=["nobody", "ada"]))

    assert (job["state"], job["done"], job["failed"], job["result"]["drawn"]) == ("done", 2, 1, 1)
    assert [(error["subject"], error["code"]) for error in job["errors"]] == [("nobody", "unknown_user")]


async def test_a_job_keeps_its_budget(server: Any) -> None:
    await server.fill("ada", "bo", "cleo")

    job = await ended(server, await begin(server, kind="profiles", calls=2))

    assert len(server.chat.requests) <= 2
    assert job["result"]["usage"]["calls"] <= 2


async def test_a_refresh_that_has_too_few_users_fails_with_its_reason(server: Any) -> None:
    await server.fill("ada")

    job = await ended(server, await begin(server, kind="refresh"))

    assert (job["state"], job["error"]["code"]) == ("failed", "too_few_users")
    assert job["ended_at"] is not None


async def test_cards_are_written_in_the_background(start: Any) -> None:
    server = await start(model="none")
    await server.fill("ada")

    job = await ended(server, await begin(server, kind="cards", item_ids=["roses", "nothing"]))

    assert (job["state"], job["failed"]) == ("done", 1)
    assert (await server.client.get("/v1/items/roses/card")).status_code == 200


async def test_pairs_are_written_in_the_background(server: Any) -> None:
    await server.fill("ada")
    pairs = [{"user_id": "ada", "item_id": "roses"}, {"user_id": "ada", "item_id": "nothing"}]

    job = await ended(server, await begin(server, kind="pairs", pairs=pairs))

    assert (job["state"], job["total"], job["failed"], job["result"]["written"]) == ("done", 2, 1, 1)
    assert [(error["subject"], error["code"]) for error in job["errors"]] == [
        ("ada, nothing", "unknown_item")
    ]
    assert (await server.client.get("/v1/users/ada/pairs/roses")).status_code == 200


async def test_the_index_is_built_anew_in_the_background_by_an_administrator(start: Any) -> None:
    server = await start(keyed=True)
    writes, rules = await server.key(role="write"), await server.key(role="admin")
    await server.fill("ada", headers=writes)
    async with server.rooms.limner("default") as limner:
        await limner.doors.catalogue.reset()

    refused = await server.client.post("/v1/jobs", json={"kind": "reindex"}, headers=writes)
    server.client.headers.update(rules)
    job = await ended(server, await begin(server, kind="reindex"))

    assert (refused.status_code, refused.json()["code"]) == (403, "role")
    assert (job["state"], job["result"]) == ("done", {"items": 9})
    async with server.rooms.limner("default") as limner:
        assert len(await limner.doors.catalogue.item_ids()) == 9


async def test_following_a_job_ends_when_the_key_is_revoked(start: Any) -> None:
    """The job is never taken, so that only the key can end the stream."""
    server = await start(keyed=True)
    key = await server.key()
    key_id = key["Authorization"].split("_")[1]
    book = JobBook(server.rooms.shared.store.engine, server.clock)
    job = await book.add("default", "profiles", {"kind": "profiles"})
    await book.change("default", job.job_id, lambda _: {"state": "running"})

    follow = asyncio.create_task(server.client.get(f"/v1/jobs/{job.job_id}/events", headers=key))
    await asyncio.sleep(0.5)
    assert not follow.done()
    await server.app.state.gate.ring.revoke(key_id)
    stream = await asyncio.wait_for(follow, 10)
    again = await server.client.get(f"/v1/jobs/{job.job_id}/events", headers=key)

    assert [event["event"] for event in sent(stream.text)] == ["running"]
    assert again.status_code == 401


async def test_what_went_wrong_on_the_servers_side_is_not_told(start: Any) -> None:
    def fails(request: ChatRequest) -> Any:
        raise RuntimeError("at /secret/place")

    server = await start(script=fails)
    await server.fill("ada")

    job = await ended(server, await begin(server, kind="profiles"))

    assert (job["state"], job["error"]["code"]) == ("failed", "internal")
    assert "secret" not in json.dumps(job)


async def test_a_job_is_followed_to_its_end_and_a_follower_that_comes_back_misses_nothing(
    server: Any,
) -> None:
    await server.fill("ada")
    job = await begin(server, kind="profiles")

    stream = await server.client.get(f"/v1/jobs/{job['job_id']}/events")
    events = sent(stream.text)
    seen = [int(event["id"]) for event in events]

    assert stream.headers["content-type"].startswith("text/event-stream")
    assert seen == sorted(set(seen))
    assert events[-1]["event"] == events[-1]["data"]["state"] == "done"

    behind = {"Last-Event-ID": str(seen[-1] - 1)}
    rest = await server.client.get(f"/v1/jobs/{job['job_id']}/events", headers=behind)
    none = await server.client.get(
        f"/v1/jobs/{job['job_id']}/events", headers={"Last-Event-ID": str(seen[-1])}
    )

    assert [event["id"] for event in sent(rest.text)] == [str(seen[-1])]
    assert sent(none.text) == []


class Stuck:
    """A script whose answers never come until they are let go."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.let_go = asyncio.Event()


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Stuck:
    """Have every model call wait."""
    from limner.tools.scripted import ScriptedChat

    held, complete = Stuck(), ScriptedChat.complete

    async def wait(self: Any, request: Any, budget: Any) -> Any:
        held.asked.set()
        await held.let_go.wait()
        return await complete(self, request, budget)

    monkeypatch.setattr(ScriptedChat, "complete", wait)
    return held


async def test_a_job_that_is_cancelled_ends_and_can_be_begun_again(server: Any, stuck: Stuck) -> None:
    await server.fill("ada")
    job = await begin(server, kind="profiles")
    await stuck.asked.wait()
    early = await server.client.post(f"/v1/jobs/{job['job_id']}/retry")
    busy = await server.client.delete(f"/v1/jobs/{job['job_id']}")

    cancelled = await server.client.post(f"/v1/jobs/{job['job_id']}/cancel")
    over = await ended(server, job)
    stuck.let_go.set()
    again = await server.client.post(f"/v1/jobs/{job['job_id']}/retry")
    done = await ended(server, again.json())

    assert (early.status_code, busy.status_code, cancelled.status_code) == (409, 409, 202)
    assert over["state"] == "cancelled"
    assert (again.status_code, again.json()["attempt"]) == (202, 2)
    assert (done["state"], done["cancel_wanted"], done["result"]["drawn"]) == ("done", False, 1)
    assert (await server.client.post(f"/v1/jobs/{job['job_id']}/retry")).status_code == 409


async def test_a_job_that_waits_can_be_cancelled(start: Any, stuck: Stuck) -> None:
    server = await start(serve={"jobs_at_once": 1})
    await server.fill("ada")
    first = await begin(server, kind="profiles")
    await stuck.asked.wait()
    second = await begin(server, kind="profiles")
    assert (await server.client.get(f"/v1/jobs/{second['job_id']}")).json()["state"] == "queued"

    await server.client.post(f"/v1/jobs/{second['job_id']}/cancel")

    assert (await ended(server, second))["state"] == "cancelled"
    stuck.let_go.set()
    assert (await ended(server, first))["state"] == "done"


async def test_a_job_that_another_process_is_asked_to_cancel_ends(server: Any, stuck: Stuck) -> None:
    await server.fill("ada")
    job = await begin(server, kind="profiles")
    await stuck.asked.wait()

    # What `cancel` does in a process that does not run the job.
    book = JobBook(server.rooms.shared.store.engine, server.clock)
    await book.change("default", job["job_id"], lambda _: {"cancel_wanted": True})

    assert (await ended(server, job))["state"] == "cancelled"


async def test_a_stop_puts_back_what_runs_and_the_next_start_does_it(
    settings: Any, stuck: Stuck, start: Any
) -> None:
    from limner.tools.scripted import ScriptedChat

    async with Rooms(settings, chat=ScriptedChat([])) as rooms:
        app = create_app(settings, rooms=rooms)
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client,
        ):
            event = {"kind": "review", "at": "2026-01-01", "text": "Lovely roses."}
            await client.post("/v1/users/ada/events", json={"events": [event]})
            job = (await client.post("/v1/jobs", json={"kind": "profiles"})).json()
            await stuck.asked.wait()

    stuck.let_go.set()
    server = await start()
    done = await ended(server, job)

    assert (done["state"], done["attempt"], done["failures"]) == ("done", 2, 0)


async def test_a_kill_leaves_jobs_that_the_next_start_does(settings: Any, start: Any) -> None:
    async with Rooms(settings) as rooms:
        book = JobBook(rooms.shared.store.engine, rooms.clock)
        killed = await book.add("default", "profiles", {"kind": "profiles"})
        await book.take()

    server = await start()

    done = await ended(server, {"job_id": killed.job_id})
    assert (done["state"], done["attempt"], done["failures"]) == ("done", 2, 1)


async def test_a_drawing_asked_for_with_events_is_done_and_leaves_nothing_behind(server: Any) -> None:
    event = {"kind": "review", "at": "2026-01-01", "text": "Lovely roses."}

    answered = await server.client.post("/v1/users/ada/events?draw=true", json={"events": [event]})
    while (await server.client.get("/v1/jobs")).json()["jobs"]:
        await asyncio.sleep(0.02)

    assert answered.json()["added"] == 1
    assert (await server.client.get("/v1/users/ada/versions")).status_code == 200


async def test_a_drawing_that_the_model_fails_is_tried_again_later(start: Any) -> None:
    def fails(request: ChatRequest) -> Any:
        raise ModelUnavailableError("scripted", 4, "nobody answers there")

    server = await start(script=fails)
    event = {"kind": "review", "at": "2026-01-01", "text": "Lovely roses."}
    await server.client.post("/v1/users/ada/events?draw=true", json={"events": [event]})

    while True:
        [job] = (await server.client.get("/v1/jobs")).json()["jobs"]
        if job["state"] == "queued" and job["failures"]:
            break
        await asyncio.sleep(0.02)

    assert (job["kind"], job["failures"], job["error"]["code"]) == ("draw", 1, "model_unavailable")
    portrait = (await server.client.get("/v1/users/ada/profile")).json()
    assert portrait["source"] == "extractive"  # what is there meanwhile says that no model wrote it


async def test_an_upload_is_imported_and_its_file_does_not_stay(server: Any, settings: Any) -> None:
    good = {"user_id": "ada", "item_id": "roses", "kind": "view", "at": "2026-01-01"}
    bad = {**good, "kind": "stare"}
    file = "".join(json.dumps(row) + "\n" for row in (good, bad, {**good, "item_id": "knots"}))

    answered = await server.client.post(
        "/v1/jobs/import", files={"file": ("../../my events.jsonl", file.encode())}
    )
    job = await ended(server, answered.json())

    assert job["state"] == "done", job
    assert (job["result"]["added"], job["result"]["rejected"]) == (2, 1)
    assert job["result"]["file"] == "../../my events.jsonl"
    assert [(row["line"], row["field"]) for row in job["result"]["rejects"]] == [(2, "kind")]
    assert (await server.client.get("/v1/counts")).json()["interactions"] == 2
    assert list((Path(settings.store) / "uploads").iterdir()) == []
    assert (await server.client.post(f"/v1/jobs/{job['job_id']}/retry")).json()["code"] == "file_gone"


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"mapping": "[1]"}, 422),
        ({"kind": "stare"}, 422),
        ({"strict": "maybe"}, 422),
        ({"mapping": "{}"}, 202),
    ],
)
async def test_options_of_an_upload_are_checked_before_it_is_taken(
    server: Any, data: dict[str, str], status: int
) -> None:
    answered = await server.client.post("/v1/jobs/import", files={"file": ("a.csv", b"x")}, data=data)

    assert answered.status_code == status
    for job in (await server.client.get("/v1/jobs")).json()["jobs"]:
        await ended(server, job)


async def test_a_file_that_nobody_can_read_fails_the_job(server: Any) -> None:
    answered = await server.client.post("/v1/jobs/import", files={"file": ("a.bin", b"\x00\x01")})

    job = await ended(server, answered.json())

    assert (job["state"], job["error"]["code"]) == ("failed", "unknown_format")
    assert "/" not in job["error"]["message"].replace("a.bin", "")


async def test_jobs_are_listed_newest_first_and_can_be_removed(server: Any) -> None:
    await server.fill("ada")
    jobs: list[dict[str, Any]] = []
    for _ in range(3):
        jobs.append(await begin(server, kind="profiles"))
        await ended(server, jobs[-1])
        server.clock.advance(1)

    first = (await server.client.get("/v1/jobs", params={"limit": 2})).json()
    rest = (await server.client.get("/v1/jobs", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    removed = await server.client.delete(f"/v1/jobs/{jobs[0]['job_id']}")

    listed = [job["job_id"] for job in first["jobs"] + rest["jobs"]]
    assert listed == [job["job_id"] for job in reversed(jobs)]
    assert removed.status_code == 204
    assert (await server.client.get(f"/v1/jobs/{jobs[0]['job_id']}")).status_code == 404


async def test_a_model_that_is_away_leaves_extractive_portraits(start: Any) -> None:
    def away(request: ChatRequest) -> Any:
        raise ModelUnavailableError("scripted", 4, "connection refused by 10.0.0.7")

    server = await start(script=away)
    await server.fill("ada")

    job = await ended(server, await begin(server, kind="profiles"))

    assert job["state"] == "done"
    assert (await server.client.get("/v1/users/ada/profile")).json()["source"] == "extractive"


async def test_waiting_for_an_idle_workshop_ends_with_what_keeps_it_from_its_work(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(self: JobBook) -> None:
        raise StoreError("here", "disk is full")

    monkeypatch.setattr(JobBook, "take", full)
    await server.fill("ada")
    await begin(server, kind="profiles")

    with pytest.raises(StoreError, match="disk is full"):
        await server.app.state.workshop.idle()
