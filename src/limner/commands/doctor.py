"""Command `doctor`: can everything that the settings name be used, and is what they keep whole?"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from .. import __version__
from ..doors import open_only_store
from ..errors import InputError, LimnerError
from ..integrity import Examined, examine, mend, tenants_of
from ..settings import EMBEDDED, NO_MODEL, Settings
from .common import JsonOption, ModelOption, StoreOption, fail, out, print_json, say, settings_for, wants_json

Check = Callable[[Settings], Awaitable[str]]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """The result of one check."""

    check: str
    """What was looked at."""

    ok: bool
    """Whether it can be used."""

    detail: str
    """What was found, or what to do."""

    kind: str | None = None
    """Of damage: its stable name."""

    tenant: str | None = None
    """Of damage: whose."""

    count: int | None = None
    """Of damage: how much."""

    examples: tuple[str, ...] = ()
    """Of damage: ids of some of it."""


def doctor(
    model: ModelOption = None,
    fix: Annotated[bool, typer.Option("--fix", help="Mend what is found; shows it and asks first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: do not ask.")] = False,
    every_tenant: Annotated[
        bool, typer.Option("--every-tenant", help="Look at what is kept for every tenant.")
    ] = False,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check settings, store, index, weights and model, and whether what is kept is whole.

    Without --fix nothing is changed but an empty store is created.

    Examples:  limner doctor --model gpt-5-mini  ·  limner doctor --fix
    """
    as_json = wants_json(as_json)
    if fix and as_json and not yes:
        fail(InputError("add --yes to mend, or leave out --fix to see what is wrong"), as_json=True)
    settings = settings_for(store, model=model)
    findings = asyncio.run(_examine(settings))
    whole, examined = asyncio.run(_integrity(settings, every_tenant))
    if fix and examined is not None and examined.mendable:
        if not yes:
            _show([*findings, *whole])
            typer.confirm(f"Mend {len(examined.mendable)} kinds of damage as said?", abort=True)
        whole, examined = asyncio.run(_integrity(settings, every_tenant, fix=True))
    findings += whole
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        _show(findings)
        if not fix and examined is not None and examined.mendable:
            say("`limner doctor --fix` does what is said there; take a backup before: `limner backup FILE`")
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


def _show(findings: Sequence[Finding]) -> None:
    table = Table("", "what", "found")
    for finding in findings:
        mark = "[green]ok[/]" if finding.ok else "[bold red]no[/]"
        table.add_row(mark, finding.check, escape(finding.detail))
    out.print(table)


async def _integrity(
    settings: Settings, every_tenant: bool, *, fix: bool = False
) -> tuple[list[Finding], Examined | None]:
    """Look whether what is kept is whole, and mend it if asked."""
    try:
        tenants = await tenants_of(settings) if every_tenant else None
        examined = await (mend if fix else examine)(settings, tenants)
    except LimnerError as error:
        return [Finding(check="integrity", ok=False, detail=f"cannot be told: {error}")], None
    return _told(examined), examined


def _told(examined: Examined) -> list[Finding]:
    found = [
        Finding(check="mended", ok=True, detail=f"{count:,} of kind {kind}", kind=kind, count=count)
        for kind, count in examined.mended.items()
    ]
    for each in examined.damage:
        remedy = f"--fix {each.remedy}" if each.remedy else "restore a backup, or import these again"
        if each.passing:
            remedy = f"that is done when they are needed next; {remedy} now"
        found.append(
            Finding(
                check="integrity",
                ok=each.passing,
                detail=f"{each}; {remedy}",
                kind=each.kind,
                tenant=each.tenant,
                count=each.count,
                examples=each.examples,
            )
        )
    for place, reason in examined.unseen.items():
        found.append(Finding(check="integrity", ok=False, detail=f"{place} could not be looked at: {reason}"))
    if not (examined.damage or examined.unseen):
        found.append(
            Finding(check="integrity", ok=True, detail="nothing is missing, left over or out of order")
        )
    return found


async def _examine(settings: Settings) -> list[Finding]:
    checks: dict[str, Check] = {
        "program": _program,
        "store": _store,
        "index": _index,
        "encoder": _encoder,
        "model": _model,
    }
    return [await _look(name, check, settings) for name, check in checks.items()]


async def _look(name: str, check: Check, settings: Settings) -> Finding:
    try:
        return Finding(check=name, ok=True, detail=await check(settings))
    except LimnerError as error:
        return Finding(check=name, ok=False, detail=str(error))


async def _program(settings: Settings) -> str:
    return f"limner {__version__} on Python {sys.version.split()[0]}"


async def _store(settings: Settings) -> str:
    async with open_only_store(settings) as store:
        counts = await store.counts()
    held = ", ".join(f"{count:,} {name}" for name, count in counts._asdict().items())
    return f"{store.url}, tenant {settings.tenant!r}: {held}"


async def _index(settings: Settings) -> str:
    from ..tools.chroma.chroma_catalogue import open_catalogue
    from ..tools.encoders import open_embedder

    embedder = open_embedder(
        settings.embedder, models_dir=settings.models_dir, chat=settings.chat, store=None
    )
    try:
        catalogue = await open_catalogue(
            folder=settings.store, chroma_url=settings.chroma_url, tenant=settings.tenant, embedder=embedder
        )
        try:
            indexed = len(await catalogue.item_ids())
        finally:
            await catalogue.aclose()
    finally:
        await embedder.aclose()
    return f"{indexed:,} items indexed"


async def _encoder(settings: Settings) -> str:
    from ..tools.encoders import open_embedder

    embedder = open_embedder(
        settings.embedder, models_dir=settings.models_dir, chat=settings.chat, store=None
    )
    try:
        vectors = await embedder.embed(["a quiet game for two"])
    finally:
        await embedder.aclose()
    return f"{embedder.name}, {vectors.shape[1]} dimensions"


async def _model(settings: Settings) -> str:
    from ..records import Message
    from ..tools.budget import Budget
    from ..tools.chat import ChatRequest
    from ..tools.gateway import LiteLLMChat

    if settings.model == NO_MODEL:
        return "none: portraits are extractive"
    chat = LiteLLMChat(settings.model, settings.chat, models_dir=settings.models_dir)
    request = ChatRequest(
        messages=(Message(role="user", content="Say hello."),), purpose="doctor", max_tokens=8
    )
    try:
        result = await chat.complete(request, Budget())
    finally:
        await chat.aclose()
    kind = "embedded" if settings.model.startswith(EMBEDDED) else "remote"
    return f"{result.model} ({kind}) answered {result.usage.completion_tokens} tokens in {result.usage.seconds:.1f} s"
