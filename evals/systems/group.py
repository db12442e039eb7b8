"""Groups of like-minded users, and the graph of users and items, as systems under test.

Everything is fitted on the past alone. Those who are asked about are taken in by their histories, as users who came
after the groups were found: no user number is looked up.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from ...errors import SettingsError
from ...records import Item, Record
from ...tools.grouping.group_fitting import Fitted, GroupPlan, fit_groups, groups_along_graph
from ...tools.grouping.grouping import GroupItems, Groups, assign, group_items, group_vectors, item_scores
from ...tools.grouping.interest_graph import InterestGraph, Propagated, edge_matrix, interest_graph, unit
from ...tools.matrices import Matrix, voices
from ...tools.space import Side
from ..dataset import FloatArray
from ..encoding import Encoding, label_of
from ..matrices import newest_items
from ..metrics import measure
from ..options import named, read_options
from ..places import place
from ..splits import Answers, Past, Problem, Queries
from ..system import System
from ..workspace import Workspace

AUTO, LEARNED = "auto", "learned"
TUNED_ON = 2000
"""Validation users at most that say when rounds no longer gain."""


class GroupOptions(Record):
    """How groups are found, and what of them scores items."""

    by: Literal["items", "vector", "individual"] = "items"
    """`items`: what members of the user's groups had; `vector`: the groups' vector against the items';
    `individual`: the user's own vector against the items', without groups."""

    rounds: Annotated[str, Field(pattern=r"^(auto|learned|\d{1,2})$")] = AUTO
    """Rounds in which individuals and groups refine each other; `auto` stops when validation users gain nothing,
    `learned` trains a map of the individuals and the groups in turns, and stops likewise."""

    layers: NonNegativeInt = 0
    """How far vectors travel along the graph of users and items before groups are found and items are scored."""

    neighbours: PositiveInt = 32
    """Users compared with each user."""

    mutual: bool = True
    """Whether two users are alike only if each is among the other's neighbours."""

    size: PositiveInt = 20
    """Members of a group, about."""

    minimum: PositiveInt = 5
    """Fewest members of a group."""

    temperature: PositiveFloat = 0.1
    """Softness of belonging."""

    most: PositiveInt = 16
    """Groups at most that a user belongs to."""

    blend: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """Share of the groups in a vector that a round drew towards them."""

    last: PositiveInt = 10
    """Newest items that make up a user's vector."""

    decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Weight of an item relative to the next newer one."""

    encoder: str = ""
    """`minilm`, `sentence-transformers/FOLDER`, or a LiteLLM embedding model; absent for the configured one."""


def make(options: Mapping[str, str], workspace: Workspace) -> System:
    """Return the system `group`."""
    return GroupSystem(read_options(GroupOptions, "group", options), workspace)


class GroupSystem:
    """Scores the catalogue by groups that were found in the past."""

    _past: Past
    _vectors: FloatArray
    _edges: Matrix
    _graph: InterestGraph
    _arrived: Propagated
    _fitted: Fitted
    _had: GroupItems
    _gains: list[float]
    _side: Side | None = None

    def __init__(self, options: GroupOptions, workspace: Workspace) -> None:
        encoder = options.encoder or workspace.settings.embedder
        self.options = options
        shown = {"encoder": label_of(encoder)} if options.encoder else {}
        self.name = named("group", options.model_copy(update=shown))
        self._encoding = Encoding(encoder, workspace)
        self._notice, self._align = workspace.notice, workspace.align
        if options.rounds == LEARNED and self._align is None:
            raise SettingsError("group:rounds", "nobody trains here; choose `auto` or a number")

    def fit(self, past: Past) -> None:
        """Build the graph of the past and find the groups of its users."""
        self._past = past
        items, events = past.items, past.events
        n_users = len(past.user_ids)
        self._edges = edge_matrix(events.user, events.item, shape=(n_users, len(items)))
        starts = np.searchsorted(events.user, np.arange(n_users + 1))
        self._vectors = self._of(voices(events.item, starts, len(items), **self._voice))
        self._graph = interest_graph(self._edges)
        self._arrived = self._graph.propagate(self._vectors, self._text(items), layers=self.options.layers)
        self._centre = unit(self._arrived.users).mean(axis=0)
        if self.options.by != "individual":
            self._find(self._plan(self._rounds))

    def tune(self, queries: Queries, answers: Answers) -> None:
        """Make rounds until validation users gain nothing; with a given number of rounds, nothing is chosen."""
        if self.options.by == "individual" or self.options.rounds not in (AUTO, LEARNED):
            return
        some = np.random.default_rng(self._past.seed).permutation(len(queries))[:TUNED_ON]
        problem = Problem(queries=queries, answers=answers).take(np.sort(some))

        def gain(groups: Groups, side: Side | None = None) -> float:
            self._move(groups, side)
            scores = self.score(problem.queries)
            return float(np.mean(measure(place(scores, problem, system=self.name), cutoffs=(10,))["ndcg@10"]))

        if self.options.rounds == LEARNED:
            return self._learn(gain)
        self._fitted = fit_groups(
            self._vectors, self._plan(None), start=self._fitted.groups, settled=True, gain=gain
        )
        self._keep(self._fitted.groups, self._fitted.weights)
        self._gains = [entry.gain for entry in self._fitted.log if entry.gain is not None]
        for entry in self._fitted.log:
            self._notice(f"{self.name}: round {entry.round}, NDCG@10 {entry.gain:.4f}, {entry.seconds:.1f} s")

    @property
    def edges(self) -> Matrix:
        """Who is joined to what in the graph, shape `(users, n_items)`; for a probe to look at."""
        return self._edges

    @property
    def chosen(self) -> Mapping[str, object]:
        """How many groups and rounds there are, and what each round gained."""
        if self.options.by == "individual":
            return {}
        chosen: dict[str, object] = {"groups": len(self._groups), "rounds": self._groups.rounds}
        step = "pass" if self.options.rounds == LEARNED else "round"
        gains = [round(gain, 5) for gain in self._gains]
        return chosen | ({f"ndcg@10 by {step}": gains} if gains else {})

    def score(self, queries: Queries) -> FloatArray:
        """Score every item; an empty history scores all alike."""
        own = self._of(newest_items(queries, self._past.n_items, **self._voice))
        if self.options.by == "items":
            return item_scores(assign(self._groups, self._moved(own)), self._had)
        if self.options.by == "vector":
            told = group_vectors(self._groups, self._moved(own))
        else:
            rows = np.repeat(np.arange(len(queries)), np.diff(queries.starts))
            edges = edge_matrix(rows, queries.history.item, shape=(len(queries), self._past.n_items))
            told = self._without_common(self._graph.fold_in(edges, own, self._arrived))
        scores: FloatArray = told @ self._without_common(self._arrived.items).T
        return scores

    def _find(self, plan: GroupPlan) -> None:
        start, layers = None, self.options.layers
        if layers:
            text = self._text(self._past.items)
            start = groups_along_graph(self._vectors, self._edges, text, plan, layers=layers)
        self._fitted = fit_groups(self._vectors, plan, start=start, settled=start is not None)
        self._gains = []
        self._keep(self._fitted.groups, self._fitted.weights)

    def _learn(self, gain: Callable[[Groups, Side], float]) -> None:
        assert self._align is not None
        learned = self._align(
            self._vectors,
            self._fitted.groups,
            seed=self._past.seed % 2**31,
            gain=lambda side, groups: gain(groups, side),
            notice=self._notice,
        )
        self._gains = [entry.gain for entry in learned.log if entry.gain is not None]
        self._move(learned.groups, learned.side)

    def _move(self, groups: Groups, side: Side | None) -> None:
        self._side = side
        self._keep(groups, assign(groups, self._moved(self._vectors)))

    def _keep(self, groups: Groups, weights: Matrix) -> None:
        self._groups = groups
        self._had = group_items(weights, self._edges)

    def _moved(self, vectors: FloatArray) -> FloatArray:
        if self._side is None:
            return vectors
        moved: FloatArray = np.where(np.any(vectors, axis=1, keepdims=True), self._side.apply(vectors), 0.0)
        return moved.astype(np.float32)

    @property
    def _rounds(self) -> int | None:
        if self.options.rounds == LEARNED:
            return 0
        return None if self.options.rounds == AUTO else int(self.options.rounds)

    def _plan(self, rounds: int | None) -> GroupPlan:
        given = self.options
        return GroupPlan(
            size=given.size,
            minimum=given.minimum,
            neighbours=given.neighbours,
            mutual=given.mutual,
            temperature=given.temperature,
            most=given.most,
            blend=given.blend,
            rounds=rounds,
            seed=self._past.seed % 2**31,
        )

    def _of(self, weights: Matrix) -> FloatArray:
        """Return one vector a history, shape `(Q, D)`; zeros for an empty one."""
        mixed: FloatArray = weights @ self._text(self._past.items)
        return unit(mixed)

    def _text(self, items: Sequence[Item]) -> FloatArray:
        return self._encoding.encode_items(items)

    def _without_common(self, vectors: FloatArray) -> FloatArray:
        told = np.any(vectors != 0, axis=1, keepdims=True)
        return unit(np.where(told, unit(vectors) - self._centre, 0.0).astype(np.float32))

    @property
    def _voice(self) -> dict[str, Any]:
        return {"last": self.options.last, "decay": self.options.decay}
