"""Portraits chosen by a model's verdict instead of by what they predict (RLAIF's reward, as a baseline)."""

from collections.abc import Sequence

from ...agents.portrait_judge import JUDGE, Verdict, verdict_request
from ...errors import ModelError, ModelOutputError, PriceUnknownError
from ...models import Profile, Rollout
from ...records import Usage, content_hash
from ...settings import Settings
from ...tools.store import Published
from ...tools.structured import complete_as
from .painters import tell_history, unfinished, usage_of
from .studio import Studio, Wanted


class Judged:
    """Limner's first drafts, of which the one that a judge likes best is the portrait.

    Args:
        writer: Who drafts.
        judge: Who reads the drafts beside the history; never what the user did next. The writer if absent.
        drafts: Drafts a user.
    """

    kind = "judged"

    def __init__(self, writer: str, judge: str = "", drafts: int = 4) -> None:
        self.drawn_by, self.asked, self._drafts = writer, judge or writer, drafts
        self.writer = f"{writer} judged by {self.asked}"

    def adapt(self, settings: Settings) -> Settings:
        """Draft only: what a critic's words would change is not the judge's doing."""
        drafting = settings.drafting.model_copy(update={"rounds": 0, "drafts": self._drafts})
        return settings.model_copy(update={"drafting": drafting})

    async def paint(self, studio: Studio, wanted: Sequence[Wanted]) -> dict[Wanted, Profile]:
        """Draft, then judge; a user without a readable or judged draft keeps what Limner published."""
        drawn = await studio.each(wanted, studio.draw, f"drafts by {self.drawn_by}")
        drafts = await _drafts_of(studio, drawn)

        async def choose(entry: Wanted) -> Profile:
            return await _choose(studio, entry, drawn[entry], drafts.get(entry, []))

        return await studio.each(list(drawn), choose, f"verdicts by {self.asked}")


async def _drafts_of(studio: Studio, drawn: dict[Wanted, Profile]) -> dict[Wanted, list[Rollout]]:
    """Return the readable drafts of the last run behind each portrait."""
    entry_of = {(profile.user_id, profile.as_of): entry for entry, profile in drawn.items()}
    found: dict[Wanted, list[Rollout]] = {}
    async for rollout in studio.limner.rollouts():
        entry = entry_of.get((rollout.user_id, rollout.as_of))
        if entry is None or rollout.round < 0 or not rollout.facets:
            continue
        of_run = found.setdefault(entry, [])
        if of_run and of_run[0].run_id != rollout.run_id:
            of_run.clear()
        of_run.append(rollout)
    return found


async def _choose(studio: Studio, entry: Wanted, drawn: Profile, drafts: Sequence[Rollout]) -> Profile:
    assert studio.chat is not None, "`asked` names a model"
    if not drafts:
        return drawn
    fingerprint = content_hash(
        drawn.fingerprint, studio.chat.identity, JUDGE.version, [draft.rollout_id for draft in drafts]
    )
    kept = await studio.kept.profile(entry.user_id, as_of=entry.as_of)
    if kept and kept.fingerprint == fingerprint:
        return kept
    lines = (await tell_history(studio, entry)).lines
    spent, verdicts = Usage(), dict[int, Verdict]()
    for place, draft in enumerate(drafts):
        try:
            verdict, usage = await _judge(studio, entry, lines, draft.profile_text)
        except PriceUnknownError:
            raise
        except ModelError as error:
            return unfinished(drawn, spent + usage_of(error), f"{JUDGE.id}: {error}")
        spent += usage
        if verdict is not None:
            verdicts[place] = verdict
    if not verdicts:
        return unfinished(drawn, spent, f"{JUDGE.id}: no draft was judged")
    best = max(verdicts, key=lambda place: (_rank(verdicts[place]), -place))
    chosen = _with_draft(drawn, drafts[best], verdicts[best], spent, fingerprint)
    return await studio.kept.publish(Published(chosen, ()))


async def _judge(
    studio: Studio, entry: Wanted, lines: Sequence[str], text: str
) -> tuple[Verdict | None, Usage]:
    assert studio.chat is not None, "`asked` names a model"
    chat = studio.chat.for_subject(f"user:{entry.user_id}")
    try:
        answer = await complete_as(chat, verdict_request(lines, text), Verdict, studio.budget)
    except ModelOutputError as error:
        return None, usage_of(error)
    return answer.value, answer.usage


def _rank(verdict: Verdict) -> tuple[int, int]:
    """Order verdicts: by the overall score, then by the sum of the others."""
    return verdict.overall, verdict.coherence + verdict.accuracy + verdict.coverage


def _with_draft(drawn: Profile, draft: Rollout, verdict: Verdict, spent: Usage, fingerprint: str) -> Profile:
    """Put a draft in place of what was published; its claims were never checked."""
    liked = tuple(facet.text for facet in draft.facets if facet.polarity != "dislike")
    return drawn.model_copy(
        update={
            "text": draft.profile_text,
            "likes": liked,
            "dislikes": tuple(facet.text for facet in draft.facets if facet.polarity == "dislike"),
            "facets": draft.facets,
            "claims": draft.claims,
            "source": "model",
            "model": draft.backend,
            "reward": draft.rewards.get("total"),
            "reward_terms": {f"judge_{name}": float(score) for name, score in verdict.model_dump().items()},
            "usage": drawn.usage + spent,
            "prompt_versions": {**drawn.prompt_versions, JUDGE.id: JUDGE.version},
            "fingerprint": fingerprint,
        }
    )
