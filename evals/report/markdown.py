"""A report as Markdown, and the tables that all renderers share."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from ..results import Cost, Row
from .paired import HISTORY, against_history
from .report import ANSWERED, BILLED, PAIRED, Report, Section

About = Literal["bill", "metrics", "paired", "weights", "buckets", "cost", "further", "probes", "data"]
"""What a table or a picture is about."""

UNITS: Mapping[str, tuple[str, ...]] = {
    BILLED: ("a user", "a recommendation"),
    PAIRED: ("per 1,000 pairs",),
}
"""What a bill is divided by, as the names of its metrics end, by suite."""

MEASURED: tuple[About, ...] = ("metrics", "buckets", "further")
"""Tables whose cells are values with their interval and n."""

SHOWN = 8
"""Columns of a main table; the rest follow in a second one."""

INVALID = (
    "INVALID: a probe for leaks failed. The numbers below are printed so that the leak can be found; they measure "
    "nothing else."
)


class Table(NamedTuple):
    """A table in words; the first column names the line."""

    about: About
    caption: str
    head: Sequence[str]
    lines: Sequence[Sequence[str]]


def number(value: float) -> str:
    """Return four places of a share, three digits of anything larger.

    Examples:
        >>> number(0.05904), number(-0.5), number(1.0), number(12.345), number(16859.4)
        ('.0590', '-.5000', '1.000', '12.3', '16,859')
    """
    if abs(value) < 1:
        return f"{value:.4f}".replace("0.", ".", 1) if round(abs(value), 4) < 1 else f"{value:.3f}"
    if abs(value) < 10:
        return f"{value:.3f}"
    return f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"


def amount(value: float) -> str:
    """Return what was taken, two digits of what is small.

    Examples:
        >>> amount(0.0), amount(0.0000123), amount(0.02), amount(1.5), amount(16859.4)
        ('0', '.000012', '.02', '1.5', '16,859')
    """
    if value == 0:
        return "0"
    if abs(value) >= 10:
        return number(value)
    return str(np.format_float_positional(value, precision=2, fractional=False, trim="-")).replace(
        "0.", ".", 1
    )


def cell(row: Row | None) -> str:
    """Return a value with its interval and n; a dash where nothing was measured."""
    if row is None:
        return "-"
    # A cell breaks before its interval or its n, never inside the interval.
    interval = f" [{number(row.ci[0])},\u00a0{number(row.ci[1])}]" if row.ci else ""
    return f"{number(row.value)}{interval} n={row.n:,}"


def tables(section: Section) -> Iterator[Table]:
    """Return every table of a section, what matters most first, those without lines left out."""
    suite = section.place.suite
    metrics = [name for name in section.metrics if not name.endswith(UNITS.get(suite, ()))]
    shown, rest = metrics[:SHOWN], metrics[SHOWN:]
    if suite == BILLED:
        yield _bill(section, "What a user and a recommendation take")
    yield _metrics(section, "metrics", "Value, 95 % interval over users, and queries", shown)
    if suite == PAIRED:
        yield _bill(section, "What 1,000 ranked pairs take")
    if section.weights:
        yield _weights(section)
    if section.buckets:
        yield _buckets(section)
    if section.costs:
        yield _costs(section)
    if rest:
        yield _metrics(section, "further", "Further metrics", rest)
    if section.probes:
        yield _probes(section)
    yield _data(section)


def tables_of(section: Section, report: Report) -> Iterator[Table]:
    """Return every table of a section, with those that take values of single queries."""
    for table in tables(section):
        yield table
        if table.about == "metrics" and section.place.suite == ANSWERED:
            yield from _against_history(section, report)


def _against_history(section: Section, report: Report) -> Iterator[Table]:
    """Compare each condition with the whole history, in all and by the length of the history."""
    lengths = [name for name in section.buckets if name.startswith("history ")]
    values = report.values.get(section.place, ())
    found = against_history(values, section.metrics[0], lengths)
    if not found:
        return
    lines = [
        [
            each.system,
            each.part or "all",
            f"{number(each.test.difference)} [{number(each.test.low)},\u00a0{number(each.test.high)}]",
            f"{each.test.p_value:.4f}",
            f"{each.p_holm:.4f}",
            f"{each.test.n:,}",
        ]
        for each in found
    ]
    caption = f"{section.metrics[0]} less that of `{HISTORY}`, paired; p of a randomisation test, Holm over this table"
    yield Table("paired", caption, ["System", "Questions", "Difference [95 %]", "p", "p, Holm", "n"], lines)


def _bill(section: Section, caption: str) -> Table:
    """Show what each system takes, beside what that buys."""
    taken = ("calls", "tokens", "seconds", "dollars")
    quality = section.metrics[0]
    lines = [
        [
            name,
            unit,
            *(amount(row.value) if (row := section.row(name, f"{what} {unit}")) else "-" for what in taken),
            _quality(section.row(name, quality), whole=section.place.suite == PAIRED),
        ]
        for name in section.systems
        for unit in UNITS[section.place.suite]
    ]
    head = ["System", "For", "calls", "tokens", "seconds", "$", quality]
    return Table("bill", caption, head, lines)


def _quality(row: Row | None, *, whole: bool) -> str:
    """Return what is bought, with its interval where the bill is what the suite is about."""
    return cell(row) if whole or row is None else number(row.value)


def _weights(section: Section) -> Table:
    """Show what every part of every mixture counts, those of no weight too."""
    found: dict[tuple[str, str], list[str]] = {}
    for entry in section.weights:
        share = f"{entry.weight:.2f}" if entry.weight else "0"
        found.setdefault((entry.system, entry.bucket), []).append(f"{entry.part} {share}")
    lines = [[system, bucket, "; ".join(shares)] for (system, bucket), shares in found.items()]
    caption = "Weights, fitted on validation users; a part of weight 0 is not asked"
    return Table("weights", caption, ["Mixture", "Users", "Weights"], lines)


def _metrics(section: Section, about: About, caption: str, metrics: Sequence[str]) -> Table:
    lines = [[name, *(cell(section.row(name, metric)) for metric in metrics)] for name in section.systems]
    return Table(about, caption, ["System", *metrics], lines)


def _buckets(section: Section) -> Table:
    metric = section.metrics[0]
    lines = [
        [name, *(cell(section.row(name, f"{metric} | {bucket}")) for bucket in section.buckets)]
        for name in section.systems
    ]
    return Table("buckets", f"{metric} by part of the queries", ["System", *section.buckets], lines)


def _probes(section: Section) -> Table:
    lines = [
        [
            probe.name,
            "passed" if probe.passed else "FAILED",
            number(probe.value),
            number(probe.limit),
            probe.detail,
        ]
        for probe in section.probes
    ]
    return Table("probes", "Probes for leaks", ["Probe", "Outcome", "Value", "Limit", "What it is"], lines)


def _costs(section: Section) -> Table:
    head = ["System", "fit s", "tune s", "ms a query", "calls", "tokens", "$", "queries"]
    lines = [[name, *_cost(section.costs[name])] for name in section.systems if name in section.costs]
    return Table("cost", "Cost", head, lines)


def _cost(cost: Cost) -> list[str]:
    each = 1000 * cost.score_seconds / cost.queries if cost.queries else 0.0
    usage = cost.usage + cost.tune_usage
    unknown = f" ({usage.unpriced_calls:,} calls without a price)" if usage.unpriced_calls else ""
    return [
        f"{cost.fit_seconds:.2f}",
        f"{cost.tune_seconds:.2f}",
        f"{each:.2f}",
        f"{usage.calls:,}" + (f" (and {usage.cached_calls:,} kept answers)" if usage.cached_calls else ""),
        f"{usage.tokens:,}",
        f"{usage.cost:.4f}{unknown}",
        f"{cost.queries:,}",
    ]


def _data(section: Section) -> Table:
    lines = [
        [
            data.card.name,
            data.card.source,
            data.card.terms,
            f"{data.card.users:,} / {data.card.items:,} / {data.card.events:,}",
            data.card.clock,
            {True: "yes", False: "no", None: "unknown"}[data.card.text_by_model],
            data.content,
        ]
        for data in section.data
    ]
    head = ["Data", "Source", "Terms", "Users / items / events", "Clock", "Text by a model", "Content"]
    return Table("data", "Data", head, lines)


def as_markdown(report: Report) -> str:
    """Return the report as Markdown; the same results give the same bytes."""
    parts = ["# Evaluation", ""]
    if not report.valid:
        parts += [f"> **{INVALID}**", ""]
    for section in report.sections:
        parts += [f"## {section.place.title}", ""]
        if not section.valid:
            parts += [f"**{INVALID}**", ""]
        for table in tables_of(section, report):
            parts += [f"**{table.caption}**", "", *_lines(table), ""]
        parts += [*(f"- {note}" for note in section.notes), *([""] if section.notes else [])]
    if report.unmeasured:
        parts += ["## Not measured", "", *(f"- {note}" for note in report.unmeasured), ""]
    parts += ["## How to repeat", "", "```", *report.commands, "```", "", *_versions(report), ""]
    return "\n".join(parts)


def _lines(table: Table) -> Iterator[str]:
    yield _line(table.head)
    yield _line(["---"] * len(table.head))
    yield from map(_line, table.lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(text.replace('|', chr(92) + '|').replace(chr(10), ' ') for text in cells)} |"


def versions(report: Report) -> dict[str, str]:
    """Return versions and machine of all results, several values joined."""
    found: dict[str, dict[str, None]] = {}
    for result in (result for section in report.sections for result in section.results):
        for name, value in {**result.machine, **result.versions}.items():
            found.setdefault(name, {})[value] = None
    return {name: " and ".join(values) for name, values in sorted(found.items())}


def _versions(report: Report) -> Iterator[str]:
    yield ", ".join(f"{name} {value}" for name, value in versions(report).items()) + "."
