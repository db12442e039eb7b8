"""What happens between steps: validation, watches, progress, and a wish to stop."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from ...tools.whole_files import write_whole
from .encoding import ChatEncoder
from .interruption import Interruption
from .run_folder import ALARM, Alarm
from .validation import Validation, validate
from .watching import Watch
from .writing import ModelWriter

Advance = Callable[[int, int, str], None]
"""Told the steps done, the steps in all, and the newest numbers in words."""


class Looking(TrainerCallback):
    """Looks at the model every so many steps and ends training if a watch says so.

    Args:
        trainer: Whose history takes the numbers.
        model: What is trained.
        chat: The encoder of the model's tokenizer.
        watches: Who looks.
        validation: Rows to measure on.
        interruption: A wish to stop.
        every: Steps between looks; 0 for none.
        batch: Validation rows at once.
        writer: How watches see the model write.
        folder: The run's; a watch's alarm is kept there, so that no crash forgets it.
        advance: Told how far it is.
    """

    def __init__(
        self,
        *,
        trainer: Trainer,
        model: Any,
        chat: ChatEncoder,
        watches: Sequence[Watch],
        validation: Validation,
        interruption: Interruption,
        every: int,
        batch: int,
        writer: ModelWriter,
        folder: Path,
        advance: Advance,
    ) -> None:
        self._trainer, self._model, self._chat, self._watches = trainer, model, chat, watches
        self._validation, self._interruption = validation, interruption
        self._every, self._batch, self._writer, self._advance = every, batch, writer, advance
        self._folder = folder
        self._words = ""
        self.alarm: Alarm | None = None
        """The look that ended training."""

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look before the first step; a resumed run has done so."""
        self._advance(state.global_step, state.max_steps, self._words)
        if state.global_step == 0:
            self._look(state, control)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Look if it is time, and stop if somebody wants it."""
        self._advance(state.global_step, state.max_steps, self._words)
        last = state.global_step >= state.max_steps
        if self._every and (state.global_step % self._every == 0 or last):
            self._look(state, control)
            # What a later alarm goes back to.
            control.should_save = control.should_save or bool(self._watches)
        if self._interruption.wanted or last:
            control.should_save = True
        if self._interruption.wanted:
            control.should_training_stop = True
        if self.alarm:
            control.should_training_stop, control.should_save = True, False

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Keep the newest loss for the bar."""
        if logs and "loss" in logs:
            self._words = f"loss {float(logs['loss']):.3f}"

    def _look(self, state: TrainerState, control: TrainerControl) -> None:
        """Measure in the first process, and tell the others whether to stop."""
        if not self._every:
            return
        processes: Any = import_module("accelerate.utils")
        if state.is_world_process_zero:
            found = validate(self._model, self._validation, batch=self._batch, pad=self._chat.pad)
            for watch in self._watches:
                seen = watch.look(state.global_step, self._writer)
                found |= {name: float(value) for name, value in seen.metrics.items()}
                if seen.stop and self.alarm is None:
                    self.alarm = Alarm(step=state.global_step, message=seen.stop)
                    write_whole(self._folder / ALARM, self.alarm.model_dump_json(indent=2))
            if found:
                due = control.should_log
                # Not the trainer's own: TRL's would add, and forget, what it gathers for its next point.
                Trainer.log(self._trainer, found)
                control.should_log = (
                    due  # logging takes it back, and the loss of this step is still to be logged
                )
        told: list[Alarm | None] = [self.alarm]
        processes.broadcast_object_list(told)
        self.alarm = told[0]
        if self.alarm:
            control.should_training_stop = True
