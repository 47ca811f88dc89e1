"""Codes for which clients of MCP get the tokens of those who have logged in for them.

Revision ID: 0016
Revises: 0015
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table."""
    op.create_table(
        "authorization_codes",
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scheme", sa.Uuid(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scheme"], ["security_schemes.id"], name="authorization_codes_scheme_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("code_hash", name="authorization_codes_pkey"),
    )
    op.create_index("authorization_codes_expires_at_idx", "authorization_codes", ["expires_at"])
