"""Invented users who sit for portraits, and a critic that can be fooled."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from limner.cli import app
from limner.distill.judging.evaluation import Plan
from limner.distill.judging.grading import Reading
from limner.distill.judging.sitters import Sitter
from limner.distill.log.training_rows import PromptOnly
from limner.models import Facet
from limner.records import Message

THEMES = ("garden", "comet", "harbour", "oven", "gambit", "hive")
WORDS: Mapping[str, tuple[str, ...]] = {
    "garden": ("roses", "compost", "orchids", "ferns"),
    "comet": ("telescopes", "eclipses", "nebulae", "meteors"),
    "harbour": ("dinghies", "knots", "regattas", "lighthouses"),
    "oven": ("sourdough", "pastry", "brioche", "tarts"),
    "gambit": ("openings", "endgames", "puzzles", "clocks"),
    "hive": ("honey", "swarms", "pollen", "smokers"),
}


@pytest.fixture
def declared() -> Plan:
    """What a comparison of two profilers declares before anything is drawn."""
    return Plan(
        candidate="limner/new",
        baseline="limner/old",
        candidate_identity="new@1",
        baseline_identity="old@1",
        primary="judge/held_out",
        data_sha256="d",
        split="test",
        users=None,
        drafts=2,
        seed=3,
        temperature=0.8,
        guided=True,
        critic_version="c1",
        critic_encoder="minilm",
        held_out="hashing-v1",
    )


def _sitter(number: int) -> Sitter:
    """User number k follows theme k modulo 6: two items seen, two held back, the other themes' items rejected."""
    theme = THEMES[number % len(THEMES)]
    items = [f"{theme} {word} kit" for word in WORDS[theme]]
    others = [f"{other} {word} kit" for other in THEMES if other != theme for word in WORDS[other]]
    row = PromptOnly(
        group_key=f"g{number}",
        user_id=f"u{number}",
        as_of=datetime(2026, 3, 1, tzinfo=UTC),
        prompt=(Message(role="user", content=f"{number}: {'; '.join(items[:2])}"),),
        round=0,
        prompt_id="draft_plain",
        prompt_version=1,
        held=("e",),
        neg_seed=1,
        drafts=1,
        best_reward=0.5,
    )
    return Sitter(row=row, history=tuple(items[:2]), positives=tuple(items[2:]), negatives=tuple(others))


@pytest.fixture
def sitters() -> Callable[[int], list[Sitter]]:
    """Return so many sitters."""
    return lambda count: [_sitter(number) for number in range(count)]


class Critic:
    """Grades a text by a function of the sitter's number and the text; every sentence is a like."""

    critic_version = "c1"

    def __init__(self, total: Callable[[int, str], float]) -> None:
        self._total = total

    async def grade(self, row: PromptOnly, completions: Sequence[str]) -> list[Reading]:
        """Grade texts; an empty one is malformed."""
        return [self._read(int(row.user_id[1:]), text) for text in completions]

    def _read(self, number: int, text: str) -> Reading:
        sentences = [f"{part.strip()}." for part in text.split(".") if part.strip()]
        if not sentences:
            return Reading({"malformed": 1.0, "total": -1.0}, ())
        facets = tuple(Facet(name="f", text=sentence) for sentence in sentences)
        total = self._total(number, text)
        return Reading({"rank": total, "ground": 0.5, "total": total}, facets)


@pytest.fixture
def critic() -> Callable[[Callable[[int, str], float]], Critic]:
    """Make a critic of a function of the sitter's number and the text."""
    return Critic


@pytest.fixture
def theme_of() -> Callable[[int], str]:
    """The theme that sitter number k follows."""
    return lambda number: THEMES[number % len(THEMES)]


@pytest.fixture
def words_of() -> Callable[[str], tuple[str, ...]]:
    """What a theme's items are about; the last two are held back."""
    return lambda theme: WORDS[theme]


def _limner(*args: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, args)])


@pytest.fixture(scope="session")
def stocked(sample_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store of the sample, graded drafts in its log, and a training set of them."""
    folder = tmp_path_factory.mktemp("stocked")
    store = ("--store", folder / "store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIMNER_EMBEDDER", "hashing")
        imported = _limner("import", sample_folder, *store)
        assert imported.exit_code == 0, imported.stderr
        dealt = _limner("distill", "explore", "--drafts", "2", *store)
        assert dealt.exit_code == 0, dealt.stderr
        split = ("--validation", "0.4", "--test", "0.4", "--epsilon", "0.000001")
        prepared = _limner("distill", "prepare", "--out", folder / "set", *split, *store)
        assert prepared.exit_code == 0, prepared.stderr
    return folder
