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

_ENGINES = """\
What the engines add, whatever a row's own work is: {rows:,} rows in parts of {part}, each of which waits {latency:g} s in
place of a model, {at_once} of them in flight, in this process or shared by {workers} Ray actors on the same machine. Parts
are written as Parquet in memory and no further. The engines take turns, {repeats} times; on Ray each batch starts its actors
anew, which is most of the difference in a batch as small as this.
"""

_ALL = """\
Both sides of a ratio take turns within one process, {repeats} times, so that a busy machine slows both; what is given is
the median of neighbouring turns. Ratios are of seconds of CPU, all threads together, except for the *orchestration*,
which waits for a server that answers after 0.2 s and is timed by the clock. Each part runs in a process of its own.

*Critique*: eight sentences score {items:,} items; a draft's grade is all that `tools/reward.py` does with three held-back
items, 384 negatives and 16 other users. *Store*: 64 calls at a time on SQLite, against `sqlite3` with the same tables,
indexes and promises, which commits 64 users together and leaves what it reads as it is. *Embedding door*: {texts} texts of
twelve words, one at a time on both sides. *Embedded model*: new prompts that begin alike, 48 tokens each. *Full ranking*:
{ranked:,} users and {items:,} items, a product of 64 factors. *Import*: {rows:,} events without words in the order of time
into an empty store; the rate by CPU is what one core does in a second when nothing else keeps it busy. *Calls and
tokens*: the default settings and users with 12 reviews; a token is four characters. A batch of recommendations is one
for each of 1,000 users.
"""

_MILLION = """\
{rows:,} events without words of {users:,} users and {items:,} items with texts go from a CSV and a JSONL file into a store
in a folder; then the catalogue is embedded (`{embedder}`), everybody's cues are noted and a portrait is drawn, graded and
indexed without a model, the recommender is built, and everybody gets ten recommendations. Each stage runs in a process of
its own, so that its peak of memory is its own. Writing the files is not counted.
"""

_MODEL = """\
{users} invented users with 12 reviewed items each are drawn by the embedded model with the default settings. *Billed* is what
a provider without caching reads and charges: every prompt, whole. *Read* is what llama.cpp processes: what a prompt has in
common with one that is still in its cache is not read again. Limner's engine runs requests of one prompt one after the
other, so that all drafts of a user share one reading, and a revision begins as the draft's prompt does; *in the order of
asking* the same requests went to llama.cpp's server alone, one at a time. A stored answer is shared by whatever asks the
same again.
"""

_GROWTH = """\
The events are invented. A store has {users:,} users with {history:,} events each over {items:,} items; one of the three is
multiplied at a time. *Growth* is the power of the size that work grows with, in seconds of CPU of a whole process: 0 is the
same, 1 is linear, 2 is quadratic; the lowest and highest beside it are the seconds at both sizes. Portraits are drawn of
{some} users and recommendations made for as many, whatever the size, so that their growth should be near 0 for users. No
model is asked, and the encoder is the `hashing` double, so that Limner is measured and not an encoder. Calls are what the
estimate of the default settings allows for, with every revision.
"""

_EXPLANATIONS = {
    "model": _MODEL,
    "growth": _GROWTH,
    "all": _ALL,
    "million": _MILLION,
    "core": _CORE,
    "eval": _EVAL,
    "groups": _GROUPS,
    "serve": _SERVE,
    "engines": _ENGINES,
    "soak": _SOAK,
}


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
            *(f"- *{name}*: {reason}." for name, reason in report.reasons.items()),
            *([""] if report.reasons else []),
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
