"""Conversations with settings, versions of turns, a memory and a link; turns that search several bases."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("conversations", sa.Column("title_origin", sa.String(20), nullable=False, server_default="question"))
    op.add_column("conversations", sa.Column("settings", JSON, nullable=False, server_default="{}"))
    op.add_column("conversations", sa.Column("head_id", sa.String(40)))
    op.add_column("conversations", sa.Column("summary", JSON))
    op.add_column("conversations", sa.Column("remembers_after", sa.Integer))
    op.add_column("conversations", sa.Column("share_token", sa.String(64)))
    op.create_index("conversations_by_share_token", "conversations", ["share_token"], unique=True)
    op.add_column("turns", sa.Column("parent_id", sa.String(40)))
    op.add_column("turns", sa.Column("standalone", sa.Text))
    op.add_column("turns", sa.Column("reasoning", sa.Text, nullable=False, server_default=""))
    op.add_column("turns", sa.Column("bases", JSON, nullable=False, server_default="[]"))
    op.add_column("turns", sa.Column("notes", JSON, nullable=False, server_default="[]"))
    op.add_column("turns", sa.Column("queue_place", sa.Integer))
    op.create_table(
        "prompts",
        sa.Column("turn_id", sa.String(40), sa.ForeignKey("turns.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("parts", JSON, nullable=False),
    )
    _carry_over()
    op.drop_column("conversations", "base_id")
    op.drop_column("turns", "base_id")
    op.drop_column("turns", "base_name")


def _carry_over() -> None:
    op.execute(
        "UPDATE turns SET parent_id = (SELECT before.id FROM turns AS before "
        "WHERE before.conversation_id = turns.conversation_id AND before.position < turns.position "
        "ORDER BY before.position DESC LIMIT 1)"
    )
    op.execute(
        "UPDATE conversations SET head_id = (SELECT turns.id FROM turns "
        "WHERE turns.conversation_id = conversations.id ORDER BY turns.position DESC LIMIT 1)"
    )
    turns = sa.table("turns", sa.column("id"), sa.column("base_id"), sa.column("base_name"), sa.column("bases", JSON))
    talks = sa.table("conversations", sa.column("id"), sa.column("base_id"), sa.column("settings", JSON))
    connection = op.get_bind()
    for row in connection.execute(sa.select(turns).where(turns.c.base_id.is_not(None))).all():
        bases = [{"id": row.base_id, "name": row.base_name or ""}]
        connection.execute(turns.update().where(turns.c.id == row.id).values(bases=bases))
    for row in connection.execute(sa.select(talks).where(talks.c.base_id.is_not(None))).all():
        settings = {"base_ids": [row.base_id]}
        connection.execute(talks.update().where(talks.c.id == row.id).values(settings=settings))
