"""The report of a benchmark as a page of documentation."""

from .bench_core import Measure, Report

_EXPLANATION = """\
Around the model calls: invented users with 12 reviews each over 500 items, drawn with the default settings
(cues, 4 drafts, critique, at most one revision round, SQLite store, Chroma index, checkpoints, completion
cache, rollout log) against a server on loopback that answers every call after {delay:g} s. The encoder is the
`hashing` double, so that the graph and the store are measured and not an encoder. The same calls are then sent
with nothing but `litellm.acompletion`. Both sides have {calls_at_once} calls in flight; Limner has
{users_at_once} users in flight, because a user's drafts wait for its cues. Each side runs in a process of its
own; they take turns, and each ratio is of neighbouring runs.

Start-up is user and system time of a new process. Memory is the peak of resident memory of a process that
streams users of a store filled by another process, without a model.
"""


def as_markdown(report: Report) -> str:
    """Return the report as Markdown, without anything that names a place on the machine."""
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    rows = [
        "| Measure | Value | Lowest to highest | n | Goal | Met |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(cells(measure))} |" for measure in report.measures),
    ]
    return "\n".join(
        [
            "# Speed and size",
            "",
            f"`{report.command}`, {report.date}, seed {report.seed}.",
            "",
            *rows,
            "",
            _EXPLANATION.format(**report.sizes),
            f"Machine: {machine}.",
            "",
        ]
    )


def cells(measure: Measure) -> tuple[str, ...]:
    """Return one line of the table.

    Examples:
        >>> cells(Measure(measure="m", value=0.9, unit="ratio", goal=">= 0.85", met=True, n=2, spread=(0.8, 1)))
        ('m', '0.900 ratio', '0.800 to 1.00', '2', '>= 0.85', 'yes')
    """
    spread = f"{_short(measure.spread[0])} to {_short(measure.spread[1])}" if measure.spread else ""
    met = "" if measure.met is None else "yes" if measure.met else "no"
    value = f"{_short(measure.value)} {measure.unit}"
    return measure.measure, value, spread, str(measure.n), measure.goal or "", met


def _short(value: float) -> str:
    """Return three digits of a number.

    Examples:
        >>> _short(0.12345), _short(12.345), _short(1234.5)
        ('0.123', '12.3', '1234')
    """
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:#.3g}"
