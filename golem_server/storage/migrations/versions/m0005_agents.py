"""Agents: who created one, and its configuration.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One more column; workers that exist are no agents."""
    op.add_column("workers", sa.Column("agent", sa.LargeBinary(), nullable=True))
