"""What reads files: the importers."""

import gzip
import json
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from ...tools.importing import import_file
from ...tools.layouts import FORMS
from ...tools.store import Store
from .odd import Odd
from .staged import staged
from .watched import Feed, Target

_COLUMNS = (
    "user_id,item_id,rating,timestamp,title,text",
    "userId,movieId,rating,timestamp",
    "user_id\titem_ids",
    "user_id;parent_asin;asin;rating;timestamp;title;text",
    "item_id,title,categories,tags,description",
    "movieId,title,genres",
    "parent_asin,title,main_category,store,description",
)
_CELLS = (
    "u1",
    "i1",
    "4.5",
    "1577880000",
    "1577880000123",
    "2026-01-05T10:00",
    '"a, ""b"""',
    '["a","b"]',
    "a|b",
    "",
)
_KEPT = 0.1
"""Share of the files that are kept, not only checked."""

Make = Callable[[Odd], bytes]


def _csv(odd: Odd) -> bytes:
    draw = odd.random
    header = draw.choice(_COLUMNS)
    mark = next(mark for mark in "\t;," if mark in header)
    width = header.count(mark) + 1
    cells = [
        [draw.choice(_CELLS) if odd.chance(0.8) else odd.text(2) for _ in range(width)]
        for _ in range(draw.randrange(8))
    ]
    ends = draw.choice(("\n", "\n", "\r\n", "\r"))
    return odd.damaged(
        ends.join([header, *(mark.join(row) for row in cells)]).encode("utf-8", "surrogatepass")
    )


def _row(odd: Odd) -> dict[str, Any]:
    draw = odd.random
    row: dict[str, Any] = {"user_id": draw.choice(("u1", "u2", 7)), "item_id": draw.choice(("i1", "i2", 3))}
    row |= {"rating": draw.choice((1, 4.5, "5", None)), "timestamp": draw.choice((1577880000, odd.moment()))}
    return row | {"text": odd.text(3), "kind": draw.choice(("review", "purchase", "click"))}


def _message(odd: Odd) -> dict[str, Any]:
    draw = odd.random
    said: Any = (
        odd.text(4) if odd.chance(0.7) else [{"type": "text", "text": odd.text(2)}, {"type": "image_url"}]
    )
    return {"role": draw.choice(("user", "assistant", "system", "tool")), "content": said}


def _talk(odd: Odd) -> dict[str, Any]:
    talk: dict[str, Any] = {"messages": [_message(odd) for _ in range(odd.random.randrange(5))]}
    if odd.chance(0.5):
        talk |= {"id": odd.word(), "created_at": odd.moment(), "user": "u1"}
    return talk


def _export(odd: Odd) -> dict[str, Any]:
    """Return a conversation as a ChatGPT export has it: a tree, perhaps with a circle in it."""
    draw, count = odd.random, odd.random.randrange(1, 6)
    nodes: dict[str, Any] = {}
    for number in range(count):
        author = {"role": draw.choice(("user", "assistant", "system"))}
        content = {"content_type": draw.choice(("text", "multimodal_text", "code")), "parts": [odd.text(3)]}
        message = {"author": author, "content": content, "create_time": odd.number(), "metadata": {}}
        nodes[f"n{number}"] = {
            "message": message,
            "parent": f"n{draw.randrange(count)}"
            if odd.chance(0.1)
            else (f"n{number - 1}" if number else None),
            "children": [f"n{number + 1}"] if number + 1 < count else [],
        }
    return {
        "mapping": nodes,
        "current_node": f"n{draw.randrange(count + 1)}",
        "id": odd.word(),
        "create_time": odd.number(),
    }


def _lines(make: Callable[[Odd], Any], odd: Odd) -> bytes:
    rows = [json.dumps(odd.spoilt(make(odd), 0.3)) for _ in range(odd.random.choice((1, 1, 2, 6)))]
    return odd.damaged("\n".join(rows).encode())


def _array(make: Callable[[Odd], Any], odd: Odd) -> bytes:
    rows = [odd.spoilt(make(odd), 0.3) for _ in range(odd.random.choice((0, 1, 2, 6)))]
    return odd.damaged(odd.written(rows).encode("utf-8", "surrogatepass"))


def _parquet(odd: Odd) -> bytes:
    import pyarrow
    import pyarrow.parquet

    rows = [_row(odd) for _ in range(odd.random.randrange(1, 5))]
    columns: dict[str, Any] = {
        name: [
            None if row[name] is None else str(row[name]).encode("utf-8", "replace").decode() for row in rows
        ]
        for name in rows[0]
    }
    if odd.chance(0.5):
        kinds = (pyarrow.int64(), pyarrow.timestamp("ns"), pyarrow.timestamp("s", tz="UTC"), pyarrow.date32())
        number = odd.random.choice((0, 1_577_880_000, -(2**40), 2**40))
        columns["timestamp"] = pyarrow.array([number % 2**31] * len(rows)).cast("int32").cast(kinds[3])
        if odd.chance(0.7):
            columns["timestamp"] = pyarrow.array([number] * len(rows), type=pyarrow.int64()).cast(
                odd.random.choice(kinds[:3])
            )
    file = BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), file)
    return odd.damaged(file.getvalue()) if odd.chance(0.9) else file.getvalue()


_SORTS: tuple[tuple[str, float, str, Make], ...] = (
    ("files of CSV", 9, "a.csv", _csv),
    ("files of JSON lines", 8, "a.jsonl", partial(_lines, _row)),
    ("files of one JSON array", 3, "a.json", partial(_array, _row)),
    ("files of chat messages", 5, "a.jsonl", partial(_lines, _talk)),
    ("exports of ChatGPT", 5, "a.json", partial(_array, _export)),
    ("files of Parquet", 1, "a.parquet", _parquet),
)


def _opened(name: str, make: Make) -> Callable[[Path], Any]:
    @asynccontextmanager
    async def opened(folder: Path) -> AsyncGenerator[Feed]:
        async with staged(folder) as limner:
            store = limner.doors.store
            folder.mkdir(exist_ok=True)

            async def feed(odd: Odd) -> bool:
                return await _import(odd, make(odd), folder / name, store)

            yield feed

    return opened


async def _import(odd: Odd, data: bytes, path: Path, store: Store) -> bool:
    """Import a file, mostly without keeping it; return whether no row was any good."""
    draw = odd.random
    named = path.with_name(draw.choice((path.name, path.name, "a", "a.txt")))
    named.write_bytes(gzip.compress(data, 1) if odd.chance(0.1) else data)
    told: dict[str, Any] = {"form": draw.choice(FORMS)} if odd.chance(0.1) else {}
    told |= {"user": "u9"} if odd.chance(0.3) else {}
    dry = not odd.chance(_KEPT)
    report = await import_file(named, store=store, strict=odd.chance(0.1), dry_run=dry, **told)
    assert report.rejected <= report.rows, "no more rows are rejected than read"
    return report.rejected == report.rows


TARGETS = tuple(
    Target(name=name, share=share, open=_opened(file, make)) for name, share, file, make in _SORTS
)
