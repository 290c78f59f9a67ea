"""The database's history; `migrations.row_level_security` holds the one form of row level security."""
