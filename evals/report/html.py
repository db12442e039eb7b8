"""A report as one HTML file that needs nothing else: no script, no network, light and dark."""

from functools import cache
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from .markdown import INVALID, Table, tables, versions
from .plots import Plot, inline, plots_of, reward_plots
from .report import Report, Section


class _Figure(NamedTuple):
    number: int
    title: str
    description: str
    svg: str


class _Part(NamedTuple):
    section: Section
    tables: list[Table]
    figures: list[_Figure]


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
            number = len(drawn)
            found.append(_Figure(number, plot.title, plot.description, inline(plot, number)))
        return found

    parts = [
        _Part(section, list(tables(section)), figures(plots_of(section, report)))
        for section in report.sections
    ]
    return _template().render(
        report=report,
        parts=parts,
        rewards=figures(reward_plots(report)),
        invalid=INVALID,
        versions=versions(report),
    )


@cache
def _template() -> Template:
    loader = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.get_template("report.html.jinja")
