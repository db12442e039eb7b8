"""What assistants put away through LangGraph's store interface, with its vectors."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0005"
down_revision = "0004"


def upgrade(op: Operations) -> None:
    """Create the tables of memories."""
    op.create_table(
        "memories",
        *(_name(column) for column in ("tenant", "namespace", "key")),
        _name("owner", nullable=True),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("paths", sa.Text(), nullable=False),
        sa.Column("place", sa.BigInteger(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("updated", sa.BigInteger(), nullable=False),
        sa.Column("lifetime", sa.BigInteger()),
        sa.Column("expires", sa.BigInteger()),
        sa.PrimaryKeyConstraint("tenant", "namespace", "key", name="pk_memories"),
    )
    op.create_index("ix_memories_tenant_owner", "memories", ["tenant", "owner"])
    op.create_index("ix_memories_tenant_expires", "memories", ["tenant", "expires"])
    op.create_table(
        "memory_vectors",
        *(_name(column) for column in ("tenant", "namespace", "key", "encoder", "path")),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "namespace", "key", "encoder", "path", name="pk_memory_vectors"),
    )


def _name(column: str, *, nullable: bool = False) -> "sa.Column[str]":
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(column, kind, nullable=nullable)
