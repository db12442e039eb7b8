r"""What another way of choosing among logged drafts would have earned from people, estimated from the log.

Each round drew k drafts, published one of them with known probabilities, and got feedback (a click, a rating). The
policy to judge gives other probabilities to the same drafts. With `w = target / logged` of the published draft, `r` its
feedback, and `q` a prediction of the feedback of each draft:

| estimate | value |
|---|---|
| `ips` | mean of `w r` |
| `snips` | `sum w r / sum w` |
| `dm` | mean of `sum_a target(a) q(a)`; as good as `q` |
| `dr` | `dm` + mean of `w (r - q)` |
| `sndr` | `dm` + `sum w (r - q) / sum w` |

Rewards of the critic need none of this: the critic can grade fresh drafts (`distill.judging.compare`). Nor are there
estimates for another *writer*: a portrait of 60 tokens has whole-text weights whose effective sample size is a few
per cent of the log even where each token's log-ratio has a standard deviation of 0.3.

Source:
    Swaminathan & Joachims 2015 (SNIPS), Dudik, Langford & Li 2011 (DR), https://arxiv.org/abs/1103.4601, Thomas &
    Brunskill 2016 (self-normalised DR), https://arxiv.org/abs/1604.00923; all as in `obp` 0.5.7.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
from pydantic import Field

from ...errors import InputError
from ...records import Record
from ...tools.statistics import LEVEL, RESAMPLES, Values, numbers_of, percentile_interval, resampled_means

Estimator = Literal["ips", "snips", "dm", "dr", "sndr"]

_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, kw_only=True)
class Round:
    """One choice among drafts, and what people said of what was chosen."""

    user_id: str
    """Whose portrait; rounds of one user are drawn together."""

    logged: tuple[float, ...]
    """Probability with which each draft would have been published; they add up to 1."""

    chosen: int
    """Place of the draft that was published."""

    feedback: float
    """What it earned, on any scale."""

    target: tuple[float, ...]
    """Probability with which the policy to judge publishes each draft; they add up to 1."""

    predicted: tuple[float, ...] | None = None
    """Predicted feedback of each draft, made without this user's feedback; absent for no model."""


class Overlap(Record):
    """How much the log says about the other policy."""

    rounds: int
    """Rounds of the log."""

    users: int
    """Their users."""

    effective: float
    """Kish's effective number of rounds, `(sum w)^2 / sum w^2`."""

    mean_weight: float
    """Mean of `w`; 1 in expectation where the log could have published whatever the other policy would."""

    largest_weight: float
    """The largest `w`."""

    unsupported: float
    """Mean probability that the other policy gives to drafts that the log never publishes."""


class OverlapGate(Record):
    """What an estimate needs to be one."""

    share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    """Least share of the rounds that the effective number must reach."""

    rounds: Annotated[float, Field(ge=1.0)] = 30.0
    """Least effective number of rounds."""

    drift: Annotated[float, Field(gt=0.0)] = 0.2
    """Most that the mean weight may be away from 1."""

    unsupported: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.01
    """Most unsupported probability."""

    def complaints(self, overlap: Overlap) -> tuple[str, ...]:
        """Say what is lacking; nothing if the log is enough."""
        needed = max(self.rounds, self.share * overlap.rounds)
        found = [
            f"{overlap.effective:.1f} effective rounds of {overlap.rounds} are fewer than {needed:.1f}"
            if overlap.effective < needed
            else "",
            f"the mean weight is {overlap.mean_weight:.3f}, not 1 ± {self.drift:g}"
            if abs(overlap.mean_weight - 1.0) > self.drift
            else "",
            f"{overlap.unsupported:.1%} of the policy's choices were never published by the log"
            if overlap.unsupported > self.unsupported
            else "",
        ]
        return tuple(part for part in found if part)


class InsufficientOverlap(Record):
    """The log cannot tell; there is no number."""

    overlap: Overlap
    """Why."""

    complaints: tuple[str, ...]
    """The same in words."""


class Estimate(NamedTuple):
    """One estimate with its intervals."""

    value: float
    """Feedback a round under the other policy."""

    low: float
    high: float
    """Bootstrap interval of the value, users drawn with all their rounds."""

    gain: float
    """Value, less the mean feedback of the log."""

    gain_low: float
    gain_high: float
    """Interval of the gain, from the same resamples."""


class OffPolicy(NamedTuple):
    """What the log says about the other policy."""

    logged: float
    """Mean feedback of the log."""

    overlap: Overlap
    """How much there is to go by."""

    estimates: dict[Estimator, Estimate]
    """By estimator; `dm`, `dr` and `sndr` only with predictions."""


def evaluate(
    rounds: Sequence[Round],
    *,
    seed: int,
    gate: OverlapGate | None = None,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> OffPolicy | InsufficientOverlap:
    """Estimate what the other policy would have earned.

    Args:
        rounds: The log.
        seed: Decides the resamples.
        gate: What an estimate needs.
        resamples: How often users are drawn with replacement.
        level: Coverage of the intervals.

    Returns:
        Estimates, or `InsufficientOverlap` where the log is too unlike the policy.

    Raises:
        InputError: There is no round, probabilities are none, or only some rounds have predictions.
    """
    _check(rounds)
    weights = np.array([each.target[each.chosen] / each.logged[each.chosen] for each in rounds])
    overlap = _overlap(rounds, weights)
    complaints = (gate or OverlapGate()).complaints(overlap)
    if complaints:
        return InsufficientOverlap(overlap=overlap, complaints=complaints)
    columns = _columns(rounds, weights)
    by = numbers_of([each.user_id for each in rounds])
    drawn = resampled_means(columns, seed=seed, by=by, resamples=resamples)
    return OffPolicy(
        logged=float(columns[:, 0].mean()),
        overlap=overlap,
        estimates=_estimates(columns.mean(axis=0), drawn, level, modelled=rounds[0].predicted is not None),
    )


def _columns(rounds: Sequence[Round], weights: Values) -> Values:
    """Return what every estimate is made of: feedback, w, w r, and with predictions expected q and w (r - q)."""
    feedback = np.array([each.feedback for each in rounds])
    parts = [feedback, weights, weights * feedback]
    if rounds[0].predicted is not None:
        expected = [np.dot(each.target, each.predicted or ()) for each in rounds]
        of_chosen = np.array([(each.predicted or ())[each.chosen] for each in rounds])
        parts += [np.array(expected), weights * (feedback - of_chosen)]
    return np.column_stack(parts)


def _estimates(means: Values, drawn: Values, level: float, *, modelled: bool) -> dict[Estimator, Estimate]:
    """Combine means, shape `(M,)`, and their resamples, shape `(R, M)`."""
    found = _combine(means[None], modelled=modelled)
    spread = _combine(drawn, modelled=modelled)
    estimates: dict[Estimator, Estimate] = {}
    for name, values in spread.items():
        ends = percentile_interval(np.column_stack([values, values - drawn[:, 0]]), level=level)
        (low, high), (gain_low, gain_high) = ends.tolist()
        value = float(found[name][0])
        estimates[name] = Estimate(value, low, high, value - float(means[0]), gain_low, gain_high)
    return estimates


def _combine(means: Values, *, modelled: bool) -> dict[Estimator, Values]:
    """Return each estimate of each row of means, shape `(R,)`; NaN for a resample without weight."""
    weight = np.where(means[:, 1] > 0, means[:, 1], np.nan)
    found: dict[Estimator, Values] = {"ips": means[:, 2], "snips": means[:, 2] / weight}
    if modelled:
        found |= {
            "dm": means[:, 3],
            "dr": means[:, 3] + means[:, 4],
            "sndr": means[:, 3] + means[:, 4] / weight,
        }
    return found


def _overlap(rounds: Sequence[Round], weights: Values) -> Overlap:
    squares = float(np.square(weights).sum())
    unsupported = [
        sum(new for new, old in zip(each.target, each.logged, strict=True) if old == 0) for each in rounds
    ]
    return Overlap(
        rounds=len(rounds),
        users=len({each.user_id for each in rounds}),
        effective=float(weights.sum()) ** 2 / squares if squares > 0 else 0.0,
        mean_weight=float(weights.mean()),
        largest_weight=float(weights.max()),
        unsupported=float(np.mean(unsupported)),
    )


def _check(rounds: Sequence[Round]) -> None:
    if not rounds:
        raise InputError(
            "there is no round to estimate from; log drafts with their propensities and feedback"
        )
    modelled = rounds[0].predicted is not None
    for place, each in enumerate(rounds):
        if fault := _fault(each, modelled=modelled):
            raise InputError(f"round {place} of user_id={each.user_id!r}: {fault}")


def _fault(each: Round, *, modelled: bool) -> str | None:
    """Say what is wrong with a round."""
    for name, shares in (("logged", each.logged), ("target", each.target)):
        if min(shares, default=-1.0) < 0 or abs(sum(shares) - 1.0) > _SUM_TOLERANCE:
            return f"`{name}` {shares!r} are no probabilities that add up to 1"
    if len(each.logged) != len(each.target) or not 0 <= each.chosen < len(each.logged):
        return f"`target` and `chosen`={each.chosen} must fit the {len(each.logged)} drafts of `logged`"
    if each.logged[each.chosen] == 0:
        return f"draft {each.chosen} was published although `logged` gives it probability 0"
    if not np.isfinite(each.feedback):
        return f"`feedback` is {each.feedback!r}; leave rounds without feedback out"
    if (each.predicted is not None) != modelled:
        return "either all rounds have `predicted` or none"
    if each.predicted is not None and len(each.predicted) != len(each.logged):
        return f"`predicted` has {len(each.predicted)} values for {len(each.logged)} drafts"
    return None
