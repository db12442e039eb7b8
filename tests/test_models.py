"""The words of Limner: closed, frozen, documented, and stable where an id is derived from them."""

import hashlib
import inspect
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pydantic import ValidationError

from limner import models, records
from limner.models import Profile
from limner.records import Interaction, Item, Record, Usage, content_hash

RECORDS = sorted(
    {
        kind
        for home in (models, records)
        for _, kind in inspect.getmembers(home, inspect.isclass)
        if issubclass(kind, Record)
    },
    key=lambda kind: kind.__name__,
)
NOON = datetime(2024, 5, 1, 12, 0, tzinfo=UTC)


def _event(**changes: object) -> Interaction:
    fields: dict[str, object] = {
        "user_id": "u1",
        "item_id": "i1",
        "kind": "rating",
        "at": NOON,
        "rating": 4.0,
    }
    return Interaction.model_validate(fields | changes)


@pytest.mark.parametrize("record", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_is_frozen_and_closed(record: type[Record]) -> None:
    assert record.model_config.get("frozen") is True
    assert record.model_config.get("extra") == "forbid"


@pytest.mark.parametrize("record", RECORDS, ids=lambda kind: kind.__name__)
def test_every_field_is_documented(record: type[Record]) -> None:
    undocumented = [name for name, field in record.model_fields.items() if not field.description]

    assert undocumented == []


def test_a_record_cannot_be_changed() -> None:
    event = _event()

    with pytest.raises(ValidationError, match="frozen"):
        event.rating = 1.0  # type: ignore[misc]  # what mypy refuses must fail at run time too


def test_an_unknown_field_is_refused_by_name() -> None:
    with pytest.raises(ValidationError, match=r"stars\n\s+Extra inputs are not permitted"):
        _event(stars=5)


@pytest.mark.parametrize(
    "given",
    [
        datetime(2024, 5, 1, 12, 0),  # naive: read as UTC
        datetime(2024, 5, 1, 14, 0, tzinfo=timezone(timedelta(hours=2))),
        "2024-05-01T12:00:00",
        "2024-05-01T12:00:00Z",
        "2024-05-01T07:00:00-05:00",
        1714564800,  # 19,844 days x 86,400 s + 12 h
        1714564800000,  # the same in milliseconds
    ],
)
def test_every_form_of_a_moment_is_one_utc_moment(given: object) -> None:
    event = _event(at=given)

    assert event.at == NOON
    assert event.at.utcoffset() == timedelta(0)
    assert event.event_id == _event().event_id


def test_content_hash_is_blake2b_of_length_prefixed_reprs() -> None:
    # repr("a") is the 3 bytes 'a' with quotes, repr(1) the one byte 1; lengths are 8 bytes, big-endian.
    expected = hashlib.blake2b(
        b"\0\0\0\0\0\0\0\x03'a'" + b"\0\0\0\0\0\0\0\x011",
        digest_size=16,
    ).hexdigest()

    assert content_hash("a", 1) == expected


def test_content_hash_keeps_parts_apart() -> None:
    assert (
        len({content_hash("ab", "c"), content_hash("a", "bc"), content_hash("abc"), content_hash("c", "ab")})
        == 4
    )


def test_a_derived_event_id_never_changes_between_releases() -> None:
    # Stores keep these ids: with another value a repeated import would double every event.
    parts = ("'u1'", "'i1'", "'rating'", "'2024-05-01 12:00:00+00:00'", "'4.0'", "None")
    prefixed = b"".join(len(part).to_bytes(8, "big") + part.encode() for part in parts)

    assert _event().event_id == hashlib.blake2b(prefixed, digest_size=16).hexdigest()


def test_a_rating_read_as_a_whole_number_gives_the_same_event_id() -> None:
    assert _event(rating=4).event_id == _event(rating=4.0).event_id == _event(rating="4").event_id


@pytest.mark.parametrize(
    "change",
    [
        {"user_id": "u2"},
        {"item_id": "i2"},
        {"item_id": None},
        {"kind": "review"},
        {"at": NOON + timedelta(seconds=1)},
        {"rating": 4.5},
        {"rating": None},
        {"text": "good"},
        {"text": ""},
        {"text": "None"},
    ],
    ids=str,
)
def test_any_other_field_changes_the_derived_event_id(change: dict[str, object]) -> None:
    assert _event(**change).event_id != _event().event_id


def test_a_given_event_id_is_kept() -> None:
    assert _event(event_id="mine").event_id == "mine"


def test_an_event_survives_json() -> None:
    event = _event(text="naïve ☕")

    assert Interaction.model_validate_json(event.model_dump_json()) == event


@pytest.mark.parametrize("user_id", ["", "x" * 513])
def test_an_empty_or_endless_identifier_is_refused(user_id: str) -> None:
    with pytest.raises(ValidationError, match="user_id"):
        _event(user_id=user_id)


def test_usage_adds_field_by_field() -> None:
    one = Usage(
        calls=1,
        cached_calls=2,
        unpriced_calls=3,
        prompt_tokens=30,
        completion_tokens=4,
        cost=0.5,
        seconds=1.25,
    )
    two = Usage(
        calls=10,
        cached_calls=20,
        unpriced_calls=30,
        prompt_tokens=300,
        completion_tokens=40,
        cost=0.25,
        seconds=0.5,
    )

    both = one + two

    assert both == Usage(
        calls=11,
        cached_calls=22,
        unpriced_calls=33,
        prompt_tokens=330,
        completion_tokens=44,
        cost=0.75,
        seconds=1.75,
    )
    assert both.tokens == 374  # 330 read + 44 written
    assert Usage.total([one, two, one]) == both + one
    assert Usage.total([]) == Usage()


def test_an_item_describes_itself_without_repeating_its_brand() -> None:
    item = Item(
        item_id="i1", title="Acme Kettle", brand="ACME", categories=("Kitchen", "Tea"), description="Boils."
    )

    assert item.describe() == "Acme Kettle. Kitchen, Tea. Boils."
    assert item.describe(max_chars=4) == "Acme"
    assert Item(item_id="i2").describe() == ""


def test_the_wire_names_of_a_profile_are_those_of_the_design() -> None:
    promised = {"user_id", "version", "as_of", "text", "likes", "dislikes", "facets", "claims", "language"}

    assert promised | {"source", "reward", "usage"} <= set(Profile.model_fields)
    assert set(models.Claim.model_fields) == {"text", "evidence", "confidence"}
