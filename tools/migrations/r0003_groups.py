"""Groups, and who belongs to them."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0003"
down_revision = "0002"


def upgrade(op: Operations) -> None:
    """Create the tables of groups."""
    op.create_table(
        "groupings",
        _name("tenant"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "version", name="pk_groupings"),
    )
    op.create_table(
        "groups",
        _name("tenant"),
        sa.Column("version", sa.Integer(), nullable=False),
        _name("group_id"),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "version", "group_id", name="pk_groups"),
    )
    op.create_table(
        "group_users",
        _name("tenant"),
        _name("user_id"),
        sa.Column("mark", sa.Text(), nullable=False),
        sa.Column("themes", sa.Text(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", name="pk_group_users"),
    )
    op.create_table(
        "group_members",
        _name("tenant"),
        _name("user_id"),
        _name("group_id"),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", name="pk_group_members"),
    )
    op.create_index(
        "ix_group_members_tenant_group_id_user_id", "group_members", ["tenant", "group_id", "user_id"]
    )


def _name(column: str) -> "sa.Column[str]":
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(column, kind, nullable=False)
