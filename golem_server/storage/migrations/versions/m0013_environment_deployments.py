"""Domains, what is deployed at them, and the deployments of environments.

Revision ID: 0013
Revises: 0012
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Four tables."""
    name = sa.String(collation="C")
    op.create_table(
        "domain_registrations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("domain", name, nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="domain_registrations_environment_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="domain_registrations_pkey"),
        sa.UniqueConstraint("domain", name="domain_registrations_domain_key"),
    )
    op.create_table(
        "domain_deployments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("use", sa.SmallInteger(), nullable=False),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("domain", name, nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"], name="domain_deployments_environment_id_fkey"),
        sa.PrimaryKeyConstraint("id", "revision", name="domain_deployments_pkey"),
    )
    op.create_index(
        "domain_deployments_domain_key",
        "domain_deployments",
        ["environment_id", "use", "domain", "revision"],
        unique=True,
    )
    op.create_table(
        "environment_deployments",
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("contents", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="environment_deployments_environment_id_fkey"
        ),
        sa.PrimaryKeyConstraint("environment_id", "revision", name="environment_deployments_pkey"),
    )
    op.create_table(
        "current_deployments",
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("switches", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id", "revision"],
            ["environment_deployments.environment_id", "environment_deployments.revision"],
            name="current_deployments_environment_id_fkey",
        ),
        sa.PrimaryKeyConstraint("environment_id", name="current_deployments_pkey"),
    )
