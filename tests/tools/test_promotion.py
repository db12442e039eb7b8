"""The promoted profiler is the model of whoever names none."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from limner.easel import model_style
from limner.settings import DEFAULT_MODEL, Settings, load_settings
from limner.tools.promotion import Promotion, with_promoted, write_promotion


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A models folder where `mine`, trained for the plain style, is promoted."""
    folder = tmp_path / "models"
    (folder / "mine").mkdir(parents=True)
    described = {"base": "smollm2-135m", "adapter": "adapter.gguf", "style": "plain", "licence": "MIT"}
    (folder / "mine" / "profiler.json").write_text(json.dumps(described))
    promotion = Promotion(
        name="limner/mine",
        baseline=DEFAULT_MODEL,
        evaluation="0" * 64,
        primary="critic",
        figures={"critic": (0.1, 0.05, 0.15)},
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    write_promotion(folder, promotion)
    return folder


def test_settings_that_name_no_model_get_the_promoted_one(models: Path) -> None:
    assert with_promoted(load_settings(models_dir=models)).model == "limner/mine"


@pytest.mark.parametrize("given", ["argument", "variable"])
def test_a_model_that_was_named_stays(models: Path, monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    if given == "variable":
        monkeypatch.setenv("LIMNER_MODEL", DEFAULT_MODEL)
    named = load_settings(models_dir=models, model=DEFAULT_MODEL if given == "argument" else None)

    assert with_promoted(named).model == DEFAULT_MODEL


def test_without_a_promotion_nothing_changes(tmp_path: Path) -> None:
    settings = load_settings(models_dir=tmp_path)

    assert with_promoted(settings) is settings


@pytest.mark.parametrize(
    ("model", "embedded", "style"),
    [
        ("limner/mine", True, "plain"),
        ("limner/smollm2-135m", True, "lexicon"),
        ("gpt-5-mini", False, "free"),
    ],
)
def test_a_model_drafts_in_the_style_it_was_made_for(
    models: Path, model: str, embedded: bool, style: str
) -> None:
    settings: Settings = load_settings(models_dir=models, model=model)

    assert model_style(settings, embedded=embedded) == style
