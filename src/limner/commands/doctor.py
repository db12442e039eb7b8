"""Command `doctor`: can everything that the settings name be used?"""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import typer
from rich.markup import escape
from rich.table import Table

from .. import __version__
from ..doors import open_only_store
from ..errors import LimnerError
from ..settings import EMBEDDED, NO_MODEL, Settings
from .common import JsonOption, ModelOption, StoreOption, out, print_json, settings_for, wants_json

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


def doctor(model: ModelOption = None, store: StoreOption = None, as_json: JsonOption = False) -> None:
    """Check settings, store, index, weights and model; nothing is changed but an empty store is created.

    Example:  limner doctor --model gpt-5-mini
    """
    settings = settings_for(store, model=model)
    findings = asyncio.run(_examine(settings))
    if wants_json(as_json):
        print_json([asdict(finding) for finding in findings])
    else:
        table = Table("", "what", "found")
        for finding in findings:
            mark = "[green]ok[/]" if finding.ok else "[bold red]no[/]"
            table.add_row(mark, finding.check, escape(finding.detail))
        out.print(table)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)


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
