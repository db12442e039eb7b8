"""The model card: everything the run and the evaluation say, and nothing they do not."""

from pathlib import Path
from typing import Any

import frontmatter  # pyright: ignore[reportMissingTypeStubs]  # ships no stubs
import pytest

from limner.distill.export.card import CardFile, CardTerms, write_card
from limner.distill.export.fidelity import Fidelity
from limner.distill.export.tables import tables_of
from limner.distill.export.trained_run import TrainedRun

MANIFEST: dict[str, Any] = {
    "log": {"name": "store", "sha256": "ab" * 32},
    "funnel": {
        "rollouts": 12_000,
        "users": 1_500,
        "kept": 9_000,
        "splits": {"train": {"users": 1_200, "drafts": 7_000}, "test": {"users": 150, "drafts": 2_000}},
    },
    "boundary": "2014-05-01T00:00:00Z",
    "forgotten_checked": True,
    "excluded_users": 3,
    "recipe": {"filters": {"require_consent": False}},
    "notes": ["two users were alone in their group"],
    "critic_version": "critic-7",
}
RECORD: dict[str, Any] = {
    "identity": {
        "settings": {
            "method": "grpo-offline",
            "seed": 11,
            "rank": 8,
            "grpo_offline": {"clip": 0.2, "kl": 0.01},
        }
    },
    "steps": 1_200,
    "seconds": 5_400.0,
    "peak_memory": 2_900_000_000,
    "device": "cpu",
    "outcome": "stopped",
    "message": "reward rose while the held-out judge fell",
    "versions": {"python": "3.11.2", "torch": "2.13.0"},
}
TERMS = CardTerms("Apache-2.0", "Apache-2.0", "Org/Base-135M", None, "profiler for games")
CHECK = Fidelity(
    prompts=20,
    tokens=460,
    difference=0.0695,
    largest=0.54,
    bias=0.0,
    same_choice=0.922,
    difference_from_base=0.124,
    effect=0.97,
    effect_error=0.02,
)


def _card(**changed: Any) -> str:
    run = TrainedRun(Path("run/adapter"), "limner/smollm2-135m", "b179c9523d0e", RECORD, MANIFEST, None)
    given: dict[str, Any] = {
        "name": "mine",
        "base_name": "smollm2-135m",
        "formats": ("lora-gguf",),
        "terms": TERMS,
        "files": [CardFile(path="adapter.gguf", bytes=4_913_248, sha256="cd" * 32)],
        "checks": {"adapter.gguf": CHECK},
        "evaluation": None,
        "limner": "0.1.0",
    }
    return write_card(
        given.pop("run", run) if "run" not in changed else changed.pop("run"), **given | changed
    )


@pytest.mark.parametrize(
    "line",
    [
        "| `adapter.gguf` | 4,913,248 | `" + "cd" * 32 + "` |",
        "- Log: `store`, sha256 `" + "ab" * 32 + "`.",
        "- 12,000 drafts of 1,500 users;",
        "- Split by user and by time at 2014-05-01T00:00:00Z: train 1,200 users, 7,000 drafts; "
        + "test 150 users, 2,000 drafts.",
        "- Forgotten users left out: yes. Users left out by name:",
        "  3. Consent required: no.",
        "- two users were alone in their group",
        "| method | grpo-offline |",
        "| seed | 11 |",
        "| grpo-offline: clip | 0.2 |",
        "| steps | 1,200 |",
        "| hours | 1.50 on cpu |",
        "| peak memory | 2.9 GB |",
        "| revision of the base | `b179c9523d0e` |",
        "Training was stopped before its end: reward rose while the held-out judge fell",
        "Versions: python 3.11.2, torch 2.13.0.",
        "limner models fetch smollm2-135m",
        "limner profile USER --model limner/mine",
        "Not evaluated. Compare it with its base before relying on it: `limner distill eval`.",
        "The files: Apache-2.0. The base `limner/smollm2-135m`: Apache-2.0. Terms of the data: not stated.",
    ],
)
def test_the_card_tells_what_the_run_says(line: str) -> None:
    assert line in _card().splitlines()


def test_the_card_has_a_model_hubs_front_matter() -> None:
    card: Any = frontmatter.loads(_card())

    assert card.metadata == {
        "license": "apache-2.0",
        "base_model": "Org/Base-135M",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["limner", "user-profiling", "recommender-systems", "lora", "gguf"],
    }


def test_the_critic_and_the_fidelity_are_told_in_words() -> None:
    text = " ".join(_card().split())

    assert "graded by one critic, version `critic-7`" in text
    assert "differ by 0.070 nats a token on average (0.54 at most)" in text  # 0.0695 rounds up
    assert "at 92.2% of them, and 0.97 ± 0.04 of what training changed is served" in text


def test_the_same_inputs_give_the_same_card() -> None:
    assert _card() == _card()


def test_a_run_that_says_nothing_gives_a_card_that_says_so() -> None:
    card = _card(
        run=TrainedRun(Path("a"), "/secret/place/base", None, {}, {}, None), checks={}, base_name=None
    )

    assert "The run does not say how it was trained." in card
    assert "The training set was not there when this card was written." in card
    assert "Not checked." in card
    assert "/secret/place" not in card


def test_data_terms_and_evaluation_are_taken_over() -> None:
    card = _card(
        terms=TERMS._replace(data_terms="research use only"),
        evaluation={"users": 300, "systems": {"H": {"R@10": 0.047}, "10H+P": {"R@10": 0.0512, "p": 0.004}}},
    )

    assert card.count("research use only") == 2
    assert "| users | 300 |" in card
    assert "|  | R@10 | p |\n|---|---|---|\n| H | 0.047 |  |\n| 10H+P | 0.0512 | 0.004 |\n" in card
    assert "Not evaluated" not in card


def test_results_of_any_shape_become_tables() -> None:
    results: dict[str, Any] = {
        "passed": True,
        "paired": {"transfer": {"office": {"gain": [0.1, 0.25], "note": "a | b"}, "toys": {"gain": None}}},
        "rows": [{"k": 1}, {"k": 2}],
        "curve": list(range(30)),
    }

    found = {table.title: (table.columns, table.rows) for table in tables_of(results)}

    listed = ", ".join(str(number) for number in range(12))
    assert found == {
        "Results": (("", "value"), (("passed", "yes"), ("curve", f"{listed}, …"))),
        "paired: transfer": (
            ("", "gain", "note"),
            (("office", "0.1 … 0.25", "a \\| b"), ("toys", "none", "")),
        ),
        "rows": (("", "k"), (("1", "1"), ("2", "2"))),
    }
