"""The model that training starts from: a Hugging Face folder, a GGUF file, or weights known by name."""

import json
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import InputError, MissingExtraError, WeightsError
from ...records import content_hash
from ...settings import EMBEDDED
from ...tools.checksums import revision_of
from ...tools.weights import KNOWN, verify_weights
from .quiet import quiet

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


CONVERTED = "hf"
"""Folder of the models folder that holds GGUF files as Hugging Face folders."""

_PATIENCE = 1800.0
"""Seconds to wait for another process that converts the same file."""


class Base(NamedTuple):
    """A model that can be trained, and its tokenizer."""

    model: Any
    """A causal language model of transformers, 32-bit floats, on the CPU, in evaluation mode."""

    tokenizer: "PreTrainedTokenizerBase"
    """It has a chat template and a padding token, and pads on the right."""

    folder: Path
    """The Hugging Face folder they come from."""

    revision: str
    """12 hexadecimal digits that depend on the weights."""


class BaseFolder(NamedTuple):
    """Where a base lies."""

    folder: Path
    """Hugging Face folder."""

    revision: str
    """12 hexadecimal digits that depend on the weights: a GGUF file's are those of its sha256."""


def open_base(base: str, models_dir: Path, notice: Callable[[str], None] | None = None) -> Base:
    """Open a base for training.

    Args:
        base: `limner/NAME`, a `.gguf` file, or a Hugging Face folder.
        models_dir: Folder that weights lie in; a GGUF file is kept there as a Hugging Face folder.
        notice: Told in a few words what takes time.

    Raises:
        InputError: There is no such base, or it has no chat template.
        UnknownWeightsError: No weights have this name.
        WeightsMissingError: Known weights are not on disk.
        ChecksumError: They are not the published ones.
        WeightsError: The files are no weights of a language model.
        MissingExtraError: The extra `train` is not installed.
    """
    found = locate_base(base, models_dir, notice)
    torch, transformers = _libraries()
    with quiet():
        try:
            model = transformers.AutoModelForCausalLM.from_pretrained(found.folder, dtype=torch.float32)
            tokenizer = transformers.AutoTokenizer.from_pretrained(found.folder)
        except (OSError, ValueError, KeyError) as error:
            raise WeightsError(
                f"{found.folder}: no weights of a language model: {_first_line(error)}"
            ) from error
    if not tokenizer.chat_template:
        raise InputError(
            f"base {base!r} has no chat template, so it cannot be prompted; use an instruct model"
        )
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "right"
    return Base(model.eval(), tokenizer, found.folder, found.revision)


def locate_base(base: str, models_dir: Path, notice: Callable[[str], None] | None = None) -> BaseFolder:
    """Return a base's Hugging Face folder; a GGUF file is converted the first time, whole or not at all.

    Raises:
        See `open_base`.
    """
    if base.startswith(EMBEDDED):
        name = base.removeprefix(EMBEDDED)
        if any(known.name == name and known.folder for known in KNOWN):
            raise InputError(f"base {base!r} is an encoder, not a language model")
        return _from_gguf(verify_weights(name, models_dir), models_dir, notice or (lambda _: None))
    path = Path(base)
    if path.is_file() and path.suffix == ".gguf":
        return _from_gguf(path, models_dir, notice or (lambda _: None))
    if (path / "config.json").is_file():
        return BaseFolder(path, _revision_of_folder(path))
    raise InputError(
        f"base {base!r} is no Hugging Face folder, no .gguf file and no `{EMBEDDED}NAME`; download the "
        "model to a folder and name that"
    )


def _from_gguf(path: Path, models_dir: Path, notice: Callable[[str], None]) -> BaseFolder:
    from filelock import FileLock

    revision = revision_of(path)
    kept = models_dir / CONVERTED
    target = kept / f"{path.stem}-{revision}"
    if not (target / "config.json").is_file():
        kept.mkdir(parents=True, exist_ok=True)
        with FileLock(kept / f".{target.name}.lock", timeout=_PATIENCE):
            if not (target / "config.json").is_file():
                notice(f"{path.name}: unpacking for training, once (up to a minute for 135M parameters)")
                _convert(path, target)
    return BaseFolder(target, revision)


def _convert(path: Path, target: Path) -> None:
    """Write a GGUF file as a Hugging Face folder: to a folder beside it first, then renamed.

    transformers keeps a GGUF file quantised, which can be neither trained nor saved, unless told to dequantise.
    """
    torch, transformers = _libraries()
    # The same file system, so that the rename is one.
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder, quiet():
        draft = Path(folder) / "model"
        source = {"pretrained_model_name_or_path": path.parent, "gguf_file": path.name}
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(**source)
            model = transformers.AutoModelForCausalLM.from_pretrained(
                **source,
                dtype=torch.float32,
                quantization_config=transformers.GgufConfig(dequantize=True),
            )
        except (OSError, ValueError, KeyError, RuntimeError, struct.error) as error:
            raise WeightsError(f"{path}: cannot be unpacked for training: {_first_line(error)}") from error
        model.save_pretrained(draft)
        tokenizer.save_pretrained(draft)
        draft.rename(target)


def _revision_of_folder(folder: Path) -> str:
    parts = sorted(folder.glob("*.safetensors"))
    if not parts:
        raise WeightsError(f"{folder}: holds no .safetensors file; save the model in that format")
    config: Any = {}
    with suppress(ValueError):
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    return content_hash(config, *((part.name, revision_of(part)) for part in parts))[:12]


def _libraries() -> tuple[Any, Any]:
    try:
        import torch
        import transformers
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    return torch, transformers


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
