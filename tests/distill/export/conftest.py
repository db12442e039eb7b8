"""A tiny model as a GGUF file, written here by hand, and a run that trained an adapter for it."""

import importlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.distill.training.quiet import quiet

NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
HEADS = {"attn_q": 4, "attn_k": 2}


def _turned(weight: Any, heads: int) -> Any:
    """Interleave the two halves of every head's rows, written out row by row."""
    size = len(weight) // heads
    order = [
        head * size + half * (size // 2) + row
        for head in range(heads)
        for row in range(size // 2)
        for half in range(2)
    ]
    return weight[order]


def _tensor_name(name: str) -> str:
    top = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
    if name in top:
        return top[name]
    _, _, block, part = name.split(".", 3)
    return f"blk.{block}.{NAMES[part]}"


def _write_gguf(folder: Path, target: Path) -> None:
    """Write a Hugging Face folder of a small Llama as llama.cpp reads it, in 32-bit floats."""
    from gguf import GGUFWriter, TokenType

    read: Any = importlib.import_module("safetensors.numpy")
    config = json.loads((folder / "config.json").read_text())
    vocabulary = json.loads((folder / "tokenizer.json").read_text())["model"]["vocab"]
    tokens = sorted(vocabulary, key=vocabulary.__getitem__)
    writer = GGUFWriter(target, "llama")
    writer.add_name("Tiny")
    writer.add_license("mit")
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_dimension_count(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(0)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    special = [TokenType.CONTROL if token.startswith("<|") else TokenType.NORMAL for token in tokens]
    writer.add_token_types(special)
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(False)
    writer.add_chat_template((folder / "chat_template.jinja").read_text())
    for name, weight in read.load_file(folder / "model.safetensors").items():
        tensor = _tensor_name(name.removesuffix(".weight"))
        heads = HEADS.get(tensor.split(".")[-1])
        writer.add_tensor(f"{tensor}.weight", weight if heads is None else _turned(weight, heads))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="session")
def models(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A models folder with the tiny model as `tiny.gguf`; tests must not change it."""
    pytest.importorskip("gguf", reason="the extra `train` is not installed")
    folder = tmp_path_factory.mktemp("models")
    _write_gguf(tiny_model, folder / "tiny.gguf")
    return folder


@pytest.fixture
def own_models(models: Path, tmp_path: Path) -> Path:
    """A models folder that a test may change."""
    return Path(shutil.copytree(models, tmp_path / "models"))


@pytest.fixture(scope="session")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's folder with an adapter of large weights over the tiny model; tests must not change it."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    folder = tmp_path_factory.mktemp("trained") / "run"
    draw = np.random.default_rng(0)
    with quiet():
        model: Any = AutoModelForCausalLM.from_pretrained(tiny_model, dtype=torch.float32)
        config = LoraConfig(r=4, lora_alpha=6, target_modules="all-linear", task_type="CAUSAL_LM")
        adapted = get_peft_model(model, config)
    for name, weight in adapted.named_parameters():
        if "lora_" in name:
            drawn = draw.normal(0.0, 0.2, tuple(weight.shape)).astype(np.float32)
            weight.data.copy_(torch.from_numpy(drawn))
    adapted.save_pretrained(str(folder / "adapter"))
    settings = {"base": str(tiny_model), "method": "raft", "seed": 7, "rank": 4}
    record = {"identity": {"settings": settings}, "steps": 40, "seconds": 1800.0, "device": "cpu"}
    (folder / "run.json").write_text(json.dumps(record))
    return folder


@pytest.fixture
def own_run(run: Path, tmp_path: Path) -> Path:
    """A run's folder that a test may change."""
    return Path(shutil.copytree(run, tmp_path / "run"))
