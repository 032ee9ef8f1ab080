"""The events and the facts about the ledger itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None
branch_labels: str | None = None
depends_on: str | None = None


def upgrade() -> None:
    """Two tables; on PostgreSQL also the sequence that several writers draw `seq` from."""
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger(), primary_key=True, autoincrement=False),
        sa.Column("partition", sa.Text(), nullable=False, quote=True),
        sa.Column("position", sa.BigInteger(), nullable=False, quote=True),
        sa.Column("run", sa.Text(), nullable=False),
        sa.Column("at", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("prev", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.UniqueConstraint("partition", "position", name="uq_events_partition_position"),
    )
    op.create_index("ix_events_kind", "events", ["kind", "seq"])
    op.create_table(
        "meta",
        sa.Column("key", sa.Text(), primary_key=True),
        sa.Column("value", sa.Text(), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute("CREATE SEQUENCE events_seq")


def downgrade() -> None:
    """Nothing: a ledger is never taken apart. To go back to an older version, restore a backup."""
    raise RuntimeError("a ledger is never taken apart: restore a backup instead")
