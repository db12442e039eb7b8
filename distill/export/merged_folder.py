"""A base with an adapter merged into it, as a Hugging Face folder that vLLM and transformers serve."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import LimnerError
from ...records import Record
from ..training.quiet import quiet
from .adapter import FloatArray, LoraPair

TOLERANCE = 1e-3
"""Largest difference of logits, and of weights relative to the layer's largest, that rounding may make."""

_PROBE = "Liked: a book about jazz, a guide to chess. Disliked: a horror film. What does this person like?"


class MergeError(LimnerError):
    """The merged model is not the base with the adapter in it."""

    code = "merge"

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)

    def __str__(self) -> str:
        return f"the merged model is wrong: {self.reason}; nothing was kept. Serve base and adapter apart instead"


class Merge(Record):
    """What was found when the merged model was compared."""

    logits_apart: float
    """Largest difference of logits between the base with the adapter and the merged model."""

    logits_moved: float
    """Largest difference of logits between the base and the merged model."""

    weights_apart: float
    """Largest difference of a saved weight from base plus `scale * b @ a`, relative to the layer's largest."""

    layers: int
    """Layers whose saved weights differ from the base's."""


def write_merged_folder(trained: Any, tokenizer: Any, pairs: Mapping[str, LoraPair], target: Path) -> Merge:
    """Merge an adapter into its base for good, save the result, and read it again to see that it is there.

    `trained` is the bare merged model afterwards. Servers that read `generation_config.json` sample at
    temperature 1 from all tokens unless a request says otherwise.

    Args:
        trained: The base with the adapter, a `PeftModel` on the CPU in 32-bit floats.
        tokenizer: The base's.
        pairs: The adapter, from `read_adapter`.
        target: Folder to write; must not exist.

    Raises:
        MergeError: The merged model answers otherwise than the base with the adapter, or like the bare base,
            or the saved weights are not the merged ones.
    """
    before = {layer: _weight(trained, layer) for layer in pairs}
    adapted = _logits(trained, tokenizer)
    with trained.disable_adapter():
        bare = _logits(trained, tokenizer)
    merged = trained.merge_and_unload(safe_merge=True)
    logits = _logits(merged, tokenizer)
    apart, moved = _largest(logits - adapted), _largest(logits - bare)
    if apart > TOLERANCE:
        raise MergeError(f"its logits are up to {apart:.2g} from those of the base with the adapter")
    if moved <= 2 * apart:
        raise MergeError(f"its logits are within {moved:.2g} of the base's, as if there were no adapter")
    _sample_freely(merged, tokenizer)
    with quiet():
        merged.save_pretrained(target)
        tokenizer.save_pretrained(target)
    weights = _compare(target, before, pairs)
    return Merge(logits_apart=apart, logits_moved=moved, weights_apart=weights, layers=len(pairs))


def _weight(trained: Any, layer: str) -> FloatArray:
    """Return a copy of the base's weight below an adapter."""
    weight: FloatArray = trained.get_base_model().get_submodule(layer).weight.detach().float().numpy().copy()
    return weight


def _logits(model: Any, tokenizer: Any) -> FloatArray:
    import torch

    with torch.no_grad():
        given = torch.tensor([tokenizer(_PROBE)["input_ids"]])
        logits: FloatArray = model(input_ids=given, use_cache=False).logits.float().numpy()
    return logits


def _largest(difference: FloatArray) -> float:
    return float(abs(difference).max())


def _sample_freely(model: Any, tokenizer: Any) -> None:
    """Say in the saved folder how to sample; servers for transformers else ignore a request's temperature."""
    sampling = model.generation_config
    sampling._from_model_config = False  # else transformers makes it anew from `config.json`
    sampling.do_sample, sampling.temperature, sampling.top_k, sampling.top_p = True, 1.0, 0, 1.0
    if sampling.eos_token_id is None:
        sampling.eos_token_id = tokenizer.eos_token_id


def _compare(folder: Path, before: Mapping[str, FloatArray], pairs: Mapping[str, LoraPair]) -> float:
    """Return how far the saved weights are from what they must be.

    Raises:
        MergeError: A layer is missing, unchanged or otherwise changed.
    """
    worst = 0.0
    saved: dict[str, Any] = {}
    read: Any = importlib.import_module("safetensors.torch")
    for part in sorted(folder.glob("*.safetensors")):
        saved |= {
            name: weight
            for name, weight in read.load_file(part).items()
            if name.removesuffix(".weight") in pairs
        }
    for layer, pair in pairs.items():
        if f"{layer}.weight" not in saved:
            raise MergeError(f"layer {layer!r} of the adapter is not in the saved folder")
        found: FloatArray = saved[f"{layer}.weight"].float().numpy()
        wanted: FloatArray = before[layer] + pair.delta
        if not (found - before[layer]).any() and pair.delta.any():
            raise MergeError(f"layer {layer!r} was saved as it is in the base")
        worst = max(worst, _largest(found - wanted) / max(_largest(wanted), 1e-9))
    if worst > TOLERANCE:
        raise MergeError(f"a saved weight is off by {worst:.2g} of its layer's largest")
    return worst
