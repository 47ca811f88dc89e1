"""Keep hashes of sessions instead of their ids, and nothing of logins that have only begun.

Revision ID: 0015
Revises: 0014
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Those who are logged in stay so; those who are at a provider have to begin again."""
    op.drop_table("login_attempts")
    op.alter_column(
        "login_sessions",
        "id",
        type_=sa.LargeBinary(),
        existing_nullable=False,
        postgresql_using="sha256(convert_to(id, 'UTF8'))",
    )
    op.add_column("login_sessions", sa.Column("state", sa.LargeBinary()))
    op.create_unique_constraint("login_sessions_state_key", "login_sessions", ["state"])
