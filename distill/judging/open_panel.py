"""Put a panel and a watch together over a store."""

from collections.abc import Sequence
from pathlib import Path

from ...errors import InputError
from ...tools.embedder import Embedder
from ...tools.waiting import Wait, wait_for
from ..log.training_set import TrainingSet
from ..rewards.reading import Reader
from .alarm import AlarmRule
from .critic_grader import CriticGrader
from .judges import EncoderJudge, HistoryLikeness, LexicalJudge, Measure
from .meaning import LogLoss
from .panel import Panel
from .sitters import Sitter, sample_rows, seat
from .watch import HackingWatch


async def open_panel(reader: Reader, sitters: Sequence[Sitter], held_out: Embedder | None) -> Panel:
    """Return Limner's critic, BM25, the held-out encoder if there is one, and the likeness to the history.

    Args:
        reader: Reads completions through the store that the log comes from.
        sitters: Who will be judged.
        held_out: An encoder of another family than the critic's; without it the critic's own tells the likeness.

    Raises:
        InputError: The held-out encoder is the critic's own.
        MissingExtraError: `bm25s` is not installed.
    """
    critic = reader.deps.embedder
    if held_out is not None and held_out.name == critic.name:
        raise InputError(
            f"the held-out encoder {held_out.name!r} is the critic's own; name one of another family"
        )
    temperature = reader.deps.settings.critic.temperature
    texts = [item.describe() async for batch in reader.deps.store.all_items() for item in batch]
    texts += [text for each in sitters for text in (*each.positives, *each.negatives)]
    likeness = HistoryLikeness(held_out or critic, temperature=temperature)
    measures: list[Measure] = [LexicalJudge(texts), likeness]
    if held_out is not None:
        measures.insert(0, EncoderJudge(held_out, temperature=temperature))
    return Panel(CriticGrader(reader), measures)


async def open_watch(
    reader: Reader,
    training: TrainingSet,
    held_out: Embedder | None,
    *,
    folder: Path,
    users: int = 64,
    seed: int = 0,
    rule: AlarmRule | None = None,
    log_loss: LogLoss | None = None,
    wait: Wait = wait_for,
) -> HackingWatch:
    """Return a watch over a sample of the validation users of a training set.

    Args:
        reader: Reads completions through the store that the log comes from.
        training: Whose validation prompts are drawn for.
        held_out: See `open_panel`.
        folder: Where looks are kept.
        users: How many users.
        seed: Decides who.
        rule: When training ends.
        log_loss: See `base_loss.base_log_loss`.
        wait: See `HackingWatch`.

    Raises:
        InputError: There are too few validation users, or the held-out encoder is the critic's own.
        MissingExtraError: `bm25s` is not installed.
    """
    seating = await seat(reader, sample_rows(training.prompts("validation"), users=users, seed=seed))
    panel = await open_panel(reader, seating.sitters, held_out)
    return HackingWatch(seating.sitters, panel, folder=folder, rule=rule, log_loss=log_loss, wait=wait)
