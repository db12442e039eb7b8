"""The route that says what something would cost, before a model is asked."""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import ConfigDict, Field

from ...agents.cards.card_estimate import CardEstimate
from ...agents.estimate import Estimate
from ...agents.ranking.rank_estimate import RankEstimate
from ...communities import RefreshReport
from ...records import Moment, Record
from .asked import Id, RankingWanted, Subjects, budget_for
from .lending import Reading

router = APIRouter(prefix="/v1", tags=["estimates"])


class ProfilesEstimate(Record):
    """What would drawing portraits cost?"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "profiles", "user_ids": ["ada"]}]})

    kind: Literal["profiles"]
    """This kind."""

    user_ids: Subjects | None = None
    """Users; everybody if absent, whose histories are all read."""

    as_of: Moment | None = None
    """Nothing at or after this moment is used."""


class CardsEstimate(Record):
    """What would describing items cost?"""

    kind: Literal["cards"]
    """This kind."""

    item_ids: Subjects | None = None
    """Items; the whole catalogue if absent."""

    as_of: Moment | None = None
    """Nothing at or after this moment is used."""


class RankingEstimate(RankingWanted):
    """What would a ranking cost?"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "ranking", "user_id": "ada", "items": ["b1", "b2"]}]}
    )

    kind: Literal["ranking"]
    """This kind."""

    user_id: Id
    """For whom."""


class RefreshEstimateWanted(Record):
    """What would a refresh of the groups do, and cost?"""

    kind: Literal["refresh"]
    """This kind."""

    full: bool = False
    """Recompute everybody and find the groups anew."""

    as_of: Moment | None = None
    """Nothing at or after this moment is used."""


EstimateWanted = Annotated[
    ProfilesEstimate | CardsEstimate | RankingEstimate | RefreshEstimateWanted, Field(discriminator="kind")
]


@router.post("/estimates")
async def estimate(
    body: EstimateWanted, limner: Reading
) -> Estimate | CardEstimate | RankEstimate | RefreshReport:
    """Say what drawing portraits, describing items, ranking or refreshing would cost; no model is asked.

    Whatever it would read is read, so that an estimate for everybody takes a while in a large store.
    """
    match body:
        case ProfilesEstimate():
            return await limner.estimate(body.user_ids, as_of=body.as_of)
        case CardsEstimate():
            return await limner.estimate_cards(body.item_ids, as_of=body.as_of)
        case RefreshEstimateWanted():
            return await limner.refresh(as_of=body.as_of, full=body.full, dry_run=True)
        case RankingEstimate():
            return await limner.estimate_rank(
                body.user_id,
                body.items,
                as_of=body.as_of,
                budget=budget_for(limner, body.calls),
                top=body.top,
                mode=body.mode,
            )
