"""A base may be built anew beside the one that answers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("bases", sa.Column("last_build", sa.Integer, nullable=False, server_default="0"))
    op.add_column("bases", sa.Column("change", sa.JSON(none_as_null=True)))
