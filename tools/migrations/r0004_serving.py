"""Keys of the HTTP API, and background jobs."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0004"
down_revision = "0003"


def upgrade(op: Operations) -> None:
    """Create the tables of keys and of jobs."""
    op.create_table(
        "keys",
        *(_name(column) for column in ("tenant", "key_id", "role", "name", "digest")),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("revoked", sa.BigInteger()),
        sa.PrimaryKeyConstraint("tenant", "key_id", name="pk_keys"),
        sa.UniqueConstraint("key_id", name="uq_keys_key_id"),
    )
    op.create_table(
        "jobs",
        *(_name(column) for column in ("tenant", "job_id", "state")),
        *(sa.Column(column, sa.BigInteger(), nullable=False) for column in ("created", "revision", "beat")),
        sa.Column("data", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "job_id", name="pk_jobs"),
    )
    op.create_index("ix_jobs_tenant_created_job_id", "jobs", ["tenant", "created", "job_id"])
    op.create_index("ix_jobs_state", "jobs", ["state"])


def _name(column: str) -> "sa.Column[str]":
    kind = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    return sa.Column(column, kind, nullable=False)
