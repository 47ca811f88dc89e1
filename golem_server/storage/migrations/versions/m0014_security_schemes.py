"""Security schemes, and the logins at them.

Revision ID: 0014
Revises: 0013
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Three tables."""
    name = sa.String(collation="C")
    op.create_table(
        "security_schemes",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("environment_id", sa.Uuid(), nullable=False),
        sa.Column("name", name, nullable=False),
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("custom_provider", sa.Boolean(), nullable=False),
        sa.Column("issuer_url", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("client_secret", sa.Text(), nullable=False),
        sa.Column("redirect_url", name, nullable=False),
        sa.Column("scopes", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"], name="security_schemes_environment_id_fkey"),
        sa.PrimaryKeyConstraint("id", name="security_schemes_pkey"),
        sa.UniqueConstraint("redirect_url", name="security_schemes_redirect_url_key"),
    )
    op.create_index("security_schemes_name_key", "security_schemes", ["environment_id", "name"], unique=True)
    op.create_table(
        "login_attempts",
        sa.Column("state", name, nullable=False),
        sa.Column("scheme", sa.Uuid(), nullable=False),
        sa.Column("nonce", sa.Text(), nullable=False),
        sa.Column("verifier", sa.Text(), nullable=False),
        sa.Column("browser", sa.Text(), nullable=False),
        sa.Column("target", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scheme"], ["security_schemes.id"], name="login_attempts_scheme_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("state", name="login_attempts_pkey"),
    )
    op.create_index("login_attempts_expires_at_idx", "login_attempts", ["expires_at"])
    op.create_table(
        "login_sessions",
        sa.Column("id", name, nullable=False),
        sa.Column("scheme", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("claims", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["scheme"], ["security_schemes.id"], name="login_sessions_scheme_fkey", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="login_sessions_pkey"),
    )
    op.create_index("login_sessions_expires_at_idx", "login_sessions", ["expires_at"])
