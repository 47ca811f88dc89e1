"""Invocations that wait for their time.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The table of scheduled invocations."""
    op.create_table(
        "scheduled_invocations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=True), nullable=False),
        sa.Column("worker", sa.BigInteger(), nullable=False),
        sa.Column("component_id", sa.Uuid(), nullable=False),
        sa.Column("worker_name", sa.String(collation="C"), nullable=False),
        sa.Column("invocation", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="scheduled_invocations_pkey"),
    )
    op.create_index("scheduled_invocations_due_idx", "scheduled_invocations", ["due_at", "sequence"])
    op.create_index("scheduled_invocations_worker_idx", "scheduled_invocations", ["worker"])
