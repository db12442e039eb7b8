"""The command line, gone through as a person would."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from limner.cli import app

EVENTS = [
    {
        "user_id": user,
        "item_id": f"i{(start + step) % 9}",
        "rating": 5 - step % 2,
        "timestamp": 1_700_000_000 + step,
    }
    for start, user in enumerate(("ada", "ben"))
    for step in range(8)
]
ITEMS = [
    {
        "item_id": f"i{number}",
        "title": f"Title {number}",
        "categories": ["opera" if number % 2 else "chess", "boxed"],
    }
    for number in range(9)
]


def limner(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [str(arg) for arg in args])


def document(result: Result) -> Any:
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store with two users, drawn with the hashing encoder, which needs no weights."""
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")
    store = tmp_path / "store"
    items, events = write(tmp_path / "items.jsonl", ITEMS), write(tmp_path / "events.jsonl", EVENTS)
    document(limner("import", items, events, "--store", store, "--json"))
    return store


def test_importing_again_adds_nothing(store: Path, tmp_path: Path) -> None:
    [report] = document(limner("import", tmp_path / "events.jsonl", "--store", store, "--json"))

    assert (report["added"], report["repeated"], report["rejected"]) == (0, 16, 0)


def test_bad_rows_go_to_a_file_in_the_store(store: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "more.jsonl", [*EVENTS[:1], {**EVENTS[1], "rating": "high"}])

    [report] = document(limner("import", path, "--store", store, "--json"))

    assert report["rejected"] == 1
    rejected = json.loads(Path(report["rejects_file"]).read_text(encoding="utf-8"))
    assert (rejected["line"], rejected["field"]) == (2, "rating")
    assert Path(report["rejects_file"]).is_relative_to(store)


def test_columns_are_mapped(tmp_path: Path) -> None:
    path = tmp_path / "clicks.csv"
    path.write_text("who,what,when\nada,i1,2024-01-01\n", encoding="utf-8")

    [report] = document(
        limner(
            "import", path, "--map", "who=user_id", "--map", "what=item_id", "--map", "when=timestamp",
            "--kind", "click", "--store", tmp_path / "store", "--json",
        )
    )  # fmt: skip

    assert report["added"] == 1


def test_profile_prints_one_json_array_of_profiles(store: Path) -> None:
    profiles = document(limner("profile", "ben", "ada", "--model", "none", "--store", store, "--json"))

    assert [profile["user_id"] for profile in profiles] == ["ben", "ada"]
    assert {profile["source"] for profile in profiles} == {"extractive"}
    assert all(claim["evidence"] for profile in profiles for claim in profile["claims"])


def test_options_before_the_command_count_too(store: Path) -> None:
    [profile] = document(limner("--store", store, "--json", "profile", "--limit", "1", "--model", "none"))

    assert profile["user_id"] == "ada"


def test_dry_run_counts_calls_and_draws_nothing(store: Path) -> None:
    estimate = document(limner("profile", "--all", "--dry-run", "--store", store, "--json", "--drafts", "3"))

    # A history of 8 holds 2 back (8 // 3): 6 are cued in one batch, then 3 drafts, then at most 2 revisions.
    assert (estimate["users"], estimate["calls"]) == (2, [2 * 4, 2 * 6])
    assert limner("show", "ada", "--store", store).exit_code == 1


def test_show_prints_what_was_published(store: Path) -> None:
    [drawn] = document(limner("profile", "ada", "--model", "none", "--store", store, "--json"))

    assert document(limner("show", "ada", "--store", store, "--json")) == drawn
    shown = limner("show", "ada", "--store", store)
    assert "version 1" in shown.stdout
    assert "Title" in shown.stdout


def test_as_of_hides_what_came_later(store: Path) -> None:
    [profile] = document(
        limner("profile", "ada", "--as-of", "2023-11-14T22:13:23", "--model", "none", "--store", store, "--json")
    )  # fmt: skip

    # 1,700,000,000 is 2023-11-14T22:13:20 UTC, so the events of seconds 0, 1 and 2 lie before.
    assert len(profile["recent"]) == 3


def test_pair_writes_both_sides(store: Path) -> None:
    pair = document(limner("pair", "ada", "i8", "--model", "none", "--store", store, "--json"))

    assert (pair["user_id"], pair["item_id"]) == ("ada", "i8")
    assert pair["user"]["profile"]
    assert pair["item"]["profile"]
    assert 1 <= pair["expected_rating"] <= 5


def test_rollouts_are_exported(store: Path, tmp_path: Path) -> None:
    document(limner("profile", "--all", "--model", "none", "--store", store, "--json"))

    written = document(limner("export", "rollouts", tmp_path / "drafts.parquet", "--store", store, "--json"))

    assert written["rows"] == 2
    rows = pq.read_table(tmp_path / "drafts.parquet").to_pylist()  # pyright: ignore[reportUnknownVariableType]  # pyarrow ships no types
    assert {row["prompt_id"] for row in rows} == {"extractive"}  # pyright: ignore[reportUnknownVariableType]  # as above


def test_an_unknown_user_is_named_and_fails(store: Path) -> None:
    result = limner("profile", "nobody", "--model", "none", "--store", store)

    assert result.exit_code == 1
    assert "user_id='nobody' is not in the store" in result.stderr


def test_an_error_is_a_document_too(store: Path) -> None:
    result = limner("pair", "ada", "nothing", "--model", "none", "--store", store, "--json")

    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "unknown_item"


def test_profile_needs_users(store: Path) -> None:
    result = limner("profile", "--store", store)

    assert result.exit_code == 1
    assert "--limit N" in result.stderr


def test_users_and_a_limit_contradict_each_other(store: Path) -> None:
    assert limner("profile", "ada", "--limit", "1", "--model", "none", "--store", store).exit_code == 1


def test_everybody_is_one_json_array_too(store: Path) -> None:
    profiles = document(limner("profile", "--all", "--model", "none", "--store", store, "--json"))

    assert sorted(profile["user_id"] for profile in profiles) == ["ada", "ben"]


def test_the_demo_deletes_only_its_own_store(tmp_path: Path) -> None:
    precious = tmp_path / "store" / "precious.txt"
    precious.parent.mkdir()
    precious.write_text("mine", encoding="utf-8")

    result = limner("demo", "--users", "1", "--model", "none", "--out", tmp_path)

    assert result.exit_code == 1
    assert precious.read_text(encoding="utf-8") == "mine"


def test_another_encoder_names_the_way_out_and_reindex_takes_it(
    store: Path, monkeypatch: pytest.MonkeyPatch, weights: Path
) -> None:
    document(limner("profile", "ada", "--model", "none", "--store", store, "--json"))
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(weights))
    monkeypatch.setenv("LIMNER_EMBEDDER", "minilm")

    refused = limner("profile", "ben", "--model", "none", "--store", store)

    assert refused.exit_code == 1
    assert "limner reindex" in refused.stderr
    assert document(limner("reindex", "--store", store, "--json")) == {"items": 9}
    document(limner("profile", "ben", "--model", "none", "--store", store, "--json"))


def test_doctor_finds_a_missing_model(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(tmp_path / "none"))

    result = limner("doctor", "--store", store, "--json")

    found = {finding["check"]: finding for finding in json.loads(result.stdout)}
    assert result.exit_code == 1
    assert found["store"]["ok"]
    assert "limner models fetch smollm2-135m" in found["model"]["detail"]


def test_the_demo_writes_portraits_and_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_EMBEDDER", "hashing")

    profiles = document(
        limner("demo", "--users", "3", "--model", "none", "--out", tmp_path / "demo", "--json")
    )

    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert len(profiles) == 3
    assert all(profile["user_id"] in page for profile in profiles)


@pytest.mark.weights
def test_the_embedded_model_draws_a_portrait(
    store: Path, weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(weights))

    [profile] = document(
        limner("profile", "ada", "--drafts", "2", "--rounds", "0", "--store", store, "--json")
    )

    assert profile["usage"]["calls"] == 3  # one batch of cues, two drafts
    assert profile["notes"] in (
        [],
        ["the critic grades the extractive portrait above every model draft; it is published"],
    )
