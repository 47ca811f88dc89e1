"""How far oplog processors have been told the oplogs of workers.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table."""
    op.create_table(
        "oplog_deliveries",
        sa.Column("worker", sa.BigInteger(), nullable=False),
        sa.Column("plugin", sa.Uuid(), nullable=False),
        sa.Column("confirmed", sa.BigInteger(), nullable=False),
        sa.Column("sending", sa.BigInteger(), nullable=True),
        sa.Column("until", sa.BigInteger(), nullable=True),
        sa.Column("processor", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["worker"], ["workers.number"], name="oplog_deliveries_worker_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("worker", "plugin", name="oplog_deliveries_pkey"),
    )
