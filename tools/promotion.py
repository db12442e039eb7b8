"""Which embedded profiler was promoted: one small file in the models folder."""

import os
import secrets
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from ..errors import WeightsError
from ..records import Moment, Record
from ..settings import Settings

PROMOTED = "promoted.json"
"""File name in the models folder."""


class Promotion(Record):
    """The embedded profiler that passed the gate last."""

    format: Literal["limner-promotion/1"] = "limner-promotion/1"
    """Form of the file."""

    name: str
    """Model string `limner/NAME`."""

    identity: str | None = None
    """With the revision of its weights; absent where nobody wrote it down."""

    baseline: str
    """What it beat."""

    evaluation: str
    """Sha256 of the evaluation that decided."""

    primary: str
    """The number that decided."""

    figures: dict[str, tuple[float, float, float]]
    """Name to difference from the baseline with its 95 % interval: difference, low, high."""

    at: Moment
    """When."""


def read_promotion(models_dir: Path) -> Promotion | None:
    """Return what was promoted; nothing if nothing was.

    Raises:
        WeightsError: The file cannot be read.
    """
    path = models_dir / PROMOTED
    if not path.is_file():
        return None
    try:
        return Promotion.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise WeightsError(f"{path} is no promotion ({error}); remove it, or promote again") from error


def with_promoted(settings: Settings) -> Settings:
    """Return settings whose model is the promoted profiler, if they were not told which model to use.

    Raises:
        WeightsError: The record of the promotion cannot be read.
    """
    if "model" in settings.model_fields_set:
        return settings
    promotion = read_promotion(settings.models_dir)
    return settings.model_copy(update={"model": promotion.name}) if promotion else settings


def write_promotion(models_dir: Path, promotion: Promotion) -> Path:
    """Record a promotion, whole or not at all, in place of the one before; return the file."""
    models_dir.mkdir(parents=True, exist_ok=True)
    path = models_dir / PROMOTED
    part = path.with_name(f".{PROMOTED}.{secrets.token_hex(4)}.part")
    try:
        with part.open("w", encoding="utf-8") as file:
            file.write(promotion.model_dump_json(indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path
