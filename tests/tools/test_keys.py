"""Keys: only their hashes are kept, and only the whole right words open anything."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from limner.errors import InputError
from limner.tools.clock import ManualClock
from limner.tools.keys import KeyRing
from limner.tools.sql.sql_store import SqlStore
from limner.tools.sql.sql_tables import keys

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOON)


@pytest.fixture
def ring(store: SqlStore, clock: ManualClock) -> KeyRing:
    return KeyRing(store.engine, clock)


async def test_a_key_opens_its_tenant_for_its_role(ring: KeyRing) -> None:
    key, words = await ring.add("shop", "write", name="web shop")

    assert await ring.open(words) == key
    assert (key.tenant, key.role, key.name, key.created_at) == ("shop", "write", "web shop", NOON)
    assert await ring.get(key.key_id) == key


async def test_no_two_keys_are_alike(ring: KeyRing) -> None:
    made = [await ring.add("shop", "read") for _ in range(20)]

    assert len({words for _, words in made}) == len({key.key_id for key, _ in made}) == 20


async def test_the_words_are_nowhere_in_the_database(ring: KeyRing, store: SqlStore) -> None:
    _, words = await ring.add("shop", "read")
    secret = words.rpartition("_")[2] if words.count("_") == 2 else words.split("_", 2)[2]

    rows = await store.engine.read(lambda db: [str(tuple(row)) for row in db.execute(select(keys))])

    assert len(rows) == 1
    assert secret not in rows[0]


@pytest.mark.parametrize("change", ["", "x", "limner_", "limner_000000000000_" + "A" * 43, "é" * 63])
async def test_other_words_open_nothing(ring: KeyRing, change: str) -> None:
    await ring.add("shop", "admin")

    assert await ring.open(change) is None


async def test_every_letter_of_a_key_counts(ring: KeyRing) -> None:
    _, words = await ring.add("shop", "admin")

    for place in range(0, len(words), 3):
        other = words[:place] + ("b" if words[place] == "a" else "a") + words[place + 1 :]
        assert await ring.open(other) is None, place
    assert await ring.open(words + "A") is None
    assert await ring.open(words[:-1]) is None


async def test_a_revoked_key_opens_nothing_and_signs_nothing(ring: KeyRing, clock: ManualClock) -> None:
    key, words = await ring.add("shop", "admin")
    seal = await ring.seal_of(key.key_id)
    clock.advance(60)

    revoked = await ring.revoke(key.key_id)
    clock.advance(60)
    again = await ring.revoke(key.key_id)

    assert revoked == again
    assert revoked.revoked_at == NOON + timedelta(seconds=60)
    assert seal is not None
    assert await ring.open(words) is None
    assert await ring.get(key.key_id) is None
    assert await ring.seal_of(key.key_id) is None
    assert await ring.listed("shop") == [revoked]
    assert not await ring.any()


async def test_keys_are_listed_by_tenant(ring: KeyRing, clock: ManualClock) -> None:
    assert not await ring.any()
    one, _ = await ring.add("one", "read")
    clock.advance(1)
    two, _ = await ring.add("two", "read")

    assert await ring.listed() == [one, two]
    assert await ring.listed("two") == [two]
    assert await ring.any()


@pytest.mark.parametrize(
    ("tenant", "role", "told"),
    [
        ("shop", "owner", "`role`"),
        ("Shop", "read", "`tenant`"),
        ("", "read", "`tenant`"),
        ("a/b", "read", "`tenant`"),
    ],
)
async def test_what_no_key_can_be_for_is_refused(ring: KeyRing, tenant: str, role: str, told: str) -> None:
    with pytest.raises(InputError, match=told):
        await ring.add(tenant, role)

    assert await ring.listed() == []


async def test_a_key_that_is_not_there_cannot_be_revoked(ring: KeyRing) -> None:
    with pytest.raises(InputError, match="limner keys list"):
        await ring.revoke("000000000000")
