"""What people think of answers, and golden questions that were saved from bad ones."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "feedback",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("turn_id", sa.String(40), sa.ForeignKey("turns.id", ondelete="CASCADE"), nullable=False),
        sa.Column("owner_id", sa.String(40), nullable=False),
        sa.Column("verdict", sa.String(20), nullable=False),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("feedback_by_turn", "feedback", ["turn_id", "owner_id"], unique=True)
    op.create_table(
        "golden_questions",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("owner_id", sa.String(40), nullable=False),
        sa.Column("turn_id", sa.String(40), nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        *(
            sa.Column(name, sa.JSON(none_as_null=True), nullable=False)
            for name in ("bases", "retrieved", "expected", "trace")
        ),
        sa.Column("comment", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
