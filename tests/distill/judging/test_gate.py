"""The gate opens for a significant gain without harm, and for nothing else."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from limner.cli import app
from limner.distill.judging.evaluation import Compared, Evaluation, Plan, way_of, write_users
from limner.distill.judging.gate import CHECKS, PromotionRefusedError, promote
from limner.errors import UnknownFormatError, WeightsError
from limner.tools.checksums import sha256_of
from limner.tools.promotion import Promotion, read_promotion, write_promotion

NOW = datetime(2026, 4, 1, tzinfo=UTC)
Interval = tuple[float, float]
Write = Callable[..., Path]


def figure(metric: str, interval: Interval, users: int, p_value: float = 0.01) -> Compared:
    low, high = interval
    middle = (low + high) / 2
    return Compared(
        metric=metric,
        better=way_of(metric),
        candidate=0.5 + middle,
        baseline=0.5,
        difference=middle,
        low=low,
        high=high,
        p_value=p_value,
        p_holm=1.0,
        users=users,
    )


@pytest.fixture
def write(tmp_path: Path, declared: Plan) -> Write:
    """Write an evaluation that passes, with changes: intervals by number (none to leave it out), plan, counts."""

    def make(
        figures: dict[str, Interval | None] | None = None,
        *,
        plan: dict[str, Any] | None = None,
        users: int = 200,
        changed: int = 0,
        p_value: float = 0.01,
    ) -> Path:
        folder = tmp_path / "evaluation"
        folder.mkdir(exist_ok=True)
        good: dict[str, Interval | None] = {
            check.metric: (-0.001, 0.001) for check in CHECKS if check.required
        }
        intervals = {**good, "judge/held_out": (0.02, 0.06), **(figures or {})}
        found = Evaluation(
            limner="0",
            plan=declared.model_copy(update=plan or {}),
            users=users,
            changed=changed,
            figures=tuple(figure(name, ends, users, p_value) for name, ends in intervals.items() if ends),
            together={},
            users_sha256=write_users(folder, [], {}, {}),
            at=NOW,
        )
        (folder / "evaluation.json").write_text(found.model_dump_json())
        return folder

    return make


def test_a_gain_without_harm_is_recorded(write: Write, tmp_path: Path) -> None:
    folder = write()

    promotion = promote(folder, tmp_path / "models", at=NOW)

    assert read_promotion(tmp_path / "models") == promotion
    assert (promotion.name, promotion.baseline, promotion.at) == ("limner/new", "limner/old", NOW)
    assert promotion.evaluation == sha256_of(folder / "evaluation.json")
    assert promotion.figures["judge/held_out"] == (0.04, 0.02, 0.06)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["promoted.json"]


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        ({"judge/held_out": (0.0, 0.06)}, "no significant gain of the primary judge/held_out (+0.0300, 95 %"),
        ({"judge/held_out": (-0.06, -0.02)}, "no significant gain of the primary"),
        ({"judge/held_out": None}, "the primary judge/held_out was not measured"),
        # A mean without harm, and an interval that holds more harm than the margin of .05.
        (
            {"critic/ground": (-0.06, 0.08)},
            "critic/ground (+0.0100, 95 % interval -0.0600 to +0.0800) may be worse",
        ),
        ({"meaning/malformed": (0.001, 0.03)}, "meaning/malformed (+0.0155"),  # less is better
        ({"critic/boiler": (-0.01, 0.06)}, "critic/boiler"),
        ({"meaning/history": (-0.03, -0.01)}, "meaning/history"),
        ({"judge/bm25": None}, "judge/bm25 was not measured"),
        ({"meaning/log_loss": (0.4, 0.6)}, "meaning/log_loss"),
    ],
)
def test_the_gate_stays_shut(
    write: Write, tmp_path: Path, figures: dict[str, Interval | None], reason: str
) -> None:
    with pytest.raises(PromotionRefusedError) as refused:
        promote(write(figures), tmp_path / "models", at=NOW)

    assert any(told.startswith(reason) for told in refused.value.reasons), refused.value.reasons
    assert not (tmp_path / "models").exists()


@pytest.mark.parametrize(
    "figures",
    [
        {"critic/ground": (-0.049, 0.0)},  # within the margin
        {"meaning/malformed": (-0.5, -0.3)},  # less is better, and it is much less
        {"meaning/words": (50.0, 60.0)},  # neither better nor worse
        {"meaning/log_loss": (-0.1, 0.49)},
    ],
)
def test_what_is_no_harm_does_not_shut_it(
    write: Write, tmp_path: Path, figures: dict[str, Interval | None]
) -> None:
    assert promote(write(figures), tmp_path / "models", at=NOW).name == "limner/new"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"plan": {"candidate": "runs/raft"}}, "only an exported `limner/NAME` can be served"),
        ({"plan": {"baseline_identity": "new@1"}}, "candidate and baseline are the same model"),
        ({"plan": {"held_out": "minilm"}}, "the held-out encoder 'minilm' is the critic's own"),
        ({"plan": {"split": "validation"}}, "the users of the split 'validation' were looked at"),
        ({"users": 99}, "99 users are fewer than 100"),
        # The bootstrap is too sure of itself where a few users carry the gain.
        ({"p_value": 0.05}, "no significant gain of the primary judge/held_out (+0.0400, 95 %"),
        ({"changed": 23}, "23 of 223 users were left out"),
    ],
)
def test_a_comparison_that_says_little_is_refused(
    write: Write, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(PromotionRefusedError) as refused:
        promote(write(**changes), tmp_path / "models", at=NOW)

    assert len(refused.value.reasons) == 1
    assert refused.value.reasons[0].startswith(reason)


def test_the_gain_is_tested_where_less_is_better(write: Write, tmp_path: Path) -> None:
    plan = {"primary": "critic/boiler"}

    with pytest.raises(PromotionRefusedError, match="no significant gain of the primary critic/boiler"):
        promote(write({"critic/boiler": (0.01, 0.02)}, plan=plan), tmp_path / "models", at=NOW)
    assert promote(write({"critic/boiler": (-0.02, -0.01)}, plan=plan), tmp_path / "models", at=NOW)


def test_every_reason_is_told_at_once(write: Write, tmp_path: Path) -> None:
    folder = write({"judge/held_out": (-0.02, 0.06), "critic/leak": (0.0, 0.5)}, users=50)

    with pytest.raises(PromotionRefusedError) as refused:
        promote(folder, tmp_path / "models", at=NOW)

    # Too few users, no gain, the held-out judge as a check of its own, leaks.
    assert len(refused.value.reasons) == 4
    assert all(reason in str(refused.value) for reason in refused.value.reasons)


def test_the_next_candidate_must_beat_what_is_served(write: Write, tmp_path: Path) -> None:
    promote(write(), tmp_path, at=NOW)
    against_old = {"candidate": "limner/newest", "candidate_identity": "newest@1"}

    with pytest.raises(PromotionRefusedError, match="'limner/new' was promoted before"):
        promote(write(plan=against_old), tmp_path, at=NOW)

    promote(write(plan=against_old | {"baseline": "limner/new"}), tmp_path, at=NOW)
    found = read_promotion(tmp_path)
    assert found is not None and found.name == "limner/newest"


def test_the_promoted_name_does_not_carry_other_weights_through(write: Write, tmp_path: Path) -> None:
    first = promote(write(), tmp_path, at=NOW)

    assert promote(write(), tmp_path, at=NOW) == first  # the same weights again
    with pytest.raises(PromotionRefusedError, match="'limner/new' was promoted with other weights"):
        promote(write(plan={"candidate_identity": "new@2"}), tmp_path, at=NOW)


def test_a_refusal_leaves_the_last_promotion(write: Write, tmp_path: Path) -> None:
    first = promote(write(), tmp_path, at=NOW)

    with pytest.raises(PromotionRefusedError):
        promote(write({"judge/held_out": (-0.1, 0.1)}), tmp_path, at=NOW)

    assert read_promotion(tmp_path) == first


def test_without_a_promotion_there_is_none_and_a_damaged_one_is_told(tmp_path: Path) -> None:
    assert read_promotion(tmp_path) is None

    (tmp_path / "promoted.json").write_text('{"name": 3}')

    with pytest.raises(WeightsError, match="is no promotion"):
        read_promotion(tmp_path)


def test_a_promotion_survives_the_file(tmp_path: Path) -> None:
    promotion = Promotion(
        name="limner/a",
        baseline="limner/b",
        evaluation="e",
        primary="p",
        figures={"p": (1.0, 0.5, 1.5)},
        at=NOW,
    )

    write_promotion(tmp_path / "new", promotion)

    assert read_promotion(tmp_path / "new") == promotion


def limner(*args: str | Path) -> Result:
    return CliRunner().invoke(app, ["distill", "promote", *map(str, args)])


def test_the_command_promotes(write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(tmp_path / "models"))

    tried = limner("--evaluation", write(), "--dry-run")
    done = limner("--evaluation", write(), "--json")

    assert tried.exit_code == 0, tried.stderr
    assert "limner/new would be the embedded default: judge/held_out +0.0400 over limner/old" in tried.stdout
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["name"] == "limner/new"
    found = read_promotion(tmp_path / "models")
    assert found is not None and found.name == "limner/new"


def test_the_command_refuses_with_reasons_and_an_exit_code(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIMNER_MODELS_DIR", str(tmp_path / "models"))

    failed = limner("--evaluation", write(), "--margin", "0.03", "--json")

    assert failed.exit_code == 1
    error = json.loads(failed.stdout)["error"]
    assert error["code"] == "promotion_refused"
    assert "must exceed +0.03" in error["message"]
    assert not (tmp_path / "models").exists()


def test_a_folder_without_an_evaluation_is_told(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="is no finished comparison"):
        promote(tmp_path, tmp_path / "models", at=NOW)
