"""`limner serve` as a process: what it prints, what it answers, how it stops."""

import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from typer.testing import CliRunner

from limner import LimnerSync
from limner.cli import app
from limner.errors import SettingsError
from limner.serve.http.serving import Found, check_workers, greeting, listen, url_of
from limner.settings import load_settings

Start = Callable[..., tuple["subprocess.Popen[str]", str, str]]


def test_it_says_where_things_are_answers_there_and_stops_in_order(
    start_process: Start, tmp_path: Path
) -> None:
    process, base, printed = start_process()
    item = {"items": [{"item_id": f"i{n}", "title": f"Thing {n}"} for n in range(1000)]}
    event = {"events": [{"kind": "message", "at": "2026-01-05", "text": "I love sailing.", "event_id": "e1"}]}

    with httpx.Client(base_url=base, timeout=30, trust_env=False) as client:
        assert f"{base}/gallery" in printed
        assert f"{base}/v1/users/ada/events" in printed  # what to type next, in an empty store
        assert client.get("/readyz").json()["ready"] is True
        assert client.post("/v1/users/ada/events", json=event).json()["added"] == 1

        answers: list[int] = []
        slow = threading.Thread(
            target=lambda: answers.append(client.post("/v1/items", json=item).status_code)
        )
        slow.start()
        while not (tmp_path / ".limner" / "limner.db-wal").exists():
            pass
        process.send_signal(signal.SIGTERM)
        slow.join()
    out, err = process.communicate(timeout=30)

    assert answers == [200]  # it was under way and was finished
    assert process.returncode == 0, err
    assert "Traceback" not in err + out
    again = subprocess.run(
        [sys.executable, "-c", "from limner.cli import main; main()", "keys", "list", "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert again.stdout == "[]\n"


def test_with_a_key_others_are_refused_and_its_holder_is_served(start_process: Start, tmp_path: Path) -> None:
    made = CliRunner().invoke(app, ["--store", str(tmp_path / ".limner"), "keys", "add", "--role", "admin"])
    words = made.stdout.strip()
    _, base, printed = start_process()

    with httpx.Client(base_url=base, timeout=30, trust_env=False) as client:
        assert client.get("/v1/counts").status_code == 401
        assert client.get("/v1/counts", headers={"Authorization": f"Bearer {words}"}).status_code == 200
    assert "Authorization: Bearer KEY" in printed
    assert words not in printed


def test_the_first_call_that_is_proposed_to_holders_of_keys_works_for_each_of_them(
    start_process: Start, tmp_path: Path
) -> None:
    def run(*words: str) -> Any:
        return CliRunner().invoke(app, ["--store", str(tmp_path / ".limner"), "keys", "add", *words])

    with LimnerSync(load_settings(store=tmp_path / ".limner", model="none", embedder="hashing")) as limner:
        limner.record("ada", [{"kind": "message", "at": "2026-01-05", "text": "I love sailing."}])
    first, second = run("--role", "read"), run("--tenant", "shop", "--role", "write")
    _, base, printed = start_process()

    assert "opens tenant 'default' for read. It is not shown again" in first.stderr
    assert "running without keys" in first.stderr
    assert "opens tenant 'shop' for write, which holds nothing yet" in second.stderr
    assert "running without keys" not in second.stderr  # there was a key before this one
    assert "default" not in second.stderr
    assert "ada" not in printed  # a key of another tenant would not find her
    for made in (first, second):
        words = shlex.split(made.stderr.rpartition("·")[2])
        told = shlex.split(printed.rpartition("Next:")[2])
        assert [*words[:-1], base + urlsplit(words[-1]).path] == told
        header = {"Authorization": f"Bearer {made.stdout.strip()}"}
        assert httpx.get(told[-1], headers=header, trust_env=False).status_code == 200


@pytest.mark.parametrize(
    ("found", "told"),
    [
        (Found(keyed=True, user_id="ada"), "http://h:1/v1/counts"),
        (Found(keyed=False, user_id="a/b é"), "http://h:1/v1/users/a%2Fb%20%C3%A9/context"),
        (Found(keyed=False, user_id=None), "http://h:1/v1/users/ada/events"),
    ],
)
def test_several_processes_say_the_same_next_steps_as_one(tmp_path: Path, found: Found, told: str) -> None:
    one = load_settings(store=tmp_path)
    several = load_settings(store=tmp_path, serve={"workers": 4})

    lines = greeting(several, "http://h:1", found)

    assert set(lines) - set(greeting(one, "http://h:1", found)) == {
        "  4 processes share the port; Ctrl-C ends all."
    }
    assert lines[1:3] == ["  gallery  http://h:1/gallery", "  API      http://h:1/docs"]
    assert lines[-1].startswith("Next: curl")
    assert lines[-1].endswith(told)


def test_keys_are_shown_once_listed_without_secrets_and_revoked(tmp_path: Path) -> None:
    def run(*words: str) -> str:
        done = CliRunner().invoke(app, ["--store", str(tmp_path / "store"), "keys", *words])
        assert done.exit_code == 0, done.output
        return done.stdout

    words = run("add", "--tenant", "shop", "--role", "read", "--name", "web").strip()
    listed = run("list")
    key_id = words.split("_")[1]

    assert words.startswith("limner_")
    assert key_id in listed
    assert words.split("_", 2)[2] not in listed + run("list", "--json")
    assert "nothing any more" in run("revoke", key_id)
    assert "revoked" in run("list", "--tenant", "shop")
    assert key_id not in run("list", "--tenant", "other")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["serve", "--host", "0.0.0.0"], "limner keys add"),
        (["serve", "--workers", "2"], "PostgreSQL"),
        (["keys", "add", "--role", "owner"], "`role`"),
        (["keys", "revoke", "nobody"], "limner keys list"),
    ],
)
def test_what_cannot_be_served_is_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.setenv("LIMNER_MODEL", "none")
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")

    done = CliRunner().invoke(app, words)

    assert done.exit_code == 1
    assert told in done.output
    assert "Traceback" not in done.output


def test_a_port_that_is_taken_is_named() -> None:
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        assert url_of(taken) == f"http://127.0.0.1:{port}"
        with pytest.raises(SettingsError, match=f"127.0.0.1:{port} .*--port"):
            listen("127.0.0.1", port)


async def test_several_processes_need_a_database_and_an_index_that_they_can_share(tmp_path: Path) -> None:
    settings: Any = load_settings(store=tmp_path, embedder="hashing", serve={"workers": 2})

    with pytest.raises(SettingsError, match=r"serve\.workers"):
        await check_workers(settings)
