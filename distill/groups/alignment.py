"""Individuals and groups aligned by training: the learned form of the rounds in `tools.grouping.group_fitting`.

One linear map moves users' vectors, so that whoever comes later is moved too; the groups are vectors of their own.
They learn in turns: in a pass over the batches the map learns with the groups held fixed, in the next one the groups
learn with the map held fixed. Groups guide individuals, then individuals guide groups.

Loss: symmetric contrastive alignment with soft targets. In a batch every user has an individual vector and a group
vector, the mix of the groups the user belongs to. Logits are their cosines over a temperature; targets are the
softmax of the cosines within the side that is held fixed, so that users of like groups are no negatives of each
other; cross-entropy is averaged over both directions. Source: the alternating alignment of ISRF, with the symmetric
cross-entropy of CLIP (Radford et al. 2021, figure 3, https://arxiv.org/abs/2103.00020). Differs: one linear map that
starts as the identity instead of vectors learned per user, and soft targets in place of the diagonal.
"""

import importlib.util
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from ...errors import MissingExtraError
from ...tools.embedder import FloatArray
from ...tools.grouping.aligning import Aligned, Gain, Pass
from ...tools.grouping.grouping import Groups, assign, centred
from ...tools.grouping.interest_graph import unit
from ...tools.one_torch import one_torch
from ...tools.space import Side

Torch = Any
"""Modules, tensors and optimisers of an optional library."""

log = logging.getLogger("limner")


@dataclass(frozen=True, kw_only=True)
class AlignSettings:
    """Size and course of a training run."""

    passes: int = 8
    """Passes over all users at most; odd ones move individuals, even ones groups."""

    batch: int = 512
    """Users in a step."""

    rate: float = 1e-3
    """Learning rate of AdamW, for both sides."""

    weight_decay: float = 1e-2
    """Pull of the map towards the identity and of the groups towards where they started, by AdamW."""

    temperature: float = 0.1
    """Of the logits, in cosine units."""

    target_temperature: float = 0.05
    """Of the soft targets; towards 0 each user is like itself alone."""

    min_gain: float = 1e-4
    """A pass of both sides that gains less is the last."""

    threads: int = 1
    """Threads of PyTorch."""


def align(
    user_vectors: FloatArray,
    groups: Groups,
    *,
    seed: int,
    gain: Gain | None = None,
    settings: AlignSettings | None = None,
    notice: Callable[[str], None] = log.info,
) -> Aligned:
    """Let individuals and groups learn from each other in turns, and keep what served held-back choices best.

    Args:
        user_vectors: One row a user, shape `(U, D)`; zeros for users who are left out.
        groups: Found among these vectors; where learning starts.
        seed: Order of the batches.
        gain: Value on held-back choices; without it all passes are made and the last is kept.
        settings: Size and course.
        notice: Takes one line a pass.

    Raises:
        MissingExtraError: `torch` is not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("aligning groups", "train")
    chosen = settings or AlignSettings()
    with one_torch(chosen.threads, seed):
        return _Alignment(user_vectors, groups, seed, gain, chosen, notice).run()


class _Alignment:
    """One training run."""

    def __init__(
        self,
        user_vectors: FloatArray,
        groups: Groups,
        seed: int,
        gain: Gain | None,
        settings: AlignSettings,
        notice: Callable[[str], None],
    ) -> None:
        torch = self._torch = import_module("torch")
        self._settings, self._gain, self._notice = settings, gain, notice
        self._start, self._rng = groups, np.random.default_rng(seed)
        own = centred(groups, user_vectors)
        self._told = np.flatnonzero(np.any(own != 0, axis=1))
        self._own = torch.from_numpy(own[self._told])
        self._weights = assign(groups, user_vectors)[self._told]
        # Both sides are learned as differences from their start, so that weight decay pulls back to it.
        self.map = torch.nn.Parameter(torch.zeros(own.shape[1], own.shape[1]))
        self.shift = torch.nn.Parameter(torch.zeros(groups.vectors.shape))
        self._vectors = torch.from_numpy(groups.vectors.copy())
        self._optimizers = {
            "individuals": self._adamw(self.map),
            "groups": self._adamw(self.shift),
        }

    def run(self) -> Aligned:
        """Make passes until both sides together gain nothing."""
        settings, passes = self._settings, list[Pass]()
        best = self._now()
        reached = -np.inf if self._gain is None else self._gain(*best)
        last = reached
        for number in range(1, settings.passes + 1):
            side = "individuals" if number % 2 else "groups"
            began = time.perf_counter()
            loss = self.learn(side)
            now = self._now()
            value = None if self._gain is None else self._gain(*now)
            passes.append(Pass(number, side, loss, value, time.perf_counter() - began))
            self._notice(f"aligning: pass {number}, {side}, loss {loss:.4f}, gain {value}")
            if value is None or value > reached:
                best, reached = now, reached if value is None else value
            if self._gain is not None and side == "groups":
                if reached < last + settings.min_gain:
                    break
                last = reached
        return Aligned(*best, tuple(passes))

    def learn(self, side: str) -> float:
        """Let one side learn in a pass over all users; returns the mean loss in nats."""
        losses: list[float] = []
        optimizer = self._optimizers[side]
        order = self._rng.permutation(len(self._own))
        for start in range(0, len(order), self._settings.batch):
            rows = np.sort(order[start : start + self._settings.batch])
            loss = self.loss(rows, side)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses))

    def loss(self, rows: Any, side: str) -> Torch:
        """Return the loss of a batch; the side that does not learn is detached."""
        torch, settings = self._torch, self._settings
        own = self._own[torch.from_numpy(rows)]
        individual = torch.nn.functional.normalize(own + own @ self.map, dim=1)
        weights = torch.from_numpy(self._weights[rows].toarray())
        mixed = weights @ torch.nn.functional.normalize(self._vectors + self.shift, dim=1)
        group = torch.nn.functional.normalize(mixed, dim=1)
        learner, fixed = (individual, group) if side == "individuals" else (group, individual)
        return soft_target_loss(
            learner,
            fixed.detach(),
            temperature=settings.temperature,
            target_temperature=settings.target_temperature,
        )

    def _now(self) -> tuple[Side, Groups]:
        """Return the map and the groups as they are."""
        moved = self.map.detach().numpy()
        # `assign` takes away the centre itself, so the map is of vectors that still have it.
        weights = np.eye(len(moved), dtype=np.float32) + moved
        side = Side.of(weights, -self._start.centre @ weights)
        vectors: FloatArray = (self._vectors + self.shift.detach()).numpy()
        groups = replace(
            self._start, vectors=unit(vectors), centre=np.zeros_like(self._start.centre), rounds=0
        )
        return side, groups

    def _adamw(self, parameter: Torch) -> Torch:
        settings = self._settings
        return self._torch.optim.AdamW([parameter], lr=settings.rate, weight_decay=settings.weight_decay)


def soft_target_loss(learner: Torch, fixed: Torch, *, temperature: float, target_temperature: float) -> Torch:
    """Return the symmetric contrastive loss with soft targets, in nats.

    Args:
        learner: Unit-norm vectors of the side that learns, shape `(B, D)`.
        fixed: Unit-norm vectors of the other side, shape `(B, D)`; row `i` belongs to row `i` of `learner`.
        temperature: Of the cosines between both sides, > 0.
        target_temperature: Of the cosines within `fixed`, > 0.

    Returns:
        `(H(T, softmax(L)) + H(T, softmax(L transposed))) / 2` averaged over the batch, where
        `L = learner @ fixed.T / temperature` and `T = softmax(fixed @ fixed.T / target_temperature)` by rows.
    """
    functional: Any = import_module("torch.nn.functional")
    logits = learner @ fixed.T / temperature
    targets = functional.softmax(fixed @ fixed.T / target_temperature, dim=1)
    forth = functional.cross_entropy(logits, targets)
    back = functional.cross_entropy(logits.T, targets)
    return (forth + back) / 2
