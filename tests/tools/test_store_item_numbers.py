"""What every `Store` says of items in numbers, on SQLite and on PostgreSQL."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from limner.records import Interaction
from limner.tools.store import ItemStatistics, Store

START = datetime(2024, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=1)


def event(user: str, item: str, second: int = 0, rating: float | None = None) -> Interaction:
    return Interaction(
        user_id=user, item_id=item, kind="rating", at=START + timedelta(seconds=second), rating=rating
    )


async def test_statistics_are_those_of_others_before_the_moment(store: Store) -> None:
    await store.record(
        [
            event("a", "x", 0, 2.0),
            event("b", "x", 1, 4.0),
            event("c", "x", 2),
            event("me", "x", 3, 1.0),
            event("a", "x", 60, 5.0),
            event("a", "y", 4, 3.0),
        ]
    )

    found = await store.item_statistics(
        ["x", "y", "none"], as_of=START + timedelta(seconds=60), exclude_user="me"
    )

    # Ratings 2 and 4: mean 3, each 1 away from it.
    assert found == {"x": ItemStatistics(3, 2, 3.0, 1.0), "y": ItemStatistics(1, 1, 3.0, 0.0)}
    everybody = await store.item_statistics(["x"], as_of=LATER)
    assert (everybody["x"].events, everybody["x"].ratings) == (5, 4)


async def test_company_counts_others_who_had_something_beside_it(
    store: Store, open_tenant: Callable[[str], Awaitable[Store]]
) -> None:
    events = [
        *(event("a", item, 1) for item in ("p", "q", "x")),
        *(event("b", item, 2) for item in ("q", "x", "y")),
        *(event("c", item, 3) for item in ("r", "x")),  # has nothing beside
        *(event("me", item, 4) for item in ("p", "q", "x")),
        event("d", "p", 5),
        event("d", "x", 90),
        event("e", "x", 6),
        event("e", "p", 90),
    ]
    await store.record(events)
    other = await open_tenant("other")
    await other.record([event("z", "p", 1), event("z", "x", 1)])

    moment = START + timedelta(seconds=60)
    found = await store.company(["x", "y", "none"], ["p", "q"], as_of=moment, exclude_user="me")

    assert found == {"x": 2, "y": 1}  # of `x`, a and b; d's and e's came too late
    assert await store.company(["x"], [], as_of=moment, exclude_user="me") == {}
