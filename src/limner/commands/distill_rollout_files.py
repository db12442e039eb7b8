"""The command `limner distill rollout-files`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import InputError, LimnerError
from .common import JsonOption, StoreOption, fail, print_json, say, settings_for, wants_json

if TYPE_CHECKING:
    from ..distill.onpolicy.settings import OnPolicySettings


def rollout_files(
    data: Annotated[Path, typer.Option("--data", help="Training set by `limner distill prepare`.")],
    folder: Annotated[Path, typer.Option("--out", help="Folder to write; must be new or empty.")],
    reward: Annotated[
        list[str] | None,
        typer.Option(
            "--reward", help="NAME or NAME=WEIGHT; may be repeated (default: those of --config, else limner)."
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="TOML file as for `limner distill train`, for its section `grpo`."),
    ] = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write prompts, a reward module and command lines for verl and OpenRLHF.

    Examples:  limner distill rollout-files --data set/ --out files/  ·  … --reward blue --reward length=0.2
    """
    as_json = wants_json(as_json)
    try:
        from ..distill.log.training_set import TrainingSet
        from ..distill.onpolicy.rollout_files import write_rollout_files

        settings = _settings(data, folder, config, reward or [])
        written = write_rollout_files(
            TrainingSet.open(data), folder, settings, store=settings_for(store).store
        )
    except LimnerError as error:
        fail(error, as_json=as_json)
    if as_json:
        return print_json({"folder": str(written.folder), "prompts": written.prompts})
    for split, count in written.prompts.items():
        say(f"{count:,} prompts for {split}")
    say(f"written to {folder}; README.md has the commands")


def _settings(data: Path, folder: Path, config: Path | None, rewards: list[str]) -> "OnPolicySettings":
    from ..distill.training.config import load_training_settings

    loaded = load_training_settings(config, {"data": data, "out": folder}).grpo
    if not rewards:
        return loaded
    weights = dict(_weighted(each) for each in rewards)
    options = {name: chosen for name, chosen in loaded.reward_options.items() if name in weights}
    return loaded.model_copy(update={"rewards": weights, "reward_options": options})


def _weighted(text: str) -> tuple[str, float]:
    name, _, weight = text.partition("=")
    try:
        return name, float(weight or 1.0)
    except ValueError:
        raise InputError(f"--reward {text}: the weight is no number; write NAME=0.5") from None
