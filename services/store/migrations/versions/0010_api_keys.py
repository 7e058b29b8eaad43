"""Keys of the HTTP API, and what each was used for."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("beginning", sa.String(20), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("scopes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("last_used_at_ms", sa.BigInteger),
        sa.Column("revoked_at_ms", sa.BigInteger),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    counts = [sa.Column(name, sa.BigInteger, nullable=False) for name in ("requests", "prompt_tokens")]
    counts += [sa.Column(name, sa.BigInteger, nullable=False) for name in ("completion_tokens", "untold")]
    op.create_table(
        "api_uses",
        sa.Column("key_id", sa.String(40), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        *counts,
    )
