"""The suite `cards`: are cards written many at a time as good as those of three calls an item?"""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

import numpy as np
from pydantic import PositiveInt

from ...cards import ItemCard
from ...errors import SettingsError
from ...records import Record, Usage
from ...settings import NO_MODEL
from ...tools.waiting import wait_for
from ..cards.judging import CardVerdicts, embedding_agreement, judge_cards
from ..cards.writing import FORMS, Shown, WrittenCards, write_forms
from ..encoding import Encoding
from ..portraits.moments import moment_of
from ..prepared import Prepared, own_options, prepare
from ..results import Cost, DataCard, Measured, Probe, Values
from ..suite import Task

FULL_FORM = "chain"
"""What every other form is held against."""

_FULL_CALLS = 3
"""Calls an item of the full form."""


class CardOptions(Record):
    """Options of the suite, as `--set` gives them."""

    items: PositiveInt = 100
    """Items drawn from the catalogue by seed."""

    judge: str = ""
    """Chat model that compares cards; absent for the configured model, `none` for no judge."""


class Cards:
    """Cards of one form against the full form's, of the same items and reviews."""

    name = "cards"
    together = False
    default_systems = ("batched",)

    def check(self, task: Task) -> None:
        """Refuse a form or an option that cannot be.

        Raises:
            SettingsError: Says which.
        """
        own_options(task, CardOptions)
        others = [form for form in FORMS if form != FULL_FORM]
        if task.system not in others:
            raise SettingsError(
                "--system",
                f"{task.system!r} is no form to hold against `{FULL_FORM}`; {' and '.join(others)} are",
            )
        if task.workspace.settings.model == NO_MODEL:
            raise SettingsError(
                "model", "'none' writes no card in three calls; name a model with `LIMNER_MODEL`"
            )

    def measure(self, task: Task) -> Sequence[Measured]:
        """Write cards of the same items by both forms, and compare them."""
        self.check(task)
        options = own_options(task, CardOptions)
        [folder] = task.data
        prepared = prepare(task, folder)
        past = prepared.split.past
        drawn = np.random.default_rng(task.seed).permutation(past.n_items)[: options.items]
        numbers: list[int] = np.sort(drawn).tolist()
        item_ids = [past.items[number].item_id for number in numbers]
        newest = int(past.events.at.max()) if len(past.events) else 0
        as_of = moment_of(newest, past.card.clock) + timedelta(microseconds=1)
        shown = wait_for(
            write_forms(task.workspace, past, item_ids, forms=(FULL_FORM, task.system), as_of=as_of)
        )
        both = [
            item_id for item_id in item_ids if all(item_id in one.cards for one in shown.written.values())
        ]
        compared, judged = _compare(task, options, shown, both)
        return [
            _measured(
                task,
                prepared,
                form,
                shown.written[form],
                both,
                compared if form == task.system else {},
                judged,
            )
            for form in (task.system, FULL_FORM)
        ]

    def guard(self, task: Task) -> tuple[Sequence[DataCard], Sequence[Probe]]:
        """Return the card of the data, and what the probes for leaks found in it."""
        own_options(task, CardOptions)
        [folder] = task.data
        prepared = prepare(task, folder)
        return [prepared.data], prepared.probes


def _compare(
    task: Task, options: CardOptions, shown: Shown, item_ids: Sequence[str]
) -> tuple[dict[str, Values], CardVerdicts]:
    """Hold a form's cards against the full form's: by the encoder, and by the judge if there is one."""
    settings = task.workspace.settings
    ours, theirs = shown.written[task.system].cards, shown.written[FULL_FORM].cards
    encoding = Encoding(settings.embedder, task.workspace)
    cosine, rank = embedding_agreement(
        [ours[item_id] for item_id in item_ids], [theirs[item_id] for item_id in item_ids], encoding
    )
    materials = [shown.materials[item_id] for item_id in item_ids]
    verdicts = judge_cards(task.workspace, options.judge or settings.model, materials, ours, theirs)
    found = {"cosine with the full form": cosine, "rank of the full form's card": rank, **verdicts.rows}
    return found, verdicts


def _measured(
    task: Task,
    prepared: Prepared,
    form: str,
    written: WrittenCards,
    item_ids: Sequence[str],
    compared: Mapping[str, Values],
    judged: CardVerdicts,
) -> Measured:
    cards = [written.cards[item_id] for item_id in item_ids]
    usage = Usage.total(card.usage for card in cards)
    calls = usage.calls / max(len(cards), 1)
    rows = {
        name: np.array([value(card) for card in cards], dtype=np.float32) for name, value in _ROWS.items()
    }
    per_call = task.workspace.settings.cards.per_call
    judging = f"Judge: {judged.judge}, {judged.usage.calls} calls beside the cost, both orders averaged; ½ is a tie."
    return Measured(
        system=form if form != "batched" else f"batched:per_call={per_call}",
        dataset=prepared.dataset.card.name,
        split=prepared.split.name,
        users=list(item_ids),
        per_query={**rows, **compared},
        whole={"calls an item": calls, "calls against three an item": calls / _FULL_CALLS},
        cost=Cost(score_seconds=usage.seconds, queries=len(cards), usage=usage),
        complete=written.complete and judged.complete,
        notes=(*prepared.notes, f"{len(cards)} items; a query is an item. {judging}"),
    )


_ROWS: Mapping[str, Callable[[ItemCard], float]] = {
    "grounding": lambda card: card.grounding,
    "by model": lambda card: float(card.source == "model"),
    "cites reviews": lambda card: float(bool(card.evidence)),
    "repaired parts": lambda card: float(len(card.repaired)),
    "words": lambda card: float(len(f"{card.liked_by} {card.disliked_by} {card.feature}".split())),
}
