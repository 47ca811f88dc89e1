"""The lower layer of oplogs.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table. Its data is compressed already."""
    op.create_table(
        "oplog_archive",
        sa.Column("worker", sa.BigInteger(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["worker"], ["workers.number"], name="oplog_archive_worker_fkey", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("worker", "first", name="oplog_archive_pkey"),
    )
    op.create_index("oplog_archive_last_idx", "oplog_archive", ["worker", "last"])
    op.execute("ALTER TABLE oplog_archive ALTER COLUMN data SET STORAGE EXTERNAL")
