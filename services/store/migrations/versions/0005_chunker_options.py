"""Parameters of a base's chunker besides its sizes."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("bases", sa.Column("chunker_options", sa.JSON, nullable=False, server_default="{}"))
