"""Whose conversations a key of the API reaches."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("api_keys", sa.Column("owner_id", sa.String(64)))
