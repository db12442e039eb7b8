"""Where each known data set comes from and what it may be used for.

A set is known by the name of its folder, else by its form; of anything else the card says that nobody knows.
"""

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from ..dataset import Card


class Origin(NamedTuple):
    """What no file of a set says."""

    source: str
    terms: str
    text_by_model: bool | None
    notes: tuple[str, ...] = ()


_UCSD_2014 = "Amazon product data 2014 (McAuley lab, UCSD), 5-core"
_UCSD_2018 = "Amazon review data 2018 (McAuley lab, UCSD)"
_RESEARCH = "research"
_DAYS = "events of one day stand in the order of their item ids, not in the order they happened"
_KEYWORDS = "the only text is 3-7 keywords an item, made by a model from title, brand and category"
_PART_OF_USERS = "70 % of the users; the others are kept for a final check"

UNKNOWN = Origin(
    "unknown", "unknown", None, ("not a known set: source, terms and authors of its text are unknown",)
)

NAMED: Mapping[str, Origin] = {
    "movielens_latest_small": Origin(
        "MovieLens latest-small (GroupLens), with overviews and keywords from TMDB",
        "GroupLens: research, no commercial use",
        False,
        ("an overview for about 70 % of the ratings",),
    ),
    "amazon18_video_games": Origin(
        f"{_UCSD_2018}, video games",
        _RESEARCH,
        False,
        ("ids are numbers in the order of first appearance: they tell the future", _PART_OF_USERS, _DAYS),
    ),
    "amazon18_office_products": Origin(
        f"{_UCSD_2018}, office products",
        _RESEARCH,
        False,
        ("the publisher's own split of each sequence is not used", _DAYS),
    ),
    "amazon14_beauty": Origin(f"{_UCSD_2014}, beauty", _RESEARCH, True, (_KEYWORDS, _DAYS)),
    "amazon14_toys": Origin(f"{_UCSD_2014}, toys and games", _RESEARCH, True, (_KEYWORDS, _DAYS)),
    "amazon18_gift_cards": Origin(f"{_UCSD_2018}, gift cards", _RESEARCH, False),
    "rent_the_runway": Origin(
        "Rent the Runway clothing fit (McAuley lab, UCSD)",
        _RESEARCH,
        False,
        ("items have a category and no title", "reviews name ages, sizes and weights", _PART_OF_USERS),
    ),
    "prefeval": Origin(
        "PrefEval",
        "CC BY-NC 4.0",
        True,
        ("preferences, questions and conversations were written by a model",),
    ),
    "locomo": Origin(
        "LoCoMo",
        "CC BY-NC 4.0",
        True,
        ("dialogues were written by models and edited by people", "about 6 % of the gold answers are wrong"),
    ),
}

FORMS: Mapping[str, Origin] = {
    "amazon2023": Origin("Amazon Reviews 2023 (McAuley lab, UCSD)", _RESEARCH, False),
    "google-local": Origin("Google Local reviews (McAuley lab, UCSD)", _RESEARCH, False),
    "movielens": Origin("MovieLens (GroupLens)", "GroupLens: research, no commercial use", False),
}


def card_of(
    name: str,
    *,
    users: int,
    items: int,
    events: int,
    clock: Literal["timestamps", "order"],
    form: str = "",
    notes: Iterable[str] = (),
) -> Card:
    """Return the card of a loaded set.

    Args:
        name: Name of its folder or file; the sets in `NAMED` are known by it.
        users: How many were loaded.
        items: How many were loaded.
        events: How many were loaded.
        clock: What `Events.at` means.
        form: One of `FORMS`, for a set with another name; what fits none is `UNKNOWN`.
        notes: What was found while loading, behind what is known of the set.
    """
    origin = NAMED.get(name) or FORMS.get(form) or UNKNOWN
    return Card(
        name=name,
        source=origin.source,
        terms=origin.terms,
        users=users,
        items=items,
        events=events,
        clock=clock,
        text_by_model=origin.text_by_model,
        notes=(*origin.notes, *notes),
    )
