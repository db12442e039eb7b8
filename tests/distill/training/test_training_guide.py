"""The promises of the training guide, kept."""

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from limner.cli import app
from limner.distill.training.config import METHODS, RATES, TrainingSettings


@pytest.fixture
def guide(root: Path) -> str:
    return (root / "docs" / "training.md").read_text(encoding="utf-8")


def blocks(text: str, kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def command(*words: str) -> Any:
    found: Any = get_command(app)  # Typer's own type hides that it is a group
    for word in words:
        found = found.commands[word]
    return found


def options(found: Any) -> set[str]:
    return {name for parameter in found.params for name in parameter.opts if name.startswith("--")}


def test_every_option_of_training_is_in_the_table(guide: str) -> None:
    named = set(re.findall(r"^\| `(--[a-z-]+)`", guide, flags=re.MULTILINE))

    assert named == options(command("distill", "train")) - {"--help"}


def test_defaults_in_the_table_are_the_defaults(guide: str) -> None:
    rows = re.findall(r"^\| `--[a-z-]+` \| `([a-z_]+)` \| `?([^|` ]+)`? \|", guide, flags=re.MULTILINE)
    fields = TrainingSettings.model_fields
    found = {name: default for name, default in rows if default != "by"}

    assert {"method", "base", "seed", "epochs", "batch", "accumulation", "rank", "max_tokens"} <= set(found)
    for name, default in found.items():
        value = fields[name].default
        assert default == (f"{value:g}" if isinstance(value, float) else str(value)), name


def test_every_method_is_explained_with_its_learning_rate(guide: str) -> None:
    table = re.findall(r"^\| `([a-z-]+)`(?: \(default\))? \|", guide, flags=re.MULTILINE)
    [rates] = re.findall(r"^\| `--learning-rate`.*$", guide, flags=re.MULTILINE)

    assert set(METHODS) - {"grpo"} <= set(table)
    for method, rate in RATES.items():
        if method in ("dpo", "ipo", "kto", "grpo-offline"):
            assert re.search(rf"{rate:.0e}".replace("e-0", "e-") + rf"[^,;]*for [^;]*`{method}`", rates), (
                method
            )


def test_fields_named_exist(guide: str) -> None:
    [file] = [block for block in blocks(guide, "toml") if "[awr]" in block]
    [told] = re.findall(r"^Fields without an option: (.*?)\.$", guide, flags=re.MULTILINE | re.DOTALL)
    fields = set(TrainingSettings.model_fields)

    assert TrainingSettings.model_validate(tomllib.loads(file)).awr.draw == "scale"
    named = set(re.findall(r"`([a-z_]+)`", told)) - {"constant", "linear", "cosine"}
    with_option = set(re.findall(r"^\| `--[a-z-]+` \| `([a-z_]+)`", guide, flags=re.MULTILINE))
    assert named | with_option | {"grpo"} == fields | {"grpo"}


def test_the_python_runs(
    guide: str, tiny_model: Path, training_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="the extra `train` is not installed")
    train, watch = [block for block in blocks(guide, "python") if "train(" in block]
    small = (
        f'base={str(tiny_model)!r}, device="cpu", threads=1, eval_every=1, writing={{"max_new_tokens": 4}}'
    )
    train = train.replace('base="limner/smollm2-135m"', small).replace("steps=20", "steps=2")
    train = train.replace('Path("set")', f"Path({str(training_set)!r})")
    names: dict[str, Any] = {}

    exec(compile(train, "training.md", "exec"), names)  # noqa: S102  # our own text
    exec(compile(watch, "training.md", "exec"), names)  # noqa: S102  # our own text

    assert names["result"].folder == Path("watched")
    assert [point["words"] for point in names["result"].record.history if "words" in point]


def test_the_accelerate_file_is_one(guide: str, tmp_path: Path) -> None:
    pytest.importorskip("accelerate", reason="the extra `train` is not installed")
    accelerate: Any = import_module("accelerate.commands.config.config_args")
    [text] = blocks(guide, "yaml")
    file = tmp_path / "accelerate.yaml"
    file.write_text(text)

    config: dict[str, Any] = accelerate.load_config_from_file(str(file)).to_dict()

    assert (config["num_processes"], config["distributed_type"]) == (4, "MULTI_GPU")


def test_links_lead_somewhere(guide: str, root: Path) -> None:
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", guide):
        assert (root / "docs" / target).exists(), target
