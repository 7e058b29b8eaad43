"""A server's life: when it was last asked, what holds it up, why it failed. No port is kept twice."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("servers", sa.Column("used_at_ms", sa.BigInteger))
    op.add_column("servers", sa.Column("note", sa.JSON(none_as_null=True)))
    op.add_column("servers", sa.Column("diagnosis", sa.JSON(none_as_null=True)))
    # Of servers at rest that remember the same port, one keeps it; one that runs keeps it before all others.
    op.execute(
        "UPDATE servers SET port = NULL WHERE port IS NOT NULL AND launch_token IS NULL AND EXISTS ("
        "SELECT 1 FROM servers AS other WHERE other.machine_id = servers.machine_id AND other.port = servers.port "
        "AND other.id <> servers.id AND (other.launch_token IS NOT NULL OR other.id < servers.id))"
    )
    op.create_index("servers_by_port", "servers", ["machine_id", "port"], unique=True)
