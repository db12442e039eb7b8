"""Which texts of a portrait score items."""

from collections.abc import Sequence

from ...models import Facet


def liked_texts(facets: Sequence[Facet]) -> list[str]:
    """Return the texts that score items: each liked sentence, then all of them as one."""
    liked = [facet.text for facet in facets if facet.polarity != "dislike"] or [
        facet.text for facet in facets
    ]
    return [*liked, " ".join(liked)]
