"""Folders of a machine that knowledge bases follow."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "folders",
        sa.Column("id", sa.String(40), primary_key=True),
        sa.Column("machine_id", sa.String(40), nullable=False),
        sa.Column("base_id", sa.String(40), nullable=False),
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("created_at_ms", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
    op.create_index("folders_by_base", "folders", ["base_id", "path"], unique=True)
    op.create_table(
        "folder_files",
        sa.Column("folder_id", sa.String(40), primary_key=True),
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("changed_at_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_at_ms", sa.BigInteger, nullable=False),
    )
