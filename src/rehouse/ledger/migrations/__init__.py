"""Numbered migrations of the ledger's tables (alembic), run when a ledger is opened."""
