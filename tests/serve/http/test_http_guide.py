"""The calls of the guide to the HTTP API are answered, in the order in which they stand there."""

import re
import shlex
from pathlib import Path
from typing import Any

import httpx

BASE = "http://127.0.0.1:8321"


def calls(page: str) -> list[list[str]]:
    """Return the words of every line that calls curl."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [shlex.split(line) for line in lines if line.startswith("curl ")]


async def answered(client: httpx.AsyncClient, words: list[str], files: Path) -> httpx.Response:
    """Do what curl would do."""
    method, form, url = "GET", dict[str, str](), ""
    body: dict[str, Any] = {}
    rest = iter(words[1:])
    for word in rest:
        if word == "--json":
            method = "POST"
            body = {"content": next(rest), "headers": {"Content-Type": "application/json"}}
        elif word == "-X":
            method = next(rest)
        elif word == "-F":
            method = "POST"
            name, _, value = next(rest).partition("=")
            if value.startswith("@"):
                body["files"] = {name: (value[1:], (files / value[1:]).read_bytes())}
            else:
                form[name] = value
        elif word != "-N":
            url = word
    if form:
        body["data"] = form
    assert url.startswith(BASE), words
    return await client.request(method, url.removeprefix(BASE), **body)


async def test_every_call_of_the_guide_is_answered(start: Any, root: Path, tmp_path: Path) -> None:
    server = await start(model="none")
    (tmp_path / "events.jsonl").write_text('{"user_id": "cy", "item_id": "b1", "at": "2026-01-08"}\n')
    job_id, seen = "", 0

    for words in calls((root / "docs" / "http.md").read_text("utf-8")):
        found = await answered(server.client, [word.replace("JOB", job_id) for word in words], tmp_path)
        assert found.status_code in (200, 202), (words, found.text)
        assert '"error": {' not in found.text, (words, found.text)
        if found.status_code == 202:
            job_id = found.json()["job_id"]
        seen += 1

    assert seen > 20
    await server.app.state.workshop.idle()
    jobs = (await server.client.get("/v1/jobs")).json()["jobs"]
    assert {(job["kind"], job["state"]) for job in jobs} == {("profiles", "done"), ("import", "done")}
