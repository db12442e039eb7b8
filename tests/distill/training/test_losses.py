"""The losses equal numbers worked out by hand."""

import math
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="the extra `train` is not installed")

from limner.distill.training.losses import clipped_surrogate, weighted_nll  # needs the extra

HALF, QUARTER = math.log(0.5), math.log(0.25)


def test_weighted_likelihood_sums_what_the_mask_shows() -> None:
    logprobs = torch.tensor([[HALF, QUARTER], [HALF, 7.0]])
    mask = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    weights = torch.tensor([2.0, 1.0])

    loss = weighted_nll(logprobs, mask, weights, 3.0)

    # (2 (ln 2 + ln 4) + ln 2) / 3 = 7 ln 2 / 3
    assert float(loss) == pytest.approx(7 * math.log(2) / 3)


def surrogate(ratio: float, advantage: float, *, away: float = 1.0, kl: float = 0.0) -> float:
    """One token whose probability is `ratio` times the anchor's and `away` times the reference's."""
    logprobs = torch.tensor([[HALF]])
    return float(
        clipped_surrogate(
            logprobs,
            logprobs - math.log(ratio),
            logprobs - math.log(away),
            torch.ones(1, 1),
            torch.tensor([advantage]),
            1.0,
            clip=0.2,
            max_ratio=3.0,
            kl=kl,
        )
    )


@pytest.mark.parametrize(
    ("ratio", "advantage", "expected"),
    [
        (1.0, 2.0, -2.0),  # where training starts
        (1.1, 2.0, -2.2),  # inside the trust region
        (1.5, 2.0, -2.4),  # 1.2 x 2: no more to gain beyond it
        (0.5, 2.0, -1.0),  # below it a good draft still pulls
        (0.5, -1.0, 0.8),  # -0.8 x -1: a bad draft that has fallen enough
        (2.0, -1.0, 2.0),  # a bad draft that has risen is pushed
        (9.0, -1.0, 3.0),  # but no harder than `max_ratio`
    ],
)
def test_surrogate_of_one_token(ratio: float, advantage: float, expected: float) -> None:
    assert surrogate(ratio, advantage) == pytest.approx(expected, rel=1e-5)


def test_kl_term_is_the_unbiased_positive_estimate() -> None:
    # exp(-ln 2) + ln 2 - 1 = ln 2 - 1/2
    assert surrogate(1.0, 0.0, away=2.0, kl=0.1) == pytest.approx(0.1 * (math.log(2) - 0.5), rel=1e-5)


def test_filling_of_any_value_neither_counts_nor_overflows() -> None:
    logprobs = torch.tensor([[HALF, 0.0]], requires_grad=True)
    other = torch.tensor([[HALF, -1e30]])

    loss: Any = clipped_surrogate(
        logprobs,
        other,
        other,
        torch.tensor([[1.0, 0.0]]),
        torch.tensor([1.0]),
        1.0,
        clip=0.2,
        max_ratio=3.0,
        kl=0.1,
    )
    loss.backward()

    assert float(loss.detach()) == pytest.approx(-1.0)
    assert logprobs.grad is not None
    assert logprobs.grad.tolist() == [[pytest.approx(-1.0), 0.0]]  # d(-r A) / d log p = -r A
