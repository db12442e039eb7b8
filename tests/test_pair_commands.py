"""`limner pair` and `limner distill pairs`, gone through as a person would."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from limner.cli import app

parquet: Any = importlib.import_module("pyarrow.parquet")

EVENTS = [
    {
        "user_id": user,
        "item_id": f"i{(start + step) % 9}",
        "rating": 5 - step % 2,
        "timestamp": 1_700_000_000 + 1000 * start + step,
    }
    for start, user in enumerate(("ada", "ben", "cy"))
    for step in range(6)
]
ITEMS = [
    {
        "item_id": f"i{number}",
        "title": f"Title {number}",
        "categories": ["opera" if number % 2 else "chess", "boxed"],
    }
    for number in range(12)
]


def limner(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of three users, each with six events; no model is asked."""
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    monkeypatch.setenv("LIMNER_MODEL", "none")
    monkeypatch.setenv("COLUMNS", "200")
    for name, rows in (("items", ITEMS), ("events", EVENTS)):
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (tmp_path / f"{name}.jsonl").write_text(lines, encoding="utf-8")
    folder = tmp_path / "store"
    document(
        limner("import", tmp_path / "items.jsonl", tmp_path / "events.jsonl", "--store", folder, "--json")
    )
    return folder


def test_a_pair_is_shown_with_both_sides_numbers_reasons_and_cost(store: Path) -> None:
    told = document(limner("pair", "ada", "i7", "--store", store, "--json"))
    shown = limner("pair", "ada", "i7", "--store", store)

    assert shown.exit_code == 0, shown.stderr
    for words in (told["user"]["profile"], told["item"]["profile"], told["because"]):
        assert words and words in shown.stdout
    assert f"expected rating {told['expected_rating']:.2f}" in shown.stdout
    assert f"likeness {told['fit']:.0%}" in shown.stdout and "no judge was asked" in shown.stdout
    assert "0 calls" in shown.stdout
    assert "the person: Title" in shown.stdout  # evidence is called by its items


def test_evidence_of_others_is_told_without_their_names_and_words(store: Path) -> None:
    told = document(limner("pair", "ada", "i6", "--store", store, "--json"))
    shown = limner("pair", "ada", "i6", "--store", store).stdout

    assert any(reason["item_evidence"] for reason in told["reasons"])
    assert "by somebody else" in shown
    assert not any(event in shown for reason in told["reasons"] for event in reason["item_evidence"])
    assert "ben" not in shown and "cy" not in shown.replace("cy1", "")


def test_rehearsals_are_counted_logged_once_and_gone_on_with(store: Path) -> None:
    asked = ("distill", "pairs", "--per-user", "2", "--negatives", "1", "--store", store, "--json")

    foreseen = document(limner(*asked, "--dry-run"))
    first = document(limner(*asked))
    again = document(limner(*asked))

    # Three users with two choices each; of 5 and 4 only the 5 is in the upper half of the scale and has another item.
    assert foreseen == {"users": 3, "passes": 9, "calls_at_most_without_notes": 0}
    assert (first["logged"], first["there"]) == (9, 0)
    assert (again["logged"], again["there"]) == (0, 9)


def test_a_rehearsal_with_another_seed_draws_other_users(store: Path) -> None:
    asked = (
        "distill",
        "pairs",
        "--users",
        "1",
        "--per-user",
        "1",
        "--negatives",
        "0",
        "--store",
        store,
        "--json",
    )

    for seed in range(8):
        document(limner(*asked, "--seed", str(seed)))

    document(limner("export", "rollouts", store / "log.parquet", "--store", store, "--json"))

    rows: list[dict[str, Any]] = parquet.read_table(store / "log.parquet").to_pylist()
    assert len({row["user_id"] for row in rows}) > 1
    assert all(row["outcome"]["chosen"] and len(row["sides"]) == 2 for row in rows)


def test_an_empty_store_has_nothing_to_rehearse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")

    result = limner("distill", "pairs", "--model", "none", "--store", tmp_path / "empty")

    assert result.exit_code == 1
    assert "holds no users" in result.stderr
