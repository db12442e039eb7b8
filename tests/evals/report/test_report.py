"""Reports made of results."""

import re
import xml.etree.ElementTree as ET
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from limner.errors import UnknownFormatError
from limner.evals.dataset import Card
from limner.evals.report.canvas import spread_ticks
from limner.evals.report.html import as_html
from limner.evals.report.markdown import as_markdown
from limner.evals.report.report import Report, read_report, write_report
from limner.evals.result_files import save_result
from limner.evals.results import Cost, DataCard, Measured, Probe, Result, SystemCost, Weight
from limner.evals.rows import rows_of
from limner.records import Usage

pytest.importorskip("matplotlib", reason="the extra `evals` is not installed")

START = datetime(2026, 1, 1, tzinfo=UTC)
HEAD = "ndcg@10 | head-items"


def write(folder: Path, system: str, ndcg: list[float], **changes: Any) -> None:
    """Save a result as a run would."""
    users = [f"u{ix}" for ix in range(len(ndcg))]
    head = np.array([ndcg[0], *[np.nan] * (len(ndcg) - 1)])
    part = Measured(
        system=system,
        dataset="office",
        split="leave-one-out",
        users=users,
        per_query={"ndcg@10": np.array(ndcg), HEAD: head, **changes.pop("per_query", {})},
        whole=changes.pop("whole", {"coverage@10": 0.125}),
    )
    card = Card(
        name="office",
        source="a shop",
        terms="research",
        users=4,
        items=9,
        events=40,
        clock="order",
        text_by_model=True,
        notes=("a trap",),
    )
    facts: dict[str, Any] = {
        "suite": "sequential",
        "command": f"limner eval sequential --system {system}",
        "key": system,
        "settings": {"users": None, "ties": "average"},
        "rows": rows_of([part], seed=0),
        "probes": (Probe(name="id-order", passed=True, value=0.01, limit=0.1, detail="recall"),),
        "valid": True,
        "data": (DataCard(card=card, content="c0ffee", files={}),),
        "cost": (SystemCost(system=system, dataset="office", cost=Cost(score_seconds=2.0, queries=4)),),
        "versions": {"limner": "1"},
        "machine": {"cores": "2"},
        "started": START,
        "seconds": 1.0,
    }
    name = changes.pop("file", re.sub(r"\W", "", system))
    save_result(Result(**{**facts, **changes}), [part], folder / f"{name}.json")


@pytest.fixture
def report(tmp_path: Path) -> Report:
    write(tmp_path, "weak", [0.0, 0.25, 0.0, 0.25])
    write(tmp_path, "strong <b>", [1.0, 0.5, 1.0, 0.5])
    return read_report(tmp_path)


class Page(HTMLParser):
    """What a page is made of; a mistake in nesting fails."""

    VOID = ("meta", "link", "br", "wbr", "img", "hr")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag."""
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember a tag that closes itself."""
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        """Check that the innermost open tag is closed."""
        assert self.open.pop() == tag

    def having(self, name: str) -> list[str]:
        """Return every value of an attribute."""
        return [value for _, attributes in self.seen if (value := attributes.get(name)) is not None]


def test_a_cell_shows_value_interval_and_n_best_system_first(report: Report) -> None:
    lines = as_markdown(report).replace("\u00a0", " ").splitlines()

    # Means of (1, .5, 1, .5) and (0, .25, 0, .25); resamples of four reach both ends.
    rows = [line for line in lines if line.startswith(("| strong", "| weak")) and "n=4" in line]
    assert rows[0].startswith("| strong <b> | .7500 [.5000, 1.000] n=4 |")
    assert rows[1].startswith("| weak | .1250 [.0000, .2500] n=4 |")
    assert rows[0].endswith("| .1250 n=4 |")  # coverage has no interval


def test_parts_probes_cost_card_and_command_are_told(report: Report) -> None:
    text = as_markdown(report)

    assert "| System | head-items |" in text
    assert "| id-order | passed | .0100 | .1000 | recall |" in text
    assert "| weak | 0.00 | 0.00 | 500.00 | 0 | 0 | 0.0000 | 4 |" in text  # 2 s for 4 queries
    assert "| office | a shop | research | 4 / 9 / 40 | order | yes | c0ffee |" in text
    assert "limner eval sequential --system weak" in text
    assert "- a trap" in text
    assert "- office: (part of) the text was made by a language model." in text
    assert "INVALID" not in text


def test_sections_stand_in_the_order_of_what_matters(tmp_path: Path) -> None:
    for suite in ("cost", "profile", "qa", "rating", "transfer", "sequential"):
        write(tmp_path, "one", [0.5], suite=suite, file=suite, key=suite)

    suites = [section.place.suite for section in read_report(tmp_path).sections]

    assert suites == ["sequential", "transfer", "rating", "qa", "profile", "cost"]


def test_tables_stand_in_the_order_of_what_matters_with_their_pictures(report: Report) -> None:
    wanted = ["Value, 95 %", "ndcg@10 by part", "Cost", "Probes for leaks", "Data"]
    captions = re.findall(r"^\*\*(.+)\*\*$", as_markdown(report), flags=re.MULTILINE)
    html = as_html(report)

    assert [caption[: len(start)] for caption, start in zip(captions, wanted, strict=True)] == wanted
    shown = re.findall(r"<caption>([^<]+)|<figcaption[^>]*>([^<]+)", html)
    assert ["table" if table else "picture" for table, _ in shown] == [
        *("table", "picture") * 3,
        *("table", "table"),
    ]


def test_what_a_mixture_counts_is_a_table(tmp_path: Path) -> None:
    weights = [
        Weight(system="a + b", dataset="office", bucket=bucket, part=part, weight=weight)
        for bucket, shares in {"up to 5": (1.0, 0.0), "over 5": (0.25, 0.75)}.items()
        for part, weight in zip("ab", shares, strict=True)
    ]
    write(tmp_path, "a + b", [0.5, 0.0], weights=tuple(weights))

    text = as_markdown(read_report(tmp_path))

    assert "| a + b | up to 5 | a 1.00; b 0 |" in text
    assert "| a + b | over 5 | a 0.25; b 0.75 |" in text


def test_the_bill_comes_first_in_the_suite_cost(tmp_path: Path) -> None:
    taken = {"calls": 3.0, "tokens": 1200.0, "seconds": 0.5, "dollars": 0.00125}
    whole = {
        f"{name} {unit}": value / share
        for name, value in taken.items()
        for unit, share in (("a user", 1), ("a recommendation", 10))
    }
    write(tmp_path, "one", [0.5], suite="cost", whole=whole)

    lines = as_markdown(read_report(tmp_path)).splitlines()

    first = lines.index("**What a user and a recommendation take**")
    assert first < next(place for place, line in enumerate(lines) if line.startswith("**Value"))
    assert lines[first + 4 : first + 6] == [
        "| one | a user | 3 | 1,200 | .5 | .0013 | .5000 |",
        "| one | a recommendation | .3 | 120 | .05 | .00013 | .5000 |",
    ]


def test_numbers_never_wrap_and_backticks_become_code(tmp_path: Path) -> None:
    write(tmp_path, "one", [0.5, 0.0], notes=("give `--jobs 1` & <wait>",))

    html = as_html(read_report(tmp_path))

    assert "<li>give <code>--jobs 1</code> &amp; &lt;wait&gt;</li>" in html
    assert re.search(r"<td>.2500 <small>\[.0000,\s.5000\] n=2</small></td>", html)
    assert re.search(r"thead th, td \{ white-space: nowrap; \}", html)
    assert "`" not in html


def test_the_marks_of_a_logarithmic_axis_keep_apart() -> None:
    figure = import_module("matplotlib.figure").Figure(figsize=(7.6, 3.4))
    for low, high in ((6459.2, 13931.2), (0.15, 21_333.0), (2.0, 2.0), (1e-4, 1e5), (5.0, 90.0)):
        axes = figure.subplots()
        spread_ticks(axes, [low, high])
        marks = [mark for mark in axes.get_xticks() if low / 1.6 <= mark <= high * 1.6]
        places = np.log10(marks) / np.log10(2.56 * high / low)
        assert 1 <= len(marks) <= 8
        assert (np.diff(places) > 0.09).all()  # of the axis's width
        figure.clear()


def test_a_failed_probe_is_the_first_thing_said(tmp_path: Path) -> None:
    failed = Probe(name="canary", passed=False, value=1.0, limit=0.0)
    write(tmp_path, "leaky", [1.0, 1.0], probes=(failed,), valid=False)
    report = read_report(tmp_path)

    assert as_markdown(report).splitlines()[2].startswith("> **INVALID")
    assert "| canary | FAILED |" in as_markdown(report)
    html = as_html(report)
    assert 'role="alert">INVALID' in html
    assert html.index("INVALID: a probe") < html.index("<main>")


def test_the_page_needs_nothing_else_and_escapes_names(report: Report) -> None:
    html = as_html(report)
    page = Page(html)

    assert not {"script", "link", "iframe", "img"} & {tag for tag, _ in page.seen}
    # Namespaces are names and never fetched.
    addresses = re.findall(r"https?://[^\"'\s<>]+", re.sub(r'xmlns(:\w+)?="[^"]*"', "", html))
    assert addresses == []
    assert all(value.startswith("#") for value in page.having("href") + page.having("xlink:href"))
    assert "strong &lt;b&gt;" in html
    assert "strong <b>" not in html


def test_the_page_can_be_read_without_seeing_it(report: Report) -> None:
    html = as_html(report)
    page = Page(html)
    ids = page.having("id")

    assert len(ids) == len(set(ids))
    pictures = [attributes for tag, attributes in page.seen if tag == "svg"]
    assert len(pictures) == 3  # by system, by part, cost against quality
    for attributes in pictures:
        assert attributes["role"] == "img"
        assert attributes["aria-labelledby"] in ids
        assert attributes["aria-describedby"] in ids
    assert [attributes["lang"] for tag, attributes in page.seen if tag == "html"] == ["en"]
    tables = sum(tag == "table" for tag, _ in page.seen)
    assert tables == sum(tag == "caption" for tag, _ in page.seen) > 0
    heads = [attributes["scope"] for tag, attributes in page.seen if tag == "th"]
    assert set(heads) == {"col", "row"}
    assert "strong &lt;b&gt; 0.7500 (0.5000 to 1.0000)" in html  # what the bars say, in words


def test_pictures_take_the_colours_of_the_page(report: Report) -> None:
    html = as_html(report)

    assert "prefers-color-scheme: dark" in html
    pictures = re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL)
    for picture in pictures:
        ET.fromstring(picture)
        assert "currentColor" in picture
        assert not re.search(r"#(000000|010203|ffffff)\b", picture, flags=re.IGNORECASE)


def test_the_same_results_give_the_same_bytes(tmp_path: Path) -> None:
    write(tmp_path, "one", [0.5, 0.25])
    write(tmp_path, "two", [0.25, 0.0], per_query={"reward": np.array([0.1, 0.9])})

    first = [path.read_bytes() for path in write_report(read_report(tmp_path), tmp_path)]
    second = [path.read_bytes() for path in write_report(read_report(tmp_path), tmp_path)]

    assert first == second
    assert b"Rewards of two" in first[1]


def test_a_later_result_of_a_system_replaces_an_earlier_one(tmp_path: Path) -> None:
    write(tmp_path, "one", [0.5, 0.5], file="a", started=START + timedelta(days=1))
    write(tmp_path, "one", [0.25, 0.25], file="b")

    [section] = read_report(tmp_path).sections

    row = section.row("one", "ndcg@10")
    assert row is not None
    assert row.value == 0.5


def test_other_seeds_and_other_ties_are_never_put_side_by_side(tmp_path: Path) -> None:
    write(tmp_path, "one", [0.5])
    write(tmp_path, "two", [0.5], settings={"users": 100, "ties": "optimistic"})
    write(tmp_path, "six", [0.5], settings={"users": None, "options": {"cold": "true"}})

    assert [section.place.title for section in read_report(tmp_path).sections] == [
        "sequential: office, leave-one-out, 100 users, seed 0, optimistic ties",
        "sequential: office, leave-one-out, all users, seed 0",
        "sequential: office, leave-one-out, all users, seed 0, cold=true",
    ]


def test_rewards_of_logged_drafts_are_drawn_term_by_term(tmp_path: Path) -> None:
    pa, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    write(tmp_path, "one", [0.5])
    rewards = [[("rank", 0.5), ("total", 0.25)], [("total", 0.75)]]
    schema = pa.schema([("rewards", pa.map_(pa.string(), pa.float64()))])
    table = pa.table({"rewards": rewards}, schema=schema)
    parquet.write_table(table, tmp_path / "drafts.parquet")

    report = read_report(tmp_path, tmp_path / "drafts.parquet")

    assert report.rewards == {"rank": [0.5], "total": [0.25, 0.75]}
    assert "rank: median 0.500, n=1; total: median 0.500, n=2" in as_html(report)


def test_a_folder_without_results_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UnknownFormatError, match="limner eval SUITE --out"):
        read_report(tmp_path)


def test_nobody_knows_is_not_no(tmp_path: Path) -> None:
    write(tmp_path, "weak", [0.0, 0.25, 0.0, 0.25])
    path = next(tmp_path.glob("*.json"))
    path.write_text(path.read_text().replace('"text_by_model": true', '"text_by_model": null'))

    text = as_markdown(read_report(tmp_path))

    assert "| order | unknown | c0ffee |" in text
    assert "by a language model" not in text


def test_answers_that_an_earlier_run_paid_for_are_told(tmp_path: Path) -> None:
    usage = Usage(calls=2, cached_calls=1_400)
    write(
        tmp_path, "weak", [0.0], cost=(SystemCost(system="weak", dataset="office", cost=Cost(usage=usage)),)
    )

    assert "| 2 (and 1,400 kept answers) |" in as_markdown(read_report(tmp_path))


def test_answers_of_two_models_stand_apart(tmp_path: Path) -> None:
    for model in ("small", "large"):
        settings = {"users": None, "ties": "average", "chat_model": model}
        write(tmp_path, "history", [0.0], suite="qa", settings=settings, key=model, file=model)

    sections = read_report(tmp_path).sections

    assert [section.place.options for section in sections] == ["model=large", "model=small"]
