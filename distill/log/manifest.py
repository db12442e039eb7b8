"""What a training set says about itself: where it comes from, how it was made, what was left out."""

from typing import Literal

from pydantic import Field

from ...records import Moment, Record
from .advantages import Weighting
from .filters import Filters, Reason
from .splits import Split, Splitting

MANIFEST = "manifest.json"
"""Its file name. It is written last: a folder with one is complete."""


class Recipe(Record):
    """How a training set is made of a log."""

    filters: Filters = Filters()
    """What is kept."""

    splitting: Splitting = Splitting()
    """What trains and what measures."""

    weighting: Weighting = Weighting()
    """How rewards become advantages, weights and pairs."""

    critic_version: str | None = None
    """Whose rewards; absent: the one critic of the log, or the one that grades again."""


class SplitCounts(Record):
    """What one split holds."""

    users: int = 0
    """Users with at least one group."""

    groups: int = 0
    """Groups that tell their drafts apart."""

    drafts: int = 0
    """Drafts of these groups."""

    prompts: int = 0
    """All prompts, those of groups that teach nothing offline included."""


class Funnel(Record):
    """What became of every rollout of the log: `rollouts` is `kept` and all of `dropped`."""

    rollouts: int
    """Rows of the log."""

    users: int
    """Users of the log."""

    dropped: dict[Reason, int]
    """Rows left out by the first reason that applied, in the order in which they are tried."""

    kept: int
    """Drafts in groups that teach."""

    rescored: int
    """Drafts that were graded again, whether or not they were kept then."""

    splits: dict[Split, SplitCounts]
    """What was kept, by split."""


class LogSource(Record):
    """The log it was made of."""

    name: str
    """`store`, or the name of a file."""

    sha256: str
    """Of the rollouts as JSON lines in the order of the log; equal for a store and its export."""


class TableFile(Record):
    """One file of the set."""

    path: str
    """Relative to the manifest: split and table."""

    rows: int
    """Its rows."""

    sha256: str
    """Of its bytes."""


class Manifest(Record):
    """Everything needed to know, check and repeat a training set."""

    format: Literal["limner-training-set/1"] = "limner-training-set/1"
    """Form of the folder."""

    limner: str
    """Version of Limner that wrote it."""

    log: LogSource
    """What it was made of."""

    recipe: Recipe
    """How."""

    critic_version: str | None
    """The one critic whose rewards it holds; absent if nothing was kept."""

    boundary: Moment | None
    """The boundary in force; absent for a log that time cannot tell apart, which is split by user alone."""

    excluded_users: int
    """Users left out by name. Their ids are not written down."""

    forgotten_checked: bool
    """Whether users were looked up in a store, so that forgotten ones are left out."""

    funnel: Funnel
    """Counts at each step."""

    notes: tuple[str, ...] = ()
    """Anything the reader should know."""

    files: tuple[TableFile, ...] = Field(default=())
    """The tables; none for a dry run."""
