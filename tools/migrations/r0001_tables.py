"""First tables.

A revision is frozen: it repeats the tables as they were, whatever `sql_tables` says later.
"""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0001"
down_revision = None


def upgrade(op: Operations) -> None:
    """Create every table."""
    _create_events(op)
    _create_portraits(op)
    _create_caches(op)


def _name(column: str, *, nullable: bool = False) -> "sa.Column[str]":
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(column, kind, nullable=nullable)


def _create_events(op: Operations) -> None:
    op.create_table(
        "tenants",
        _name("tenant"),
        sa.Column("generation", sa.BigInteger(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", name="pk_tenants"),
    )
    op.create_table(
        "interactions",
        _name("tenant"),
        _name("event_id"),
        _name("user_id"),
        _name("item_id", nullable=True),
        _name("kind"),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("rating", sa.Double[float]()),
        sa.Column("text", sa.Text()),
        sa.PrimaryKeyConstraint("tenant", "event_id", name="pk_interactions"),
    )
    for column in ("item_id", "user_id"):
        name = f"ix_interactions_tenant_{column}_at"
        op.create_index(name, "interactions", ["tenant", column, "at"])
    op.create_table(
        "users",
        _name("tenant"),
        _name("user_id"),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("shuffle", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", name="pk_users"),
    )
    op.create_index("ix_users_tenant_shuffle_user_id", "users", ["tenant", "shuffle", "user_id"])


def _create_portraits(op: Operations) -> None:
    op.create_table(
        "cues",
        _name("tenant"),
        _name("subject"),
        _name("cue_id"),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "subject", "cue_id", name="pk_cues"),
    )
    op.create_table(
        "cued_events",
        _name("tenant"),
        _name("subject"),
        _name("event_id"),
        sa.PrimaryKeyConstraint("tenant", "subject", "event_id", name="pk_cued_events"),
    )
    op.create_table(
        "profiles",
        _name("tenant"),
        _name("user_id"),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", "version", name="pk_profiles"),
    )
    op.create_index(
        "ix_profiles_tenant_user_id_as_of_version", "profiles", ["tenant", "user_id", "as_of", "version"]
    )
    op.create_table(
        "pairs",
        _name("tenant"),
        _name("user_id"),
        _name("item_id"),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "user_id", "item_id", name="pk_pairs"),
    )
    _create_rollouts(op)


def _create_rollouts(op: Operations) -> None:
    op.create_table(
        "rollouts",
        _name("tenant"),
        _name("rollout_id"),
        sa.Column("seq", sa.BigInteger(), sa.Identity(), nullable=False),
        _name("user_id"),
        _name("item_id", nullable=True),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "rollout_id", name="pk_rollouts"),
        sa.UniqueConstraint("tenant", "seq", name="uq_rollouts_tenant_seq"),
    )
    op.create_index("ix_rollouts_tenant_user_id", "rollouts", ["tenant", "user_id"])


def _create_caches(op: Operations) -> None:
    op.create_table(
        "items",
        _name("tenant"),
        _name("item_id"),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "item_id", name="pk_items"),
    )
    op.create_table(
        "completions",
        _name("tenant"),
        _name("key"),
        _name("subject"),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "key", "subject", name="pk_completions"),
    )
    op.create_index("ix_completions_tenant_subject", "completions", ["tenant", "subject"])
    op.create_table(
        "vectors",
        _name("tenant"),
        _name("encoder"),
        _name("key"),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "encoder", "key", name="pk_vectors"),
    )
