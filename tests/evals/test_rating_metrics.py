"""Rating metrics against values worked out by hand."""

import numpy as np
import pytest

from limner.evals.rating_metrics import measure_ratings, rating_errors

STARS = (1.0, 2.0, 3.0, 4.0, 5.0)


def test_metrics_equal_values_worked_out_by_hand() -> None:
    actual = [1.0, 1.0, 2.0, 5.0]
    predicted = [1.4, 2.0, 2.2, 3.5]  # nearest levels: 1, 2, 2, 4

    found = measure_ratings(predicted, actual, levels=STARS, seed=0)

    assert found["mae"].value == pytest.approx((0.4 + 1.0 + 0.2 + 1.5) / 4)
    assert found["rmse"].value == pytest.approx(((0.16 + 1.0 + 0.04 + 2.25) / 4) ** 0.5)
    assert found["accuracy"].value == 2 / 4
    # F1: level 1: 2*1/(1+2); level 2: 2*1/(2+1); level 4: 0/(1+0); level 5: 0/(0+1); level 3 never occurs.
    assert found["f1"].value == pytest.approx((2 / 3 + 2 / 3 + 0 + 0) / 4)


def test_half_way_goes_up_and_beyond_the_scale_is_its_end() -> None:
    found = rating_errors([2.5, 0.0, 9.0], [3.0, 1.0, 5.0], levels=STARS)

    assert found["accuracy"].tolist() == [1.0, 1.0, 1.0]
    assert found["mae"].tolist() == [0.5, 1.0, 4.0]
    assert found["mse"].tolist() == [0.25, 1.0, 16.0]


def test_scales_need_not_be_whole_numbers() -> None:
    found = rating_errors([0.7, 0.8], [0.5, 0.5], levels=(0.5, 1.0, 1.5))

    assert found["accuracy"].tolist() == [1.0, 0.0]


def test_perfect_predictions_leave_no_room() -> None:
    found = measure_ratings(STARS, STARS, levels=STARS, seed=0)

    assert found["rmse"] == (0.0, 0.0, 0.0)
    assert found["f1"] == (1.0, 1.0, 1.0)


def test_intervals_hold_the_value_and_follow_users() -> None:
    rng = np.random.default_rng(0)
    actual = rng.integers(1, 6, size=300).astype(np.float64)
    predicted = actual + rng.normal(0, 1, size=300)

    found = measure_ratings(predicted, actual, levels=STARS, seed=1)
    one_user = measure_ratings(predicted, actual, levels=STARS, seed=1, by=np.zeros(300, dtype=np.int64))

    assert all(estimate.low < estimate.value < estimate.high for estimate in found.values())
    assert all(estimate.low == estimate.high for estimate in one_user.values())


@pytest.mark.parametrize(
    ("predicted", "actual", "levels", "said"),
    [
        ([1.0], [1.0, 2.0], STARS, "must be of the same ratings"),
        ([], [], STARS, "must be of the same ratings"),
        ([float("nan")], [1.0], STARS, "must not have NaN"),
        ([1.0], [1.0], (), "must be ascending"),
        ([1.0], [1.0], (2.0, 1.0), "must be ascending"),
    ],
)
def test_what_cannot_be_measured_is_refused(
    predicted: list[float], actual: list[float], levels: tuple[float, ...], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        measure_ratings(predicted, actual, levels=levels, seed=0)
