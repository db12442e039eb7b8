"""Rounds for off-policy evaluation, read from the log of drafts and what people said of the published ones."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from ...errors import InputError
from ...models import Rollout
from ...records import content_hash
from ...tools.statistics import Values
from .off_policy import Round

Choose = Callable[[Sequence[Rollout]], Sequence[float]]
"""A policy: the probability with which it publishes each draft of a run."""


def by_softmax(temperature: float, term: str = "total") -> Choose:
    """Return the policy that publishes in proportion to `exp(reward / temperature)`.

    Args:
        temperature: In units of the reward, > 0; towards 0 it is the arg-max.
        term: Which reward; a draft without it is never published unless none has it.

    Raises:
        ValueError: `temperature` is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"`temperature` must be > 0, got {temperature!r}")

    def choose(drafts: Sequence[Rollout]) -> list[float]:
        rewards = np.array([draft.rewards.get(term, -np.inf) for draft in drafts], dtype=np.float64)
        if not np.isfinite(rewards).any():
            return [1.0 / len(drafts)] * len(drafts)
        shares = np.exp((rewards - rewards.max()) / temperature)
        return [float(share) for share in shares / shares.sum()]

    return choose


def rounds_of(rollouts: Iterable[Rollout], feedback: Mapping[str, float], target: Choose) -> list[Round]:
    """Make a round of every run that got feedback.

    Args:
        rollouts: The log; drafts of a run may come in any order.
        feedback: Run id to what its published portrait earned; runs without feedback are left out.
        target: The policy to judge.

    Raises:
        InputError: A run has not exactly one published draft, or propensities that do not add up to 1.
    """
    runs: dict[str, list[Rollout]] = {}
    for draft in rollouts:
        if draft.run_id in feedback:
            runs.setdefault(draft.run_id, []).append(draft)
    rounds: list[Round] = []
    for run_id, drafts in runs.items():
        published = [place for place, draft in enumerate(drafts) if draft.selected]
        if len(published) != 1:
            raise InputError(
                f"run_id={run_id!r} has {len(published)} published drafts, not 1; export it whole"
            )
        rounds.append(
            Round(
                user_id=drafts[0].user_id,
                logged=tuple(draft.selection_propensity for draft in drafts),
                chosen=published[0],
                feedback=feedback[run_id],
                target=tuple(target(drafts)),
            )
        )
    return rounds


def with_predictions(
    rounds: Sequence[Round],
    features: Sequence[Values],
    *,
    folds: int = 5,
    ridge: float = 1.0,
    seed: int = 0,
) -> list[Round]:
    """Predict the feedback of every draft by ridge regression, each user by a model of other users.

    Args:
        rounds: The log.
        features: What each round's drafts look like, for example their reward terms, shape `(k, F)` each.
        folds: Parts that users are split into, >= 2.
        ridge: Strength of the pull to 0, in rows; the intercept is free.
        seed: Decides which users share a fold.

    Raises:
        InputError: There are fewer users than folds, or the features do not fit.

    Source:
        Cross-fitting, as for doubly robust estimates by Chernozhukov et al. 2018, https://arxiv.org/abs/1608.00060.
        Differs: folds of users, not of rounds.
    """
    users = sorted({each.user_id for each in rounds}, key=lambda user: content_hash("fold", seed, user))
    if not 2 <= folds <= len(users):
        raise InputError(
            f"{len(users)} users cannot be split into {folds} folds; take from 2 to {len(users)}"
        )
    if len(features) != len(rounds) or any(
        len(rows) != len(each.logged) for rows, each in zip(features, rounds, strict=False)
    ):
        raise InputError("`features` must have one row a draft for every round")
    fold_of = {user: place % folds for place, user in enumerate(users)}
    parts = [fold_of[each.user_id] for each in rounds]
    fold = np.array(parts)
    seen = np.array(
        [rows[each.chosen] for rows, each in zip(features, rounds, strict=True)], dtype=np.float64
    )
    earned = np.array([each.feedback for each in rounds])
    models = [_fit(seen[fold != part], earned[fold != part], ridge) for part in range(folds)]
    return [
        replace(each, predicted=tuple(_predict(models[part], rows).tolist()))
        for each, rows, part in zip(rounds, features, parts, strict=True)
    ]


def _fit(rows: Values, values: Values, ridge: float) -> Values:
    """Return the weights of features, then the intercept, shape `(F + 1,)`."""
    centre: Values = rows.mean(axis=0)
    level = float(values.mean())
    moved: Values = rows - centre
    pulled: Values = moved.T @ moved + ridge * np.eye(rows.shape[1])
    earned: Values = moved.T @ (values - level)
    weights: Values = np.linalg.solve(pulled, earned).astype(np.float64)
    return np.append(weights, level - centre @ weights)


def _predict(model: Values, rows: Values) -> Values:
    predicted: Values = rows @ model[:-1] + model[-1]
    return predicted
