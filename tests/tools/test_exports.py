"""What services give people of themselves becomes interactions and items; the samples are invented."""

import io
import stat
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from limner.errors import SettingsError, UnknownFormatError
from limner.records import Interaction, Item
from limner.tools import archives
from limner.tools.cells import BadField
from limner.tools.event_streams import spread
from limner.tools.exports import EXPORTS
from limner.tools.forms import recognise
from limner.tools.importing import import_file, import_path
from limner.tools.layouts import Form
from limner.tools.sql.sql_store import SqlStore, open_store

SAMPLES = Path(__file__).resolve().parent.parent / "data" / "exports"
FUTURE = datetime(2099, 1, 1, tzinfo=UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(folder=tmp_path / "store", database_url=None, tenant="t")
    yield opened
    await opened.aclose()


async def _history(store: SqlStore, user: str = "me") -> list[Interaction]:
    return await store.history(user, as_of=FUTURE)


async def _told(
    store: SqlStore, user: str = "me"
) -> list[tuple[str, str | None, str, float | None, str | None]]:
    """Day, item, kind, rating and text of every event."""
    return [
        (f"{event.at:%Y-%m-%d}", event.item_id, event.kind, event.rating, event.text)
        for event in await _history(store, user)
    ]


def _zip(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def test_every_export_has_the_name_of_a_form() -> None:
    assert {export.form for export in EXPORTS} < set(get_args(Form))


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("goodreads_library_export.csv", "goodreads"),
        ("letterboxd/ratings.csv", "letterboxd"),
        ("letterboxd/diary.csv", "letterboxd"),
        ("letterboxd/reviews.csv", "letterboxd"),
        ("lastfm_scrobbles.csv", "lastfm"),
        ("lastfm_recent.json", "lastfm"),
        ("Retail.OrderHistory.1.csv", "amazon_orders"),
        ("conversations.json", "chatgpt"),
    ],
)
async def test_an_export_is_recognised_and_importing_it_again_adds_nothing(
    name: str, form: str, store: SqlStore, tmp_path: Path
) -> None:
    first = await import_file(SAMPLES / name, store=store, user="me", rejects=tmp_path / "r")
    again = await import_file(SAMPLES / name, store=store, user="me", rejects=tmp_path / "r")

    assert first.form == form
    assert first.added > 0
    assert (again.added, again.items) == (0, 0)


async def test_an_export_without_a_user_says_what_to_add(store: SqlStore) -> None:
    with pytest.raises(
        UnknownFormatError, match="is an export of goodreads and does not say whose; say so with `--user`"
    ):
        await import_file(SAMPLES / "goodreads_library_export.csv", store=store)

    assert (await store.counts()).interactions == 0


async def test_goodreads_books_are_rated_reviewed_read_or_wanted(store: SqlStore, tmp_path: Path) -> None:
    report = await import_file(
        SAMPLES / "goodreads_library_export.csv", store=store, user="me", rejects=tmp_path / "r"
    )

    assert await _told(store) == [
        (
            "2024-03-09",
            "goodreads:101",
            "review",
            5.0,
            "Slow, salty and kind.\nI read it twice & would again.",
        ),
        ("2024-04-01", "goodreads:102", "rating", 2.0, None),
        ("2024-05-17", "goodreads:103", "click", None, None),  # on the shelf to-read
        ("2024-06-30", "goodreads:104", "view", None, None),  # read, not rated
    ]
    assert (await store.items(["goodreads:101"]))["goodreads:101"] == Item(
        item_id="goodreads:101", title="The Tin Lighthouse", brand="Mara Venn"
    )
    # The review spreads over no second line, so the fifth book stands in line 6.
    assert [(bad.line, bad.field) for bad in report.rejects] == [(6, "Date Read")]
    assert "lent to a friend" not in (tmp_path / "store" / "limner.db").read_bytes().decode("latin-1")


async def test_a_film_in_three_files_of_letterboxd_is_told_once(store: SqlStore, tmp_path: Path) -> None:
    report = await import_path(SAMPLES / "letterboxd", store=store, user="me", rejects=tmp_path, strict=True)

    assert [Path(file.file).name for file in report.files] == ["reviews.csv", "diary.csv", "ratings.csv"]
    assert await _told(store) == [
        (
            "2024-01-09",
            "letterboxd:The Salt Line (2021)",
            "review",
            4.5,
            "Patient, and the sea does the talking.",
        ),
        ("2024-02-01", "letterboxd:Night Ferry (2019)", "rating", 3.0, None),
        ("2024-03-15", "letterboxd:Paper Moons (2023)", "rating", 1.5, None),
        ("2024-05-04", "letterboxd:The Quiet Kiln (2020)", "view", None, None),
    ]
    # Of the diary the reviewed film, of the ratings that one and the one of the diary.
    assert [file.passed_over for file in report.files] == [0, 1, 2]
    assert "fits no form" in report.skipped[str(SAMPLES / "letterboxd" / "watchlist.csv")]


async def test_scrobbles_are_read_as_tables_and_as_the_api_gives_them(store: SqlStore) -> None:
    table = await import_file(SAMPLES / "lastfm_scrobbles.csv", store=store, user="me")
    pages = await import_file(SAMPLES / "lastfm_recent.json", store=store, user="me")

    assert (table.added, table.items, table.rejected) == (3, 3, 0)
    # What plays just then is no event yet; the other two are in the table already, the second by its words for the time.
    assert (pages.events, pages.added, pages.repeated, pages.passed_over) == (2, 0, 2, 1)
    assert [event.item_id for event in await _history(store)] == [
        "lastfm:the kelp choir/undertow",
        "lastfm:the kelp choir/groyne",
        "lastfm:anna brand/first firing",
    ]


def test_scrobbles_lie_in_objects_and_under_other_names_too() -> None:
    rows: list[dict[str, object]] = [
        {"username": "x", "scrobbles": [{"track": "Undertow", "artist": "Kelp", "date": 1704110400000}]},
        {
            "recenttracks": {
                "track": [{"name": "Undertow", "artist": {"name": "Kelp"}, "date": {"uts": "1704110400"}}]
            }
        },
        {"Artist": "Kelp", "Track": "Undertow", "Date#x": "1704110400000"},
    ]

    for row in rows:
        item, event = recognise("a.json", [row], user="me").converter()(row)
        assert item == Item(item_id="lastfm:kelp/undertow", title="Undertow", brand="Kelp")
        assert isinstance(event, Interaction)
        assert event.at == datetime(2024, 1, 1, 12, tzinfo=UTC)


async def test_orders_count_once_and_not_at_all_if_cancelled(store: SqlStore, tmp_path: Path) -> None:
    report = await import_file(
        SAMPLES / "Retail.OrderHistory.1.csv", store=store, user="me", rejects=tmp_path / "r"
    )

    assert await _told(store) == [("2024-02-01", "X00TEALAMP", "purchase", None, None)]
    # Two parcels of one order, one cancelled order, and one without a date.
    assert (report.events, report.added, report.repeated, report.passed_over) == (2, 1, 1, 1)
    assert [(bad.line, bad.field) for bad in report.rejects] == [(5, "Order Date")]


async def test_a_history_does_not_replace_what_the_catalogue_says(store: SqlStore, tmp_path: Path) -> None:
    known = Item(item_id="X00TEALAMP", title="Tea lamp", description="Brass, 9 cm")
    await store.put_items([known])

    await import_file(SAMPLES / "Retail.OrderHistory.1.csv", store=store, user="me", rejects=tmp_path / "r")

    assert (await store.items(["X00TEALAMP"]))["X00TEALAMP"] == known


MAPPING = {
    "actor.id": "user_id",
    "properties.sku": "item_id",
    "properties.products.sku": "item_id",
    "sent": "timestamp",
}


async def test_a_stream_is_mapped_by_dotted_names_and_kinds(store: SqlStore) -> None:
    mapping = MAPPING
    kinds = {"Product Viewed": "view", "Order Completed": "purchase"}

    report = await import_file(
        SAMPLES / "event_stream.jsonl", store=store, form="events", mapping=mapping, kinds=kinds
    )
    again = await import_file(
        SAMPLES / "event_stream.jsonl", store=store, form="events", mapping=mapping, kinds=kinds
    )

    assert [(event.event_id, event.item_id, event.kind) for event in await _history(store, "u1")] == [
        ("m1", "lamp", "view"),
        ("m3#0", "lamp", "purchase"),
        ("m3#1", "boots", "purchase"),
    ]
    assert (report.passed_over, report.rejected, report.ignored) == (1, 0, {"type": 3})
    assert again.added == 0


def test_names_of_events_belong_to_streams_and_to_kinds() -> None:
    row: dict[str, object] = {"user_id": "u", "item_id": "i", "event": "Seen"}

    with pytest.raises(SettingsError, match="add `--format events`"):
        recognise("a", [row], kinds={"Seen": "view"})
    with pytest.raises(SettingsError, match="'seen' is not one of click"):
        recognise("a", [row], form="events", kinds={"Seen": "seen"})
    with pytest.raises(BadField, match="'Seen' is not one of click"):
        recognise("a", [row], form="events").converter()(row)


def test_fields_of_two_lists_are_refused() -> None:
    row: dict[str, object] = {"a": [{"x": 1}], "b": [{"y": 2}]}

    with pytest.raises(BadField, match="is a second list beside `a`"):
        list(spread(row, {"a.x", "b.y"}))


async def test_an_archive_is_read_without_unpacking_it_first(store: SqlStore, tmp_path: Path) -> None:
    members = {f"letterboxd-me/{file.name}": file.read_bytes() for file in (SAMPLES / "letterboxd").iterdir()}
    members["letterboxd-me/deleted/diary.csv"] = members["letterboxd-me/diary.csv"]
    members["letterboxd-me/profile.txt"] = b"hello"
    members["letterboxd-me/ratings.csv"] += b"2024-04-01,No Rating,2020,https://boxd.it/x,\n"
    path = _zip(tmp_path / "letterboxd.zip", members)

    report = await import_path(path, store=store, user="me")

    assert [Path(file.file).name for file in report.files] == ["reviews.csv", "diary.csv", "ratings.csv"]
    assert len(await _history(store)) == 4
    assert report.files[2].file == f"{path}/letterboxd-me/ratings.csv"
    rejects = Path(report.files[2].rejects_file or "")
    assert rejects.parent == tmp_path
    assert "No Rating" in rejects.read_text()
    reasons = {name.removeprefix(f"{path}/letterboxd-me/"): reason for name, reason in report.skipped.items()}
    assert reasons["deleted/diary.csv"] == "was thrown away by its user"
    assert reasons["profile.txt"] == "is no table by its name"


@pytest.mark.parametrize(
    "name", ["../evil.csv", "a/../../evil.csv", "/etc/evil.csv", "..\\evil.csv", "C:/evil.csv"]
)
async def test_an_archive_that_points_outside_is_refused(name: str, store: SqlStore, tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"ok.csv": b"user_id,item_id\nu,i\n", name: b"x"})

    with pytest.raises(UnknownFormatError, match="names a file outside of itself"):
        await import_path(path, store=store)

    assert (await store.counts()).interactions == 0
    assert not list(tmp_path.rglob("evil.csv"))


async def test_an_archive_that_unpacks_without_end_is_cut_off(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "SMALL_BYTES", 1000)
    # 4 MB of zeros pack into about 4 kB, a thousandth; a hundred times that is far less than 4 MB.
    path = _zip(tmp_path / "bomb.zip", {"a.csv": b"user_id,item_id\n" + b"0" * 4_000_000})

    with pytest.raises(UnknownFormatError, match=r"unpacks to more than [\d,]+ bytes"):
        await import_path(path, store=store)


async def test_an_archive_with_too_many_files_is_refused(
    store: SqlStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MOST_MEMBERS", 2)
    path = _zip(tmp_path / "a.zip", {f"{ix}.csv": b"user_id,item_id\nu,i\n" for ix in range(3)})

    with pytest.raises(UnknownFormatError, match="holds more than 2 files"):
        await import_path(path, store=store)


async def test_links_and_archives_inside_an_archive_are_left_alone(store: SqlStore, tmp_path: Path) -> None:
    link = zipfile.ZipInfo("link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("x.csv", "user_id,item_id\nu,x\n")
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(link, "/etc/passwd")
        archive.writestr("inner.csv", inner.getvalue())
        archive.writestr("ok.csv", "user_id,item_id\nu,i\n")

    report = await import_path(path, store=store)

    assert [event.item_id for event in await _history(store, "u")] == ["i"]
    assert report.skipped[f"{path}/link.csv"] == "is a link"
    assert "is a zip archive" in report.skipped[f"{path}/inner.csv"]


@pytest.mark.parametrize("cut", [30, 100])
async def test_a_damaged_archive_is_a_typed_error(cut: int, store: SqlStore, tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"ok.csv": b"user_id,item_id\nu,i\n" * 50})
    path.write_bytes(path.read_bytes()[:cut])

    with pytest.raises(UnknownFormatError, match="is a zip archive that cannot be read"):
        await import_path(path, store=store)


async def test_an_encrypted_archive_says_so(store: SqlStore, tmp_path: Path) -> None:
    path = _zip(tmp_path / "a.zip", {"ok.csv": b"user_id,item_id\nu,i\n"})
    raw = bytearray(path.read_bytes())
    # Bit 0 of the flags: 6 bytes into the local header, 8 into that of the directory.
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(raw)

    with pytest.raises(UnknownFormatError, match="is encrypted; unpack it first"):
        await import_path(path, store=store)
