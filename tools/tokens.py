"""How many tokens a text is for a model, told without asking it.

An embedded model is counted by its own tokenizer, out of its weights. A model of OpenAI's is counted by LiteLLM
with that model's own. LiteLLM has no tokenizer of other hosted models that needs no download, so they get what
OpenAI's makes of the text and a quarter more. Without a model, and where weights cannot be read, the count is an
estimate from the letters alone, which is too high for words and about right for what is none.
"""

import math
import re
import threading
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Protocol

from ..errors import WeightsError
from ..settings import EMBEDDED, NO_MODEL

_OPENAI = ("gpt-", "o1", "o3", "o4", "chatgpt-", "openai/", "azure/", "text-embedding-")
_MARGIN = 1.25
_LETTERS_PER_TOKEN = 3
_PIECE = re.compile(r"(?P<word>[A-Za-z]+)|(?P<blank>\s+)|(?P<other>.)", re.DOTALL)
_COUNTING = threading.Lock()


class TokenCounter(Protocol):
    """Counts tokens; safe to use from several threads."""

    @property
    def name(self) -> str:
        """Whose tokens they are."""
        ...

    def count(self, text: str) -> int:
        """Return how many tokens a text is, without what a chat template adds around a message."""
        ...


class EstimatedTokens:
    """The fallback: no tokenizer, only letters.

    A word of the Latin letters a to z is a token for every three letters begun, every run of blanks but a single
    one is a token, and whatever else is a token for each of its UTF-8 bytes, two for three of them beyond ASCII.
    """

    name = "estimate"

    def count(self, text: str) -> int:
        """Return an estimate that words seldom exceed.

        Examples:
            >>> EstimatedTokens().count("Enjoys quiet crime novels.")  # 2 + 2 + 2 + 2 + 1
            9
        """
        return sum(map(_estimate, _PIECE.finditer(text)))


class EmbeddedTokens:
    """The tokenizer of an embedded model.

    Args:
        name: The model string.
        tokenizer: A `tokenizers.Tokenizer`, which has no types.
    """

    def __init__(self, name: str, tokenizer: Any) -> None:
        self.name, self._tokenizer = name, tokenizer

    def count(self, text: str) -> int:
        """Return the number of tokens."""
        return len(self._tokenizer.encode(text, add_special_tokens=False).ids)


class LiteLLMTokens:
    """LiteLLM's count for a hosted model; the first one imports LiteLLM."""

    def __init__(self, name: str) -> None:
        self.name = name

    def count(self, text: str) -> int:
        """Return the number of tokens; of a model that is not OpenAI's, an upper estimate."""
        from .backends import load_litellm

        with _COUNTING:  # its tokenizers are made on first use
            known = self.name.startswith(_OPENAI)
            found = int(load_litellm().token_counter(model=self.name if known else "", text=text))
        return found if known else math.ceil(found * _MARGIN)


def open_counter(model: str, models_dir: Path) -> TokenCounter:
    """Return the counter of a model; reading an embedded model's tokenizer takes a part of a second, once.

    Args:
        model: Model string; `none` and weights that are missing or unreadable give the estimate.
        models_dir: Folder that weights lie in.
    """
    if model == NO_MODEL:
        return EstimatedTokens()
    if not model.startswith(EMBEDDED):
        return LiteLLMTokens(model)
    from .profilers import model_files

    try:
        weights = model_files(model.removeprefix(EMBEDDED), models_dir).weights
        status = weights.stat()
        tokenizer = _read(weights, status.st_size, status.st_mtime_ns)
    except (WeightsError, OSError, ValueError):  # whoever asks the model for an answer is told what is wrong
        return EstimatedTokens()
    return EmbeddedTokens(model, tokenizer)


@lru_cache(maxsize=4)
def _read(weights: Path, size: int, changed: int) -> Any:
    """Read a tokenizer once for each state of a file."""
    from .gguf_tokenizer import read_tokenizer

    return read_tokenizer(weights)


def _estimate(piece: re.Match[str]) -> int:
    if piece["word"]:
        return math.ceil(len(piece["word"]) / _LETTERS_PER_TOKEN)
    if piece["blank"]:
        return 0 if piece["blank"] == " " else len(piece["blank"])
    return _of_character(piece["other"])


@cache
def _of_character(character: str) -> int:
    size = len(character.encode("utf-8", "surrogatepass"))
    return 1 if size == 1 else math.ceil(size * 2 / 3)
