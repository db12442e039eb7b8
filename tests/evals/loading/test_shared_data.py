"""The real sets: counts as their publisher's, probes that pass, and the known leak of first-appearance numbers."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from limner.evals.leave_one_out import leave_one_out
from limner.evals.loading.load import load
from limner.evals.probes import id_order, run_probes

DATA = Path(__file__).resolve().parents[3].parent / "shared" / "data"

COUNTS = {
    "movielens_latest_small": (610, 9724, 100836, "timestamps", False),
    "amazon18_video_games": (None, None, None, "order", False),
    "amazon18_office_products": (3231, 3317, 22447, "order", False),
    "amazon14_beauty": (22363, 12101, 198502, "order", True),
    "amazon14_toys": (19412, 11924, 167597, "order", True),
    "amazon18_gift_cards": (458, 148, 2972, "timestamps", False),
    "rent_the_runway": (None, None, None, "timestamps", False),
}
"""Users, chosen items, events, clock, text by a model; `None` where only a part of the users is there."""


def _folder(name: str) -> Path:
    folder = DATA / name
    if not folder.is_dir():
        pytest.skip(f"needs ../shared/data/{name} beside the repository")
    return folder


@pytest.mark.parametrize("name", COUNTS)
def test_a_known_set_has_its_counts_and_its_card(name: str) -> None:
    card = load(_folder(name), seed=0, catalogue="chosen").card

    users, items, events, clock, text_by_model = COUNTS[name]
    if users is not None:
        assert (card.users, card.items, card.events) == (users, items, events)
    assert (card.name, card.clock, card.text_by_model) == (name, clock, text_by_model)
    assert card.source != "unknown"
    assert not [note for note in card.notes if "bad rows" in note]


@pytest.mark.parametrize(
    "name", ["amazon18_gift_cards", "amazon18_office_products", "movielens_latest_small"]
)
def test_the_probes_pass_on_real_sets(name: str) -> None:
    dataset = load(_folder(name), seed=0)

    assert [probe for probe in run_probes(dataset, leave_one_out(dataset)) if not probe.passed] == []


@pytest.mark.parametrize(("name", "recall"), [("amazon14_beauty", 0.0463), ("amazon14_toys", 0.0667)])
def test_numbers_in_the_order_of_first_appearance_leak_as_published(name: str, recall: float) -> None:
    folder = _folder(name)
    numbers: dict[str, int] = {}
    with gzip.open(folder / "sequences.jsonl.gz") as lines:
        for line in lines:
            for item in json.loads(line)["item_ids"]:
                numbers.setdefault(item, len(numbers))
    dataset = load(folder, seed=0)
    split = leave_one_out(dataset)

    leaking = id_order(split, numbers=np.array([numbers[item.item_id] for item in dataset.items]))

    assert leaking.value == pytest.approx(recall, abs=5e-5)
    assert not leaking.passed
    assert id_order(split).passed
