"""A run's folder: what is in it, and what it says about the run."""

import json
import platform
import shutil
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from ...errors import InputError, SettingsError, UnknownFormatError
from ...records import Moment, Record
from ...tools.whole_files import write_whole
from .config import TrainingSettings
from .plan import TrainingPlan

RUN = "run.json"
"""What the run was and what came of it; written last: a folder with one holds a whole adapter."""

SETTINGS = "settings.json"
"""What the run is, written before it begins."""

ALARM = "alarm.json"
"""Which watch's look ended the run, written at that moment."""

ADAPTER = "adapter"
CHECKPOINTS = "checkpoints"
CURVES = "curves.png"
REPORT = "report.html"
TENSORBOARD = "tensorboard"
LOOKS = "looks"

Outcome = Literal["finished", "stopped"]

_FREE = {"data", "out", "steps", "epochs", "eval_every", "eval_rows", "save_every", "log_every", "device"} | {
    "threads",
    "report_to",
    "writing",
    "batch",
    "accumulation",
}
"""Settings that a resumed run may change; `batch` and `accumulation` as long as their product stays."""

_PACKAGES = (
    "limner",
    "torch",
    "transformers",
    "trl",
    "peft",
    "accelerate",
    "datasets",
    "tokenizers",
    "numpy",
)


class Identity(Record):
    """What a resumed run must have in common with the run it resumes."""

    settings: TrainingSettings
    """As the run began."""

    data_sha256: str
    """Of the training set's manifest."""

    base_revision: str
    """12 hexadecimal digits that depend on the base's weights."""


class Alarm(Record):
    """A look that ended a run."""

    step: int
    """When it looked."""

    message: str
    """Why the run had to end."""


class RunRecord(Record):
    """Everything about a run: `run.json`."""

    format: Literal["limner-training-run/1"] = "limner-training-run/1"
    """Form of the file."""

    identity: Identity
    """Settings, data, base."""

    critic_version: str | None
    """Whose rewards it learnt from."""

    plan: TrainingPlan
    """What it trained on."""

    outcome: Outcome
    """`finished` all its steps, or `stopped` by a watch."""

    message: str | None
    """Why it was stopped."""

    stopped_at: int | None = None
    """Step of the look that stopped it; absent if it finished."""

    steps: int
    """Optimiser steps of the adapter; of a stopped run those of the newest checkpoint before the alarm."""

    resumed_from: int | None
    """Step of the checkpoint that this run began with; absent if it began at the beginning."""

    history: tuple[dict[str, float], ...]
    """Every logged point, `step` among its keys: losses, validation, watches."""

    started: Moment
    """When this run, or its last part, began."""

    seconds: float
    """How long that took, loading included."""

    peak_memory: int
    """Most main memory it held, in bytes; 0 where the system does not say."""

    peak_gpu_memory: int
    """Most memory of its GPU it held, in bytes; 0 without one."""

    device: str
    """`cpu`, `cuda`, …"""

    processes: int
    """Processes that trained together."""

    versions: dict[str, str]
    """Of Python and of the packages that matter."""


def begin(out: Path, identity: Identity) -> None:
    """Make a new run's folder.

    Raises:
        InputError: It is there and not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        hint = "; go on with `--resume`, or name a new folder" if (out / SETTINGS).is_file() else ""
        raise InputError(f"--out {out}: is not empty{hint}")
    out.mkdir(parents=True, exist_ok=True)
    write_whole(out / SETTINGS, identity.model_dump_json(indent=2))


def read_identity(out: Path) -> Identity:
    """Return what the run in a folder is.

    Raises:
        UnknownFormatError: There is no run.
    """
    path = out / SETTINGS
    try:
        return Identity.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UnknownFormatError(str(path), f"is no run of `limner distill train` ({error})") from error


def read_run(folder: Path) -> RunRecord:
    """Return what a finished run says about itself.

    Raises:
        UnknownFormatError: There is no finished run.
    """
    path = folder / RUN
    try:
        return RunRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise UnknownFormatError(
            str(path), f"is no finished run of `limner distill train` ({error})"
        ) from error


def check_same(begun: Identity, now: Identity) -> None:
    """Refuse to go on with a run as another one.

    Raises:
        SettingsError: A setting differs that decides what is learnt.
        InputError: The data or the base differ.
    """
    for name in TrainingSettings.model_fields:
        was, new = getattr(begun.settings, name), getattr(now.settings, name)
        if was != new and name not in _FREE:
            raise SettingsError(name, f"was {was!r} when the run began, not {new!r}; start another run")
    was, new = (each.settings.batch * each.settings.accumulation for each in (begun, now))
    if was != new:
        raise SettingsError("batch", f"times `accumulation` was {was} when the run began, not {new}")
    if begun.data_sha256 != now.data_sha256:
        raise InputError("the training set is not the one the run began with; start another run")
    if begun.base_revision != now.base_revision:
        raise InputError("the base's weights are not those the run began with; start another run")


def check_unfinished(out: Path, steps: int) -> None:
    """Refuse to go on with a run that has nothing left to do.

    Raises:
        InputError: It finished these steps, or a watch stopped it.
    """
    if not (out / RUN).is_file():
        return
    record = read_run(out)
    if record.outcome == "stopped":
        raise InputError(
            f"{out}: was stopped at step {record.stopped_at} ({record.message}); start another run, with "
            "`--warm-start` to go on from its adapter"
        )
    if record.steps >= steps:
        raise InputError(f"{out}: is finished at step {record.steps}; raise `--steps` to go on")


def read_alarm(out: Path) -> Alarm | None:
    """Return the look that ended a run; absent if none did.

    Raises:
        UnknownFormatError: It cannot be read.
    """
    path = out / ALARM
    if not path.is_file():
        return None
    try:
        return Alarm.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise UnknownFormatError(str(path), f"is no alarm of a run ({error})") from error


def last_checkpoint(out: Path) -> Path | None:
    """Return the newest whole checkpoint; parts of one whose writing was cut off are deleted."""
    found: dict[int, Path] = {}
    for path in (out / CHECKPOINTS).glob("checkpoint-*"):
        try:
            # Written last of all its files.
            step = json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))["global_step"]
        except (OSError, ValueError, KeyError):
            shutil.rmtree(path)
            continue
        found[int(step)] = path
    return found[max(found)] if found else None


def save_adapter(model: Any, folder: Path, *, base: str, revision: str) -> None:
    """Write the trained adapter, and nothing of its reference, in place of an earlier one.

    Args:
        model: With the adapter.
        folder: Where to.
        base: What the adapter says it is for; PEFT would write a path of this machine.
        revision: Of the base's weights.
    """
    draft = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(draft, ignore_errors=True)
    config = model.peft_config["default"]
    config.base_model_name_or_path, config.revision = base, revision
    # Left to itself, PEFT would look the base up by its name to see whether the vocabulary grew.
    model.save_pretrained(str(draft), selected_adapters=["default"], save_embedding_layers=False)
    (draft / "README.md").unlink(missing_ok=True)  # a form nobody has filled in
    if folder.exists():
        shutil.rmtree(folder)
    draft.rename(folder)


def installed() -> dict[str, str]:
    """Return the versions of Python and of the packages that matter."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peak_memory() -> int:
    """Return the most main memory that this process held, in bytes; 0 where the system does not say."""
    try:
        import resource
    except ImportError:
        return 0
    # Kilobytes on Linux, bytes on macOS.
    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def numbers(history: list[dict[str, Any]]) -> tuple[dict[str, float], ...]:
    """Return a trainer's log as numbers by name."""
    return tuple({name: float(value) for name, value in _numeric(entry).items()} for entry in history)


def _numeric(entry: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in entry.items() if isinstance(value, int | float)}
