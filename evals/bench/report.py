"""The report of a benchmark as a page of documentation."""

from .core import Measure, Report

_CORE = """\
Around the model calls: invented users with 12 reviews each over 500 items, drawn with the default settings
(cues, 4 drafts, critique, at most one revision round, SQLite store, Chroma index, checkpoints, completion
cache, rollout log) against a server on loopback that answers every call after {delay:g} s. The encoder is the
`hashing` double, so that the graph and the store are measured and not an encoder. The same calls are then sent
with nothing but `litellm.acompletion`. Both sides have {calls_at_once} calls in flight; Limner has
{users_at_once} users in flight, because a user's drafts wait for its cues. Each side runs in a process of its
own; they take turns, and each ratio is of neighbouring runs. Limner sends to OpenAI-compatible servers at plain
`http://` addresses without passing through `litellm.acompletion`, which costs 3 to 4 ms of CPU a call; every other
model string goes through LiteLLM (`tools/openai_server.py` says which, and why).

Start-up is user and system time of a new process. Memory is the peak of resident memory of a process that
streams users of a store filled by another process, without a model.
"""

_EVAL = """\
Ranking the whole catalogue for everybody: {users:,} invented users, {items:,} invented items, one held-back choice
each, histories masked, ties averaged. The systems are the plainest there are, one dense product (factors of users
times factors of items) and one sparse product (histories times counts of pairs), so that the harness is measured
and not a model. *Scores to table* is all that `limner eval sequential` does after fitting: scores, places, every
metric, coverage, novelty, diversity, buckets, and bootstrap intervals of 2,000 resamples. *Placing* counts who
stands before and beside each answer. *The product* computes the same scores and does nothing with them; a sparse
one stays sparse.

*Metrics*: Recall, NDCG, MRR and Hit at 5, 10, 20 and 50 on one run of the dense product. Limner's are made from
*places*, those of other libraries from *lists* of the 50 best items; *from scores* counts the making of either too.
Lists come from NumPy's `argpartition`, and bringing them into a library's own tables is not counted, nor what it
compiles at first. RecTools runs in an environment of its own, because it needs another NumPy. Each measurement runs
in a process of its own; each ratio is the median over neighbouring runs.
"""

_GROUPS = """\
The data is synthetic: invented users with vectors of {width} numbers around one centre for every {size} users, and
{events} choices each among a fifth as many items, popular ones more often. Each step runs in a process of its own,
and its peak of memory includes the data it works on. *Graph of users and items* normalises the sparse adjacency and
passes vectors along it over {layers} layers; *graph of like users* finds {neighbours} approximate neighbours of
everybody and keeps those that are mutual; *groups, all in all* finds these neighbours again, then seeds, groups by
k-means, dissolves what is too small, makes one round between individuals and groups, and counts what members had.
Growth is the power of the number of users that work grows with, in seconds of CPU of all threads together: 1 is
linear, 2 quadratic.
"""

_SERVE = """\
The store is synthetic: {users:,} invented users with {events} reviewed items each, a portrait of four sentences, and
{cues:,} cues among them. A cue's vector lies near that of one of a thousand phrases that were encoded for real;
questions are all different and each is encoded when it is asked (`{embedder}`). `limner serve` runs as it is shipped,
one process, on loopback without keys; tokens are those of `{model}`. The *plain* server is one FastAPI handler that
reads the portrait's row and sends it as it is stored, under the same uvicorn. {clients} clients ask from a process of
their own, on the same machine, and take a share of its processors.

*Paced*: each client waits after an answer, {think:g} s on average, like somebody who reads it; goals are judged here.
*Saturated*: each client asks again at once, so that throughput is all that the server can do and latency is the number
of clients divided by it. Each of these runs for {seconds:g} s after a warm-up. *Prefix stability*: {conversations}
conversations of {turns} turns, a question asked and a message recorded in each; the stable part of each turn is
compared with that of the first, byte by byte. The *mixed load* asks for portraits (14 of 20), contexts (5) and records
messages (1).
"""

_SOAK = """\
`limner serve` runs as it is shipped, one process, on loopback without keys and without a model, over {users:,} invented
users. {clients} connections send {rate:g} requests a second for {minutes:g} minutes, whatever the answers take: half of
them record a message, 7 of 20 ask for a context with a question, 3 of 20 have a portrait drawn anew. Questions and
messages come from a pool of {texts:,}, so that caches are full before long. Every {every:g} s the server's process and the
store's folder are looked at; the first {warm:.0%} of the time is not judged. *Growth* is the slope of a line by least
squares through the means of up to forty blocks, with its 95 % interval as lowest and highest. It counts as flat if the
interval reaches down to 2 % of the median in an hour; over minutes the interval is wide, so only hours tell. The database
grows with what is recorded. Of latencies, lowest and highest are of the three thirds of the run.
"""

_EXPLANATIONS = {"core": _CORE, "eval": _EVAL, "groups": _GROUPS, "serve": _SERVE, "soak": _SOAK}


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
            _EXPLANATIONS[report.bench].format(**report.sizes),
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
