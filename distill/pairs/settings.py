"""How a scorer of pairs is taught."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ScorerSettings:
    """Defaults that a person may want to change."""

    held: float = 0.2
    """Share of the users who are held back to report on."""

    folds: int = 5
    """Folds over the other users: what the choice of a model, its uncertainty and the gauges are read off."""

    trees: int = 100
    depth: int = 8
    leaf: int = 10
    """Fewest examples in a leaf."""

    columns: float = 0.5
    """Share of the features that a split chooses from."""

    fewest_users: int = 20
    fewest_passes: int = 30
    """Fewer logged passes than this teach no gauge; the untaught one stays."""
