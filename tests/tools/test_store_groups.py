"""What every `Store` keeps of groups, and for whom, on SQLite and on PostgreSQL."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import numpy as np

from limner.communities import Belonging, Community, SharedInterest
from limner.records import Interaction
from limner.tools.grouping.stored_groups import Grouping, GroupingFacts, MarkedUser, Placed, StoredGroup
from limner.tools.sql.sql_groups import KEPT
from limner.tools.store import Store

OpenTenant = Callable[[str], Awaitable[Store]]
START = datetime(2024, 1, 1, tzinfo=UTC)
VECTOR = np.array([0.6, 0.8], dtype="<f4").tobytes()


def _moment(second: float) -> datetime:
    return START + timedelta(seconds=second)


def _group(group_id: str, second: float) -> StoredGroup:
    community = Community(
        group_id=group_id,
        name="maps",
        size=6,
        share=0.5,
        interests=(SharedInterest(phrase="maps", members=6, share=1.0, lift=2.0),),
        items=(),
        as_of=_moment(second),
    )
    return StoredGroup(community, {"i": 2.5}, VECTOR)


def _placed(second: float, *ids: str, users: tuple[str, ...] = (), everybody: tuple[str, ...] = ()) -> Placed:
    facts = GroupingFacts(
        basis="b",
        plan="p",
        portraits=False,
        as_of=_moment(second),
        users=2,
        centre=(0.1, 0.2),
        temperature=0.1,
        most=16,
        rounds=1,
        blend=0.3,
    )
    return Placed(
        grouping=Grouping(facts, [_group(group_id, second) for group_id in ids]),
        everybody=everybody or users,
        users={user: MarkedUser(f"mark of {user}", VECTOR, ("maps",)) for user in users},
        belongings={user: [Belonging(group_id=ids[0], weight=0.75)] for user in everybody or users},
    )


async def test_groups_come_back_as_they_were_kept_by_id(store: Store) -> None:
    placed = _placed(5, "g2", "g1", users=("ada", "bo"))

    await store.put_groups(placed)

    found = await store.grouping(as_of=_moment(5))
    assert found is not None
    assert found.facts == placed.grouping.facts
    assert [group.community.group_id for group in found.groups] == ["g1", "g2"]
    assert found.groups[0] == _group("g1", 5)
    assert await store.marked_users(["ada", "nobody"]) == {
        "ada": MarkedUser("mark of ada", VECTOR, ("maps",))
    }
    assert await store.belongings("bo") == [Belonging(group_id="g2", weight=0.75)]
    assert await store.belongings("nobody") == []
    assert [page async for page in store.group_members("g2", batch=1)] == [["ada"], ["bo"]]


async def test_an_earlier_moment_gets_its_own_groups(store: Store) -> None:
    for second, group_id in ((10, "late"), (4, "early"), (4, "early again")):
        await store.put_groups(_placed(second, group_id))

    async def at(second: float) -> str | None:
        found = await store.grouping(as_of=_moment(second))
        return found.groups[0].community.group_id if found else None

    assert [await at(second) for second in (3.9, 4, 9.9, 10, 99)] == [
        None,
        "early again",
        "early again",
        "late",
        "late",
    ]


async def test_members_stay_those_of_the_newest_moment(store: Store) -> None:
    await store.put_groups(_placed(10, "late", users=("ada", "bo")))

    for _ in range(KEPT + 1):  # somebody looks back, many times
        await store.put_groups(_placed(4, "early", users=("ada",)))

    newest = await store.grouping(as_of=_moment(99))
    assert newest is not None and newest.facts.as_of == _moment(10)
    assert [page async for page in store.group_members("late")] == [["ada", "bo"]]
    assert await store.belongings("ada") == [Belonging(group_id="late", weight=0.75)]


async def test_only_the_newest_refreshes_are_kept(store: Store) -> None:
    for second in range(KEPT + 2):
        await store.put_groups(_placed(second, f"g{second}"))

    assert await store.grouping(as_of=_moment(1)) is None
    assert await store.grouping(as_of=_moment(2)) is not None


async def test_users_who_were_not_recomputed_stay_and_those_without_a_history_go(store: Store) -> None:
    await store.put_groups(_placed(1, "g1", users=("ada", "bo", "cleo")))

    await store.put_groups(_placed(2, "g1", users=("bo",), everybody=("ada", "bo")))

    assert set(await store.marked_users(["ada", "bo", "cleo"])) == {"ada", "bo"}
    assert [page async for page in store.group_members("g1")] == [["ada", "bo"]]


async def test_choices_are_what_users_had_before_a_moment_oldest_first(store: Store) -> None:
    def event(
        name: str, user: str, item: str | None, second: float, rating: float | None = None
    ) -> Interaction:
        kind = "rating" if item else "message"
        return Interaction(
            event_id=name,
            user_id=user,
            item_id=item,
            kind=kind,
            at=_moment(second),
            rating=rating,
        )

    await store.record(
        [
            event("e3", "ada", "roses", 3, 4.5),
            event("e1", "ada", "maps", 1),
            event("e2", "ada", None, 2),
            event("e4", "ada", "late", 4),
            event("e5", "bo", None, 1),
        ]
    )

    found = await store.choices(["ada", "bo", "nobody"], as_of=_moment(4))

    assert list(found) == ["ada"]
    assert [(choice.item_id, choice.rating, choice.event_id) for choice in found["ada"]] == [
        ("maps", None, "e1"),
        ("roses", 4.5, "e3"),
    ]


async def test_tenants_do_not_see_each_others_groups(open_tenant: OpenTenant) -> None:
    ours, theirs = [await open_tenant(name) for name in ("ours", "theirs")]

    await ours.put_groups(_placed(1, "g1", users=("ada",)))
    await theirs.put_groups(_placed(2, "g1", users=("bo",)))

    found = await ours.grouping(as_of=_moment(9))
    assert found is not None and found.facts.as_of == _moment(1)
    assert [page async for page in ours.group_members("g1")] == [["ada"]]
    assert await theirs.marked_users(["ada"]) == {}
