"""Resources that environments have a limited amount of, and what is reserved of them.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Two tables."""
    op.create_table(
        "resource_definitions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(collation="C"), nullable=False),
        sa.Column("quota_limit", sa.LargeBinary(), nullable=False),
        sa.Column("enforcement", sa.Text(), nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("units", sa.LargeBinary(), nullable=False),
        sa.Column("used", sa.BigInteger(), nullable=False),
        sa.Column("filled_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["environment_id"], ["environments.id"], name="resource_definitions_environment_id_fkey"
        ),
        sa.PrimaryKeyConstraint("id", name="resource_definitions_pkey"),
    )
    op.create_index("resource_definitions_name_key", "resource_definitions", ["environment_id", "name"], unique=True)
    op.create_table(
        "quota_reservations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("resource", sa.Uuid(), nullable=False),
        sa.Column("worker", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["resource"],
            ["resource_definitions.id"],
            name="quota_reservations_resource_fkey",
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["worker"], ["workers.number"], name="quota_reservations_worker_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="quota_reservations_pkey"),
    )
    op.create_index("quota_reservations_resource_idx", "quota_reservations", ["resource"])
    op.create_index("quota_reservations_worker_idx", "quota_reservations", ["worker"])
