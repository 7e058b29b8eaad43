"""What is known of GPUs over time: the newest look, its history, the memory ledger, alerts."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.drop_table("readings")  # nothing had been written to it yet
    op.create_table(
        "readings",
        sa.Column("machine_id", sa.String(40), primary_key=True),
        sa.Column("step_s", sa.Integer, primary_key=True),
        sa.Column("taken_at_ms", sa.BigInteger, primary_key=True),
        sa.Column("reading", sa.Text, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "snapshots",
        sa.Column("machine_id", sa.String(40), primary_key=True),
        sa.Column("taken_at_ms", sa.BigInteger, nullable=False),
        sa.Column("snapshot", sa.Text, nullable=False),
    )
    op.create_table(
        "ledger",
        sa.Column("launch_token", sa.String(64), primary_key=True),
        sa.Column("gpu_uuid", sa.String(80), primary_key=True),
        sa.Column("machine_id", sa.String(40), nullable=False),
        sa.Column("server_id", sa.String(40), nullable=False),
        sa.Column("before_bytes", sa.BigInteger),
        sa.Column("planned_bytes", sa.BigInteger),
        sa.Column("reported_bytes", sa.BigInteger),
        sa.Column("measured_bytes", sa.BigInteger),
        sa.Column("peak_bytes", sa.BigInteger),
        sa.Column("estimated", sa.Boolean, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "alerts",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("machine_id", sa.String(40), nullable=False),
        sa.Column("code", sa.String(60), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("level", sa.String(20), nullable=False),
        sa.Column("params", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("raised_at_ms", sa.BigInteger, nullable=False),
        sa.Column("cleared_at_ms", sa.BigInteger),
        sa.Column("pending_event", sa.String(20)),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("due_at_ms", sa.BigInteger, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("turns_by_time", "turns", ["machine_id", "created_at_ms", "id"], unique=False)
    op.create_index("ledger_by_server", "ledger", ["server_id", "created_at_ms"], unique=False)
    op.create_index("alerts_by_time", "alerts", ["machine_id", "raised_at_ms"], unique=False)
