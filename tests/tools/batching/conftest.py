"""A server on loopback that speaks the Batch API."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Json = dict[str, Any]
Answering = Callable[[Json], Json]


def completion(text: str, read: int = 10, written: int = 5) -> Json:
    """Return the response to one request."""
    message = {"role": "assistant", "content": text}
    body = {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "main",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written},
    }
    return {"status_code": 200, "request_id": "r", "body": body}


def refusal(status: int, message: str) -> Json:
    """Return the response to one request that failed."""
    return {"status_code": status, "request_id": "r", "body": {"error": {"message": message}}}


class BatchServer:
    """Keeps files and batches in memory."""

    def __init__(self) -> None:
        self.files: dict[str, Json] = {}
        self.batches: dict[str, Json] = {}
        self.asked: list[list[Json]] = []
        """The requests of each batch, in order."""

        self.held = False
        """Whether batches stay under way."""

        self.status = "completed"
        """How batches end."""

        self.answering: Answering = lambda body: completion(f"said: {body['messages'][-1]['content']}")
        self.leave_out = 0
        """Requests of the next batches that are not come to."""

        self.url = ""
        self.looks = 0

    def app(self) -> Starlette:
        """Return what is served."""
        return Starlette(
            routes=[
                Route("/v1/files", self.upload, methods=["POST"]),
                Route("/v1/files", self.list_files),
                Route("/v1/files/{file}", self.delete, methods=["DELETE"]),
                Route("/v1/files/{file}/content", self.content),
                Route("/v1/batches", self.create, methods=["POST"]),
                Route("/v1/batches", self.list_batches),
                Route("/v1/batches/{batch}", self.retrieve),
            ]
        )

    async def upload(self, request: Request) -> Response:
        """Keep a file."""
        async with request.form() as form:
            file = form["file"]
            assert not isinstance(file, str)
            assert form["purpose"] == "batch"
            return JSONResponse(self._keep(str(file.filename), (await file.read()).decode()))

    async def list_files(self, _: Request) -> Response:
        """List the files."""
        return JSONResponse(
            {"object": "list", "data": list(map(_shown, self.files.values())), "has_more": False}
        )

    async def delete(self, request: Request) -> Response:
        """Delete a file."""
        name = request.path_params["file"]
        if self.files.pop(name, None) is None:
            return JSONResponse({"error": {"message": "no such file"}}, 404)
        return JSONResponse({"id": name, "object": "file", "deleted": True})

    async def content(self, request: Request) -> Response:
        """Return what a file holds."""
        return PlainTextResponse(self.files[request.path_params["file"]]["content"])

    async def create(self, request: Request) -> Response:
        """Begin a batch."""
        asked = await request.json()
        assert (asked["endpoint"], asked["completion_window"]) == ("/v1/chat/completions", "24h")
        lines = self.files[asked["input_file_id"]]["content"].splitlines()
        self.asked.append([json.loads(line) for line in lines])
        name = f"batch-{len(self.batches)}"
        self.batches[name] = {
            "id": name,
            "object": "batch",
            "endpoint": asked["endpoint"],
            "completion_window": "24h",
            "created_at": 1,
            "status": "in_progress",
            "input_file_id": asked["input_file_id"],
            "metadata": asked["metadata"],
        }
        return JSONResponse(self.batches[name])

    async def list_batches(self, _: Request) -> Response:
        """List the batches."""
        return JSONResponse({"object": "list", "data": list(self.batches.values()), "has_more": False})

    async def retrieve(self, request: Request) -> Response:
        """Look at a batch; one that is not held back has ended then."""
        self.looks += 1
        batch = self.batches[request.path_params["batch"]]
        if batch["status"] == "in_progress" and not self.held:
            self._finish(batch)
        return JSONResponse(batch)

    def _finish(self, batch: Json) -> None:
        batch["status"] = self.status
        if self.status == "failed":
            batch["errors"] = {
                "object": "list",
                "data": [{"code": "invalid", "message": "line 1 is no request"}],
            }
            return
        rows = self.asked[int(batch["id"].partition("-")[2])]
        done = rows[: len(rows) - self.leave_out]
        responses: list[Json] = [
            {"id": "x", "custom_id": row["custom_id"], "response": self.answering(row["body"])}
            for row in done
        ]
        for name, good in (("output_file_id", True), ("error_file_id", False)):
            lines = [
                json.dumps(each) for each in responses if (each["response"]["status_code"] < 300) is good
            ]
            if lines:
                batch[name] = self._keep(f"{name}.jsonl", "\n".join(lines) + "\n")["id"]

    def _keep(self, filename: str, content: str) -> Json:
        name = f"file-{len(self.asked)}-{len(self.files)}-{filename[:5]}"
        self.files[name] = {"id": name, "filename": filename, "content": content}
        return _shown(self.files[name])


def _shown(file: Json) -> Json:
    return {
        "id": file["id"],
        "object": "file",
        "bytes": len(file["content"]),
        "created_at": 1,
        "filename": file["filename"],
        "purpose": "batch",
        "status": "processed",
    }


@pytest.fixture
async def server() -> AsyncIterator[BatchServer]:
    """One that runs."""
    made = BatchServer()
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        made.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        running = uvicorn.Server(uvicorn.Config(made.app(), log_config=None, lifespan="off"))
        running.install_signal_handlers = lambda: None  # type: ignore[attr-defined]  # of older versions
        task = asyncio.create_task(running.serve(sockets=[listening]))
        try:
            while not running.started:
                await asyncio.sleep(0.01)
            yield made
        finally:
            running.should_exit = True
            with contextlib.suppress(asyncio.CancelledError):
                await task


@pytest.fixture
def said() -> Callable[..., Json]:
    """A function that makes the response of one request."""
    return completion


@pytest.fixture
def refused() -> Callable[[int, str], Json]:
    """A function that makes the response of one request that failed."""
    return refusal
