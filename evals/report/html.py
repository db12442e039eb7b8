"""A report as one HTML file that needs nothing else: no script, no network, light and dark."""

import re
from functools import cache
from html import escape
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from .canvas import Plot, inline
from .markdown import INVALID, MEASURED, Table, tables_of, versions
from .plots import plots_of, reward_plots
from .report import Report, Section

_MARK = re.compile(r"([,:=/+_-])(?=\w)")
_CODE = re.compile(r"`([^`]+)`")


class _Figure(NamedTuple):
    number: int
    title: str
    note: str
    description: str
    svg: str


class _Cell(NamedTuple):
    value: str
    rest: str
    """Interval and n, below the value; empty in a cell that is no measured value."""


class _Block(NamedTuple):
    """A table, and the pictures of the same numbers."""

    table: Table
    lines: list[list[_Cell]]
    figures: list[_Figure]


class _Part(NamedTuple):
    section: Section
    blocks: list[_Block]


def as_html(report: Report) -> str:
    """Return the report as HTML; the same results give the same bytes.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    drawn: list[Plot] = []

    def figures(plots: list[Plot]) -> list[_Figure]:
        found: list[_Figure] = []
        for plot in plots:
            drawn.append(plot)
            svg = inline(plot, len(drawn))
            found.append(_Figure(len(drawn), plot.title, plot.note, plot.description, svg))
        return found

    def blocks(section: Section) -> list[_Block]:
        plots = plots_of(section, report)
        return [
            _Block(table, _cells(table), figures([plot for plot in plots if plot.about == table.about]))
            for table in tables_of(section, report)
        ]

    parts = [_Part(section, blocks(section)) for section in report.sections]
    return _template().render(
        report=report,
        parts=parts,
        rewards=figures(reward_plots(report)),
        invalid=INVALID,
        versions=versions(report),
    )


def _cells(table: Table) -> list[list[_Cell]]:
    """Split measured values from what belongs to them."""
    measured = table.about in MEASURED
    return [
        [_cell(text) if measured and at else _Cell(text, "") for at, text in enumerate(line)]
        for line in table.lines
    ]


def _cell(text: str) -> _Cell:
    value, _, rest = text.partition(" ")
    return _Cell(value, rest)


def coded(text: str) -> str:
    """Return a sentence as HTML, what stands in backticks as code.

    Examples:
        >>> coded("give `--jobs 1` & wait")
        'give <code>--jobs 1</code> &amp; wait'
    """
    return _CODE.sub(r"<code>\1</code>", escape(text))


def breakable(text: str) -> str:
    """Return a name as HTML that may go on in another line behind its own marks.

    Examples:
        >>> breakable("history:form=late")
        'history:<wbr>form=<wbr>late'
    """
    return _MARK.sub(r"\1<wbr>", escape(text))


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"coded": coded, "breakable": breakable}
    return environment.get_template("report.html.jinja")
