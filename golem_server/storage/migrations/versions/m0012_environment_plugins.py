"""Plugins that are installed on whole environments.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """One table."""
    op.create_table(
        "environment_plugins",
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("grant_id", sa.Uuid(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("installation", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="environment_plugins_environment_id_fkey"
        ),
        sa.ForeignKeyConstraint(["grant_id"], ["plugin_grants.id"], name="environment_plugins_grant_id_fkey"),
        sa.PrimaryKeyConstraint("environment_id", "grant_id", name="environment_plugins_pkey"),
        sa.UniqueConstraint("environment_id", "priority", name="environment_plugins_environment_id_priority_key"),
    )
