"""What every `Store` keeps of interactions, on SQLite and on PostgreSQL, whoever else writes or is killed."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from limner.records import Interaction, Kind
from limner.tools.store import RatingScale, Recorded, Store

T = TypeVar("T")
OpenTenant = Callable[[str], Awaitable[Store]]
START = datetime(2024, 1, 1, tzinfo=UTC)
LATER = START + timedelta(days=1)

RECORDER = """
import asyncio, json, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from limner.records import Interaction
from limner.tools.sql.sql_store import open_store

async def main(folder, url, batches, size):
    store = await open_store(folder=Path(folder), database_url=url or None, tenant="default")
    start = datetime(2024, 1, 1, tzinfo=UTC)
    for batch in range(int(batches)):
        events = [
            Interaction(user_id=f"u{n % 7}", item_id="i", kind="view", at=start + timedelta(seconds=n), event_id=f"e{n}")
            for n in range(batch * int(size), (batch + 1) * int(size))
        ]
        recorded = await store.record(events)
        print(json.dumps([recorded.added, [event.event_id for event in events]]), flush=True)
    await store.aclose()

asyncio.run(main(*sys.argv[1:]))
"""


def moment(second: float) -> datetime:
    return START + timedelta(seconds=second)


def event(
    event_id: str,
    second: float = 0,
    *,
    user: str = "u",
    item: str | None = "i",
    kind: Kind = "rating",
    rating: float | None = None,
    text: str | None = None,
) -> Interaction:
    return Interaction(
        user_id=user, item_id=item, kind=kind, at=moment(second), rating=rating, text=text, event_id=event_id
    )


async def gathered(stream: AsyncIterator[list[T]]) -> list[list[T]]:
    return [page async for page in stream]


async def ids_of(
    store: Store, *, user: str = "u", as_of: datetime = LATER, last: int | None = None
) -> list[str]:
    return [one.event_id for one in await store.history(user, as_of=as_of, last=last)]


async def test_recording_again_changes_nothing(store: Store) -> None:
    assert await store.record([event("e1"), event("e2", 1)]) == Recorded(added=2, repeated=0)
    assert await store.record([event("e2", 9, text="new"), event("e3", 2)]) == Recorded(added=1, repeated=1)

    assert await ids_of(store) == ["e1", "e2", "e3"]  # e2 is still at second 1
    assert await store.record([]) == Recorded(added=0, repeated=0)


async def test_an_event_twice_in_one_call_is_recorded_once(store: Store) -> None:
    assert await store.record([event("e1"), event("e1", 5)]) == Recorded(added=1, repeated=1)


async def test_an_interaction_comes_back_as_it_was(store: Store) -> None:
    whole = event("e1", 0.000001, rating=4.5, text='Ünïcode, "quotes" and 🗺')
    bare = event("e2", -86_400 * 365 * 60, item=None, kind="message")  # 1964, before the epoch

    await store.record([whole, bare])

    assert await store.history("u", as_of=LATER) == [bare, whole]


async def test_a_nul_in_the_users_words_does_not_stop_the_rest(store: Store) -> None:
    await store.record([event("e1", text="a\0b"), event("e2", 1)])

    assert [one.text for one in await store.history("u", as_of=LATER)] == ["a\ufffdb", None]


async def test_nothing_at_or_after_as_of_is_returned(store: Store) -> None:
    await store.record(
        [event("e1", 10, rating=1), event("e2", 10.000001, rating=2, item="j"), event("e3", 11, user="v")]
    )

    assert await ids_of(store, as_of=moment(10)) == []
    assert await ids_of(store, as_of=moment(10.000001)) == ["e1"]
    assert await store.item_history("j", as_of=moment(10.000001)) == []
    assert await store.popular(as_of=moment(10.000001)) == [("i", 1)]
    assert await store.rating_scale(as_of=moment(10.000001)) == RatingScale(1.0, 1.0, 1.0, 1)
    assert await store.rating_scale(as_of=moment(10)) is None
    assert await store.other_users("u", as_of=moment(11), limit=5, seed=0) == []
    assert await store.other_users("u", as_of=moment(11.000001), limit=5, seed=0) == ["v"]


async def test_equal_moments_are_ordered_by_event_id(store: Store) -> None:
    await store.record([event("b"), event("a"), event("B"), event("é"), event("z", -1)])

    assert await ids_of(store) == ["z", "B", "a", "b", "é"]  # by code point, whatever the server's language
    assert await ids_of(store, last=2) == ["b", "é"]


async def test_how_far_a_history_reaches_is_told_before_as_of(store: Store, open_tenant: OpenTenant) -> None:
    await store.record([event("e1", 5), event("e2", 1), event("e3", 9), event("f", 0, user="bo")])
    await (await open_tenant("other")).record([event("g", 0)])

    # Of the seconds 1, 5 and 9 the bound lets 1 and 5 through.
    assert await store.reach("u", as_of=moment(9)) == (2, moment(1), moment(5))
    assert await store.reach("u", as_of=moment(1)) is None
    assert await store.reach("nobody", as_of=LATER) is None


async def test_single_interactions_are_read_by_id_and_only_the_users_own(
    store: Store, open_tenant: OpenTenant
) -> None:
    mine = [event("e1", 1, text="maps"), event("e2", 2)]
    await store.record([*mine, event("f", 1, user="bo")])
    await (await open_tenant("other")).record([event("g", 0)])
    asked = ["e1", "f", "g", "nothing", *(f"x{n}" for n in range(600)), "e2"]  # more than one `IN` takes

    assert await store.events("u", asked) == {one.event_id: one for one in mine}
    assert await store.events("u", []) == {}


async def test_had_items_names_each_item_once_before_as_of(store: Store, open_tenant: OpenTenant) -> None:
    items = ["b", "a", None, "b", "B", "late"]
    await store.record([event(f"e{n}", n, item=item) for n, item in enumerate(items)])
    await store.record([event("v1", item="other", user="v")])
    await (await open_tenant("theirs")).record([event("e1", item="theirs")])

    assert await store.had_items("u", as_of=moment(5)) == ["B", "a", "b"]
    assert await store.had_items("u", as_of=LATER) == ["B", "a", "b", "late"]
    assert await store.had_items("u", as_of=moment(0)) == []
    assert await store.had_items("nobody", as_of=LATER) == []


async def test_item_history_leaves_out_one_user_and_keeps_the_last(store: Store) -> None:
    await store.record([event(f"e{n}", n, user="uvw"[n % 3]) for n in range(6)])

    all_of_it = await store.item_history("i", as_of=LATER)
    others = await store.item_history("i", as_of=LATER, exclude_user="u", last=2)

    assert [one.event_id for one in all_of_it] == ["e0", "e1", "e2", "e3", "e4", "e5"]
    assert [one.event_id for one in others] == ["e4", "e5"]


async def test_popular_counts_items_most_first_and_ties_by_id(store: Store, open_tenant: OpenTenant) -> None:
    items = ["b", "a", "c", "c", None]
    await store.record([event(f"e{n}", n, item=item) for n, item in enumerate(items)])

    assert await store.popular(as_of=LATER) == [("c", 2), ("a", 1), ("b", 1)]
    assert await store.popular(as_of=LATER, limit=2) == [("c", 2), ("a", 1)]
    assert await store.popular(as_of=moment(3)) == [("a", 1), ("b", 1), ("c", 1)]

    other_process = await open_tenant("default")
    await other_process.record([event("e5", 5, item="b"), event("e6", 6, item="b")])
    assert await store.popular(as_of=LATER) == [("b", 3), ("c", 2), ("a", 1)]


async def test_choices_are_counted_before_a_moment_without_those_that_name_no_item(store: Store) -> None:
    await store.record(
        [event("1", 1), event("2", 2), event("3", 2, item=None, kind="message"), event("4", 3)]
    )

    assert await store.count_choices(as_of=moment(3)) == 2
    assert await store.count_choices(as_of=LATER) == 3
    assert await store.count_choices(as_of=START) == 0


async def test_what_popular_returns_is_the_callers_own(store: Store) -> None:
    await store.record([event("e1")])
    (await store.popular(as_of=LATER)).clear()

    assert await store.popular(as_of=LATER) == [("i", 1)]


async def test_rating_scale_by_user_and_item(store: Store) -> None:
    ratings = [("u", "i", 1.0), ("u", "j", 3.0), ("v", "i", 5.0), ("v", "j", None)]
    await store.record([event(f"e{n}", n, user=u, item=i, rating=r) for n, (u, i, r) in enumerate(ratings)])

    assert await store.rating_scale(as_of=LATER) == RatingScale(1.0, 5.0, 3.0, 3)
    assert await store.rating_scale(as_of=LATER, user_id="u") == RatingScale(1.0, 3.0, 2.0, 2)
    assert await store.rating_scale(as_of=LATER, item_id="i") == RatingScale(1.0, 5.0, 3.0, 2)
    assert await store.rating_scale(as_of=LATER, user_id="v", item_id="i") == RatingScale(5.0, 5.0, 5.0, 1)
    assert await store.rating_scale(as_of=LATER, user_id="v", item_id="j") is None


async def test_strays_do_not_stretch_the_scale_of_a_tenant(store: Store) -> None:
    ratings = [-50.0, 1.0, *([4.0] * 96), 5.0, 1000.0]
    await store.record([event(f"e{n}", n, rating=rating) for n, rating in enumerate(ratings)])

    # Of 100 ratings one at either end is passed over: 1 and 5 follow. (-50 + 1 + 96 * 4 + 5 + 1000) / 100
    assert await store.rating_scale(as_of=moment(100)) == RatingScale(1.0, 5.0, 13.4, 100)
    # Of 99 none is: (-50 + 1 + 96 * 4 + 5) / 99
    assert await store.rating_scale(as_of=moment(99)) == RatingScale(-50.0, 5.0, 340 / 99, 99)
    assert await store.rating_scale(as_of=LATER, item_id="i") == RatingScale(-50.0, 1000.0, 13.4, 100)

    await store.record([event("none", 100)])
    assert await store.rating_scale(as_of=LATER) == RatingScale(1.0, 5.0, 13.4, 100)  # an unrated one is none
    await store.record([event(f"f{n}", 101, rating=5.0) for n in range(100)])
    # Of 200 ratings two at either end are passed over: -50 and 1; 1000 and a 5. (1340 + 500) / 200
    assert await store.rating_scale(as_of=LATER) == RatingScale(4.0, 5.0, 9.2, 200)


async def test_other_users_depend_on_the_seed_alone(store: Store) -> None:
    await store.record([event(f"e{n:02}", user=f"u{n:02}") for n in range(40)])

    first = await store.other_users("u00", as_of=LATER, limit=5, seed=1)

    assert len(set(first)) == 5
    assert "u00" not in first
    assert await store.other_users("u00", as_of=LATER, limit=5, seed=1) == first
    draws = [await store.other_users("u00", as_of=LATER, limit=5, seed=seed) for seed in range(20)]
    assert len({tuple(draw) for draw in draws}) > 5
    everybody = await store.other_users("u00", as_of=LATER, limit=100, seed=1)
    assert sorted(everybody) == [f"u{n:02}" for n in range(1, 40)]


async def test_users_are_streamed_in_id_order(store: Store) -> None:
    await store.record([event(f"e{n}", user=user) for n, user in enumerate(["c", "a", "B", "b", "a"])])

    assert await gathered(store.users(batch=2)) == [["B", "a"], ["b", "c"]]
    assert await gathered(store.users(after="a")) == [["b", "c"]]
    assert [await store.has_user(user) for user in ("a", "A")] == [True, False]


async def test_a_refused_event_makes_no_user(store: Store) -> None:
    await store.record([event("e1", user="u")])
    await store.record([event("e1", user="ghost"), event("e2", user="v")])

    assert await gathered(store.users()) == [["u", "v"]]


async def test_many_writers_at_once_lose_nothing(store: Store) -> None:
    recorded = await asyncio.gather(*(store.record([event(f"e{n}", n)]) for n in range(100)))

    assert sum(one.added for one in recorded) == 100
    assert len(await ids_of(store)) == 100


def _recorder(folder: Path, url: str | None, batches: int, size: int, root: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(folder), url or "", str(batches), str(size)],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )


async def test_two_processes_record_the_same_events_once(
    place: "dict[str, Path | str | None]", open_tenant: OpenTenant, root: Path
) -> None:
    folder, url = place["folder"], place["database_url"]
    assert isinstance(folder, Path) and (url is None or isinstance(url, str))

    processes = [_recorder(folder, url, batches=10, size=50, root=root) for _ in range(2)]
    outputs = [(await asyncio.to_thread(process.communicate))[0] for process in processes]

    assert [process.returncode for process in processes] == [0, 0]
    added = [json.loads(line)[0] for output in outputs for line in output.splitlines()]
    assert sum(added) == 500
    assert (await (await open_tenant("default")).counts()).interactions == 500


async def test_every_acknowledged_event_survives_a_kill(
    place: "dict[str, Path | str | None]", open_tenant: OpenTenant, root: Path
) -> None:
    folder, url = place["folder"], place["database_url"]
    assert isinstance(folder, Path) and (url is None or isinstance(url, str))

    process = _recorder(folder, url, batches=100_000, size=3, root=root)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(30)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    process.stdout.close()
    assert process.wait() == -signal.SIGKILL

    store = await open_tenant("default")
    kept = {
        name
        for n in range(7)
        for name in await ids_of(store, user=f"u{n}", as_of=START + timedelta(days=900))
    }
    acknowledged = {name for line in lines if line.endswith("\n") for name in json.loads(line)[1]}
    assert len(acknowledged) >= 90
    assert acknowledged <= kept
    assert len(kept) % 3 == 0  # a batch is there as a whole or not at all
