"""The gate before promotion: a significant gain where it was declared, and nothing else harmed.

The primary number is tested alone, by its interval and by the paired test, which stays honest for few users. Every
check must hold on its own (an intersection-union test, Berger 1982), so none is corrected for the others. A check is
of non-inferiority: the end of the 95 % interval on the side of harm must not reach the margin, so a small evaluation
cannot pass for want of evidence.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import Field

from ...errors import InputError
from ...records import Record
from ...settings import EMBEDDED
from ...tools.checksums import sha256_of
from ...tools.promotion import Promotion, read_promotion, write_promotion
from .evaluation import EVALUATION, Compared, Evaluation, read_evaluation

_ALPHA = 0.05

Margin = Annotated[float, Field(ge=0.0)]


class Check(Record):
    """How much one number may be worse."""

    metric: str
    """Its name."""

    margin: Margin
    """Most harm, in the number's own unit."""

    required: bool = True
    """Whether an evaluation without it is refused."""


CHECKS = (
    Check(metric="judge/held_out", margin=0.01),
    Check(metric="judge/bm25", margin=0.02),
    Check(metric="meaning/history", margin=0.02),
    Check(metric="meaning/malformed", margin=0.02),
    Check(metric="meaning/distinct_2", margin=0.05),
    Check(metric="critic/ground", margin=0.05),
    Check(metric="critic/boiler", margin=0.05),
    Check(metric="critic/leak", margin=0.01),
    Check(metric="critic/length", margin=0.05),
    Check(metric="meaning/log_loss", margin=0.5, required=False),
)
"""Ranks are NDCG in (0, 1], likeness to the history is a cosine, shares are of portraits or claims, surprise is in nats
a token. Shares of grounded claims and of boilerplate move by several points between two seeds of one model, ranks of a
hundred users by one; margins are about that large."""


class GateRule(Record):
    """What a promotion needs."""

    margin: Margin = 0.0
    """What the whole interval of the primary gain must exceed."""

    users: Annotated[int, Field(ge=2)] = 100
    """Least users with the primary number."""

    changed: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.1
    """Largest share of users that may have been left out because the store had changed."""

    checks: tuple[Check, ...] = CHECKS
    """What must not be harmed."""


class PromotionRefusedError(InputError):
    """An evaluation does not support promotion."""

    code = "promotion_refused"

    def __init__(self, candidate: str, reasons: Sequence[str]) -> None:
        self.candidate, self.reasons = candidate, tuple(reasons)
        super().__init__(candidate, self.reasons)

    def __str__(self) -> str:
        return f"{self.candidate!r} is not promoted: {'; '.join(self.reasons)}"


def reasons_against(evaluation: Evaluation, rule: GateRule, serving: Promotion | None) -> tuple[str, ...]:
    """Say everything that speaks against promotion; nothing if the gate is open.

    Args:
        evaluation: The comparison.
        rule: What is needed.
        serving: What was promoted last; the candidate must have been compared with it. Absent for nothing.
    """
    return (*_of_the_comparison(evaluation, rule, serving), *_of_the_figures(evaluation, rule))


def _of_the_comparison(evaluation: Evaluation, rule: GateRule, serving: Promotion | None) -> Iterator[str]:
    plan = evaluation.plan
    if not plan.candidate.startswith(EMBEDDED):
        yield f"only an exported `{EMBEDDED}NAME` can be served; run `limner distill export` and compare that name"
    if plan.split != "test":
        yield f"the users of the split {plan.split!r} were looked at while it was trained; compare on `test`"
    if plan.candidate_identity == plan.baseline_identity:
        yield "candidate and baseline are the same model"
    if serving is not None and serving.name not in (plan.baseline, plan.candidate):
        yield (
            f"{serving.name!r} was promoted before, but the candidate was compared with {plan.baseline!r}; compare them"
        )
    if (
        serving is not None
        and serving.name == plan.candidate
        and _has_changed(serving, plan.candidate_identity)
    ):
        yield f"{serving.name!r} was promoted with other weights; export these under a name of their own, and compare"
    if plan.held_out == plan.critic_encoder:
        yield f"the held-out encoder {plan.held_out!r} is the critic's own"
    asked = evaluation.users + evaluation.changed
    if evaluation.changed > rule.changed * asked:
        yield f"{evaluation.changed} of {asked} users were left out because the store has changed"


def _has_changed(serving: Promotion, identity: str) -> bool:
    """Whether other weights go by the promoted name now."""
    return serving.identity not in (None, identity)


def _of_the_figures(evaluation: Evaluation, rule: GateRule) -> Iterator[str]:
    primary = evaluation.figure(evaluation.plan.primary)
    if primary is None:
        yield f"the primary {evaluation.plan.primary} was not measured"
    else:
        if primary.users < rule.users:
            yield f"{primary.users} users are fewer than {rule.users}"
        if not _worst(primary) > rule.margin:
            yield f"no significant gain of the primary {_told(primary)}: must exceed {rule.margin:+g}"
        elif primary.p_value >= _ALPHA:
            yield f"no significant gain of the primary {_told(primary)}: p = {primary.p_value:.3f}"
    for check in rule.checks:
        figure = evaluation.figure(check.metric)
        if figure is None:
            if check.required:
                yield f"{check.metric} was not measured"
        elif not _worst(figure) > -check.margin:
            yield f"{_told(figure)} may be worse by more than {check.margin:g}"


def _worst(figure: Compared) -> float:
    """Return the gain at the end of the interval that speaks against the candidate."""
    return -figure.high if figure.better == "lower" else figure.low


def _told(figure: Compared) -> str:
    return (
        f"{figure.metric} ({figure.difference:+.4f}, 95 % interval {figure.low:+.4f} to {figure.high:+.4f})"
    )


def promote(
    folder: Path, models_dir: Path, *, at: datetime, rule: GateRule | None = None, dry_run: bool = False
) -> Promotion:
    """Promote the candidate of a comparison, so that it is the embedded default.

    Args:
        folder: Where `limner distill eval` wrote.
        models_dir: Folder that embedded weights lie in; the promotion is recorded there.
        at: Now.
        rule: What is needed.
        dry_run: Whether to record nothing.

    Raises:
        UnknownFormatError: There is no finished comparison.
        PromotionRefusedError: The gate stays shut, with every reason.
        WeightsError: The promotion before cannot be read.
    """
    evaluation = read_evaluation(folder)
    before = read_promotion(models_dir)
    reasons = reasons_against(evaluation, rule or GateRule(), before)
    if reasons:
        raise PromotionRefusedError(evaluation.plan.candidate, reasons)
    promotion = Promotion(
        name=evaluation.plan.candidate,
        identity=evaluation.plan.candidate_identity,
        baseline=evaluation.plan.baseline,
        evaluation=sha256_of(folder / EVALUATION),
        primary=evaluation.plan.primary,
        figures={each.metric: (each.difference, each.low, each.high) for each in evaluation.figures},
        at=at,
    )
    if not dry_run:
        write_promotion(models_dir, promotion)
    return promotion
