"""The first schema: workers, bases, servers, jobs, conversations, turns, preferences, readings."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "workers",
        sa.Column("machine_id", sa.String(40), primary_key=True),
        sa.Column("hostname", sa.Text, nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process_started_at", sa.Double, nullable=False),
        sa.Column("heartbeat_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "bases",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("machine_id", sa.String(40), nullable=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("embedder", sa.Text, nullable=False),
        sa.Column("chunker", sa.Text, nullable=False),
        sa.Column("chunk_size", sa.Integer, nullable=False),
        sa.Column("chunk_overlap", sa.Integer, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "servers",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("machine_id", sa.String(40), nullable=False),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("engine", sa.String(40), nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("spec", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("managed", sa.Boolean, nullable=False),
        sa.Column("wish", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("url", sa.Text),
        sa.Column("port", sa.Integer),
        sa.Column("pid", sa.Integer),
        sa.Column("process_started_at", sa.Double),
        sa.Column("launch_token", sa.String(64)),
        sa.Column("error_code", sa.String(60)),
        sa.Column("error_params", sa.JSON(none_as_null=True)),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("machine_id", sa.String(40), nullable=False),
        sa.Column("kind", sa.String(40), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("done", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger),
        sa.Column("unit", sa.String(20), nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("error_code", sa.String(60)),
        sa.Column("error_params", sa.JSON(none_as_null=True)),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "conversations",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("owner_id", sa.String(64), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("base_id", sa.String(40)),
        sa.Column("server_id", sa.String(40)),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "turns",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column(
            "conversation_id", sa.String(40), sa.ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("mode", sa.String(20), nullable=False),
        sa.Column("state", sa.String(20), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("base_id", sa.String(40)),
        sa.Column("base_name", sa.Text),
        sa.Column("server_name", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("settings", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("passages", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("timings_ms", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("prompt_tokens", sa.Integer),
        sa.Column("completion_tokens", sa.Integer),
        sa.Column("progress_done", sa.Integer),
        sa.Column("progress_total", sa.Integer),
        sa.Column("stop_requested", sa.Boolean, nullable=False),
        sa.Column("machine_id", sa.String(40), nullable=False),
        sa.Column("pid", sa.Integer, nullable=False),
        sa.Column("process_started_at", sa.Double, nullable=False),
        sa.Column("error_code", sa.String(60)),
        sa.Column("error_params", sa.JSON(none_as_null=True)),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "preferences",
        sa.Column("owner_id", sa.String(64), primary_key=True),
        sa.Column("key", sa.String(60), primary_key=True),
        sa.Column("value", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "readings",
        sa.Column("machine_id", sa.String(40), primary_key=True),
        sa.Column("step_s", sa.Integer, primary_key=True),
        sa.Column("subject", sa.String(80), primary_key=True),
        sa.Column("taken_at_ms", sa.BigInteger, primary_key=True),
        sa.Column("reading", sa.JSON(none_as_null=True), nullable=False),
    )
    op.create_index("jobs_by_subject", "jobs", ["kind", "subject"], unique=False)
    op.create_index("conversations_by_owner", "conversations", ["owner_id", "updated_at_ms"], unique=False)
    op.create_index("turns_by_conversation", "turns", ["conversation_id", "position"], unique=True)
