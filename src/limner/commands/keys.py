"""Commands about keys of the HTTP API and of MCP over HTTP: `keys add`, `list`, `revoke`."""

import shlex
from collections.abc import Awaitable, Callable
from typing import Annotated, NamedTuple, TypeVar

import typer
from rich.table import Table

from ..doors import open_only_store
from ..settings import Settings
from ..tools.clock import SystemClock
from ..tools.keys import Key, KeyRing
from .common import JsonOption, StoreOption, note, out, print_json, run, say, settings_for, wants_json

T = TypeVar("T")

app = typer.Typer(no_args_is_help=True, help="Keys of the HTTP API: each opens one tenant for one role.")


@app.command("add")
def add(
    tenant: Annotated[
        str | None, typer.Option("--tenant", help="Whose data it opens (default: that of the settings).")
    ] = None,
    role: Annotated[str, typer.Option("--role", help="read, write or admin.")] = "write",
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "",
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it, once: only its hash is kept.

    Example:  limner keys add --tenant shop --role write --name "web shop"
    """
    as_json = wants_json(as_json)
    settings = settings_for(store)

    async def work() -> _Made:
        async with open_only_store(settings) as opened:
            ring = KeyRing(opened.engine, SystemClock())
            first = not await ring.any()
            key, words = await ring.add(tenant or settings.tenant, role, name=name)
            held = await opened.for_tenant(key.tenant).counts()
            return _Made(key, words, first, empty=not held.users and not held.items)

    made = run(work, as_json=as_json)
    if as_json:
        return print_json({**made.key.model_dump(mode="json"), "key": made.words})
    say(made.words)
    for line in _next_steps(made, f"http://{settings.serve.host}:{settings.serve.port}"):
        note(line)


class _Made(NamedTuple):
    """A key that was made, and what whoever made it should know."""

    key: Key
    words: str
    first: bool
    """Whether nothing had a key before."""

    empty: bool
    """Whether its tenant holds nothing."""


def _next_steps(made: _Made, base: str) -> list[str]:
    """Say what the key opens, and what to type next: of its own tenant, and nothing of another."""
    key = made.key
    opens = f"Key {key.key_id} opens tenant {key.tenant!r} for {key.role}"
    held = ", which holds nothing yet" if made.empty else ""
    restart = ["A server that is running without keys goes on without until it is started again."]
    call = shlex.join(["curl", "-H", "Authorization: Bearer KEY", f"{base}/v1/counts"])
    return [
        f"{opens}{held}. It is not shown again: keep it now.",
        *(restart if made.first else []),
        f"Next: limner serve  ·  {call}",
    ]


@app.command("list")
def list_keys(
    tenant: Annotated[str | None, typer.Option("--tenant", help="Only keys of this tenant.")] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the keys, without their secrets.

    Example:  limner keys list --json
    """
    as_json = wants_json(as_json)
    found = _with_ring(settings_for(store), lambda ring: ring.listed(tenant), as_json)
    if as_json:
        return print_json([key.model_dump(mode="json") for key in found])
    table = Table("key", "tenant", "role", "name", "made", "state")
    for key in found:
        state = f"revoked {key.revoked_at:%Y-%m-%d}" if key.revoked_at else "valid"
        table.add_row(key.key_id, key.tenant, key.role, key.name, f"{key.created_at:%Y-%m-%d}", state)
    out.print(table)


@app.command("revoke")
def revoke(
    key_id: Annotated[str, typer.Argument(help="Id, as `limner keys list` names it.")],
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key open nothing, from the next request on.

    Example:  limner keys revoke 0f1e2d3c4b5a
    """
    as_json = wants_json(as_json)
    key = _with_ring(settings_for(store), lambda ring: ring.revoke(key_id), as_json)
    if as_json:
        return print_json(key.model_dump(mode="json"))
    say(f"Key {key.key_id} of tenant {key.tenant!r} opens nothing any more.")


def _with_ring(settings: Settings, act: Callable[[KeyRing], Awaitable[T]], as_json: bool) -> T:
    async def work() -> T:
        async with open_only_store(settings) as store:
            return await act(KeyRing(store.engine, SystemClock()))

    return run(work, as_json=as_json)
