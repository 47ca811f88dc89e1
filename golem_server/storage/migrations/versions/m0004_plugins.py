"""Registered plugins and the environments that they are granted to.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables."""
    name = sa.String(collation="C")
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "plugins",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("account_id", sa.Uuid(), nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("version", name, nullable=False),
        sa.Column("description", sa.LargeBinary(), nullable=False),
        sa.Column("icon", sa.LargeBinary(), nullable=False),
        sa.Column("homepage", sa.LargeBinary(), nullable=False),
        sa.Column("scope_component", sa.Uuid(), nullable=True),
        sa.Column("spec_kind", sa.SmallInteger(), nullable=False),
        sa.Column("spec", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("deleted_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name="plugins_account_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="plugins_pkey"),
    )
    op.create_index(
        "plugins_name_key",
        "plugins",
        ["account_id", "name", "version"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
    op.create_table(
        "plugin_grants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("plugin_id", sa.Uuid(), nullable=False),
        sa.Column("deleted_at", moment, nullable=True),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"], name="plugin_grants_environment_id_fkey"),
        sa.ForeignKeyConstraint(["plugin_id"], ["plugins.id"], name="plugin_grants_plugin_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="plugin_grants_pkey"),
    )
    op.create_index(
        "plugin_grants_plugin_key",
        "plugin_grants",
        ["environment_id", "plugin_id"],
        unique=True,
        postgresql_where=sa.text("deleted_at IS NULL"),
    )
