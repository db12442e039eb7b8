"""Which columns make which form, and what a row of it becomes."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from limner.errors import SettingsError, UnknownFormatError
from limner.records import Interaction, Item
from limner.tools.cells import BadField
from limner.tools.forms import EPOCH, recognise
from limner.tools.layouts import FORMS
from limner.tools.readers import Fields

NOON = datetime(2020, 1, 1, 12, tzinfo=UTC)
NOON_SECONDS = 1_577_880_000  # date -ud '2020-01-01 12:00' +%s


def _made(*rows: Fields, **options: Any) -> list[Interaction | Item]:
    """Recognise rows and convert them all."""
    convert = recognise("file", rows, **options).converter()
    return [made for row in rows for made in convert(row)]


def _event(**fields: Any) -> Interaction:
    (made,) = _made({"user_id": "u1", "item_id": "i1", **fields})
    assert isinstance(made, Interaction)
    return made


def _one_item(row: Fields, **options: Any) -> Item:
    (made,) = _made(row, **options)
    assert isinstance(made, Item)
    return made


def _complaint(*rows: Fields, **options: Any) -> tuple[str, str]:
    """Return field and reason of the one bad row, which is the last."""
    convert = recognise("file", rows, **options).converter()
    for row in rows[:-1]:
        convert(row)
    with pytest.raises(BadField) as caught:
        convert(rows[-1])
    return caught.value.field, caught.value.reason


@pytest.mark.parametrize(
    ("columns", "form", "makes"),
    [
        ("user_id item_id", "interactions", "interactions"),
        ("user_id item_id rating timestamp title text verified", "interactions", "interactions"),
        ("user_id item_id tag timestamp", "interactions", "interactions"),
        ("user_id item_ids source_split", "sequences", "sequences"),
        ("item_id title", "items", "items"),
        ("item_id text_id", "items", "items"),
        ("item_id categories", "items", "items"),
        ("userId movieId rating timestamp", "movielens", "interactions"),
        ("userId movieId tag timestamp", "movielens", "interactions"),
        ("movieId title genres", "movielens", "items"),
        ("user_id parent_asin asin rating timestamp title text images", "amazon2023", "interactions"),
        ("user_id asin rating timestamp", "amazon2023", "interactions"),
        ("parent_asin title store main_category features description", "amazon2023", "items"),
    ],
)
def test_a_form_is_recognised_by_its_columns(columns: str, form: str, makes: str) -> None:
    found = recognise("file", [dict.fromkeys(columns.split(), "1")])

    assert (found.form, found.makes) == (form, makes)


def test_unknown_columns_are_listed_with_the_forms_and_the_way_out() -> None:
    with pytest.raises(UnknownFormatError) as caught:
        recognise("a.csv", [{"uid": "1", "sku": "2"}])

    assert str(caught.value) == (
        "a.csv: has columns 'uid', 'sku' and fits no form "
        f"({', '.join(FORMS)}); name them with `--map column=field` "
        "(for example `--map uid=user_id --map sku=item_id`) or choose the form with `--format`"
    )


def test_interactions_without_a_known_user_column_are_not_taken_for_items() -> None:
    row: Fields = {"uid": "1", "item_id": "2", "rating": 4, "title": "Warm"}

    with pytest.raises(UnknownFormatError):
        recognise("file", [row])
    assert recognise("file", [row], form="items").makes == "items"


def test_the_named_form_needs_its_columns() -> None:
    with pytest.raises(UnknownFormatError, match="form 'sequences' needs other columns"):
        recognise("file", [{"user_id": "1", "item_id": "2"}], form="sequences")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"form": "netflix"}, "setting `form`: 'netflix' is not one of interactions, "),
        ({"kind": "theft"}, "setting `kind`: 'theft' is not one of click, "),
        ({"mapping": {"user_id": "person"}}, "setting `map`: 'person' is not a field; fields are user_id, "),
        (
            {"mapping": {"user_id": "item_id", "item_id": "item_id"}},
            "setting `map`: field 'item_id' is given two columns",
        ),
    ],
)
def test_a_wrong_argument_is_named(options: dict[str, Any], text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        recognise("file", [{"user_id": "1", "item_id": "2"}], **options)

    assert str(caught.value).startswith(text)


def test_a_mapped_column_must_exist() -> None:
    with pytest.raises(UnknownFormatError, match="has no column 'uid' to map; it has 'user', 'item_id'"):
        recognise("file", [{"user": "1", "item_id": "2"}], mapping={"uid": "user_id"})


def test_mapped_columns_win_and_lose_their_own_meaning() -> None:
    rows: list[Fields] = [
        {"uid": "u1", "user_id": "other", "item_id": "i1", "title": "Long words", "text": "Short"}
    ]

    found = recognise("file", rows, mapping={"uid": "user_id", "title": "text"})
    (made,) = found.converter()(rows[0])

    assert isinstance(made, Interaction)
    assert (made.user_id, made.text) == ("u1", "Long words")
    assert "user_id" not in found.used
    assert {"uid", "title"} <= found.used


def test_several_columns_can_be_mapped_to_a_field_that_gathers() -> None:
    row: Fields = {"sku": 7, "name": "Lamp", "dept": "Home", "aisle": "Light", "tags": ["led"]}
    mapping = {"sku": "item_id", "name": "title", "dept": "categories", "aisle": "categories"}

    assert _one_item(row, mapping=mapping) == Item(
        item_id="7", title="Lamp", categories=("Home", "Light"), tags=("led",)
    )


@pytest.mark.parametrize(
    ("fields", "kind", "text"),
    [
        ({}, "purchase", None),
        ({"rating": 0}, "rating", None),
        ({"rating": "", "text": " "}, "purchase", None),
        ({"rating": 5, "text": "Dry."}, "review", "Dry."),
        ({"title": "A+", "text": "Love it."}, "review", "A+. Love it."),
        ({"title": "Great!", "text": "Love it."}, "review", "Great! Love it."),
        ({"title": "Great"}, "review", "Great"),
        ({"tag": "funny"}, "review", "funny"),
        ({"text": float("nan"), "rating": 1}, "rating", None),
        ({"text": 10}, "review", "10"),
        ({"kind": "click", "rating": 5}, "click", None),
    ],
)
def test_kind_and_text_of_an_interaction(fields: Fields, kind: str, text: str | None) -> None:
    made = _event(**fields)

    assert (made.kind, made.text) == (kind, text)


def test_the_kind_of_bare_events_can_be_chosen() -> None:
    rows: list[Fields] = [
        {"user_id": "u", "item_id": "i", "rating": None},
        {"user_id": "u", "item_id": "j", "rating": 3},
    ]

    made = _made(*rows, kind="view")
    sequence = _made({"user_id": "u", "item_ids": ["i"]}, kind="click")

    assert [event.kind for event in made + sequence if isinstance(event, Interaction)] == [
        "view",
        "rating",
        "click",
    ]


@pytest.mark.parametrize(
    "value",
    [
        NOON_SECONDS,
        float(NOON_SECONDS),
        str(NOON_SECONDS),
        NOON_SECONDS * 1000,
        "2020-01-01T12:00:00Z",
        "2020-01-01 12:00:00",
        "2020-01-01T13:00:00+01:00",
        NOON,
        NOON.replace(tzinfo=None),
    ],
)
def test_a_time_may_be_written_in_many_ways(value: object) -> None:
    assert _event(timestamp=value).at == NOON


def test_a_date_is_its_first_moment() -> None:
    assert _event(timestamp=date(2020, 1, 1)).at == datetime(2020, 1, 1, tzinfo=UTC)
    assert _event(timestamp="2020-01-01").at == datetime(2020, 1, 1, tzinfo=UTC)


def test_the_border_between_seconds_and_milliseconds() -> None:
    # 1e11 seconds would be the year 5138; one millisecond more is 1973.
    assert _complaint({"user_id": "u", "item_id": "i", "timestamp": 10**11})[0] == "timestamp"
    assert _event(timestamp=10**11 + 1).at == datetime(1973, 3, 3, 9, 46, 40, 1000, tzinfo=UTC)


TIMES = "seconds, milliseconds or an ISO 8601 time between 1900 and 2099"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (10**18, f"must be {TIMES}, got 1000000000000000000"),
        (-(2**63), f"must be {TIMES}, got -9223372036854775808"),
        (float("nan"), f"must be {TIMES}, got nan"),
        ("inf", f"must be {TIMES}, got 'inf'"),
        ("yesterday", f"must be {TIMES}, got 'yesterday'"),
        ("0001-01-01", f"must be {TIMES}, got '0001-01-01 00:00:00'"),
        (datetime(9999, 12, 31), f"must be {TIMES}, got '9999-12-31 00:00:00'"),
        (10**400, f"must be {TIMES}, got 1000"),
        (True, "must be a time, got True"),
        ([1], "must be a time, got [1]"),
    ],
)
def test_an_absurd_time_is_refused(value: object, reason: str) -> None:
    field, found = _complaint({"user_id": "u", "item_id": "i", "timestamp": value})

    assert field == "timestamp"
    assert found.startswith(reason)


@pytest.mark.parametrize(("value", "rating"), [(4, 4.0), ("4.5", 4.5), (Decimal("3.5"), 3.5), ("", None)])
def test_a_rating_is_a_number(value: object, rating: float | None) -> None:
    assert _event(rating=value).rating == rating


@pytest.mark.parametrize(
    "value", [float("nan"), float("inf"), "NaN", "-inf", "good", True, [5], {"stars": 5}, 10**400]
)
def test_a_rating_that_is_not_finite_is_refused(value: object) -> None:
    field, reason = _complaint({"user_id": "u", "item_id": "i", "rating": value})

    assert field == "rating"
    assert reason.startswith("must be a finite number, got ")


def test_whole_numbers_become_ids() -> None:
    (made,) = _made({"user_id": 7, "item_id": 0})

    assert isinstance(made, Interaction)
    assert (made.user_id, made.item_id) == ("7", "0")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "is missing"),
        ("", "is missing"),
        ("  ", "is blank"),
        (True, "must be text or a whole number, got True"),
        (1.0, "must be text or a whole number, got 1.0"),
        (["u"], "must be text or a whole number, got ['u']"),
        ({"id": 1}, "must be text or a whole number, got {'id': 1}"),
        ("a\0b", "contains a NUL character, which databases refuse"),
        ("x" * 513, "String should have at most 512 characters"),
    ],
)
@pytest.mark.parametrize("field", ["user_id", "item_id"])
def test_an_id_of_another_sort_is_refused(field: str, value: object, reason: str) -> None:
    assert _complaint({"user_id": "u", "item_id": "i", field: value}) == (field, reason)


@pytest.mark.parametrize("value", [True, 1.5, ["a"], {"a": 1}])
def test_text_of_another_sort_is_refused(value: object) -> None:
    field, reason = _complaint({"user_id": "u", "item_id": "i", "text": value})

    assert (field, reason) == ("text", f"must be text, got {value!r}")


def test_an_unknown_kind_is_refused_by_name() -> None:
    field, reason = _complaint({"user_id": "u", "item_id": "i", "kind": "theft"})

    assert field == "kind"
    assert reason == "'theft' is not one of click, message, purchase, rating, review, view"


def test_the_files_own_column_is_named_in_a_complaint() -> None:
    row: Fields = {"userId": "u", "movieId": True, "rating": 3}

    assert _complaint(row)[0] == "movieId"


def test_only_a_message_needs_no_item() -> None:
    assert _event(item_id=None, kind="message", text="Hello").item_id is None


def test_a_given_event_id_wins() -> None:
    derived = _event(timestamp=NOON)

    assert _event(timestamp=NOON, event_id="e1").event_id == "e1"
    assert _event(timestamp=NOON, event_id=12).event_id == "12"
    assert _event(timestamp=NOON, event_id="").event_id == derived.event_id
    assert _event(timestamp=NOON.timestamp()).event_id == derived.event_id


def test_without_times_the_order_of_each_users_rows_counts_seconds() -> None:
    rows: list[Fields] = [
        {"user_id": user, "item_id": item} for user, item in zip("abaa", "iiji", strict=True)
    ]

    made = [event for event in _made(*rows) if isinstance(event, Interaction)]

    seconds = [(event.at - EPOCH) / timedelta(seconds=1) for event in made]
    assert seconds == [0, 0, 1, 2]
    assert len({event.event_id for event in made}) == 4


def test_repairing_a_bad_row_does_not_move_the_rows_behind_it() -> None:
    convert = recognise("file", [{"user_id": "u", "item_id": "i"}]).converter()
    with pytest.raises(BadField):
        convert({"user_id": "u", "item_id": None})

    (made,) = convert({"user_id": "u", "item_id": "j"})

    assert isinstance(made, Interaction)
    assert made.at == EPOCH + timedelta(seconds=1)


def test_a_file_has_a_time_on_every_row_or_on_none() -> None:
    timed: Fields = {"user_id": "u", "item_id": "i", "timestamp": 1}
    untimed: Fields = {"user_id": "u", "item_id": "i"}
    convert = recognise("file", [untimed]).converter()

    assert _complaint(timed, untimed) == ("timestamp", "is missing")
    with pytest.raises(BadField, match="is given although the first rows of the file have no time"):
        convert(timed)


@pytest.mark.parametrize("value", [["i", "j", 3], "i|j|3", '["i", "j", 3]', " i | j |3"])
def test_a_sequence_counts_its_positions(value: object) -> None:
    made = _made({"user_id": "u", "item_ids": value})

    assert made == [
        Interaction(user_id="u", item_id=item, kind="purchase", at=EPOCH + timedelta(seconds=second))
        for second, item in enumerate(["i", "j", "3"])
    ]


def test_an_item_twice_in_a_sequence_is_two_events() -> None:
    first, second = _made({"user_id": "u", "item_ids": ["i", "i"]})

    assert isinstance(first, Interaction)
    assert isinstance(second, Interaction)
    assert first.event_id != second.event_id


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([], "must be a list of at least one item id, got []"),
        (None, "must be a list of at least one item id, got None"),
        (3, "must be a list of at least one item id, got 3"),
        (["i", None], "is missing"),
        (["i", ""], "is blank"),
        (["i", True], "must be text or a whole number, got True"),
        (["i", ["j"]], "must be text or a whole number, got ['j']"),
        (["x" * 513], "String should have at most 512 characters"),
    ],
)
def test_a_bad_sequence_is_refused_as_a_whole(value: object, reason: str) -> None:
    assert _complaint({"user_id": "u", "item_ids": value}) == ("item_ids", reason)


def test_an_item_gathers_its_words() -> None:
    row: Fields = {
        "item_id": "1",
        "title": "Harbour Lights",
        "text_id": "harbour lights film",
        "genres": "Drama|Comedy|Drama",
        "user_tags": ["quiet", "sea"],
        "tags": ["sea", "slow"],
        "tmdb_keywords": ["lighthouse"],
        "tmdb_overview": "A keeper waits.",
        "features": ["90 minutes"],
        "imdb_id": "7",
    }

    assert _one_item(row) == Item(
        item_id="1",
        title="Harbour Lights",
        categories=("Drama", "Comedy"),
        tags=("sea", "slow", "quiet", "lighthouse"),
        description="A keeper waits. 90 minutes",
    )
    assert recognise("file", [row]).used.isdisjoint({"imdb_id"})


@pytest.mark.parametrize(
    ("row", "item"),
    [
        ({"text_id": "plush cat"}, Item(item_id="1", title="plush cat")),
        ({"title": None, "text_id": "plush cat"}, Item(item_id="1", title="plush cat")),
        ({"title": 1984}, Item(item_id="1", title="1984")),
        ({"categories": "dress"}, Item(item_id="1", categories=("dress",))),
        ({"categories": [["Toys", "Cats"], ["Toys"]]}, Item(item_id="1", categories=("Toys", "Cats"))),
        ({"categories": '["Toys", "Cats"]'}, Item(item_id="1", categories=("Toys", "Cats"))),
        ({"categories": "[sale] Toys"}, Item(item_id="1", categories=("[sale] Toys",))),
        ({"genres": "(no genres listed)"}, Item(item_id="1")),
        (
            {"brand": " Ink & Co ", "description": "Black | blue"},
            Item(item_id="1", brand="Ink & Co", description="Black | blue"),
        ),
        ({"description": ["Soft.", "Warm."]}, Item(item_id="1", description="Soft. Warm.")),
    ],
)
def test_an_item_takes_what_its_publisher_gives(row: Fields, item: Item) -> None:
    assert _one_item({"item_id": 1, **row}) == item


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("title", ["a"]),
        ("brand", 1.5),
        ("categories", {"a": 1}),
        ("tags", ["a", True]),
        ("description", ["a\0"]),
    ],
)
def test_a_bad_item_is_refused(field: str, value: object) -> None:
    assert _complaint({"item_id": "1", "title": "x", field: value})[0] == field


def test_movielens_tables() -> None:
    rating, tag = (
        _made({"userId": "1", "movieId": "2", "timestamp": NOON_SECONDS, **fields})
        for fields in ({"rating": "3.5"}, {"tag": "slow"})
    )

    assert rating == [Interaction(user_id="1", item_id="2", kind="rating", at=NOON, rating=3.5)]
    assert tag == [Interaction(user_id="1", item_id="2", kind="review", at=NOON, text="slow")]
    assert _one_item({"movieId": "2", "title": "Tide (1999)", "genres": "Drama|Sea"}) == Item(
        item_id="2", title="Tide (1999)", categories=("Drama", "Sea")
    )


def test_amazon_2023_tables() -> None:
    review: Fields = {
        "user_id": "A",
        "asin": "child",
        "parent_asin": "parent",
        "rating": 5.0,
        "title": "Bright",
        "text": "Reads well at night.",
        "timestamp": NOON_SECONDS * 1000,
        "images": [],
    }
    meta: Fields = {
        "parent_asin": "parent",
        "main_category": "Home",
        "title": "Lamp",
        "store": "Lumen",
        "categories": ["Home", "Lamps"],
        "features": ["LED"],
        "description": ["Small.", "Warm light."],
        "details": {"Colour": "red"},
    }

    assert _made(review) == [
        Interaction(
            user_id="A",
            item_id="parent",
            kind="review",
            at=NOON,
            rating=5.0,
            text="Bright. Reads well at night.",
        )
    ]
    assert _one_item(meta) == Item(
        item_id="parent",
        title="Lamp",
        brand="Lumen",
        categories=("Home", "Lamps"),
        description="Small. Warm light. LED",
    )
