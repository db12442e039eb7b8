"""Comparing results user by user."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from limner.errors import UnknownFormatError
from limner.evals.compare import NothingToCompareError, compare
from limner.evals.dataset import Card
from limner.evals.result_files import save_result
from limner.evals.results import DataCard, Measured, Probe, Result
from limner.evals.rows import rows_of


def write(
    path: Path,
    system: str,
    users: list[str],
    metrics: dict[str, list[float]],
    *,
    content: str = "bytes",
    passed: bool = True,
    ties: str = "average",
    options: Mapping[str, str] | None = None,
    spec: str = "",
) -> None:
    """Save a result as a run would."""
    values = {name: np.array(column) for name, column in metrics.items()}
    part = Measured(system=system, dataset="d", split="leave-one-out", users=users, per_query=values)
    card = Card(name="d", source="", terms="", users=1, items=1, events=1, clock="order", text_by_model=False)
    result = Result(
        suite="sequential",
        command="",
        key=path.stem,
        settings={"system": spec or system, "ties": ties, "options": options or {}},
        rows=rows_of([part], seed=0),
        probes=(Probe(name="p", passed=passed, value=0.0, limit=1.0),),
        valid=passed,
        data=(DataCard(card=card, content=content, files={}),),
        versions={},
        machine={},
        started=datetime(2026, 1, 1, tzinfo=UTC),
        seconds=0.0,
    )
    save_result(result, [part], path)


def test_users_are_paired_by_name_and_only_shared_ones_count(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "new", ["ana", "bo", "cy"], {"hit": [1.0, 0.0, 1.0]})
    write(tmp_path / "b.json", "old", ["cy", "dan", "ana"], {"hit": [0.5, 0.0, 0.25]})

    [found] = compare(f"{tmp_path / 'a.json'}", f"{tmp_path / 'b.json'}")

    # Shared are ana (1 against .25) and cy (1 against .5): means 1 and .375.
    assert (found.a, found.b, found.n) == ("new", "old", 2)
    assert (found.value_a, found.value_b, found.difference) == (1.0, 0.375, 0.625)
    # Both signs positive, or both negative, in half of all signings.
    assert found.p == pytest.approx(0.5, abs=0.03)


def test_a_users_first_question_is_paired_with_the_first(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "new", ["ana", "ana"], {"hit": [1.0, 0.0]})
    write(tmp_path / "b.json", "old", ["ana", "ana"], {"hit": [1.0, 0.0]})

    [found] = compare(f"{tmp_path / 'a.json'}", f"{tmp_path / 'b.json'}")

    assert (found.difference, found.ci, found.p) == (0.0, (0.0, 0.0), 1.0)


def test_p_values_are_corrected_over_every_row(tmp_path: Path) -> None:
    users = [f"u{ix}" for ix in range(12)]
    write(tmp_path / "a.json", "new", users, {"one": [1.0] * 12, "two": [1.0] * 12})
    write(tmp_path / "b.json", "old", users, {"one": [0.0] * 12, "two": [1.0] * 12})

    one, two = compare(f"{tmp_path / 'a.json'}", f"{tmp_path / 'b.json'}")

    # The smallest of two is doubled; all 12 signs agree in 2 of 4,096 signings.
    assert one.p < 0.005
    assert one.p_holm == pytest.approx(2 * one.p)
    assert (two.p, two.p_holm) == (1.0, 1.0)


def test_queries_a_metric_does_not_apply_to_are_left_out(tmp_path: Path) -> None:
    nan = float("nan")
    write(tmp_path / "a.json", "new", ["a", "b", "c"], {"hit | tail": [nan, 1.0, 0.5]})
    write(tmp_path / "b.json", "old", ["a", "b", "c"], {"hit | tail": [nan, 0.5, nan]})

    [found] = compare(f"{tmp_path / 'a.json'}", f"{tmp_path / 'b.json'}", metrics=["hit | tail"])

    assert (found.n, found.difference) == (1, 0.5)


def test_a_folder_against_itself_compares_each_pair_once(tmp_path: Path) -> None:
    for name in ("x", "y", "z"):
        write(tmp_path / f"{name}.json", name, ["a"], {"hit": [1.0]})

    assert [(each.a, each.b) for each in compare(str(tmp_path), str(tmp_path))] == [
        ("x", "y"),
        ("x", "z"),
        ("y", "z"),
    ]
    assert [(each.a, each.b) for each in compare(f"{tmp_path}#z", f"{tmp_path}#x")] == [("z", "x")]


def test_two_runs_of_the_same_systems_compare_namesakes(tmp_path: Path) -> None:
    for folder in ("before", "after"):
        for name in ("x", "y"):
            write(tmp_path / folder / f"{name}.json", name, ["a"], {"hit": [1.0]})

    found = compare(str(tmp_path / "after"), str(tmp_path / "before"))

    assert [(each.a, each.b) for each in found] == [("x", "x"), ("y", "y")]


def test_a_failed_probe_taints_the_comparison(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "new", ["a"], {"hit": [1.0]}, passed=False)
    write(tmp_path / "b.json", "old", ["a"], {"hit": [1.0]})

    assert [each.valid for each in compare(f"{tmp_path / 'a.json'}", f"{tmp_path / 'b.json'}")] == [False]


def test_different_bytes_of_data_are_never_compared(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "new", ["a"], {"hit": [1.0]})
    write(tmp_path / "b.json", "old", ["a"], {"hit": [1.0]}, content="others")

    with pytest.raises(NothingToCompareError, match="share no data set"):
        compare(f"{tmp_path / 'a.json'}", f"{tmp_path / 'b.json'}")


def test_other_ties_are_never_compared(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "new", ["a"], {"hit": [1.0]})
    write(tmp_path / "b.json", "old", ["a"], {"hit": [1.0]}, ties="optimistic")

    with pytest.raises(NothingToCompareError, match="share no data set"):
        compare(f"{tmp_path / 'a.json'}", f"{tmp_path / 'b.json'}")


def test_an_unknown_system_or_an_empty_folder_says_so(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="holds no results"):
        compare(str(tmp_path), str(tmp_path))
    write(tmp_path / "a.json", "new", ["a"], {"hit": [1.0]})
    with pytest.raises(NothingToCompareError, match="#nope"):
        compare(f"{tmp_path}#nope", str(tmp_path))


def test_a_system_is_named_as_in_tables_or_as_it_was_typed(tmp_path: Path) -> None:
    full = "seqknn + history:encoder=minilm"
    write(tmp_path / "a.json", full, ["a"], {"hit": [1.0]}, spec="seqknn + history")
    write(tmp_path / "b.json", "seqknn", ["a"], {"hit": [1.0]})

    for typed in (full, "seqknn + history"):
        [found] = compare(f"{tmp_path}#{typed}", f"{tmp_path}#seqknn")
        assert (found.a, found.b) == (full, "seqknn")


def test_a_name_goes_before_a_spec(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "x", ["a"], {"hit": [1.0]})
    write(tmp_path / "b.json", "x:tuned", ["a"], {"hit": [1.0]}, spec="x")
    write(tmp_path / "c.json", "y", ["a"], {"hit": [1.0]})

    assert [each.a for each in compare(f"{tmp_path}#x", f"{tmp_path}#y")] == ["x"]


def test_an_unknown_name_is_answered_with_those_there_are(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "seqknn + history:encoder=minilm", ["a"], {"hit": [1.0]})
    write(tmp_path / "b.json", "bigram", ["a"], {"hit": [1.0]})

    with pytest.raises(NothingToCompareError, match=r"holds 'bigram', 'seqknn \+ history:encoder=minilm'$"):
        compare(f"{tmp_path}#nope", str(tmp_path))


def test_answers_to_other_questions_are_not_paired(tmp_path: Path) -> None:
    write(tmp_path / "a.json", "new", ["ana", "bo"], {"hit": [1.0, 0.0]})
    write(tmp_path / "b.json", "old", ["ana", "bo"], {"hit": [1.0, 1.0]}, options={"catalogue": "chosen"})

    with pytest.raises(NothingToCompareError):
        compare(f"{tmp_path / 'a.json'}", f"{tmp_path / 'b.json'}")
