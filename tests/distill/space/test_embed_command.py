"""`limner distill embed`: learns from the past of a split, writes a space that the harness reads."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from limner.cli import app
from limner.evals.registry import build
from limner.evals.workspace import Workspace
from limner.settings import Settings
from limner.tools.space import load_space

pytest.importorskip("torch")


@pytest.fixture
def shop(tmp_path: Path, lamps: tuple[str, ...]) -> Path:
    """Forty users who go around twelve items in turn; everybody's last two items are new to them."""
    folder = tmp_path / "shop"
    folder.mkdir()
    items = [{"item_id": f"B{ix}", "title": title} for ix, title in enumerate(lamps)]
    sequences = [
        {"user_id": f"u{user}", "item_ids": [f"B{(user + step) % 12}" for step in range(6)]}
        for user in range(40)
    ]
    for name, rows in (("items", items), ("sequences", sequences)):
        with gzip.open(folder / f"{name}.jsonl.gz", "wt", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
    return folder


def run(*words: str) -> Any:
    return CliRunner().invoke(app, ["distill", "embed", *words, "--encoder", "hashing", "--json"])


def test_a_space_is_written_and_scores_in_the_harness(shop: Path, tmp_path: Path) -> None:
    target = tmp_path / "shop.space"

    done = run("--data", str(shop), "--out", str(target), "--steps", "5", "--store", str(tmp_path / "store"))

    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    space = load_space(target, encoder="hashing-v1")
    assert told["space"] == space.name
    assert told["after"]["history"] >= told["before"]["history"]
    # Forty users of six items less the two that are asked for, four of them held back: three moments of each.
    assert (space.taught["moments"], space.taught["held_back"], space.taught["source"]) == (108, 4, "shop")
    at = Workspace(folder=tmp_path, seed=0, settings=Settings(embedder="hashing"))
    assert build(f"history:space={target}", at).name.endswith(space.name)


def test_a_dry_run_counts_and_writes_nothing(shop: Path, tmp_path: Path) -> None:
    done = run("--data", str(shop), "--out", str(tmp_path / "no.space"), "--dry-run")

    assert json.loads(done.stdout) == {"data": "shop", "items": 12, "users": 40, "moments": 120}
    assert not (tmp_path / "no.space").exists()


def test_an_encoder_that_cannot_be_tuned_whole_is_refused(shop: Path, tmp_path: Path) -> None:
    done = run("--data", str(shop), "--out", str(tmp_path / "folder"), "--full")

    assert done.exit_code == 1
    assert "sentence-transformers/FOLDER" in json.loads(done.stdout)["error"]["message"]
