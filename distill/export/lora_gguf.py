"""A LoRA adapter as a GGUF file, for llama.cpp to lay over the base's GGUF file.

Source:
    The file's form is that of `convert_lora_to_gguf.py` in llama.cpp, as read by its `llama-adapter.cpp`. Only
    the scale is written otherwise: llama.cpp applies `alpha / rank` with one `alpha` for the whole file, so where
    ranks or alphas differ between layers, the difference goes into `lora_b`.
"""

from pathlib import Path

import numpy as np

from .adapter import LoraPair
from .base_file import architecture, open_base, place


def write_lora_gguf(pairs: dict[str, LoraPair], base: Path, target: Path, *, name: str) -> int:
    """Write an adapter's pairs as 16-bit floats; return the file's bytes.

    Args:
        pairs: From `read_adapter`.
        base: GGUF file that the adapter is for.
        target: File to write.
        name: Name of the adapter, kept in the file.

    Raises:
        MissingExtraError: `gguf` is not installed.
        BaseFileError: The base is no GGUF file, or the adapter is another model's.
    """
    reader = open_base(base)
    placed = place(reader, base, pairs)

    from gguf import GGUFWriter, Keys

    alpha = placed[0].pair.scale * placed[0].pair.rank
    writer = GGUFWriter(target, architecture(reader))
    try:
        writer.add_type("adapter")
        writer.add_name(name)
        writer.add_string(Keys.Adapter.TYPE, "lora")
        writer.add_float32(Keys.Adapter.LORA_ALPHA, alpha)
        for tensor, pair in placed:
            writer.add_tensor(f"{tensor}.lora_a", pair.a.astype(np.float16))
            scaled = np.float32(pair.scale * pair.rank / alpha) * pair.b
            writer.add_tensor(f"{tensor}.lora_b", scaled.astype(np.float16))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return target.stat().st_size
