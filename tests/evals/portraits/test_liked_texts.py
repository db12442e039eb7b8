"""Which texts of a portrait score items."""

from limner.evals.portraits.liked_texts import liked_texts
from limner.models import Facet


def test_items_are_scored_by_liked_sentences_and_the_whole() -> None:
    facets = [
        Facet(name="maps", text="Likes maps."),
        Facet(name="noise", text="Avoids noise.", polarity="dislike"),
        Facet(name="sea", text="Loves the sea.", polarity="neutral"),
    ]

    texts = liked_texts(facets)

    assert texts[:-1] == ["Likes maps.", "Loves the sea."]
    assert "Likes maps." in texts[-1] and "Loves the sea." in texts[-1]
