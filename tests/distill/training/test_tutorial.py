"""The tutorial on a profiler of one's own runs with a tiny model."""

import runpy
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the extra `train` is not installed")
pytest.importorskip("matplotlib", reason="the extra `train` is not installed")


def test_a_profiler_of_ones_own(
    root: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = root / "docs" / "tutorials" / "own_profiler.py"
    words = [
        "--base",
        str(tiny_model),
        "--drafts",
        "3",
        "--steps",
        "2",
        "--look-every",
        "1",
        "--max-tokens",
        "8192",
    ]
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    monkeypatch.setattr(sys, "argv", [str(script), *words])

    runpy.run_path(str(script), run_name="__main__")

    assert "84 drafts of 28 users" in capsys.readouterr().out
    assert Path("own_profiler/run").is_dir()
    assert Path("own_profiler/learning.png").read_bytes().startswith(b"\x89PNG")
