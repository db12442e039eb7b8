"""Rewards in the signatures of TRL, verl and OpenRLHF."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from ...errors import InputError
from .bench import RewardBench
from .exercise import META, Exercise
from .reward import Terms

_END = re.compile(r"(?:\s*(?:<\|[^<>|]*\|>|</s>))+\s*$")
"""Special tokens at the end of a completion, which OpenRLHF leaves in."""

TrlReward = Callable[..., Awaitable[list[float | None]]]
"""`async f(prompts, completions, **columns) -> rewards`, `None` where the reward does not apply."""


def trl_rewards(bench: RewardBench) -> list[TrlReward]:
    """Return one asynchronous reward function for each reward, in the order of `bench.weights`.

    The data set must have the columns `prompt`, `user_id`, `as_of` (ISO 8601), `held`, `neg_seed` and `prompt_id`.
    Each term is logged as `NAME/TERM`, its mean over the batch.
    """
    return [_trl_reward(bench, name) for name in bench.weights]


def _trl_reward(bench: RewardBench, name: str) -> TrlReward:
    async def reward(
        prompts: Sequence[Any],
        completions: Sequence[Any],
        user_id: Sequence[str],
        log_metric: Callable[[str, float], None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        exercises = [
            Exercise.read(user, prompt, {field: columns[field][row] for field in META})
            for row, (user, prompt) in enumerate(zip(user_id, prompts, strict=True))
        ]
        graded = await bench.grade(name, exercises, [_text_of(each) for each in completions])
        if log_metric:
            for term, mean in mean_terms(graded).items():
                log_metric(f"{name}/{term}", mean)
        return [terms.get("total") for terms in graded]

    reward.__name__ = name  # TRL calls the reward by it in its log
    return reward


def mean_terms(graded: Sequence[Terms]) -> Terms:
    """Return the mean of each term over the completions that have it; totals are left to the trainer.

    Examples:
        >>> mean_terms([{"rank": 0.5, "total": 1.0}, {"rank": 0.25}, {}])
        {'rank': 0.375}
    """
    found: dict[str, list[float]] = {}
    for terms in graded:
        for term, value in terms.items():
            found.setdefault(term, []).append(value)
    return {term: sum(values) / len(values) for term, values in found.items() if term != "total"}


def verl_score(bench: RewardBench) -> Callable[..., dict[str, float]]:
    """Return verl's `compute_score(data_source, solution_str, ground_truth, extra_info)`.

    `extra_info` holds `user_id`, `prompt` and the exam's columns, as `limner distill rollout-files` writes them. The
    result's `score` is the weighted total; each reward's own stands beside it. verl wants the same names for every
    completion, so terms that only some have are left out, and a reward that does not apply scores the least there
    is.
    """

    def compute_score(
        data_source: str,
        solution_str: str,
        ground_truth: Any = None,
        extra_info: Mapping[str, Any] | None = None,
        **_: Any,
    ) -> dict[str, float]:
        told = _told(extra_info)
        terms = bench.score(told["user_id"], told["prompt"], solution_str, told)
        named = {name: terms.get(name, bench.bounds.low) for name in bench.weights}
        return {"score": terms.get("total", bench.bounds.low), **named}

    return compute_score


def openrlhf_reward(bench: RewardBench) -> Callable[..., dict[str, Any]]:
    """Return OpenRLHF's `reward_func(queries, prompts, labels)`.

    Labels are the JSON texts that `limner distill rollout-files` writes; queries are prompts with their completions.
    `rewards` are totals, `scores` totals mapped into [0, 1] for its dynamic filter, `extra_logs` the terms. A
    reward that does not apply scores the least there is.
    """

    def reward_func(
        queries: Sequence[str], prompts: Sequence[str], labels: Sequence[str], **_: Any
    ) -> dict[str, Any]:
        import torch

        exercises: list[Exercise] = []
        for label in labels:
            told = _told(json.loads(label))
            exercises.append(Exercise.read(told["user_id"], told["prompt"], told))
        texts = [
            _END.sub("", query.removeprefix(prompt)) for query, prompt in zip(queries, prompts, strict=True)
        ]
        bounds, scored = bench.bounds, bench.score_many(exercises, texts)
        totals = [terms.get("total", bounds.low) for terms in scored]
        return {
            "rewards": torch.tensor(totals),
            "scores": torch.tensor([bounds.share(total) for total in totals]),
            "extra_logs": {
                name: torch.tensor([terms.get(name, float("nan")) for terms in scored])
                for name in dict.fromkeys(name for terms in scored for name in terms)
            },
        }

    return reward_func


def _told(info: Mapping[str, Any] | None) -> Mapping[str, Any]:
    missing = {"user_id", "prompt", *META} - set(info or {})
    if info is None or missing:
        raise InputError(
            f"a row lacks {', '.join(sorted(missing))}; write the prompts with `limner distill rollout-files`"
        )
    return info


def _text_of(completion: Any) -> str:
    """Return the text of a completion, which TRL gives as messages for conversations."""
    return completion if isinstance(completion, str) else "".join(part["content"] for part in completion)
