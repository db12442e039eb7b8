"""Probes for an answer that stands in the question: as a text like that of a history item, or by its title."""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from ..records import Item
from .chance import upper_share
from .dataset import IntArray
from .results import Probe
from .splits import Problem, Split

NEAR = 0.9
"""Shared words over all words of two texts from which they count as the same."""

TOLERATED = 0.02
"""Share that real catalogues reach without a leak: sets of cards, editions, words used in passing."""

_IDENTIFYING = 3
"""Different words that a text must have to point at one item."""

_SAMPLE = 5000
_WORD = re.compile(r"\w+")


def near_duplicate_target(split: Split) -> Probe:
    """Look for answers whose text equals, or nearly equals, that of an item in the history.

    Such an answer is the history item in another colour or listing: text alone finds it. Texts of fewer than
    three different words, which many items share, are passed over.
    """
    problem = _sampled(split)
    sets = _word_sets(split.past.items, np.union1d(problem.queries.history.item, problem.answers.item))
    found = 0
    for query in range(len(problem.queries)):
        history = [sets[item] for item in set(problem.queries.items_of(query).tolist())]
        found += any(_near(sets[answer], words) for answer in _answers(problem, query) for words in history)
    return _share_probe(
        "near-duplicate-target",
        found,
        len(problem.queries),
        split,
        f"share of queries with an answer whose words are ≥ {NEAR:.0%} those of a history item",
    )


def target_in_history(split: Split) -> Probe:
    """Look for answers whose title stands in the history: in an item's text or in the user's own words."""
    problem = _sampled(split)
    items, history = split.past.items, problem.queries.history
    shown = {int(item): _spoken(items[int(item)].describe()) for item in np.unique(history.item)}
    titles = {int(item): _title(items[int(item)].title) for item in np.unique(problem.answers.item)}
    found = 0
    for query in range(len(problem.queries)):
        wanted = [title for answer in _answers(problem, query) if (title := titles[answer])]
        own = range(int(problem.queries.starts[query]), int(problem.queries.starts[query + 1]))
        texts = [shown[int(history.item[row])] for row in own]
        if history.text is not None:
            texts += [_spoken(history.text[row]) for row in own if history.text[row]]
        found += any(title in text for title in wanted for text in texts)
    return _share_probe(
        "target-in-history",
        found,
        len(problem.queries),
        split,
        "share of queries with the title of an answer in the history's texts",
    )


def target_in_prompts(
    prompts: Iterable[str], titles: Sequence[str], *, dataset: str = "", tolerated: float = TOLERATED
) -> Probe:
    """Look for the title of the right answer in the prompt, profile or context made for its question.

    Args:
        prompts: One text for each question, without the options to choose from.
        titles: Title of each question's right answer; those of fewer than three words are passed over.
        dataset: Name on the card.
        tolerated: Share that passes without a leak.
    """
    found = asked = 0
    for prompt, title in zip(prompts, titles, strict=True):
        wanted = _title(title)
        found += bool(wanted) and wanted in _spoken(prompt)
        asked += 1
    return _probe(
        "target-in-prompt", found, asked, dataset, "share of prompts with the answer's title", tolerated
    )


def _share_probe(name: str, found: int, asked: int, split: Split, detail: str) -> Probe:
    return _probe(name, found, asked, split.past.card.name, detail, TOLERATED)


def _probe(name: str, found: int, asked: int, dataset: str, detail: str, tolerated: float) -> Probe:
    """Return a probe that lets pass what one time in a thousand would come up at the tolerated share."""
    value = found / asked if asked else 0.0
    limit = upper_share(asked, tolerated, level=0.999)
    of = f"{detail}; {found:,} of {asked:,}"
    return Probe(name=name, dataset=dataset, passed=value <= limit, value=value, limit=limit, detail=of)


def _sampled(split: Split) -> Problem:
    size = len(split.test.queries)
    if size <= _SAMPLE:
        return split.test
    return split.test.take(np.random.default_rng(split.past.seed).choice(size, _SAMPLE, replace=False))


def _answers(problem: Problem, query: int) -> list[int]:
    starts = problem.answers.starts
    return [int(item) for item in problem.answers.item[starts[query] : starts[query + 1]]]


def _word_sets(items: Sequence[Item], numbers: IntArray) -> dict[int, frozenset[str]]:
    return {int(item): frozenset(_WORD.findall(items[int(item)].describe().casefold())) for item in numbers}


def _near(one: frozenset[str], other: frozenset[str]) -> bool:
    if len(one) < _IDENTIFYING or not NEAR <= len(one) / max(len(other), 1) <= 1 / NEAR:
        return False
    return len(one & other) >= NEAR * len(one | other)


def _spoken(text: str) -> str:
    """Return the words of a text with one space around each, so that `in` finds whole words only."""
    return f" {' '.join(_WORD.findall(text.casefold()))} "


def _title(text: str) -> str:
    """Return a title as `_spoken` does, empty if it has too few words to point at one item."""
    spoken = _spoken(text)
    return spoken if len(set(spoken.split())) >= _IDENTIFYING else ""
