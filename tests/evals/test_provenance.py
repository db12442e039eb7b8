"""What a result says of where it came from."""

from pathlib import Path

import pytest

from limner.evals import provenance
from limner.evals.provenance import code_hash, machine_facts


def test_machine_facts_name_versions() -> None:
    facts = machine_facts()

    assert int(facts["cores"]) >= 1
    assert {"python", "limner", "litellm", "langgraph"} <= set(facts)


@pytest.mark.parametrize(
    ("path", "counts"),
    [
        ("evals/metrics.py", True),
        ("prompts/answer_next.md", True),
        ("prompts/openers.toml", True),
        ("records.py", True),
        ("evals/report/plots.py", False),
        ("evals/bench/core.py", False),
        ("serve/report.py", False),
    ],
)
def test_only_code_that_a_result_may_depend_on_makes_it_another_run(
    path: str, counts: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provenance, "PACKAGE", tmp_path)
    before = code_hash.__wrapped__()
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)

    (tmp_path / path).write_text("changed")

    assert (code_hash.__wrapped__() != before) == counts
