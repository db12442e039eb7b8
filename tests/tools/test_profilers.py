"""Models by name: what each name means, and what is said when a part is missing."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.errors import UnknownWeightsError, WeightsMissingError
from limner.tools import profilers, weights
from limner.tools.backends import revision_suffix
from limner.tools.profilers import (
    BrokenProfilerError,
    ModelFiles,
    base_of,
    list_profilers,
    model_files,
    read_description,
    style_of,
)
from limner.tools.weights import KnownWeights, WeightsFile

BASE = b"GGUF a base"


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of profilers that come with the package; empty."""
    folder = tmp_path / "package" / "weights"
    monkeypatch.setattr(profilers, "SHIPPED", folder)
    return folder


@pytest.fixture
def models(tmp_path: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models folder where one known base, `small`, is."""
    file = WeightsFile(
        member="s.gguf", target="small.gguf", sha256=hashlib.sha256(BASE).hexdigest(), size=len(BASE)
    )
    known = KnownWeights(name="small", requirement="s==1", files=(file,), licence="MIT", purpose="a base")
    for module in (weights, profilers):
        monkeypatch.setattr(module, "KNOWN", (known,))
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "small.gguf").write_bytes(BASE)
    return folder


def _put(folder: Path, *, adapter: bytes | None = b"GGUF an adapter", **changed: Any) -> Path:
    folder.mkdir(parents=True)
    described = {"base": "small", "adapter": "adapter.gguf", "style": "plain", "licence": "MIT"} | changed
    (folder / "profiler.json").write_text(json.dumps(described))
    if adapter is not None:
        (folder / "adapter.gguf").write_bytes(adapter)
    return folder


def test_a_profiler_is_its_base_and_its_adapter(models: Path) -> None:
    folder = _put(models / "mine", base_sha256=hashlib.sha256(BASE).hexdigest())

    assert model_files("mine", models) == ModelFiles(models / "small.gguf", folder / "adapter.gguf", "plain")
    assert (style_of("mine", models), base_of("mine", models)) == ("plain", "small")


def test_a_whole_model_needs_no_base(models: Path) -> None:
    folder = _put(models / "whole", base=None, adapter=None, weights="model.gguf", style=None)
    description = json.loads((folder / "profiler.json").read_text())
    (folder / "profiler.json").write_text(json.dumps(description | {"adapter": None}))
    (folder / "model.gguf").write_bytes(b"GGUF whole")

    assert model_files("whole", models) == ModelFiles(folder / "model.gguf")
    assert base_of("whole", models) == "whole"


def test_bare_weights_are_found_as_before(models: Path, tmp_path: Path) -> None:
    (models / "other.gguf").write_bytes(b"GGUF")
    (tmp_path / "far.gguf").write_bytes(b"GGUF")

    assert model_files("small", models) == ModelFiles(models / "small.gguf")
    assert model_files("other", models) == ModelFiles(models / "other.gguf")
    assert model_files(str(tmp_path / "far.gguf"), models) == ModelFiles(tmp_path / "far.gguf")
    assert (style_of("other", models), base_of("other", models)) == (None, "other")


def test_what_ships_gives_way_to_what_the_user_put_there(models: Path, shipped: Path) -> None:
    ours = _put(shipped / "house", style="plain")
    assert model_files("house", models).adapter == ours / "adapter.gguf"

    (models / "house.gguf").write_bytes(b"GGUF")
    assert model_files("house", models) == ModelFiles(models / "house.gguf")

    theirs = _put(models / "house", style="free")
    assert model_files("house", models).adapter == theirs / "adapter.gguf"
    assert style_of("house", models) == "free"


def test_a_profiler_that_does_not_ship_is_unknown_and_the_error_names_what_is_known(models: Path) -> None:
    _put(models / "mine")

    with pytest.raises(UnknownWeightsError, match=r"'limner-135m' is unknown; .* names small, mine"):
        model_files("limner-135m", models)
    with pytest.raises(UnknownWeightsError):
        model_files("../models/mine", models)


def test_a_shipped_profiler_without_its_adapter_is_broken(models: Path, shipped: Path) -> None:
    _put(shipped / "house", adapter=None)

    with pytest.raises(BrokenProfilerError, match=r"house: adapter\.gguf is missing; export the profiler"):
        model_files("house", models)


def test_a_profiler_without_its_base_says_what_to_fetch(models: Path) -> None:
    _put(models / "mine")
    (models / "small.gguf").unlink()

    with pytest.raises(WeightsMissingError, match="run `limner models fetch small`"):
        model_files("mine", models)
    assert style_of("mine", models) == "plain"
    assert revision_suffix("limner/mine", models) == "@missing"


def test_another_base_of_the_same_name_is_refused(models: Path) -> None:
    _put(models / "mine", base_sha256="0" * 64)

    with pytest.raises(
        BrokenProfilerError, match=f"its base 'small' has sha256 {'0' * 64}, but .*small.gguf"
    ):
        model_files("mine", models)


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        ("{", "Expecting property name"),
        ("[]", "valid dictionary"),
        ('{"base": "small"}', "give either `weights`, or both"),
        ('{"weights": "a.gguf", "base": "small", "adapter": "b.gguf"}', "give either `weights`, or both"),
        ('{"base": "small", "adapter": "../b.gguf"}', "`adapter`: .*name of a file beside"),
        ('{"base": "small", "adapter": "b.gguf", "colour": 1}', "`colour`: Extra inputs"),
        ('{"format": "limner-profiler/2", "weights": "a.gguf"}', "`format`"),
    ],
)
def test_a_description_that_cannot_be_read_is_named_with_its_fault(
    models: Path, described: str, reason: str
) -> None:
    folder = _put(models / "mine")
    (folder / "profiler.json").write_text(described)

    with pytest.raises(BrokenProfilerError, match=reason):
        read_description(folder)
    assert [(status.name, status.state) for status in list_profilers(models)] == [("mine", "damaged")]


def test_a_revision_changes_with_either_file(models: Path) -> None:
    folder = _put(models / "mine")
    bare = ModelFiles(models / "small.gguf").revision
    found = [model_files("mine", models).revision]
    (folder / "adapter.gguf").write_bytes(b"GGUF another adapter")
    found.append(model_files("mine", models).revision)
    (models / "small.gguf").write_bytes(b"GGUF another base")
    found.append(model_files("mine", models).revision)

    assert bare == hashlib.sha256(BASE).hexdigest()[:12]
    assert len({bare, *found}) == 4
    assert revision_suffix("limner/mine", models) == f"@{found[-1]}"
    # No stamp beside an adapter, which may lie in a package's folder.
    assert sorted(path.name for path in folder.iterdir()) == ["adapter.gguf", "profiler.json"]


def test_profilers_are_listed_with_their_state_and_fetched_by_their_base(
    models: Path, shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _put(models / "mine", purpose="mine for games")
    _put(shipped / "house", adapter=None)
    _put(shipped / "mine")
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(models))

    listed = json.loads(CliRunner().invoke(app, ["models", "list", "--json"]).stdout)
    fetched = CliRunner().invoke(app, ["models", "fetch", "mine", "--json"])

    assert [(each["name"], each["state"], each["bytes"]) for each in listed] == [
        ("small", "present", len(BASE)),
        ("house", "damaged", 0),
        ("mine", "present", len(b"GGUF an adapter")),
    ]
    assert listed[2]["purpose"] == "mine for games, adapter for small"
    assert json.loads(fetched.stdout) == {"mine": str(models / "small.gguf")}
