"""Indexes for finding a component's workers by status, revision and age.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Each ends with the number, in whose order the workers are listed."""
    for column, name in (("status", "status"), ("component_revision", "revision"), ("created_at", "created")):
        op.create_index(f"workers_{name}_idx", "workers", ["component_id", column, "number"])
