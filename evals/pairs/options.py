"""What can be set about Limner's own pairs, and what that makes of its settings."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import NonNegativeInt, PositiveInt

from ...errors import SettingsError
from ...pairings import RankMode
from ...records import Record, content_hash
from ...settings import NO_MODEL, Settings
from ...tools.checksums import sha256_of
from ..options import named, read_options
from ..portraits.painters import EXTRACTIVE
from ..workspace import Workspace

Kind = Literal["joint", "factored", "duet", "independent"]

KINDS: tuple[Kind, ...] = ("joint", "factored", "duet", "independent")
"""Names in specs."""


class PairOptions(Record):
    """How pairs are written; what is absent is as configured."""

    writer: str = ""
    """`extractive`, or a LiteLLM model string; absent for the configured model."""

    drafts: PositiveInt | None = None
    """First drafts of each pair."""

    rounds: NonNegativeInt | None = None
    """Revision rounds; with 0 and `drafts=1` the writer is asked once."""

    style: Literal["free", "lexicon", "plain"] | None = None
    """How drafts are written."""

    cue: bool = True
    """Whether each side starts with the cue that matters for the other."""

    instruction: bool = True
    """Whether each side sets itself an instruction before it writes."""

    paired: bool = True
    """Whether each side is written for the other."""

    ranking: bool = True
    """Whether the critic that chooses drafts asks how well they rank."""

    judged: bool | None = None
    """Whether a model that reads the two profiles alone predicts the rating; one short call a pair."""

    top: PositiveInt | None = None
    """Places that matter."""

    scorer: Path | None = None
    """File of `limner distill scorer`; absent for the configured one."""


class FactoredOptions(PairOptions):
    """What factored ranking may spend besides."""

    budget: NonNegativeInt | None = None
    """Most calls for one user's list; 0 for the scorer alone; absent for whatever could change the top."""

    per_call: PositiveInt | None = None
    """Items described in one call."""


class DuetOptions(PairOptions):
    """One pass a pair, as it comes: no choice among drafts, no revision."""

    drafts: PositiveInt | None = 1
    """First drafts of each pair."""

    rounds: NonNegativeInt | None = 0
    """Revision rounds."""

    ranking: bool = False
    """Whether the critic asks how well drafts rank; of a single draft it chooses nothing."""


class UnpairedOptions(PairOptions):
    """Profiles that know nothing of each other."""

    paired: bool = False
    """Whether each side is written for the other."""


_MODELS: Mapping[Kind, type[PairOptions]] = {
    "joint": PairOptions,
    "factored": FactoredOptions,
    "duet": DuetOptions,
    "independent": UnpairedOptions,
}


class PairPlan(Record):
    """A way of ranking by pairs, read and checked."""

    kind: Kind
    options: PairOptions
    writer: str
    """`extractive`, or a LiteLLM model string."""

    @property
    def name(self) -> str:
        """Name in tables: who writes, and all that was asked for; a scorer by the name of its file alone."""
        shown: dict[str, Any] = {"writer": self.writer}
        if self.options.scorer:
            shown["scorer"] = Path(self.options.scorer.name)
        return named(self.kind, self.options.model_copy(update=shown), defaults=True)

    @property
    def mode(self) -> RankMode:
        """How Limner ranks."""
        return "factored" if self.kind == "factored" else "joint"

    @property
    def calls(self) -> int | None:
        """Most calls for one user's list; absent for no limit."""
        return self.options.budget if isinstance(self.options, FactoredOptions) else None

    def adapt(self, settings: Settings) -> Settings:
        """Return the settings that Limner draws with."""
        chosen, pairing = self.options, settings.pairing
        drafting = {name: getattr(chosen, name) for name in ("drafts", "rounds", "style")}
        weights = {} if chosen.ranking else {"rank": 0.0, "pair_rank": 0.0}
        if self.mode == "joint" and chosen.judged is not None:
            weights["rating"] = float(chosen.judged)
        sides: dict[str, Any] = {
            "cue": chosen.cue,
            "instruction": chosen.instruction,
            "paired": chosen.paired,
            "scorer": chosen.scorer or pairing.scorer,
            "judge_ranked": pairing.judge_ranked if chosen.judged is None else chosen.judged,
        }
        if isinstance(chosen, FactoredOptions) and chosen.per_call:
            sides["per_call"] = chosen.per_call
        return settings.model_copy(
            update={
                "model": NO_MODEL if self.writer == EXTRACTIVE else self.writer,
                "drafting": settings.drafting.model_copy(
                    update={name: value for name, value in drafting.items() if value is not None}
                ),
                "reward": settings.reward.model_copy(update=weights),
                "pairing": pairing.model_copy(update=sides),
            }
        )

    def way(self, settings: Settings) -> str:
        """Hash everything about how lists are ranked, but for the past and the code.

        Args:
            settings: Adapted ones.
        """
        pairing = settings.pairing
        scorer = sha256_of(pairing.scorer) if pairing.scorer else ""
        sections = (settings.drafting, settings.critic, settings.reward)
        return content_hash(
            self.mode,
            self.calls,
            self.options.top,
            settings.model,
            settings.chat.api_base,
            settings.embedder,
            scorer,
            *(section.model_dump_json() for section in sections),
            pairing.model_dump_json(exclude={"scorer"}),
        )


def read_plan(kind: Kind, options: Mapping[str, str], workspace: Workspace) -> PairPlan:
    """Read the options of a spec.

    Raises:
        SettingsError: One is unknown or out of range, a scorer is missing, or no model is configured.
    """
    chosen: PairOptions = read_options(_MODELS[kind], kind, options)
    writer = chosen.writer or (
        EXTRACTIVE if workspace.settings.model == NO_MODEL else workspace.settings.model
    )
    if chosen.scorer and not chosen.scorer.is_file():
        raise SettingsError(
            f"{kind}:scorer", f"{str(chosen.scorer)!r} is no file; `limner distill scorer` writes one"
        )
    return PairPlan(kind=kind, options=chosen, writer=writer)
