"""GGUF files of an adapter and of a merged model, read back by `gguf` and by transformers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.distill.export.adapter import LoraPair, read_adapter
from limner.distill.export.base_file import BaseFileError, sort_rows
from limner.distill.export.lora_gguf import write_lora_gguf
from limner.distill.export.merged_gguf import write_merged_gguf

Q = "model.layers.0.self_attn.q_proj"
K = "model.layers.1.self_attn.k_proj"
DOWN = "model.layers.0.mlp.down_proj"


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a file's fields, and its tensors as floats."""
    from gguf import GGUFReader, dequantize

    reader = GGUFReader(path)
    fields = {name: field.contents() for name, field in reader.fields.items() if not name.startswith("GGUF.")}
    return fields, {each.name: dequantize(each.data, each.tensor_type) for each in reader.tensors}


def _pair(rows: int, columns: int, *, rank: int = 1, scale: float = 1.0) -> LoraPair:
    a = np.arange(rank * columns, dtype=np.float32).reshape(rank, columns)
    b = np.arange(rows * rank, dtype=np.float32).reshape(rows, rank)
    return LoraPair(a, b, scale)


def test_an_adapters_file_says_what_it_is_and_sorts_queries_and_keys_head_by_head(
    models: Path, tmp_path: Path
) -> None:
    # 32 query rows are 4 heads of 8; 16 key rows 2 heads of 8.
    pairs = {Q: _pair(32, 32, scale=3.0), K: _pair(16, 32, scale=3.0), DOWN: _pair(32, 64, scale=3.0)}

    write_lora_gguf(pairs, models / "tiny.gguf", tmp_path / "a.gguf", name="mine")
    fields, tensors = _read(tmp_path / "a.gguf")

    assert fields == {
        "general.architecture": "llama",
        "general.type": "adapter",
        "general.name": "mine",
        "adapter.type": "lora",
        "adapter.lora.alpha": 3.0,  # scale 3 = alpha 3 / rank 1
    }
    assert sorted(tensors) == [
        f"blk.{layer}.weight.lora_{half}" for layer in ("0.attn_q", "0.ffn_down", "1.attn_k") for half in "ab"
    ]
    head = [0, 4, 1, 5, 2, 6, 3, 7]  # halves 0-3 and 4-7 in turn
    assert tensors["blk.0.attn_q.weight.lora_b"][:16, 0].tolist() == [*head, *(8 + row for row in head)]
    assert tensors["blk.1.attn_k.weight.lora_b"][8:, 0].tolist() == [8 + row for row in head]
    assert tensors["blk.0.ffn_down.weight.lora_b"][:, 0].tolist() == list(range(32))
    assert tensors["blk.0.attn_q.weight.lora_a"].tolist() == [list(range(32))]


def test_scales_that_differ_between_layers_are_kept(models: Path, tmp_path: Path) -> None:
    pairs = {Q: _pair(32, 32, rank=2, scale=0.25), DOWN: _pair(32, 64, rank=4, scale=2.0)}

    write_lora_gguf(pairs, models / "tiny.gguf", tmp_path / "a.gguf", name="mine")
    fields, tensors = _read(tmp_path / "a.gguf")

    for layer, tensor in ((Q, "blk.0.attn_q.weight"), (DOWN, "blk.0.ffn_down.weight")):
        a, b = tensors[f"{tensor}.lora_a"], tensors[f"{tensor}.lora_b"]
        applied = fields["adapter.lora.alpha"] / a.shape[0] * (b @ a)  # as llama.cpp applies it
        wanted = sort_rows(pairs[layer].delta, 4) if layer == Q else pairs[layer].delta
        np.testing.assert_allclose(applied, wanted, rtol=1e-3)


def test_a_merged_file_changes_only_what_the_adapter_changes(models: Path, run: Path, tmp_path: Path) -> None:
    from gguf import GGUFReader

    pairs = {layer: pair for layer, pair in read_adapter(run / "adapter").items() if "mlp" in layer}
    write_merged_gguf(pairs, models / "tiny.gguf", tmp_path / "m.gguf", name="mine")
    before, after = GGUFReader(models / "tiny.gguf"), GGUFReader(tmp_path / "m.gguf")
    fields, tensors = _read(tmp_path / "m.gguf")
    old_fields, old = _read(models / "tiny.gguf")

    assert fields == old_fields | {"general.name": "mine", "general.file_type": 7}  # 7 is MOSTLY_Q8_0
    assert [each.name for each in after.tensors] == [each.name for each in before.tensors]
    for was, now in zip(before.tensors, after.tensors, strict=True):
        block = was.name.split(".")
        if "ffn_norm" in was.name or "ffn" not in was.name:
            assert (now.tensor_type, now.data.tobytes()) == (was.tensor_type, was.data.tobytes())
            continue
        layer = f"model.layers.{block[1]}.mlp.{block[2].removeprefix('ffn_')}_proj"
        wanted = old[was.name] + pairs[layer].delta
        largest = np.abs(wanted.reshape(-1, 32)).max(axis=1, keepdims=True)
        apart = np.abs(tensors[was.name] - wanted).reshape(-1, 32)
        assert now.tensor_type.name == "Q8_0"
        # Half a step of 1/127 of the block's largest, and the 16-bit rounding of the step itself (2^-11).
        assert np.all(apart <= largest * (1 / 254 + 2**-11) + 1e-9)
        assert np.abs(wanted - old[was.name]).max() > 10 * apart.max()


def test_transformers_reads_the_merged_file_as_base_and_adapter(
    models: Path, run: Path, tiny_model: Path, tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM, GgufConfig

    from limner.distill.training.quiet import quiet

    pairs = read_adapter(run / "adapter")
    write_merged_gguf(pairs, models / "tiny.gguf", tmp_path / "m.gguf", name="mine", precision="F16")
    with quiet():
        found: Any = AutoModelForCausalLM.from_pretrained(
            tmp_path,
            gguf_file="m.gguf",
            dtype=torch.float32,
            quantization_config=GgufConfig(dequantize=True),
        )
        base: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)

    wanted = {f"{layer}.weight": pair.delta for layer, pair in pairs.items()}
    for name, weight in base.state_dict().items():
        both = weight.numpy() + wanted.get(name, np.float32(0.0))
        np.testing.assert_allclose(found.state_dict()[name].numpy(), both, atol=2e-3)
    assert wanted.keys() <= base.state_dict().keys()


def test_an_adapter_of_another_model_is_refused(models: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    with pytest.raises(BaseFileError, match=r"has shape \(32, 48\), but its tensor has shape \(32, 32\)"):
        write_lora_gguf({Q: _pair(32, 48)}, models / "tiny.gguf", target, name="mine")
    with pytest.raises(BaseFileError, match="but its tensor is not in the file"):
        write_lora_gguf(
            {"model.layers.5.mlp.up_proj": _pair(64, 32)}, models / "tiny.gguf", target, name="mine"
        )
    assert not target.exists()


def test_a_base_that_is_no_known_gguf_file_is_refused(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    (tmp_path / "words.gguf").write_bytes(b"not a model at all, only words")
    writer = GGUFWriter(tmp_path / "mamba.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    for file, reason in (("words", "cannot be read as GGUF"), ("mamba", "architecture is 'mamba'")):
        with pytest.raises(BaseFileError, match=reason):
            write_lora_gguf({Q: _pair(32, 32)}, tmp_path / f"{file}.gguf", tmp_path / "a.gguf", name="mine")
