"""A client of HTTP/1.1 that costs little itself, so that a loaded server is measured and not its callers."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, Self

_LIMIT = 1 << 20


class Answer(NamedTuple):
    """What came back."""

    status: int
    """HTTP status."""

    body: bytes
    """Without its headers."""


class Connection:
    """One connection that is kept alive; one request at a time.

    Args:
        host: Address.
        port: Port.
        key: Sent as a bearer's; absent for none.
    """

    def __init__(self, host: str, port: int, key: str | None = None) -> None:
        self._host, self._port = host, port
        shown = f"Authorization: Bearer {key}\r\n" if key else ""
        self._head = f"Host: {host}:{port}\r\n{shown}Accept: application/json\r\n"
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def __aenter__(self) -> Self:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=_LIMIT)
        return self

    async def __aexit__(self, *exc: object) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
            self._reader = self._writer = None

    async def ask(self, method: str, path: str, document: Mapping[str, Any] | None = None) -> Answer:
        """Send a request and read the answer.

        Args:
            method: `GET` or another.
            path: What follows host and port, encoded.
            document: Sent as JSON; absent for no body.

        Raises:
            OSError: The connection broke, or the answer is none of HTTP.
        """
        assert self._reader is not None and self._writer is not None, "used inside its block"
        body = b"" if document is None else json.dumps(document).encode()
        typed = (
            "" if document is None else f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        )
        self._writer.write(f"{method} {path} HTTP/1.1\r\n{self._head}{typed}\r\n".encode() + body)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            status, length = _read_head(head)
            return Answer(status, await self._reader.readexactly(length))
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError) as error:
            raise OSError(f"no answer to {method} {path.partition('?')[0]}: {error}") from error


def _read_head(head: bytes) -> tuple[int, int]:
    r"""Return the status and the length of the body.

    Raises:
        ValueError: It does not say how long the body is.

    Examples:
        >>> _read_head(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n")
        (200, 12)
    """
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    status = int("".join(first.split(" ")[1:2]))
    return status, 0 if status == 204 else int(fields.get("content-length", ""))
