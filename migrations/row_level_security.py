"""Row level security and the app role's rights, in one form for every table; migrations call it."""

from alembic import op

from app.config import settings

# the scalar subselects are evaluated once per statement, not once per row
_POLICY = """
    {column} = (SELECT nullif(current_setting('app.tenant_id', true), '')::bigint)
    OR (SELECT current_setting('app.platform', true) = 'on')
"""


def protect(table: str, *, column: str = "tenant_id", rights: str = "SELECT, INSERT, UPDATE, DELETE") -> None:
    """Show a table's rows to their own tenant and to the platform, and give the app's role its rights on it."""
    role = settings().database_app_role
    condition = _POLICY.format(column=column)
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    op.execute(f'CREATE POLICY scope ON "{table}" USING ({condition}) WITH CHECK ({condition})')
    op.execute(f'GRANT {rights} ON "{table}" TO "{role}"')


def keep_to_platform(table: str, *, rights: str = "SELECT, INSERT, UPDATE") -> None:
    """Show a table of the operator's to the platform alone, and give the app's role its rights on it."""
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    condition = "(SELECT current_setting('app.platform', true) = 'on')"
    op.execute(f'CREATE POLICY scope ON "{table}" USING ({condition}) WITH CHECK ({condition})')
    op.execute(f'GRANT {rights} ON "{table}" TO "{settings().database_app_role}"')


def open_to_all(table: str, *, rights: str = "SELECT, INSERT, UPDATE") -> None:
    """Show a table that tells of no tenant to every scope, and give the app's role its rights on it."""
    op.execute(f'ALTER TABLE "{table}" ENABLE ROW LEVEL SECURITY')
    op.execute(f'ALTER TABLE "{table}" FORCE ROW LEVEL SECURITY')
    op.execute(f'CREATE POLICY scope ON "{table}" USING (true) WITH CHECK (true)')
    op.execute(f'GRANT {rights} ON "{table}" TO "{settings().database_app_role}"')
