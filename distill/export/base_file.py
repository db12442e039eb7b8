"""A base model as a GGUF file: which tensor a layer's weight became, and how its rows were put."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ...errors import InputError, MissingExtraError
from .adapter import FloatArray, LoraPair

if TYPE_CHECKING:
    from gguf import GGUFReader

# llama.cpp turns pairs of neighbouring values in these, so its converters sort the rows of queries and keys;
# in the others it turns the halves of a head, as transformers does.
_SORTED = frozenset({"llama"})
_AS_THEY_ARE = frozenset({"qwen2", "qwen3"})


class BaseFileError(InputError):
    """A GGUF file cannot be the base of an adapter."""

    code = "base_file"

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason
        super().__init__(path, reason)

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}; give the GGUF file of the model that the adapter was trained on"


class Placed(NamedTuple):
    """An adapter's pair in the order of a GGUF file."""

    tensor: str
    """Name of the tensor that it changes."""

    pair: LoraPair
    """Its rows are those of the tensor."""


def open_base(path: Path) -> "GGUFReader":
    """Open a GGUF file without reading its tensors.

    Raises:
        MissingExtraError: `gguf` is not installed.
        BaseFileError: It is no GGUF file, or of an architecture whose order of rows is not known here.
    """
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise MissingExtraError("writing GGUF files", "train") from error
    try:
        reader = GGUFReader(path)
    except (OSError, ValueError) as error:
        raise BaseFileError(str(path), f"cannot be read as GGUF: {error}") from error
    known = sorted(_SORTED | _AS_THEY_ARE)
    if architecture(reader) not in known:
        raise BaseFileError(
            str(path), f"its architecture is {architecture(reader)!r}, and only {known} are known"
        )
    return reader


def architecture(reader: "GGUFReader") -> str:
    """Return the architecture's name in llama.cpp."""
    return str(value(reader, "general.architecture"))


def value(reader: "GGUFReader", key: str) -> object:
    """Return a metadata value; `None` if the file has none of this key."""
    field = reader.get_field(key)
    return None if field is None else field.contents()


def place(reader: "GGUFReader", path: Path, pairs: dict[str, LoraPair]) -> list[Placed]:
    """Return an adapter's pairs by the tensors of a GGUF file, in the file's order.

    Raises:
        BaseFileError: A layer has no tensor, or one of another shape: the adapter is another model's.
    """
    from gguf import MODEL_ARCH_NAMES, TensorNameMap

    name = architecture(reader)
    arch = next(arch for arch, known in MODEL_ARCH_NAMES.items() if known == name)
    names = TensorNameMap(arch, _number(reader, "block_count"))
    shapes = {tensor.name: tuple(int(size) for size in reversed(tensor.shape)) for tensor in reader.tensors}
    placed: dict[str, Placed] = {}
    for layer, pair in pairs.items():
        tensor = f"{names.get_name(layer)}.weight"
        shape = (pair.b.shape[0], pair.a.shape[1])
        if shapes.get(tensor) != shape:
            has = f"has shape {shapes[tensor]}" if tensor in shapes else "is not in the file"
            raise BaseFileError(
                str(path), f"layer {layer!r} of the adapter has shape {shape}, but its tensor {has}"
            )
        placed[tensor] = Placed(tensor, _sorted(reader, tensor, pair))
    return [placed[tensor] for tensor in shapes if tensor in placed]


def sort_rows(rows: FloatArray, heads: int) -> FloatArray:
    """Put the rows of a projection in llama.cpp's order: in each head, first of both halves, second of both….

    Args:
        rows: Shape `(heads * size, …)`, in transformers' order.
        heads: Heads that the projection makes.

    Source:
        `LlamaModel.permute` in llama.cpp's `convert_hf_to_gguf.py`.

    Examples:
        >>> import numpy as np
        >>> sort_rows(np.arange(8.0, dtype=np.float32), heads=2).astype(int).tolist()
        [0, 2, 1, 3, 4, 6, 5, 7]
    """
    halves = rows.reshape(heads, 2, rows.shape[0] // heads // 2, *rows.shape[1:])
    return halves.swapaxes(1, 2).reshape(rows.shape)


def _sorted(reader: "GGUFReader", tensor: str, pair: LoraPair) -> LoraPair:
    """Sort the rows of `b`, which are those of the tensor; `a` faces the layer's input, which nobody sorted."""
    heads = _number(reader, "attention.head_count")
    if architecture(reader) not in _SORTED:
        return pair
    if tensor.endswith("attn_q.weight"):
        return pair._replace(b=sort_rows(pair.b, heads))
    if tensor.endswith("attn_k.weight"):
        own = value(reader, f"{architecture(reader)}.attention.head_count_kv")
        return pair._replace(b=sort_rows(pair.b, int(str(own)) if own is not None else heads))
    return pair


def _number(reader: "GGUFReader", key: str) -> int:
    return int(str(value(reader, f"{architecture(reader)}.{key}")))
