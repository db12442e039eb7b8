"""What the guide says of watching, comparing and promoting is so."""

import re
from pathlib import Path

import pytest

from limner.distill.judging.gate import CHECKS


@pytest.fixture
def guide(root: Path) -> str:
    return (root / "docs" / "training.md").read_text(encoding="utf-8")


def test_every_check_of_the_gate_is_told_with_its_margin(guide: str) -> None:
    rows = [line for line in guide.splitlines() if line.startswith("| `")]

    for check in CHECKS:
        [row] = [row for row in rows if f"`{check.metric}`" in row and f"{check.margin:g}" in row]
        names = re.findall(r"`((?:judge|meaning|critic)/[a-z_0-9]+)`", row)
        margins = re.findall(r"\b0\.\d+", row)
        told = margins[names.index(check.metric)] if len(margins) > 1 else margins[0]
        assert float(told) == check.margin
