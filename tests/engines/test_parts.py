"""A batch leaves each user in one row of one whole part, whoever does it and however often it is begun."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from limner import Filters, InputError, Limner, Profile, Recommendations, SettingsError
from limner.engines.parts_folder import PartsFolder
from limner.errors import StoreError
from limner.settings import Settings
from limner.tools.whole_files import settle

Fill = Callable[[Settings, int], Any]
Read = Callable[[Path], list[dict[str, Any]]]


async def test_every_user_is_in_one_row_of_parts_of_the_asked_size(
    embedded: Settings, fill: Fill, read: Read, tmp_path: Path
) -> None:
    await fill(embedded, 10)

    async with Limner(embedded) as limner:
        seen: list[tuple[int, int]] = []
        report = await limner.profiles_to(
            tmp_path / "out", progress=lambda done, total, _: seen.append((done, total))
        )
        stored = await limner.stored_profile("u007")

    rows = read(tmp_path / "out")
    # Ten users in parts of four: 4 + 4 + 2.
    assert (report.parts, report.skipped, report.left, report.rows, report.failed) == (3, 0, 0, 10, 0)
    assert [row["user_id"] for row in rows] == [f"u{number:03}" for number in range(10)]
    assert Profile.model_validate_json(rows[7]["document"]) == stored
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "_plan.jsonl",
        *(f"part-{number:08}.parquet" for number in range(3)),
    ]
    assert seen == [(1, 3), (2, 3), (3, 3)]


async def test_begun_again_it_does_only_what_is_missing_at_the_moment_of_its_beginning(
    embedded: Settings, fill: Fill, read: Read, tmp_path: Path
) -> None:
    await fill(embedded, 10)
    async with Limner(embedded) as limner:
        await limner.profiles_to(tmp_path / "out")
        first = read(tmp_path / "out")
        kept = (tmp_path / "out" / "part-00000000.parquet").stat()
        (tmp_path / "out" / "part-00000001.parquet").unlink()
        await limner.record("zoe", [{"item_id": "roses", "kind": "view", "at": "2026-03-01", "text": "late"}])

        report = await limner.profiles_to(tmp_path / "out")
        idle = await limner.profiles_to(tmp_path / "out")

    assert (report.parts, report.skipped, report.rows) == (3, 2, 4)
    assert (idle.skipped, idle.rows) == (3, 0)
    assert read(tmp_path / "out") == first
    assert (tmp_path / "out" / "part-00000000.parquet").stat() == kept


async def test_errors_are_rows_and_are_tried_again_when_asked(
    embedded: Settings, fill: Fill, read: Read, tmp_path: Path
) -> None:
    await fill(embedded, 5)
    async with Limner(embedded) as limner:
        ids = ["nobody", "u001", "u001", "u003"]
        report = await limner.profiles_to(tmp_path / "out", ids)
        await limner.record("nobody", [{"kind": "message", "at": "2026-01-01", "text": "I love roses."}])
        again = await limner.profiles_to(tmp_path / "out", retry_failed=True)

        assert (report.rows, report.failed) == (3, 1)
        assert (again.skipped, again.rows, again.failed) == (0, 3, 0)
    assert [row["user_id"] for row in read(tmp_path / "out")] == ["nobody", "u001", "u003"]


async def test_an_error_s_row_has_its_code_type_and_message(
    embedded: Settings, fill: Fill, read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(embedded, 2)
    honest = Limner.profile

    async def breaks(self: Limner, user_id: str, **given: Any) -> Profile:
        if user_id == "u001":
            raise ZeroDivisionError("of a defect")
        return await honest(self, user_id, **given)

    monkeypatch.setattr(Limner, "profile", breaks)
    async with Limner(embedded) as limner:
        await limner.profiles_to(tmp_path / "out", ["u000", "u001", "who"])

    told = [(row["error"], row["error_type"], row["message"]) for row in read(tmp_path / "out")]
    assert told[:2] == [(None, None, None), ("unexpected", "ZeroDivisionError", "of a defect")]
    assert told[2][:2] == ("unknown_user", "UnknownUserError")
    assert "user_id='who'" in told[2][2]


async def test_what_concerns_everybody_ends_the_batch_and_fills_no_part(
    embedded: Settings, fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(embedded, 5)

    async def gone(*_: object, **__: object) -> Profile:
        raise StoreError("postgresql://db", "is gone")

    async with Limner(embedded) as limner:
        with monkeypatch.context() as broken:
            broken.setattr(Limner, "profile", gone)
            with pytest.raises(StoreError, match="is gone"):
                await limner.profiles_to(tmp_path / "out")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["_plan.jsonl"]

        assert (await limner.profiles_to(tmp_path / "out")).rows == 5


async def test_a_part_that_cannot_be_written_is_not_there(
    embedded: Settings, fill: Fill, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(embedded, 3)

    def full(part: Path, path: Path) -> None:
        if path.suffix == ".parquet":
            raise OSError(28, "No space left on device")
        settle(part, path)

    monkeypatch.setattr("limner.tools.whole_files.settle", full)
    async with Limner(embedded) as limner:
        with pytest.raises(OSError, match="No space"):
            await limner.profiles_to(tmp_path / "out")

    assert [path.name for path in (tmp_path / "out").iterdir()] == ["_plan.jsonl"]


async def test_a_folder_of_something_else_is_refused(embedded: Settings, fill: Fill, tmp_path: Path) -> None:
    await fill(embedded, 2)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    async with Limner(embedded) as limner:
        moment = limner.now()
        await limner.profiles_to(tmp_path / "out", as_of=moment)

        with pytest.raises(InputError, match="holds no parts"):
            await limner.profiles_to(tmp_path / "mine")
        with pytest.raises(InputError, match="was begun with job"):
            await limner.recommend_to(tmp_path / "out")
        with pytest.raises(InputError, match="was begun with job"):
            await limner.profiles_to(tmp_path / "out", as_of=moment - timedelta(days=1))
    other = embedded.model_copy(update={"drafting": embedded.drafting.model_copy(update={"facets": 2})})
    async with Limner(other) as limner:
        with pytest.raises(InputError, match="was begun with made_with"):
            await limner.profiles_to(tmp_path / "out")


async def test_recommendations_are_those_of_the_verb(
    embedded: Settings, fill: Fill, read: Read, tmp_path: Path
) -> None:
    await fill(embedded, 6)
    filters = Filters(unavailable=frozenset({"knots"}))
    async with Limner(embedded) as limner:
        moment = limner.now()
        report = await limner.recommend_to(tmp_path / "out", k=2, as_of=moment, filters=filters)
        found = await limner.recommend("u002", k=2, as_of=moment, filters=filters, explain=False)

        with pytest.raises(InputError, match="`k` must be"):
            await limner.recommend_to(tmp_path / "bad", k=0)
        with pytest.raises(InputError, match=r"`filters\.available` cannot be kept"):
            await limner.recommend_to(tmp_path / "bad", filters=Filters(available=lambda _: True))

    assert report.rows == 6
    kept = Recommendations.model_validate_json(read(tmp_path / "out")[2]["document"])
    assert kept.items == found.items
    assert "knots" not in {item.item_id for item in kept.items}
    assert not (tmp_path / "bad").exists()


async def test_ray_refuses_what_only_one_process_may_open(embedded: Settings, tmp_path: Path) -> None:
    async with Limner(embedded) as limner:
        with pytest.raises(SettingsError, match=r"`database_url`: the engine `ray` needs PostgreSQL"):
            await limner.profiles_to(tmp_path / "out", engine="ray")
        with pytest.raises(InputError, match="a refresh without portraits"):
            await limner.refresh(engine="ray")


async def test_ray_refuses_an_index_in_a_folder(served: Settings, tmp_path: Path) -> None:
    alone = served.model_copy(update={"chroma_url": None})
    async with Limner(alone) as limner:
        with pytest.raises(SettingsError, match=r"`chroma_url`: the engine `ray` needs a Chroma server"):
            await limner.recommend_to(tmp_path / "out", engine="ray")

    assert not (tmp_path / "out").exists()


def test_ranges_of_a_plan_name_everybody_once(tmp_path: Path) -> None:
    """Kept by hand, as a later run finds it."""
    (tmp_path / "_plan.jsonl").write_text('{}\n["a", "c", []]\n["d", "f", []]\n["x", "y", ["x", "y"]]\n')
    (tmp_path / "part-00000001.parquet").touch()

    waiting = PartsFolder(tmp_path).waiting(retry_failed=False)

    assert waiting == [(0, "a", "c", ()), (2, "x", "y", ("x", "y"))]
