"""Jobs as a queue: when a job may be taken, and what must not wait twice."""

import sqlalchemy as sa
from alembic.operations import Operations

revision = "0007"
down_revision = "0006"


def upgrade(op: Operations) -> None:
    """Say of each job when it may be taken, and by what name it waits once."""
    op.add_column("jobs", sa.Column("due", sa.BigInteger(), nullable=False, server_default="0"))
    name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.add_column("jobs", sa.Column("once", name))
    op.create_index("ix_jobs_state_due", "jobs", ["state", "due"])
    op.create_index("ix_jobs_tenant_once", "jobs", ["tenant", "once"])
    op.drop_index("ix_jobs_state", "jobs")
