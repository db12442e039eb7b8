"""Forgetting: what was asked for, who must not come back, and whose text a cached vector stands for."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0006"
down_revision = "0005"


def upgrade(op: Operations) -> None:
    """Create the tables of forgetting, and what finding a user's traces by item needs."""
    op.add_column("tenants", sa.Column("salt", sa.Text()))
    op.add_column("tenants", sa.Column("forgets", sa.BigInteger(), nullable=False, server_default="0"))
    op.create_table(
        "forgets",
        _name("tenant"),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        _name("state"),
        *(sa.Column(column, sa.Text(), nullable=False) for column in ("scope", "removed")),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "seq", name="pk_forgets"),
    )
    op.create_table(
        "tombstones",
        *(_name(column) for column in ("tenant", "mark")),
        sa.Column("until", sa.BigInteger()),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "mark", name="pk_tombstones"),
    )
    op.create_table(
        "version_marks",
        *(_name(column) for column in ("tenant", "user_id")),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", name="pk_version_marks"),
    )
    op.create_table(
        "vector_owners",
        *(_name(column) for column in ("tenant", "key", "subject")),
        sa.PrimaryKeyConstraint("tenant", "key", "subject", name="pk_vector_owners"),
    )
    op.create_index("ix_vector_owners_tenant_subject", "vector_owners", ["tenant", "subject"])
    for table in ("pairs", "rollouts"):
        op.create_index(f"ix_{table}_tenant_item_id", table, ["tenant", "item_id"])


def _name(column: str) -> "sa.Column[str]":
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(column, kind, nullable=False)
