"""The commands under `limner eval`."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from limner.cli import app

ROW = {"system", "dataset", "split", "metric", "value", "ci", "n", "seed"}


def limner(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["eval", *map(str, words)])


def document(ended: Result) -> Any:
    assert ended.exit_code == 0, ended.output
    return json.loads(ended.stdout)


@pytest.fixture
def results(ring: Path) -> Path:
    """A folder with results of two systems."""
    names = ("--system", "popularity", "--system", "bigram")
    assert limner("sequential", "--data", ring, *names, "--out", "results").exit_code == 0
    return Path("results")


def test_json_holds_rows_probes_and_where_the_files_are(ring: Path) -> None:
    found = document(
        limner("sequential", "--data", ring, "--system", "bigram", "--seed", "3", "--out", "new", "--json")
    )

    [result] = found["results"]
    assert (found["errors"], found["out"]) == ([], "new")
    assert result["suite"] == "sequential"
    assert {frozenset(row) for row in result["rows"]} == {frozenset(ROW)}
    assert {row["seed"] for row in result["rows"]} == {3}
    assert {"name", "passed", "value", "limit"} <= set(result["probes"][0])
    assert json.loads(next(Path("new").glob("*.json")).read_text()) == result


def test_the_table_shows_value_and_n(ring: Path) -> None:
    ended = limner("sequential", "--data", ring, "--system", "bigram", "--out", "results")

    assert ended.exit_code == 0
    assert "1.000 [1.000, 1.000]" in ended.stdout.replace("\u00a0", " ")
    assert "n=20" in ended.stdout


def test_what_a_recommendation_takes_is_the_table_of_the_suite_cost(ring: Path) -> None:
    ended = limner("cost", "--data", ring, "--system", "bigram", "--out", "results")

    assert ended.exit_code == 0
    rows = [
        [cell.strip() for cell in line.strip("│┃ ").replace("┃", "│").split("│")]
        for line in ended.stdout.splitlines()
    ]
    assert ["System", "For", "calls", "tokens", "seconds", "$", "ndcg@10"] in rows
    told = {tuple(row[:2]): row[2:] for row in rows if row[0] == "bigram"}
    assert [entry[0] for entry in told.values()] == ["0", "0"]  # calls
    assert {entry[-1] for entry in told.values()} == {"1.000"}
    user, item = told["bigram", "a user"][2], told["bigram", "a recommendation"][2]
    assert float(user) == pytest.approx(
        10 * float(item), rel=0.11
    )  # ten are recommended; two digits are shown


def test_fitted_weights_are_told_and_kept_with_the_result(ring: Path) -> None:
    command = ("sequential", "--data", ring, "--system", "bigram + random", "--out", "results")

    ended = limner(*command)

    # Everybody steps on to the next item: the bigram is always right, and chance adds nothing.
    assert "Weights, fitted on validation users" in ended.stdout
    assert "bigram 1.00; random 0" in " ".join(ended.stdout.replace("│", " ").split())
    [result] = document(limner(*command, "--json"))["results"]
    assert {(each["part"], each["weight"]) for each in result["weights"]} == {
        ("bigram", 1.0),
        ("random", 0.0),
    }
    assert {(each["system"], each["bucket"]) for each in result["weights"]} == {("bigram + random", "all")}
    assert limner("report", "results").exit_code == 0
    assert "| bigram + random | all | bigram 1.00; random 0 |" in Path("results/report.md").read_text()


def test_data_that_nobody_can_read_is_one_error_and_the_last_word(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    command = ("sequential", "--data", tmp_path / "empty", "--out", "results")

    ended = limner(*command)
    found = limner(*command, "--json", "--jobs", "2")

    assert (ended.exit_code, found.exit_code, ended.stdout) == (1, 1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("unknown_format: empty: ")
    [error] = json.loads(found.stdout)["errors"]
    assert (error["system"], error["data"], error["code"]) == (None, ["empty"], "unknown_format")


def test_a_dry_run_tells_what_is_left_to_do_and_does_nothing(ring: Path, results: Path) -> None:
    before = sorted(results.iterdir())
    names = ("--system", "bigram", "--system", "seqknn")

    planned = document(limner("sequential", "--data", ring, *names, "--out", results, "--dry-run", "--json"))

    assert [(each["system"], each["finished"]) for each in planned] == [("bigram", True), ("seqknn", False)]
    assert sorted(results.iterdir()) == before
    told = limner("sequential", "--data", ring, *names, "--out", results, "--dry-run").stdout
    assert [line.split()[0] for line in told.splitlines()] == ["finished", "to"]


def test_a_leak_ends_with_1_and_says_so(ring: Path) -> None:
    items = [{"item_id": f"i{number}", "title": "The same old thing"} for number in range(10)]
    (ring / "items.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))

    ended = limner("sequential", "--data", ring, "--system", "bigram", "--out", "results")

    assert ended.exit_code == 1
    assert "INVALID: bigram on ring: failed probes: near-duplicate-target" in ended.stderr


def test_a_degraded_result_is_told_and_waits_for_another_run(ring: Path) -> None:
    words = ("from limner.evals.systems.popularity import Popularity", "class Falters(Popularity):")
    Path("mine.py").write_text("\n".join([*words, "    name, complete = 'falters', False", ""]))
    command = ("sequential", "--data", ring, "--system", "mine.py::Falters", "--out", "results")

    ended = limner(*command)

    assert "INCOMPLETE: mine.py::Falters on ring: a model or the budget failed in part" in ended.stderr
    [planned] = document(limner(*command, "--dry-run", "--json"))
    assert planned["finished"] is False
    [result] = document(limner(*command, "--json"))["results"]
    assert result["complete"] is False
    assert limner("report", "results").exit_code == 0
    assert "- INCOMPLETE: falters: " in Path("results/report.md").read_text()


def test_a_system_that_raises_is_told_in_a_line_and_the_others_are_measured(ring: Path) -> None:
    words = ("from limner.evals.systems.popularity import Popularity", "class Boom(Popularity):")
    Path("mine.py").write_text(
        "\n".join([*words, "    name = 'boom'", "    def fit(self, past): past.nothing", ""])
    )
    names = ("--system", "mine.py::Boom", "--system", "bigram")

    ended = limner("sequential", "--data", ring, *names, "--out", "results")

    assert ended.exit_code == 1
    assert "system_failed: mine.py::Boom on ring: system 'boom' failed in `fit` at " in ended.stderr
    assert "mine.py:4: AttributeError: " in ended.stderr
    assert "Traceback" not in ended.output
    assert [path.suffix for path in sorted(Path("results").glob("*bigram*"))] == [".json", ".npz"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("sequential", "--data", "nowhere"), "unknown_format", "does not exist"),
        (("sequential", "--data", "ring", "--system", "bigrma"), "settings", "did you mean `bigram`"),
        (("sequential", "--data", "ring", "--set", "cold"), "settings", "not KEY=VALUE"),
        (("sequential", "--data", "ring", "--split", "global-time"), "settings", "has only an order"),
        (("transfer", "--data", "ring"), "settings", "the first is fitted on"),
        (("compare", "nowhere", "nowhere"), "unknown_format", "cannot be read"),
        (("report", "ring"), "unknown_format", "limner eval SUITE --out"),
        (("data", "nowhere"), "unknown_format", "nowhere"),
    ],
)
def test_what_is_wrong_is_told_by_type(ring: Path, words: tuple[str, ...], code: str, said: str) -> None:
    ended = limner(*words)

    assert ended.exit_code == 1
    assert code in ended.stderr
    assert said in ended.stderr.replace("\n", " ")
    assert "Traceback" not in ended.output


def test_compare_prints_and_gives_json(results: Path) -> None:
    words = ("compare", f"{results}#bigram", f"{results}#popularity", "--metric", "recall@5")

    [found] = document(limner(*words, "--json"))

    # The bigram is always right; popularity ties six items: 1 - 5/6.
    assert (found["a"], found["b"], found["n"]) == ("bigram", "popularity", 20)
    assert found["difference"] == pytest.approx(1 / 6)
    assert found["p"] < 0.001
    assert ".1667" in limner(*words).stdout


def test_systems_are_listed_with_their_options() -> None:
    listed = {each["name"]: each for each in document(limner("systems", "--json"))}

    assert {"popularity", "bigram", "seqknn", "bm25", "history", "id-order", "fusion"} <= set(listed)
    assert "popularity" in [option["name"] for option in listed["bigram"]["options"]]
    told = limner("systems").stdout
    assert "seqknn  neighbours" in told and "\n  window=5  Greatest distance" in told


def test_a_data_sets_card_is_shown(ring: Path) -> None:
    [found] = document(limner("data", ring, "--json"))

    assert (found["card"]["name"], found["card"]["users"], found["card"]["events"]) == ("ring", 20, 100)
    assert set(found["files"]) == {"items.jsonl", "sequences.jsonl"}
    assert "ring" in limner("data", ring).stdout


def test_a_report_is_written_beside_the_results(results: Path) -> None:
    pytest.importorskip("matplotlib", reason="the extra `evals` is not installed")

    found = document(limner("report", results, "--json"))

    assert found == {"valid": True, "files": ["results/report.md", "results/report.html"]}
    assert "| bigram |" in (results / "report.md").read_text(encoding="utf-8")
    assert (results / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_what_is_not_applicable_is_said(ring: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in ring.iterdir():
        (other / path.name).write_bytes(path.read_bytes())

    ended = limner("transfer", "--data", ring, "--data", other, "--system", "bigram", "--out", "results")

    assert ended.exit_code == 0, ended.output
    assert "bigram: not applicable: it knows items only by their ids." in ended.stdout
