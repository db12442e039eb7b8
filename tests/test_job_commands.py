"""Commands `jobs` and `work`: what is queued is seen, done, tried again and dropped."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from limner import LimnerSync
from limner.cli import app
from limner.doors import open_only_store
from limner.settings import load_settings
from limner.tools.clock import SystemClock
from limner.tools.jobs import JobBook, JobError

EVENT = {"kind": "review", "at": "2026-01-01", "text": "Lovely old roses in a small garden."}


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"STORE": str(tmp_path / "store"), "EMBEDDER": "hashing", "MODEL": "none"}.items():
        monkeypatch.setenv(f"LIMNER_{name}", value)


def told(*words: str, code: int = 0) -> Any:
    """Run a command and return its JSON."""
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def queue() -> None:
    with LimnerSync() as limner:
        limner.record("ada", [EVENT], draw=True)


def set_aside() -> str:
    """Queue a job and have it set aside; return its id."""
    return asyncio.run(_set_aside())


async def _set_aside() -> str:
    async with open_only_store(load_settings()) as store:
        book = JobBook(store.engine, SystemClock())
        job = await book.add("default", "refresh", {"kind": "refresh"})
        reason: dict[str, Any] = {
            "state": "failed",
            "error": JobError(code="too_few_users", message="nobody there"),
        }
        await book.change("default", job.job_id, lambda _: reason)
        return job.job_id


def test_what_is_queued_is_listed_and_done() -> None:
    queue()
    [job] = told("jobs", "list")
    assert (job["kind"], job["state"], job["wanted"]["user_id"]) == ("draw", "queued", "ada")

    assert CliRunner().invoke(app, ["work", "--once"]).exit_code == 0

    assert told("jobs", "list") == []
    with LimnerSync() as limner:
        portrait = limner.stored_profile("ada")
    assert portrait is not None
    assert portrait.source == "extractive"


def test_a_job_that_was_set_aside_is_told_with_its_reason_and_tried_again() -> None:
    job_id = set_aside()

    shown = CliRunner().invoke(app, ["jobs", "list", "--state", "failed"], env={"COLUMNS": "200"})
    assert job_id in shown.stdout
    assert "too_few_users: nobody there" in shown.stdout

    again = told("jobs", "retry", job_id)
    assert (again["state"], again["attempt"], again["error"]) == ("queued", 2, None)
    assert told("jobs", "list", "--state", "failed") == []


def test_only_what_did_not_succeed_is_tried_again_and_only_what_nobody_does_is_dropped() -> None:
    job_id = set_aside()
    told("jobs", "retry", job_id)

    assert "is queued" in told("jobs", "retry", job_id, code=1)["error"]["message"]
    assert told("jobs", "drop", job_id) == {"dropped": job_id}
    for verb in ("retry", "drop"):
        assert "is" in told("jobs", verb, job_id, code=1)["error"]["message"]
    assert "must be one of" in told("jobs", "list", "--state", "lost", code=1)["error"]["message"]
