"""The tutorials run with small settings and leave what they promise."""

import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("matplotlib", reason="the extra `evals` is not installed")

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")


def _run(root: Path, monkeypatch: pytest.MonkeyPatch, name: str, *words: str) -> None:
    script = root / "docs" / "tutorials" / f"{name}.py"
    monkeypatch.setattr(sys, "argv", [str(script), *words])
    runpy.run_path(str(script), run_name="__main__")


def test_portraits_of_an_export_of_ones_own(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export = root / "tests" / "data" / "exports" / "goodreads_library_export.csv"

    _run(root, monkeypatch, "own_data", "--file", str(export), "--user", "me", "--embedder", "hashing")

    told = Path("own_data/portraits.md").read_text("utf-8")
    assert told.startswith("# Portraits\n\n## me\n")
    assert "2024-03-09 review goodreads:101: Slow, salty and kind." in told
    assert Path("own_data/activity.png").read_bytes().startswith(PNG)


def test_portraits_of_the_sample(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(root, monkeypatch, "own_data", "--embedder", "hashing", "--people", "2")

    assert Path("own_data/portraits.md").read_text("utf-8").count("\n## invented-") == 2


def test_a_baseline_of_ones_own_stands_in_the_table(
    root: Path, ring: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _run(root, monkeypatch, "own_baseline", "--data", str(ring))

    assert "neighbours" in capsys.readouterr().out
    assert len(list(Path("own_baseline/results").glob("*.json"))) == 4
    assert Path("own_baseline/baseline.png").read_bytes().startswith(PNG)


def test_an_assistant_that_knows_its_user(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _run(root, monkeypatch, "own_assistant", "--embedder", "hashing", "--room", "60", "200")

    told = Path("own_assistant/context.md").read_text("utf-8")
    assert 'Said: "I never eat peanuts, I am allergic."' in told
    assert "## What the model gets" in told
    assert Path("own_assistant/tokens.png").read_bytes().startswith(PNG)


def test_the_tutorials_are_all_on_their_page(root: Path) -> None:
    page = (root / "docs" / "tutorials.md").read_text("utf-8")
    scripts = {path.name for path in (root / "docs" / "tutorials").glob("*.py")}

    assert len(scripts) == 4
    assert all(f"literalinclude}} tutorials/{name}" in page for name in scripts)
