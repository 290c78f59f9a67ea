"""Runs the migrations as the owner; the app's role owns nothing."""

from alembic import context
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

import app.models  # noqa: F401 - the tables must be known
from app.config import settings
from app.extensions import db
from app.tenancy import time_limits


def run() -> None:
    """Migrate, one transaction for all revisions, one migrator at a time."""
    engine = create_engine(settings().database_owner_url, poolclass=NullPool, hide_parameters=True)
    with engine.connect() as connection:
        context.configure(
            connection=connection, target_metadata=db.metadata, compare_type=True, transaction_per_migration=False
        )
        with context.begin_transaction():
            connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7230001)")
            # from here on: another migrator may take as long as it needs
            idle, lock, statement = time_limits.MIGRATION.values
            connection.exec_driver_sql(
                f"SET LOCAL idle_in_transaction_session_timeout = {idle}; SET LOCAL lock_timeout = {lock};"
                f" SET LOCAL statement_timeout = {statement}"
            )
            context.run_migrations()


run()
