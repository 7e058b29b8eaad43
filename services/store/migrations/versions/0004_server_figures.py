"""What the engines of ready servers say of themselves while they run."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "figures",
        sa.Column("server_id", sa.String(40), primary_key=True),
        sa.Column("taken_at_ms", sa.BigInteger, primary_key=True),
        sa.Column("machine_id", sa.String(40), nullable=False),
        sa.Column("launch_token", sa.String(64), nullable=False),
        sa.Column("figures", sa.JSON(none_as_null=True), nullable=False),
    )
    op.create_index("figures_by_time", "figures", ["machine_id", "taken_at_ms"], unique=False)
