"""What is known of a base's embedder beside its key."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("bases", sa.Column("embedder_options", sa.JSON, nullable=False, server_default="{}"))
