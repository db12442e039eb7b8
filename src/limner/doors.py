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
    from .tools.privacy.screen import Screen
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
    """Behind the screen: what models may read of people's words, and keeps what may be kept; see `tools.privacy`."""

    recorded: "Store"
    """The same without the screen: what was recorded, as it was, for its owner."""

    screen: "Screen"
    embedder: "Embedder"
    catalogue: "Catalogue"
    chat: "ChatModel | None"
    """Absent to draw without a language model."""

    saver: "BaseCheckpointSaver[Any]"


@dataclass(frozen=True, kw_only=True)
class Lent:
    """Doors that several tenants of one process share; whoever lends them closes them."""

    store: "SqlStore"
    """A store whose connections every tenant's store uses."""

    embedder: "Embedder"
    """The encoder; each tenant caches its vectors in its own store."""

    chat: "ChatModel | None"
    """The model that the settings name; absent to draw without one."""

    saver: "BaseCheckpointSaver[Any]"
    """Checkpoints; each run's name depends on its tenant."""


@asynccontextmanager
async def open_only_store(settings: Settings) -> "AsyncGenerator[SqlStore]":
    """Open the store that the settings name, and nothing else, and close it at the end.

    Raises:
        StoreError: The database cannot be opened.
    """
    from .tools.sql.sql_store import open_store

    url = settings.database_url.get_secret_value() if settings.database_url else None
    store = await open_store(
        folder=settings.store, database_url=url, tenant=settings.tenant, kept=settings.database
    )
    try:
        yield store
    finally:
        await store.aclose()


async def open_doors(
    settings: Settings,
    stack: AsyncExitStack,
    *,
    chat: "ChatModel | None" = None,
    rebuild_index: bool = False,
    lent: Lent | None = None,
) -> Doors:
    """Open store, embedder, catalogue, checkpoints and chat; `stack` closes them in reverse.

    Args:
        settings: Where and what they are; `model = "none"` opens no chat.
        stack: Closes what was opened.
        chat: A model to use in place of the one named by the settings.
        rebuild_index: Open an index that cannot be used as it is, to be reset.
        lent: What this process has open already; only what belongs to the tenant alone is opened then.

    Raises:
        StoreError: The database or the index cannot be opened.
        EncoderChangedError: The index holds vectors of another encoder.
        WeightsMissingError: The encoder's weights are not on disk.
    """
    from .tools.chroma.chroma_catalogue import open_catalogue
    from .tools.embedder import HashingEmbedder
    from .tools.encoders import cached
    from .tools.privacy.screen import Screen
    from .tools.privacy.screened_models import ScreenedChat, ScreenedEmbedder
    from .tools.privacy.screened_store import ScreenedStore

    lent = lent or await open_shared(settings, stack, chat=chat)
    screen = Screen(settings.privacy.of_tenant(settings.tenant))
    recorded = lent.store.for_tenant(settings.tenant)
    store = ScreenedStore(recorded.engine, settings.tenant, screen)
    double = isinstance(lent.embedder, HashingEmbedder)
    embedder = cached(lent.embedder if double else ScreenedEmbedder(lent.embedder, screen), store)
    model = chat or lent.chat
    catalogue = await open_catalogue(
        folder=settings.store,
        chroma_url=settings.chroma_url,
        tenant=settings.tenant,
        embedder=embedder,
        rebuild=rebuild_index,
    )
    _close_with(stack, catalogue)
    return Doors(
        store=store,
        recorded=recorded,
        screen=screen,
        embedder=embedder,
        catalogue=catalogue,
        chat=ScreenedChat(model, screen) if model else None,
        saver=lent.saver,
    )


async def open_shared(settings: Settings, stack: AsyncExitStack, *, chat: "ChatModel | None" = None) -> Lent:
    """Open what all tenants of a process can share; `stack` closes it in reverse.

    Args:
        settings: Where and what it is.
        stack: Closes what was opened.
        chat: A model to use in place of the one named by the settings; it stays the caller's to close.

    Raises:
        StoreError: The database cannot be opened.
        WeightsMissingError: The encoder's weights are not on disk.
    """
    from .agents.drawing import STATE_TYPES
    from .tools.checkpoints import open_checkpointer
    from .tools.encoders import open_encoder
    from .tools.gateway import LiteLLMChat

    store = await stack.enter_async_context(open_only_store(settings))
    encoder = open_encoder(
        settings.embedder, models_dir=settings.models_dir, chat=settings.chat, chat_model=settings.model
    )
    _close_with(stack, encoder)
    url = settings.database_url.get_secret_value() if settings.database_url else None
    saver = await stack.enter_async_context(
        open_checkpointer(
            folder=settings.store,
            database_url=url,
            state_types=STATE_TYPES,
            most_connections=settings.database.checkpoints,
        )
    )
    if chat is None and settings.model != NO_MODEL:
        chat = LiteLLMChat(settings.model, _chat_settings(settings), models_dir=settings.models_dir)
        _close_with(stack, chat)
    return Lent(store=store, embedder=encoder, chat=chat, saver=saver)


def _chat_settings(settings: Settings) -> ChatSettings:
    """Keep few calls waiting inside the embedded model: waiting there counts against a call's timeout."""
    if not settings.model.startswith(EMBEDDED):
        return settings.chat
    return settings.chat.model_copy(update={"concurrency": 2 * settings.chat.parallel})


def _close_with(stack: AsyncExitStack, door: Closable) -> None:
    stack.push_async_callback(door.aclose)
