"""The database's history; `migrations.rights` holds the one form of row level security."""
