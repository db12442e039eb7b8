"""A training run: from a training set to an adapter in a folder."""

import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ...errors import MissingExtraError
from ...tools.whole_files import write_whole
from .config import TrainingSettings
from .curves import draw_curves
from .interruption import Interruption
from .plan import TrainingPlan, with_seconds
from .prepared_run import Notice, PreparedRun, prepare_run
from .quiet import quiet
from .run_folder import (
    ADAPTER,
    CHECKPOINTS,
    CURVES,
    LOOKS,
    REPORT,
    RUN,
    RunRecord,
    begin,
    check_same,
    check_unfinished,
    installed,
    last_checkpoint,
    numbers,
    peak_memory,
    read_alarm,
    read_identity,
    save_adapter,
)
from .run_report import as_html
from .trainers import build_trainer, equip
from .watching import Watch

if TYPE_CHECKING:
    from transformers import Trainer

    from ..rewards.bench import RewardBench
    from .looking import Advance, Looking


class TrainingResult(NamedTuple):
    """What came of a run."""

    folder: Path
    """The run's."""

    adapter: Path
    """The trained adapter's."""

    record: RunRecord
    """What `run.json` says."""

    speaks: bool
    """Whether this process, of all that trained together, is the one to tell of it."""


def _say_nothing(line: str) -> None:
    """Take a notice that another process gives."""


def _show_nothing(done: int, steps: int, words: str) -> None:
    """Take progress that another process shows."""


def dry_run(
    settings: TrainingSettings,
    *,
    bench: "RewardBench | None" = None,
    models_dir: Path | None = None,
    notice: Notice = _say_nothing,
) -> TrainingPlan:
    """Count what a run would do and estimate its time; nothing is written.

    Raises:
        See `train`.
    """
    with _threads(settings.threads):
        run = prepare_run(settings, models_dir, notice, bench)
        notice("timing one batch")
        return with_seconds(run.plan, settings, run.material, run.model)


def train(
    settings: TrainingSettings,
    *,
    watches: Sequence[Watch] = (),
    bench: "RewardBench | None" = None,
    models_dir: Path | None = None,
    resume: bool = False,
    notice: Notice = _say_nothing,
    advance: "Advance" = _show_nothing,
) -> TrainingResult:
    """Train an adapter.

    Ctrl-C finishes and saves the step in hand before it ends the run. Whatever ends it, checkpoints stay,
    and `adapter` and `run.json` appear whole or not at all.

    Args:
        settings: Everything that decides it.
        watches: Look at the model, and may end the run.
        bench: Grades the completions of `grpo`, and is open; see `distill.onpolicy.opening`.
        models_dir: Folder that weights lie in; absent for the default of `Settings`.
        resume: Go on from the newest checkpoint in `settings.out`, or from the beginning if it has none yet.
        notice: Told in a few words what happens.
        advance: Told how far it is.

    Raises:
        UnknownFormatError: There is no training set, or no run to resume.
        EmptySplitError: No row is left to train on.
        InputError: The base, the adapter to start from, or the folder of the run cannot be used.
        SettingsError: A tracker is not installed, `grpo` has no `bench`, or the run to resume had other settings.
        ExamChangedError: The store that grades is not the one the training set comes from.
        WeightsError: The base's weights cannot be used.
        MissingExtraError: The extra `train` is not installed.
        KeyboardInterrupt: Ctrl-C, once the step in hand is saved.
    """
    started, clock = datetime.now(UTC), time.perf_counter()
    if not _processes(settings).is_main_process:
        notice, advance = _say_nothing, _show_nothing
    with _threads(settings.threads), Interruption(notice) as interruption:
        run = prepare_run(settings, models_dir, notice, bench)
        checkpoint = _open_folder(run, resume=resume, notice=notice)
        if resume and not watches and (settings.out / LOOKS).is_dir():
            notice(
                f"{settings.out} was watched for reward hacking, and is not any more; name `--watch-users` again"
            )
        trainer = build_trainer(run)
        looking = equip(trainer, run, watches, interruption, advance)
        with quiet():
            looking.alarm = read_alarm(settings.out)
            if checkpoint is not None and (looking.alarm or _step_of(checkpoint) >= run.plan.steps):
                _restore(run.model, trainer, checkpoint)
            elif looking.alarm is None:
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            steps = _go_back(run.model, trainer, settings.out) if looking.alarm else trainer.state.global_step
        if interruption.wanted:
            notice(f"step {trainer.state.global_step} is saved in {settings.out / CHECKPOINTS}")
            raise KeyboardInterrupt
    record = _record(
        run, trainer, looking, checkpoint, started=started, steps=steps, seconds=time.perf_counter() - clock
    )
    if trainer.is_world_process_zero():
        save_adapter(run.model, settings.out / ADAPTER, base=settings.base, revision=run.base.revision)
        _write(record)
    trainer.accelerator.wait_for_everyone()
    return TrainingResult(settings.out, settings.out / ADAPTER, record, trainer.is_world_process_zero())


def _processes(settings: TrainingSettings) -> Any:
    """Return what accelerate knows of the processes that train together."""
    try:
        accelerate: Any = import_module("accelerate")
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    return accelerate.PartialState(cpu=settings.device == "cpu")


def _open_folder(run: PreparedRun, *, resume: bool, notice: Notice) -> Path | None:
    """Make the run's folder, or find the checkpoint to go on from. The first process does it for all."""
    out, processes = run.settings.out, _processes(run.settings)
    if not resume:
        if processes.is_main_process:
            begin(out, run.identity)
        processes.wait_for_everyone()
        return None
    check_same(read_identity(out), run.identity)
    check_unfinished(out, run.plan.steps)
    with processes.main_process_first():
        checkpoint = last_checkpoint(out)
    notice(f"going on from {checkpoint.name}" if checkpoint else "no checkpoint yet: starting at step 0")
    return checkpoint


def _step_of(checkpoint: Path) -> int:
    return int(checkpoint.name.partition("-")[2])


def _restore(model: Any, trainer: "Trainer", checkpoint: Path) -> None:
    """Take up a run that ended behind its last step: the trainer would take one more before it looks at the count."""
    from transformers import TrainerState

    _load_adapter(model, checkpoint)
    trainer.state = TrainerState.load_from_json(str(checkpoint / "trainer_state.json"))


def _go_back(model: Any, trainer: "Trainer", out: Path) -> int:
    """Give the model the adapter of the newest checkpoint, none of which was written at an alarm; return its step.

    An alarm before the first checkpoint leaves the model as it is.
    """
    safe = last_checkpoint(out)
    if safe is None:
        return trainer.state.global_step
    _load_adapter(model, safe)
    return _step_of(safe)


def _load_adapter(model: Any, checkpoint: Path) -> None:
    peft: Any = import_module("peft")
    peft.set_peft_model_state_dict(model, peft.load_peft_weights(str(checkpoint), device="cpu"))


def _record(
    run: PreparedRun,
    trainer: "Trainer",
    looking: "Looking",
    checkpoint: Path | None,
    *,
    started: datetime,
    steps: int,
    seconds: float,
) -> RunRecord:
    import torch

    gpu = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
    return RunRecord(
        identity=run.identity,
        critic_version=run.critic_version,
        plan=run.plan,
        outcome="stopped" if looking.alarm else "finished",
        message=looking.alarm.message if looking.alarm else None,
        stopped_at=looking.alarm.step if looking.alarm else None,
        steps=steps,
        resumed_from=_step_of(checkpoint) if checkpoint else None,
        history=numbers(trainer.state.log_history),
        started=started,
        seconds=round(seconds, 1),
        peak_memory=peak_memory(),
        peak_gpu_memory=gpu,
        device=trainer.args.device.type,
        processes=trainer.accelerator.num_processes,
        versions=installed(),
    )


def _write(record: RunRecord) -> None:
    """Write what is drawn of a run, then its record, which says that all the rest is there."""
    out = record.identity.settings.out
    try:
        picture = draw_curves(record.history)
    except MissingExtraError:  # a picture is worth no run
        picture = None
    if picture is not None:
        write_whole(out / CURVES, picture)
    write_whole(out / REPORT, as_html(record, picture))
    write_whole(out / RUN, record.model_dump_json(indent=2))


@contextmanager
def _threads(count: int) -> Generator[None]:
    """Use so many CPU threads for a while; 0 leaves them as they are."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtraError("training", "train") from error
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)
