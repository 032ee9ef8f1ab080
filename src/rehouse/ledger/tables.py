"""The ledger's tables as SQLAlchemy sees them. The migrations create them; a test holds the two together."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

EVENTS = sa.Table(
    "events",
    METADATA,
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
    sa.Index("ix_events_kind", "kind", "seq"),
)

META = sa.Table(
    "meta",
    METADATA,
    sa.Column("key", sa.Text(), primary_key=True),
    sa.Column("value", sa.Text(), nullable=False),
)

REVISION = "0001"
"""The newest migration. A ledger at this revision opens without loading alembic."""
