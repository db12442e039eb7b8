"""Open the doors that the settings name."""

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from .sections import ChatSettings
from .settings import EMBEDDED, NO_MODEL, Settings

if TYPE_CHECKING:
    from langgraph.checkpoint.base import BaseCheckpointSaver

    from .tools.catalogue import Catalogue
    from .tools.chat import ChatModel
    from .tools.embedder import Embedder
    from .tools.sql.sql_store import SqlStore
    from .tools.store import Store


class Closable(Protocol):
    """Anything that must be released."""

    async def aclose(self) -> None:
        """Release it."""
        ...


@dataclass(frozen=True, kw_only=True)
class Doors:
    """The open doors."""

    store: "Store"
    embedder: "Embedder"
    catalogue: "Catalogue"
    chat: "ChatModel | None"
    """Absent to draw without a language model."""

    saver: "BaseCheckpointSaver[Any]"


@asynccontextmanager
async def open_only_store(settings: Settings) -> "AsyncGenerator[SqlStore]":
    """Open the store that the settings name, and nothing else, and close it at the end.

    Raises:
        StoreError: The database cannot be opened.
    """
    from .tools.sql.sql_store import open_store

    url = settings.database_url.get_secret_value() if settings.database_url else None
    store = await open_store(folder=settings.store, database_url=url, tenant=settings.tenant)
    try:
        yield store
    finally:
        await store.aclose()


async def open_doors(
    settings: Settings, stack: AsyncExitStack, *, chat: "ChatModel | None" = None, rebuild_index: bool = False
) -> Doors:
    """Open store, embedder, catalogue, checkpoints and chat; `stack` closes them in reverse.

    Args:
        settings: Where and what they are; `model = "none"` opens no chat.
        stack: Closes what was opened.
        chat: A model to use in place of the one named by the settings.
        rebuild_index: Open an index that cannot be used as it is, to be reset.

    Raises:
        StoreError: The database or the index cannot be opened.
        EncoderChangedError: The index holds vectors of another encoder.
        WeightsMissingError: The encoder's weights are not on disk.
    """
    from .agents.drawing import STATE_TYPES
    from .tools.checkpoints import open_checkpointer
    from .tools.chroma.chroma_catalogue import open_catalogue
    from .tools.encoders import open_embedder
    from .tools.gateway import LiteLLMChat

    store = await stack.enter_async_context(open_only_store(settings))
    embedder = open_embedder(
        settings.embedder,
        models_dir=settings.models_dir,
        chat=settings.chat,
        store=store,
        chat_model=settings.model,
    )
    _close_with(stack, embedder)
    catalogue = await open_catalogue(
        folder=settings.store,
        chroma_url=settings.chroma_url,
        tenant=settings.tenant,
        embedder=embedder,
        rebuild=rebuild_index,
    )
    _close_with(stack, catalogue)
    url = settings.database_url.get_secret_value() if settings.database_url else None
    saver = await stack.enter_async_context(
        open_checkpointer(folder=settings.store, database_url=url, state_types=STATE_TYPES)
    )
    if chat is None and settings.model != NO_MODEL:
        chat = LiteLLMChat(settings.model, _chat_settings(settings), models_dir=settings.models_dir)
        _close_with(stack, chat)
    return Doors(store=store, embedder=embedder, catalogue=catalogue, chat=chat, saver=saver)


def _chat_settings(settings: Settings) -> ChatSettings:
    """Keep few calls waiting inside the embedded model: waiting there counts against a call's timeout."""
    if not settings.model.startswith(EMBEDDED):
        return settings.chat
    return settings.chat.model_copy(update={"concurrency": 2 * settings.chat.parallel})


def _close_with(stack: AsyncExitStack, door: Closable) -> None:
    stack.push_async_callback(door.aclose)
