"""Adapters as arrays: every kind of scale, and what is refused."""

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.distill.export.adapter import AdapterError, read_adapter

SAFETENSORS: Any = importlib.import_module("safetensors.numpy")  # its types are not complete
Q = "model.layers.0.self_attn.q_proj"
DOWN = "model.layers.1.mlp.down_proj"


def _adapter(folder: Path, tensors: dict[str, Any] | None = None, **config: Any) -> Path:
    """Write an adapter of rank 2 on two layers, by hand."""
    folder.mkdir()
    given = {"peft_type": "LORA", "r": 2, "lora_alpha": 8, **config}
    (folder / "adapter_config.json").write_text(json.dumps(given))
    if tensors is None:
        tensors = {}
        for layer in (Q, DOWN):
            tensors[f"base_model.model.{layer}.lora_A.weight"] = np.array([[1, 2, 3], [0, 1, 0]], np.float32)
            tensors[f"base_model.model.{layer}.lora_B.weight"] = np.array([[1, 0], [0, 2]], np.float32)
    SAFETENSORS.save_file(tensors, folder / "adapter_model.safetensors")
    return folder


def test_a_pair_adds_the_scaled_product(tmp_path: Path) -> None:
    pairs = read_adapter(_adapter(tmp_path / "a"))

    assert sorted(pairs) == [Q, DOWN]
    # alpha / rank = 8 / 2 = 4; b @ a = [[1, 2, 3], [0, 2, 0]]
    assert pairs[Q].delta.tolist() == [[4, 8, 12], [0, 8, 0]]


@pytest.mark.parametrize(
    ("config", "scales"),
    [
        ({}, {Q: 4.0, DOWN: 4.0}),
        ({"use_rslora": True, "lora_alpha": 3}, {Q: 3 / 2**0.5, DOWN: 3 / 2**0.5}),
        ({"alpha_pattern": {"q_proj": 1}}, {Q: 0.5, DOWN: 4.0}),
        (
            {"alpha_pattern": {r"layers\.1\..*": 16, "proj": 99}},
            {Q: 4.0, DOWN: 8.0},
        ),  # `proj` is no whole name
    ],
)
def test_a_layer_is_scaled_as_peft_scales_it(
    tmp_path: Path, config: dict[str, Any], scales: dict[str, float]
) -> None:
    pairs = read_adapter(_adapter(tmp_path / "a", **config))

    assert {layer: pair.scale for layer, pair in pairs.items()} == pytest.approx(scales)


def test_peft_agrees_about_every_layer(run: Path, tiny_model: Path) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from limner.distill.training.quiet import quiet

    with quiet():
        base: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
        trained = PeftModel.from_pretrained(base, str(run / "adapter"))
    pairs = read_adapter(run / "adapter")

    assert len(pairs) == 14  # seven linear layers in each of two blocks
    for layer, pair in pairs.items():
        theirs: Any = trained.get_base_model().get_submodule(layer)
        np.testing.assert_allclose(pair.delta, theirs.get_delta_weight("default").detach(), atol=1e-6)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"peft_type": "IA3"}, "`peft_type` is 'IA3'"),
        ({"use_dora": True}, "uses use_dora"),
        ({"bias": "all", "modules_to_save": ["lm_head"]}, "uses modules_to_save, bias"),
    ],
)
def test_what_changes_more_than_linear_layers_is_refused(
    tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    with pytest.raises(AdapterError, match=reason):
        read_adapter(_adapter(tmp_path / "a", **config))


def test_an_adapter_that_adds_nothing_is_refused(own_run: Path) -> None:
    path = own_run / "adapter" / "adapter_model.safetensors"
    tensors = SAFETENSORS.load_file(path)
    SAFETENSORS.save_file({name: value * (".lora_A." in name) for name, value in tensors.items()}, path)

    with pytest.raises(AdapterError, match="adds exactly nothing, as an untrained"):
        read_adapter(own_run / "adapter")


@pytest.mark.parametrize(
    ("tensors", "reason"),
    [
        ({"base_model.model.x.lora_embedding_A": np.ones((2, 3), np.float32)}, "is no half of a pair"),
        ({f"base_model.model.{Q}.lora_A.weight": np.ones((2, 3), np.float32)}, "lacks a half"),
        (
            {
                f"base_model.model.{Q}.lora_A.weight": np.ones((2, 3), np.float32),
                f"base_model.model.{Q}.lora_B.weight": np.ones((2, 3), np.float32),
            },
            "the halves do not fit",
        ),
    ],
)
def test_tensors_that_are_no_pairs_are_refused(tmp_path: Path, tensors: dict[str, Any], reason: str) -> None:
    with pytest.raises(AdapterError, match=reason):
        read_adapter(_adapter(tmp_path / "a", tensors))


def test_a_folder_without_an_adapter_is_named(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"adapter_config\.json cannot be read"):
        read_adapter(tmp_path)
    folder = _adapter(tmp_path / "a")
    (folder / "adapter_model.safetensors").write_bytes(b"x" * 7)
    with pytest.raises(AdapterError, match=r"adapter_model\.safetensors cannot be read"):
        read_adapter(folder)
