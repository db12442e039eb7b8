"""The last gate before a model: chat and encoder behind it never see an identifier, whoever asks."""

from collections.abc import Sequence
from dataclasses import replace

from ..budget import Budget
from ..chat import ChatModel, ChatRequest, ChatResult
from ..embedder import Embedder, FloatArray
from .screen import Screen


class ScreenedChat:
    """A model that is asked without identifiers."""

    def __init__(self, inner: ChatModel, screen: Screen) -> None:
        self._inner, self._screen = inner, screen

    @property
    def name(self) -> str:
        """Model string of the first choice."""
        return self._inner.name

    @property
    def identity(self) -> str:
        """Model, address and weights revision of the inner model."""
        return self._inner.identity

    async def complete(self, request: ChatRequest, budget: Budget) -> ChatResult:
        """Answer one request; errors are the inner model's."""
        messages = tuple(map(self._screen.message, request.messages))
        changed = messages != request.messages
        return await self._inner.complete(replace(request, messages=messages) if changed else request, budget)

    async def aclose(self) -> None:
        """Close the inner model."""
        await self._inner.aclose()


class ScreenedEmbedder:
    """An encoder that is given texts without identifiers."""

    def __init__(self, inner: Embedder, screen: Screen) -> None:
        self._inner, self._screen = inner, screen

    @property
    def name(self) -> str:
        """The encoder's own name."""
        return self._inner.name

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._inner.dimension

    async def embed(self, texts: Sequence[str]) -> FloatArray:
        """Return unit-norm vectors, in the order of `texts`."""
        return await self._inner.embed([self._screen.published(text) for text in texts])

    async def aclose(self) -> None:
        """Close the encoder."""
        await self._inner.aclose()
