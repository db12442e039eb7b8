"""Cards of items."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0002"
down_revision = "0001"


def upgrade(op: Operations) -> None:
    """Create the table of cards."""
    op.create_table(
        "cards",
        *(_name(column) for column in ("tenant", "fingerprint", "item_id")),
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in ("as_of", "read_to", "created")),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "fingerprint", "item_id", name="pk_cards"),
    )
    op.create_index(
        "ix_cards_tenant_item_id_read_to_created", "cards", ["tenant", "item_id", "read_to", "created"]
    )


def _name(column: str) -> "sa.Column[str]":
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(column, kind, nullable=False)
