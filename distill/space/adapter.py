"""Teaches a space on frozen vectors: two linear maps, learned from what users chose next.

Loss: InfoNCE (van den Oord et al. 2018, eq. 4, https://arxiv.org/abs/1807.03748) over the answers of the batch
and items drawn at random. Differs: cosine over a learned temperature; scores of negatives are corrected for how
often they come up as such (Yi et al. 2019, eq. 6, https://doi.org/10.1145/3298689.3346996), since answers of
others are popular items; what the user had is no negative, because it is never ranked.

Three kinds of query learn together: the newest items, the sentences of a portrait by late interaction, and both
in one soft maximum, each with a loss of its own.
"""

import importlib.util
import logging
import math
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import MissingExtraError
from ...tools.lessons import IntArray, Lessons
from ...tools.one_torch import one_torch
from ...tools.space import Side, Space
from .questions import Course, Moments, Spoken, plan_course
from .ranks import examine
from .settings import TeachSettings

Torch = Any
"""Modules, tensors and optimisers of an optional library."""

log = logging.getLogger("limner")

_SCALARS_FASTER = 5.0
_WARM_UP = 20
_LAST_RATE = 0.1
_NEVER = -1e4
_NEAREST = 50


class Taught(NamedTuple):
    """A space, and how held-back users fared before and after."""

    space: Space
    before: Mapping[str, float]
    """Mean NDCG over the full list in the frozen space, by kind of query."""

    after: Mapping[str, float]
    """The same in the space."""

    seconds: float
    steps: int
    """Step that the space was taken from."""


def teach(
    lessons: Lessons,
    *,
    seed: int,
    notice: Callable[[str], None] = log.info,
    settings: TeachSettings | None = None,
) -> Space:
    """Return the space that served held-back users best; see `teach_adapter`."""
    return teach_adapter(lessons, seed=seed, notice=notice, settings=settings).space


def teach_adapter(
    lessons: Lessons,
    *,
    seed: int,
    notice: Callable[[str], None] = log.info,
    settings: TeachSettings | None = None,
) -> Taught:
    """Learn two linear maps from the frozen space, and keep the step that served held-back users best.

    Args:
        lessons: The past; nothing else is looked at.
        seed: Decides who is held back and everything that is drawn.
        notice: Takes one line a look.
        settings: Size and course.

    Raises:
        MissingExtraError: `torch` is not installed.
        TooFewLessonsError: Too few users have two items or more.
    """
    if importlib.util.find_spec("torch") is None:
        raise MissingExtraError("teaching a space", "encoders")
    chosen = settings or TeachSettings()
    rng = np.random.default_rng(seed)
    course = plan_course(lessons, window=chosen.window, held=chosen.held, rng=rng)
    with one_torch(chosen.threads, seed):
        return _Teaching(lessons, course, chosen, rng, seed, notice).run()


class _Teaching:
    """One training run."""

    def __init__(
        self,
        lessons: Lessons,
        course: Course,
        settings: TeachSettings,
        rng: np.random.Generator,
        seed: int,
        notice: Callable[[str], None],
    ) -> None:
        torch = self._torch = import_module("torch")
        self._lessons, self._course, self._settings = lessons, course, settings
        self._rng, self._seed, self._notice = rng, seed, notice
        nothing = np.zeros((1, lessons.items.shape[1]), dtype=np.float32)
        self._items = torch.from_numpy(np.concatenate([lessons.items, nothing]))  # NOTHING is the last row
        self.maps = Maps(lessons.items.shape[1], settings)
        self._counts = np.bincount(course.moments.answer, minlength=len(lessons.items)) + 1.0
        self._near = self._neighbours() if settings.hard else None
        rate, scalars = settings.rate, settings.rate * _SCALARS_FASTER
        self._optimizer = torch.optim.AdamW(
            [
                {"params": self.maps.sides, "lr": rate, "weight_decay": settings.weight_decay},
                {"params": self.maps.scalars, "lr": scalars, "weight_decay": 0.0},
            ]
        )
        self._schedule = torch.optim.lr_scheduler.LambdaLR(self._optimizer, self._pace)

    def run(self) -> Taught:
        """Take steps until held-back users gain no more."""
        started, settings = time.monotonic(), self._settings
        before = self._look(Space())
        best, kept, taken, since = before, self._space(before, before, 0), 0, 0
        self._notice(f"teaching a space: step 0, held-back NDCG {_words(before)}")
        for step in range(1, settings.steps + 1):
            loss = self.step()
            if step % settings.look and step < settings.steps:
                continue
            found = self._look(self._space({}, {}, step))
            self._notice(
                f"teaching a space: step {step}, loss {loss:.3f}, held-back NDCG {_words(found)}, "
                f"{time.monotonic() - started:.0f} s"
            )
            since += 1
            if _value(found) > _value(best):
                best, taken, since = found, step, 0
                kept = self._space(before, found, step)
            if since >= settings.patience:
                break
        return Taught(kept, before, best, time.monotonic() - started, taken)

    def step(self) -> float:
        """Take one step; returns the loss in nats, summed over the kinds of query by their weights."""
        settings, course, rng = self._settings, self._course, self._rng
        batch = course.moments.take(rng.integers(len(course.moments), size=settings.batch))
        portraits = settings.portraits if len(course.spoken) and settings.portrait_weight else 0
        spoken = course.spoken.take(rng.integers(max(1, len(course.spoken)), size=portraits))
        pool = self._pool(np.concatenate([batch.answer, spoken.moments.answer]))
        items = self.maps.item(self._items[self._torch.from_numpy(pool.items)])
        loss = self._loss(self.maps.by_history(self._vectors(batch), items), batch, pool, first=0)
        if portraits:
            loss = loss + settings.portrait_weight * self._spoken_loss(spoken, items, pool)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._schedule.step()
        return float(loss.detach())

    def _spoken_loss(self, spoken: Spoken, items: Torch, pool: "Pool") -> Torch:
        maps, first = self.maps, self._settings.batch
        facets = maps.user(self._torch.from_numpy(spoken.facets))
        by_profile = pool_late(facets @ items.T, self._torch.from_numpy(spoken.real), maps.temperature)
        by_history = maps.by_history(self._vectors(spoken.moments), items)
        both = join(by_history, by_profile, maps.share, maps.temperature)
        return sum(self._loss(scores, spoken.moments, pool, first=first) for scores in (by_profile, both))

    def _vectors(self, moments: Moments) -> Torch:
        """Return the frozen vectors of the newest items, zeros for none; shape `(B, window, D)`."""
        return self._items[self._torch.from_numpy(moments.newest)]

    def _loss(self, scores: Torch, moments: Moments, pool: "Pool", *, first: int) -> Torch:
        """Return the mean InfoNCE loss of one kind of query, in nats.

        Args:
            scores: Of the pool, shape `(B, C)`.
            moments: Who asks.
            pool: What is ranked.
            first: Place of the first answer in the pool.
        """
        torch, right = self._torch, np.arange(first, first + len(moments))
        logits = scores / self.maps.sharpness - torch.from_numpy(pool.correction)
        logits = logits.masked_fill(torch.from_numpy(excluded(moments, pool.items, right)), _NEVER)
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(right))

    def _pool(self, answers: IntArray) -> "Pool":
        """Put together what is ranked in a step: the answers, then negatives."""
        settings, n_items = self._settings, len(self._lessons.items)
        parts = [answers, self._rng.integers(n_items, size=settings.negatives)]
        if self._near is not None:
            rows = self._near[self._rng.choice(answers, size=settings.hard)]
            parts.append(rows[np.arange(len(rows)), self._rng.integers(rows.shape[1], size=len(rows))])
        items = np.concatenate(parts)
        expected = self._counts / self._counts.sum() * len(answers) + settings.negatives / n_items
        correction = settings.popularity * np.log(expected[items])
        return Pool(items, correction.astype(np.float32))

    def _neighbours(self) -> IntArray:
        """Return the items nearest to each in the frozen space, shape `(N, 50)`."""
        matrix, most = self._lessons.items, min(_NEAREST, len(self._lessons.items) - 1)
        parts: list[IntArray] = []
        for start in range(0, len(matrix), 512):
            cosines = matrix[start : start + 512] @ matrix.T
            cosines[np.arange(len(cosines)), np.arange(start, start + len(cosines))] = -2
            parts.append(np.argpartition(-cosines, most - 1, axis=1)[:, :most].astype(np.int64))
        return np.concatenate(parts)

    def _pace(self, step: int) -> float:
        """Return the share of the learning rate: a short warm-up, then half a cosine down to a tenth."""
        progress = min(1.0, step / self._settings.steps)
        cosine = (1 + math.cos(math.pi * progress)) / 2
        return min(1.0, (step + 1) / _WARM_UP) * (_LAST_RATE + (1 - _LAST_RATE) * cosine)

    def _look(self, space: Space) -> Mapping[str, float]:
        settings = self._settings
        return examine(
            space,
            self._lessons.items,
            self._course.exam,
            temperature=settings.temperature,
            decay=settings.decay,
            share=settings.share,
        )

    def _space(self, before: Mapping[str, float], after: Mapping[str, float], step: int) -> Space:
        course, taught_on_portraits = self._course, len(self._course.spoken) > 0
        return self.maps.space(
            encoder=self._lessons.encoder,
            spoken=taught_on_portraits,
            taught={
                "source": self._lessons.source,
                "seed": self._seed,
                "step": step,
                "users": len(self._lessons.sequences),
                "moments": len(course.moments),
                "portraits": len(course.spoken),
                "held_back": len(course.exam.moments),
                "settings": self._settings.model_dump(mode="json"),
                "before": dict(before),
                "after": dict(after),
            },
        )


class Pool(NamedTuple):
    """What is ranked in one step."""

    items: IntArray
    """The answers of the batch, then negatives; shape `(C,)`."""

    correction: Any
    """Log of how often each is expected in a pool, times how far that counts; shape `(C,)`, in nats."""


class Maps:
    """What is learned: two maps, kept as distances from the identity, and four scalars."""

    def __init__(self, dimension: int, settings: TeachSettings) -> None:
        torch: Any = import_module("torch")

        def zeros(*shape: int) -> Torch:
            return torch.zeros(*shape, requires_grad=True)

        def scalar(value: float) -> Torch:
            return torch.tensor(value, requires_grad=True)

        self._eye = torch.eye(dimension)
        self._user, self._item = zeros(dimension, dimension), zeros(dimension, dimension)
        self._user_bias, self._item_bias = zeros(dimension), zeros(dimension)
        self._decay, self._share = scalar(_logit(settings.decay)), scalar(_logit(settings.share))
        self._temperature, self._sharpness = (scalar(math.log(settings.temperature)) for _ in range(2))
        self.sides = [self._user, self._item, self._user_bias, self._item_bias]
        self.scalars = [self._decay, self._share, self._temperature, self._sharpness]

    @property
    def temperature(self) -> Torch:
        """Of the soft maximum over facets."""
        return self._temperature.exp()

    @property
    def sharpness(self) -> Torch:
        """Temperature of the loss."""
        return self._sharpness.exp()

    @property
    def share(self) -> Torch:
        """Share of the portrait beside the newest items."""
        return self._share.sigmoid()

    def user(self, vectors: Torch) -> Torch:
        """Map the user side, shape `(..., D)`, to unit length."""
        return _unit(vectors @ (self._eye + self._user) + self._user_bias)

    def item(self, vectors: Torch) -> Torch:
        """Map the item side, shape `(..., D)`, to unit length."""
        return _unit(vectors @ (self._eye + self._item) + self._item_bias)

    def by_history(self, newest: Torch, items: Torch) -> Torch:
        """Score mapped items by the decayed mean of vectors, shape `(B, window, D)`, newest first."""
        torch: Any = import_module("torch")
        weights = self._decay.sigmoid() ** torch.arange(newest.shape[1])
        return self.user(_unit((newest * weights[:, None]).sum(1))) @ items.T

    def space(self, *, encoder: str, spoken: bool, taught: Mapping[str, Any]) -> Space:
        """Return what was learned so far; scalars of portraits only if there were any."""
        with import_module("torch").no_grad():
            return Space(
                encoder=encoder,
                user=Side.of((self._eye + self._user).numpy(), self._user_bias.numpy()),
                item=Side.of((self._eye + self._item).numpy(), self._item_bias.numpy()),
                decay=round(float(self._decay.sigmoid()), 4),
                temperature=round(float(self.temperature), 4) if spoken else None,
                share=round(float(self.share), 4) if spoken else None,
                taught=taught,
            )


def pool_late(cosines: Torch, real: Torch, temperature: Torch) -> Torch:
    """Do what `tools.late_interaction.score_items` does, for a batch of portraits that can learn.

    Args:
        cosines: Of each sentence with each item, shape `(B, F, C)`.
        real: Which sentences are there, shape `(B, F)`.
        temperature: Of the soft maximum, in cosine units.

    Returns:
        Shape `(B, C)`.
    """
    scaled = (cosines / temperature).masked_fill(~real[:, :, None], -math.inf)
    return (scaled.logsumexp(1) - real.sum(1, keepdim=True).log()) * temperature


def join(one: Torch, two: Torch, share: Torch, temperature: Torch) -> Torch:
    """Return the soft maximum over both, `two` having a share of the vectors; shape as given."""
    torch: Any = import_module("torch")
    left, right = one / temperature + (1 - share).log(), two / temperature + share.log()
    return torch.logaddexp(left, right) * temperature


def excluded(moments: Moments, items: IntArray, right: IntArray) -> NDArray[np.bool_]:
    """Tell what is no negative: the user's own answer once more, and what the user had; shape `(B, C)`.

    Args:
        moments: Who asks.
        items: What is ranked, shape `(C,)`.
        right: Place of each right answer in it, shape `(B,)`.
    """
    size = len(moments)
    known = np.concatenate([moments.newest, moments.answer[:, None]], axis=1)
    # One look-up a cell instead of one comparison for each item of the window.
    held = np.zeros((size, int(max(items.max(), known.max())) + 2), dtype=np.bool_)
    held[np.arange(size)[:, None], known] = True  # `NOTHING` marks the last column, which is no item's
    found: NDArray[np.bool_] = held[:, items]
    found[np.arange(size), right] = False
    return found


def _unit(vectors: Torch) -> Torch:
    return import_module("torch").nn.functional.normalize(vectors, dim=-1, eps=1e-9)


def _logit(share: float) -> float:
    return math.log(share / (1 - share))


def _value(found: Mapping[str, float]) -> float:
    """Return what decides: the mean over the kinds of query."""
    kinds = [found[name] for name in ("history", "profile", "both") if name in found]
    return sum(kinds) / len(kinds)


def _words(found: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4f}" for name, value in found.items())
