"""A base's GGUF file with a LoRA adapter merged into it; tensors that the adapter leaves alone are copied."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from .adapter import LoraPair
from .base_file import architecture, open_base, place

if TYPE_CHECKING:
    from gguf import GGUFReader, GGUFWriter, ReaderTensor

Precision = Literal["Q8_0", "F16"]

_FILE_TYPE = "general.file_type"
_OWN = frozenset(
    {"general.architecture", "general.name", "GGUF.version", "GGUF.tensor_count", "GGUF.kv_count"}
)
"""Fields that the writer writes itself."""


def write_merged_gguf(
    pairs: dict[str, LoraPair], base: Path, target: Path, *, name: str, precision: Precision = "Q8_0"
) -> int:
    """Write a GGUF file of the whole model; return its bytes.

    One tensor at a time is in memory. Q8_0 rounds a weight to a 254th of the range of its block of 32.

    Args:
        pairs: From `read_adapter`.
        base: GGUF file that the adapter was trained on.
        target: File to write.
        name: Name of the model, kept in the file.
        precision: Of the tensors that the adapter changes.

    Raises:
        MissingExtraError: `gguf` is not installed.
        BaseFileError: The base is no GGUF file, or the adapter is another model's.
    """
    reader = open_base(base)
    placed = dict(place(reader, base, pairs))

    from gguf import GGMLQuantizationType, GGUFWriter, LlamaFileType

    kind = GGMLQuantizationType[precision]
    writer = GGUFWriter(target, architecture(reader))
    try:
        writer.add_name(name)
        changed = {_FILE_TYPE: int(LlamaFileType[f"MOSTLY_{precision}"])}
        _copy_fields(reader, writer, changed)
        for tensor in reader.tensors:
            _announce(writer, tensor, kind if tensor.name in placed else None)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for tensor in reader.tensors:
            pair = placed.get(tensor.name)
            writer.write_tensor_data(tensor.data if pair is None else _merged(tensor, pair, kind))
    finally:
        writer.close()
    return target.stat().st_size


def _copy_fields(reader: "GGUFReader", writer: "GGUFWriter", changed: Mapping[str, object]) -> None:
    from gguf import GGUFValueType

    for field in reader.fields.values():
        if field.name in _OWN:
            continue
        kind = field.types[0]
        inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, changed.get(field.name, field.contents()), kind, sub_type=inner)


def _announce(writer: "GGUFWriter", tensor: "ReaderTensor", kind: Any) -> None:
    """Tell the writer what will come; a tensor that changes comes as `kind`."""
    from gguf import quant_shape_to_byte_shape

    if kind is None:
        data = tensor.data
        writer.add_tensor_info(tensor.name, data.shape, data.dtype, data.nbytes, tensor.tensor_type)
        return
    shape = tuple(int(size) for size in reversed(tensor.shape))
    if kind.name == "F16":
        writer.add_tensor_info(tensor.name, shape, np.dtype(np.float16), 2 * int(np.prod(shape)), kind)
        return
    stored = quant_shape_to_byte_shape(shape, kind)
    writer.add_tensor_info(tensor.name, stored, np.dtype(np.uint8), int(np.prod(stored)), kind)


def _merged(tensor: "ReaderTensor", pair: LoraPair, kind: Any) -> npt.NDArray[Any]:
    from gguf import dequantize, quantize

    return quantize(dequantize(tensor.data, tensor.tensor_type) + pair.delta, kind)
