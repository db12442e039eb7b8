"""A PEFT LoRA adapter, read from its folder as plain arrays."""

import importlib
import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ...errors import InputError, MissingExtraError

FloatArray = npt.NDArray[np.float32]

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"

_PREFIX = "base_model.model."
_PARTS = {".lora_A.weight": "a", ".lora_B.weight": "b"}
_REFUSED = (
    "use_dora",
    "use_qalora",
    "lora_bias",
    "fan_in_fan_out",
    "modules_to_save",
    "trainable_token_indices",
)


class AdapterError(InputError):
    """A folder holds no LoRA adapter that can be exported."""

    code = "adapter"

    def __init__(self, folder: str, reason: str) -> None:
        self.folder, self.reason = folder, reason
        super().__init__(folder, reason)

    def __str__(self) -> str:
        return (
            f"{self.folder}: {self.reason}; give the folder that PEFT's `save_pretrained` wrote for a LoRA of "
            "linear layers"
        )


class LoraPair(NamedTuple):
    """What an adapter adds to one linear layer: `scale * b @ a`, of the layer's own shape `(out, in)`."""

    a: FloatArray
    """Shape `(rank, in)`."""

    b: FloatArray
    """Shape `(out, rank)`."""

    scale: float
    """`alpha / rank`; `alpha / sqrt(rank)` for rank-stabilised LoRA."""

    @property
    def rank(self) -> int:
        """Inner dimension."""
        return int(self.a.shape[0])

    @property
    def delta(self) -> FloatArray:
        """What is added to the layer's weight, shape `(out, in)`."""
        return np.float32(self.scale) * (self.b @ self.a)


def read_adapter(folder: Path) -> dict[str, LoraPair]:
    """Return an adapter's pairs by the name of their layer, such as `model.layers.0.self_attn.q_proj`.

    Raises:
        MissingExtraError: The extra `train` is not installed.
        AdapterError: There is no LoRA adapter, one of a kind that changes more than linear layers, or one
            that adds nothing anywhere.
    """
    try:
        safetensors: Any = importlib.import_module("safetensors")
        read: Any = importlib.import_module("safetensors.torch")
    except ImportError as error:
        raise MissingExtraError("reading an adapter", "train") from error
    config = _config(folder)
    try:
        tensors: dict[str, Any] = read.load_file(folder / WEIGHTS)
    except (OSError, safetensors.SafetensorError) as error:
        raise AdapterError(str(folder), f"{WEIGHTS} cannot be read: {error}") from error
    halves: dict[str, dict[str, FloatArray]] = {}
    for name, tensor in tensors.items():
        layer, half = _split(folder, name)
        halves.setdefault(layer, {})[half] = tensor.float().numpy()
    pairs = {layer: _pair(folder, config, layer, found) for layer, found in sorted(halves.items())}
    if not any(np.any(pair.b) and np.any(pair.a) for pair in pairs.values()):
        raise AdapterError(str(folder), "every pair adds exactly nothing, as an untrained adapter does")
    return pairs


def _config(folder: Path) -> dict[str, Any]:
    try:
        config: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise AdapterError(str(folder), f"{CONFIG} cannot be read: {error}") from error
    if config.get("peft_type") != "LORA":
        raise AdapterError(str(folder), f"`peft_type` is {config.get('peft_type')!r}, not 'LORA'")
    refused = [name for name in _REFUSED if config.get(name)]
    if config.get("bias", "none") != "none":
        refused.append("bias")
    if refused:
        raise AdapterError(str(folder), f"it uses {', '.join(refused)}, which a LoRA-GGUF cannot hold")
    return config


def _split(folder: Path, name: str) -> tuple[str, str]:
    for ending, half in _PARTS.items():
        if name.startswith(_PREFIX) and name.endswith(ending):
            return name.removeprefix(_PREFIX).removesuffix(ending), half
    raise AdapterError(str(folder), f"tensor {name!r} is no half of a pair for a linear layer")


def _pair(folder: Path, config: dict[str, Any], layer: str, halves: dict[str, FloatArray]) -> LoraPair:
    if halves.keys() != {"a", "b"} or halves["a"].shape[0] != halves["b"].shape[1]:
        raise AdapterError(str(folder), f"layer {layer!r} lacks a half of its pair, or the halves do not fit")
    rank = halves["a"].shape[0]
    alpha = _of_layer(config.get("alpha_pattern") or {}, layer, config["lora_alpha"])
    return LoraPair(**halves, scale=float(alpha) / (rank**0.5 if config.get("use_rslora") else rank))


def _of_layer(pattern: dict[str, Any], layer: str, default: Any) -> Any:
    """Return a layer's own value; PEFT reads the keys as patterns for the end of a layer's name."""
    return next((value for key, value in pattern.items() if re.match(rf"(.*\.)?({key})$", layer)), default)
