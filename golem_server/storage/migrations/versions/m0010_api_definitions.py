"""Definitions of HTTP APIs, where they are deployed, and a number that grows with every change of what is deployed.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Three tables."""
    name = sa.String(collation="C")
    op.create_table(
        "api_definitions",
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("id", name, nullable=False),
        sa.Column("version", name, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("draft", sa.Boolean(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"], name="api_definitions_environment_id_fkey"),
        sa.PrimaryKeyConstraint("environment_id", "id", "version", name="api_definitions_pkey"),
    )
    op.create_table(
        "api_deployments",
        sa.Column("site", name, nullable=False),
        sa.Column("definition_id", name, nullable=False),
        sa.Column("definition_version", name, nullable=False),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("subdomain", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id", "definition_id", "definition_version"],
            ["api_definitions.environment_id", "api_definitions.id", "api_definitions.version"],
            name="api_deployments_environment_id_fkey",
        ),
        sa.PrimaryKeyConstraint("site", "definition_id", "definition_version", name="api_deployments_pkey"),
    )
    op.create_index(
        "api_deployments_definition_idx",
        "api_deployments",
        ["environment_id", "definition_id", "definition_version"],
    )
    op.create_table(
        "gateway_generation",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name="gateway_generation_pkey"),
    )
    op.execute("INSERT INTO gateway_generation (number) VALUES (0)")
