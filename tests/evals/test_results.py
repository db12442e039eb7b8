"""What a run leaves behind."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from limner.errors import UnknownFormatError
from limner.evals.result_files import load_per_query, load_result, save_result
from limner.evals.results import Measured, Probe, Result, Row

PASSED = Probe(name="id-order", passed=True, value=0.01, limit=0.1)
FAILED = PASSED.model_copy(update={"passed": False, "value": 0.5})


def row(**changes: Any) -> Row:
    facts: dict[str, Any] = {"system": "s", "dataset": "d", "split": "leave-one-out", "metric": "ndcg@10"}
    facts |= {"value": 0.5, "ci": (0.4, 0.6), "n": 2, "seed": 7}
    return Row(**(facts | changes))


def result(**changes: Any) -> Result:
    facts: dict[str, Any] = {
        "suite": "sequential",
        "command": "limner eval sequential",
        "key": "k",
        "settings": {"seed": 7},
        "rows": (row(),),
        "probes": (PASSED,),
        "valid": True,
        "data": (),
        "versions": {"limner": "1"},
        "machine": {"cores": "2"},
        "started": datetime(2026, 1, 1, tzinfo=UTC),
        "seconds": 1.0,
    }
    return Result(**{**facts, **changes})


def measured(**changes: Any) -> Measured:
    facts: dict[str, Any] = {
        "system": "s",
        "dataset": "d",
        "split": "leave-one-out",
        "users": ["ana", "bo"],
        "per_query": {"ndcg@10": np.array([0.25, np.nan]), "recall@10 | tail": np.array([1.0, 0.0])},
    }
    return Measured(**{**facts, **changes})


def test_a_row_is_written_with_exactly_the_promised_names() -> None:
    assert row().model_dump(mode="json") == {
        "system": "s",
        "dataset": "d",
        "split": "leave-one-out",
        "metric": "ndcg@10",
        "value": 0.5,
        "ci": [0.4, 0.6],
        "n": 2,
        "seed": 7,
    }


@pytest.mark.parametrize("changes", [{"value": float("nan")}, {"value": float("inf")}, {"ci": (0.6, 0.4)}])
def test_a_row_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        row(**changes)


@pytest.mark.parametrize(("probes", "valid"), [((PASSED, FAILED), True), ((PASSED,), False)])
def test_valid_cannot_say_otherwise_than_the_probes(probes: tuple[Probe, ...], valid: bool) -> None:
    with pytest.raises(ValidationError, match="every probe passed"):
        result(probes=probes, valid=valid)


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "new" / "run.json"
    save_result(result(), [measured()], path)

    assert load_result(path) == result()
    [values] = load_per_query(path)
    assert (values.system, values.dataset, values.users.tolist()) == ("s", "d", ["ana", "bo"])
    assert list(values.values) == ["ndcg@10", "recall@10 | tail"]
    np.testing.assert_array_equal(values.values["ndcg@10"], [0.25, np.nan])
    assert sorted(each.name for each in path.parent.iterdir()) == ["run.json", "run.npz"]


def test_a_failing_write_leaves_the_old_result_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save_result(result(), [measured()], path)
    before = {each: each.read_bytes() for each in tmp_path.iterdir()}
    broken = measured(per_query={"ndcg@10": np.array([object()])})  # cannot be made a number

    with pytest.raises(TypeError):
        save_result(result(key="other"), [broken], path)

    assert {each: each.read_bytes() for each in tmp_path.iterdir()} == before


def test_a_file_that_is_no_result_says_which_field_is_wrong(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"suite": 3}', encoding="utf-8")

    with pytest.raises(UnknownFormatError, match=r"run\.json: not a result: `suite`"):
        load_result(path)
    with pytest.raises(UnknownFormatError, match="cannot be read"):
        load_result(tmp_path / "missing.json")


def test_lost_values_of_users_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    save_result(result(), [measured()], path)
    path.with_suffix(".npz").write_bytes(b"broken")

    with pytest.raises(UnknownFormatError, match="run again"):
        load_per_query(path)
