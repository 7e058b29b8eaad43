"""The tables of the state database, as SQLAlchemy Core metadata. Migrations make them; the code queries them."""

from __future__ import annotations

from sqlalchemy import JSON as SqlJson
from sqlalchemy import BigInteger, Boolean, Column, Double, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()
JSON = SqlJson(none_as_null=True)


def _id() -> Column[str]:
    return Column("id", String(40), primary_key=True)


def _times() -> tuple[Column[int], Column[int]]:
    return (
        Column("created_at_ms", BigInteger, nullable=False),
        Column("updated_at_ms", BigInteger, nullable=False),
    )


workers = Table(
    "workers",
    metadata,
    Column("machine_id", String(40), primary_key=True),
    Column("hostname", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started_at", Double, nullable=False),
    Column("heartbeat_at_ms", BigInteger, nullable=False),
)

bases = Table(
    "bases",
    metadata,
    _id(),
    Column("machine_id", String(40), nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("state", String(20), nullable=False),
    Column("embedder", Text, nullable=False),
    Column("embedder_options", JSON, nullable=False, server_default="{}"),
    Column("chunker", Text, nullable=False),
    Column("chunk_size", Integer, nullable=False),
    Column("chunk_overlap", Integer, nullable=False),
    Column("chunker_options", JSON, nullable=False),
    Column("last_build", Integer, nullable=False, server_default="0"),
    Column("change", JSON),
    *_times(),
)

folders = Table(
    "folders",
    metadata,
    _id(),
    Column("machine_id", String(40), nullable=False),
    Column("base_id", String(40), nullable=False),
    Column("path", Text, nullable=False),
    *_times(),
    Index("folders_by_base", "base_id", "path", unique=True),
)

folder_files = Table(
    "folder_files",
    metadata,
    Column("folder_id", String(40), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("changed_at_ns", BigInteger, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

servers = Table(
    "servers",
    metadata,
    _id(),
    Column("machine_id", String(40), nullable=False),
    Column("name", Text, nullable=False, unique=True),
    Column("engine", String(40), nullable=False),
    Column("model", Text, nullable=False),
    Column("spec", JSON, nullable=False),
    Column("managed", Boolean, nullable=False),
    Column("wish", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("url", Text),
    Column("port", Integer),
    Column("pid", Integer),
    Column("process_started_at", Double),
    Column("launch_token", String(64)),
    Column("error_code", String(60)),
    Column("error_params", JSON),
    Column("used_at_ms", BigInteger),
    Column("note", JSON),
    Column("diagnosis", JSON),
    *_times(),
    Index("servers_by_port", "machine_id", "port", unique=True),
)
"""`note`: code and parameters of what holds a server up; `diagnosis`: why its newest run failed."""

jobs = Table(
    "jobs",
    metadata,
    _id(),
    Column("machine_id", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("subject", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("done", BigInteger, nullable=False),
    Column("total", BigInteger),
    Column("unit", String(20), nullable=False),
    Column("note", Text, nullable=False),
    Column("error_code", String(60)),
    Column("error_params", JSON),
    *_times(),
    Index("jobs_by_subject", "kind", "subject"),
)

conversations = Table(
    "conversations",
    metadata,
    _id(),
    Column("owner_id", String(64), nullable=False),
    Column("title", Text, nullable=False),
    Column("title_origin", String(20), nullable=False),
    Column("server_id", String(40)),
    Column("settings", JSON, nullable=False),
    Column("head_id", String(40)),
    Column("summary", JSON),
    Column("remembers_after", Integer),
    Column("share_token", String(64)),
    *_times(),
    Index("conversations_by_owner", "owner_id", "updated_at_ms"),
    Index("conversations_by_share_token", "share_token", unique=True),
)
"""`head_id`: the newest turn of the way through its turns that is shown; `remembers_after`: a turn's position."""

turns = Table(
    "turns",
    metadata,
    _id(),
    Column("conversation_id", String(40), ForeignKey("conversations.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("parent_id", String(40)),
    Column("mode", String(20), nullable=False),
    Column("state", String(20), nullable=False),
    Column("question", Text, nullable=False),
    Column("standalone", Text),
    Column("answer", Text, nullable=False),
    Column("reasoning", Text, nullable=False),
    Column("bases", JSON, nullable=False),
    Column("notes", JSON, nullable=False),
    Column("server_name", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("settings", JSON, nullable=False),
    Column("passages", JSON, nullable=False),
    Column("timings_ms", JSON, nullable=False),
    Column("prompt_tokens", Integer),
    Column("completion_tokens", Integer),
    Column("progress_done", Integer),
    Column("progress_total", Integer),
    Column("queue_place", Integer),
    Column("stop_requested", Boolean, nullable=False),
    Column("machine_id", String(40), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("process_started_at", Double, nullable=False),
    Column("error_code", String(60)),
    Column("error_params", JSON),
    *_times(),
    Index("turns_by_conversation", "conversation_id", "position", unique=True),
    Index("turns_by_time", "machine_id", "created_at_ms", "id"),
)
"""`parent_id`: the turn before; several turns after the same one are versions. `notes`: codes with parameters."""

prompts = Table(
    "prompts",
    metadata,
    Column("turn_id", String(40), ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
    Column("parts", JSON, nullable=False),
)
"""What the model was sent for a turn, message by message."""

preferences = Table(
    "preferences",
    metadata,
    Column("owner_id", String(64), primary_key=True),
    Column("key", String(60), primary_key=True),
    Column("value", JSON, nullable=False),
    Column("updated_at_ms", BigInteger, nullable=False),
)

snapshots = Table(
    "snapshots",
    metadata,
    Column("machine_id", String(40), primary_key=True),
    Column("taken_at_ms", BigInteger, nullable=False),
    Column("snapshot", Text, nullable=False),
)
"""The newest look at each machine's GPUs, whole; overwritten each second."""

readings = Table(
    "readings",
    metadata,
    Column("machine_id", String(40), primary_key=True),
    Column("step_s", Integer, primary_key=True),
    Column("taken_at_ms", BigInteger, primary_key=True),
    Column("reading", Text, nullable=False),
    sqlite_with_rowid=False,
)
"""The history of those looks, a few figures each, in steps that grow with age."""

ledger = Table(
    "ledger",
    metadata,
    Column("launch_token", String(64), primary_key=True),
    Column("gpu_uuid", String(80), primary_key=True),
    Column("machine_id", String(40), nullable=False),
    Column("server_id", String(40), nullable=False),
    Column("before_bytes", BigInteger),
    Column("planned_bytes", BigInteger),
    Column("reported_bytes", BigInteger),
    Column("measured_bytes", BigInteger),
    Column("peak_bytes", BigInteger),
    Column("estimated", Boolean, nullable=False),
    *_times(),
    Index("ledger_by_server", "server_id", "created_at_ms"),
)
"""What each launch of a server was planned to hold on a GPU, said to hold, and held."""

figures = Table(
    "figures",
    metadata,
    Column("server_id", String(40), primary_key=True),
    Column("taken_at_ms", BigInteger, primary_key=True),
    Column("machine_id", String(40), nullable=False),
    Column("launch_token", String(64), nullable=False),
    Column("figures", JSON, nullable=False),
    Index("figures_by_time", "machine_id", "taken_at_ms"),
)
"""What the engines of ready servers said of themselves every two seconds; kept for a quarter of an hour."""

alerts = Table(
    "alerts",
    metadata,
    _id(),
    Column("machine_id", String(40), nullable=False),
    Column("code", String(60), nullable=False),
    Column("subject", Text, nullable=False),
    Column("level", String(20), nullable=False),
    Column("params", JSON, nullable=False),
    Column("raised_at_ms", BigInteger, nullable=False),
    Column("cleared_at_ms", BigInteger),
    Column("pending_event", String(20)),
    Column("attempts", Integer, nullable=False),
    Column("due_at_ms", BigInteger, nullable=False),
    *_times(),
    Index("alerts_by_time", "machine_id", "raised_at_ms"),
)
"""What was not well, since when and until when; and what the webhook is still to be told of it."""

feedback = Table(
    "feedback",
    metadata,
    _id(),
    Column("turn_id", String(40), ForeignKey("turns.id", ondelete="CASCADE"), nullable=False),
    Column("owner_id", String(40), nullable=False),
    Column("verdict", String(20), nullable=False),
    Column("comment", Text, nullable=False),
    *_times(),
    Index("feedback_by_turn", "turn_id", "owner_id", unique=True),
)
"""What people think of answers."""

golden_questions = Table(
    "golden_questions",
    metadata,
    _id(),
    Column("owner_id", String(40), nullable=False),
    Column("turn_id", String(40), nullable=False),
    Column("question", Text, nullable=False),
    Column("bases", JSON, nullable=False),
    Column("retrieved", JSON, nullable=False),
    Column("expected", JSON, nullable=False),
    Column("trace", JSON, nullable=False),
    Column("comment", Text, nullable=False),
    *_times(),
)
"""Questions saved from bad answers, with what was retrieved and what should have been; they outlive their turn."""
api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    Column("name", Text, nullable=False, unique=True),
    Column("beginning", String(20), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", JSON, nullable=False),
    Column("owner_id", String(64)),
    Column("last_used_at_ms", BigInteger),
    Column("revoked_at_ms", BigInteger),
    *_times(),
)

api_uses = Table(
    "api_uses",
    metadata,
    Column("key_id", String(40), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("requests", BigInteger, nullable=False),
    Column("prompt_tokens", BigInteger, nullable=False),
    Column("completion_tokens", BigInteger, nullable=False),
    Column("untold", BigInteger, nullable=False),
)
"""What each key of the API was used for on each day (UTC); an empty key: without one."""
