"""The tokenizer inside a GGUF file, without loading the model.

Source: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md for the layout.
"""

import importlib
import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_NUMBERS = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    4: "<I",
    5: "<i",
    6: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}
_PREFIX = "tokenizer.ggml."
_WANTED = {f"{_PREFIX}{name}" for name in ("model", "pre", "tokens", "merges")}

_GPT2 = r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
_LLAMA3 = _QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
_SPLITS = {
    "gpt-2": (_GPT2,),
    "default": (_GPT2,),
    "smollm": (r"\p{N}", _GPT2),
    "qwen2": (_QWEN2,),
    "llama-bpe": (_LLAMA3,),
}
"""How texts are split before pairs are merged, by the file's `pre`."""


class _Bytes:
    """Reads values one after the other."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._place = data, 0

    def number(self, kind: str) -> Any:
        (value,) = struct.unpack_from(kind, self._data, self._place)
        self._place += struct.calcsize(kind)
        return value

    def string(self) -> str:
        length = self.number("<Q")
        start, self._place = self._place, self._place + length
        if self._place > len(self._data):
            raise ValueError("ends within a text")
        return self._data[start : self._place].decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind == _STRING:
            return self.string()
        if kind == _ARRAY:
            inner, count = self.number("<I"), self.number("<Q")
            return [self.value(inner) for _ in range(count)]
        return self.number(_NUMBERS[kind])


def read_tokenizer(path: Path) -> Any:
    """Return the file's byte-pair tokenizer as a `tokenizers.Tokenizer`.

    Raises:
        ValueError: The file is no GGUF file, or its tokenizer is of another kind.
        OSError: The file cannot be read.
    """
    try:
        found = dict(_fields(path))
    except (struct.error, KeyError) as error:
        raise ValueError(f"{path} is not a readable GGUF file: {error}") from error
    splits = _SPLITS.get(str(found.get(f"{_PREFIX}pre", "default")))
    if (
        found.get(f"{_PREFIX}model") != "gpt2"
        or splits is None
        or not _WANTED - {f"{_PREFIX}pre"} <= found.keys()
    ):
        raise ValueError(f"{path} has no byte-pair tokenizer of a known form")
    return _built(found[f"{_PREFIX}tokens"], found[f"{_PREFIX}merges"], splits)


def _fields(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the wanted entries of a file's header and stop behind the last."""
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if data[:4] != _MAGIC:
            raise ValueError(f"{path} is not a GGUF file")
        source = _Bytes(data)
        source.number("<I")
        if source.number("<I") not in _VERSIONS:
            raise ValueError(f"{path} is a GGUF file of another version")
        source.number("<Q")
        left = set(_WANTED)
        for _ in range(source.number("<Q")):
            name, value = source.string(), source.value(source.number("<I"))
            if name in left:
                left.discard(name)
                yield name, value
            if not left:
                return


def _built(tokens: list[str], merges: list[str], splits: tuple[str, ...]) -> Any:
    library: Any = importlib.import_module("tokenizers")  # ships partial types
    pairs = [tuple(merge.split(" ", 1)) for merge in merges]
    tokenizer = library.Tokenizer(
        library.models.BPE(vocab={token: place for place, token in enumerate(tokens)}, merges=pairs)
    )
    before = [library.pre_tokenizers.Split(library.Regex(split), behavior="isolated") for split in splits]
    last = library.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = library.pre_tokenizers.Sequence([*before, last])
    return tokenizer
