"""What flows through the profile graph, and what its nodes may touch outside it."""

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, TypedDict

from ..models import Claim, Critique, Cue, Facet, Profile
from ..pairings import Judgement, PairOutcome, PairSide
from ..pairings import Pair as PairRecord
from ..records import Message, Record, Usage
from ..settings import Settings
from ..tools.budget import Budget
from ..tools.catalogue import Catalogue
from ..tools.chat import ChatModel
from ..tools.clock import Clock
from ..tools.embedder import Embedder
from ..tools.privacy.screen import Screen
from ..tools.space import ENCODERS_OWN, Space
from ..tools.store import Store
from .audience import Audience
from .case import BARE, BRIEF, FULL, Case, Lengths
from .lexicon import Lexicon

Style = Literal["free", "lexicon", "plain"]
"""How drafts are written: any sentence with its evidence, sentences whose themes are phrases of the history, or
bare sentences from a short prompt, as trained small profilers write them."""

LENGTHS: dict[Style, Lengths] = {"free": FULL, "lexicon": BRIEF, "plain": BARE}
"""How much of an interaction each style's prompts show."""

_CASES_KEPT = 256


class Draft(Record):
    """One draft and everything its rollout needs."""

    round: int
    """-1 for the extractive floor, 0 for first drafts, then the revision round."""

    draft_ix: int
    """Index within the round."""

    facets: tuple[Facet, ...]
    """Its sentences; empty if the completion could not be read."""

    claims: tuple[Claim, ...]
    """The sentences with their evidence; confidence 0 until grounded."""

    pair: tuple[PairSide, PairSide] | None = None
    """User side and item side; absent for a profile."""

    item_claims: tuple[Claim, ...] = ()
    """Sentences of the item side with evidence from others' interactions."""

    judgement: Judgement | None = None
    """What the judge read out of a pair's two profiles; absent until it was asked."""

    completion: str = ""
    """What the model wrote."""

    finish_reason: str = "none"
    """As the backend gives it."""

    model: str = "extractive"
    """Model string."""

    model_rev: str = "none"
    """Revision of the weights."""

    seed: int | None = None
    """Sampling seed."""

    token_logprobs: tuple[float, ...] | None = None
    """Log-probabilities of the completion, if the backend gives them."""

    token_ids: tuple[int, ...] | None = None
    """Tokens of the completion, if the backend names every one."""

    prompt_id: str = "extractive"
    """Which prompt."""

    prompt_version: int = 0
    """Its version."""

    usage: Usage = Usage()
    """What it cost."""

    at: datetime
    """When it was written."""

    critique: Critique | None = None
    """The critic's findings; absent until it was read."""

    @property
    def text(self) -> str:
        """The sentences as one paragraph."""
        return " ".join(facet.text for facet in self.facets)

    @property
    def liked_text(self) -> str:
        """The sentences about what draws the user; all of them if none is."""
        liked = [facet.text for facet in self.facets if facet.polarity != "dislike"]
        return " ".join(liked) or self.text

    @property
    def whole(self) -> str:
        """Everything the model wrote: the text, or all spans of a pair."""
        if self.pair is None:
            return self.text
        spans = (span for side in self.pair for span in (side.cue, side.instruction, side.profile))
        return " ".join(span for span in spans if span)

    @property
    def total(self) -> float | None:
        """The total reward; absent until it was graded against something."""
        return self.critique.rewards.get("total") if self.critique else None


class State(TypedDict, total=False):
    """The graph's state; everything in it is checkpointed.

    `user_id`, `item_id` (absent for a profile), `as_of` and `run_id` come in, and `outcome` of a pair that is
    written to learn from; `profile` or `pair` comes out.
    """

    user_id: str
    item_id: str | None
    as_of: datetime
    run_id: str
    outcome: PairOutcome | None
    fingerprint: str
    cues: list[Cue]
    item_cues: list[Cue]
    drafts: list[Draft]
    prompts: dict[int, tuple[Message, ...]]
    round: int
    best: Draft
    spent: Usage
    notes: list[str]
    exhausted: bool
    profile: Profile
    pair: PairRecord


@dataclass(frozen=True, kw_only=True)
class Deps:
    """Everything a node may touch outside its state."""

    settings: Settings
    store: Store
    catalogue: Catalogue
    embedder: Embedder
    chat: ChatModel | None
    """Absent to draw extractively, without any model."""

    budget: Budget
    clock: Clock
    lexicon: Lexicon
    audience: Audience
    logprobs: bool = False
    """Whether drafts are asked for with log-probabilities."""

    style: Style = "free"
    screen: Screen = field(default_factory=Screen)
    """What sentences about people may say."""

    space: Space = ENCODERS_OWN
    """Where sentences score items; evidence is told in the encoder's own."""

    cases: "OrderedDict[str, Case]" = field(default_factory=OrderedDict["str", "Case"])
    """Material of the runs in flight, so that nodes do not read it again; rebuilt after a resume."""

    def keep_case(self, run_id: str, case: Case) -> None:
        """Remember a run's material and forget the oldest beyond a bound."""
        self.cases[run_id] = case
        while len(self.cases) > _CASES_KEPT:
            self.cases.popitem(last=False)
