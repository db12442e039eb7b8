"""The clock door: both clocks keep the same contract."""

from datetime import UTC, datetime, timedelta

import pytest

from limner.tools.clock import Clock, ManualClock, SystemClock

START = datetime(2024, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize("clock", [SystemClock(), ManualClock(START)], ids=["system", "manual"])
async def test_a_clock_tells_utc_and_has_moved_on_after_a_sleep(clock: Clock) -> None:
    before = clock.now()
    await clock.sleep(0.01)
    after = clock.now()

    assert before.utcoffset() == timedelta(0)
    assert after - before >= timedelta(seconds=0.009)  # timers may round down a little


async def test_the_manual_clock_moves_only_when_told_to() -> None:
    clock = ManualClock(START)

    clock.advance(90)
    await clock.sleep(30)
    await clock.sleep(0)

    assert clock.now() == START + timedelta(minutes=2)
    assert clock.slept == [30, 0]
