"""Row level security, attack by attack: no scope, another's scope, leaks through the pool, keys that cross."""

import psycopg
import pytest
from flask import Flask
from psycopg import sql
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from app import tenancy
from app.config import Settings
from app.extensions import db
from app.models import Campaign, Recipient, Tenant
from tests import factories


@pytest.fixture
def two(app: Flask) -> tuple[int, int, int, int]:
    """Two tenants with a campaign each."""
    with app.app_context():
        one, other = factories.tenant(), factories.tenant()
        return one, other, factories.campaign(one), factories.campaign(other)


def test_a_transaction_without_a_scope_is_refused(app: Flask) -> None:
    with app.app_context(), pytest.raises(tenancy.NoScope):
        db.session.scalars(select(Tenant)).all()


def test_each_tenant_sees_its_own_rows_alone(app: Flask, two: tuple[int, int, int, int]) -> None:
    one, other, mine, theirs = two
    with app.app_context():
        for tenant_id, campaign_id in ((one, mine), (other, theirs)):
            with tenancy.tenant(tenant_id):
                assert [row.id for row in db.session.scalars(select(Campaign))] == [campaign_id]
                assert [row.id for row in db.session.scalars(select(Tenant))] == [tenant_id]
                with tenancy.transaction() as connection:
                    assert connection.scalars(text("SELECT id FROM campaign")).all() == [campaign_id]
        with tenancy.platform():
            assert set(db.session.scalars(select(Campaign.id))) == {mine, theirs}


def test_the_database_itself_shows_nothing_without_a_scope(settings: Settings, two: tuple[int, int, int, int]) -> None:
    assert two
    with psycopg.connect(settings.database_url.replace("+psycopg", "")) as raw:
        for table in ("tenant", "campaign", "recipient", "app_user", "sms_account"):
            counted = raw.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))
            assert counted.fetchone() == (0,)


def test_a_row_of_another_tenant_cannot_be_written(app: Flask, two: tuple[int, int, int, int]) -> None:
    one, other, mine, theirs = two
    with app.app_context(), tenancy.tenant(one):
        with pytest.raises(DBAPIError, match="row-level security"):
            db.session.execute(text("INSERT INTO campaign (tenant_id, key, name) VALUES (:t, 'x', 'x')"), {"t": other})
        db.session.rollback()
        with pytest.raises(DBAPIError, match="row-level security"):
            db.session.execute(text("UPDATE campaign SET tenant_id = :t WHERE id = :id"), {"t": other, "id": mine})
        db.session.rollback()
        for statement in ("UPDATE campaign SET name = 'x' WHERE id = :id", "DELETE FROM campaign WHERE id = :id"):
            assert db.session.execute(text(statement), {"id": theirs}).rowcount == 0  # type: ignore[attr-defined]


def test_a_row_cannot_point_into_another_tenant(app: Flask, two: tuple[int, int, int, int]) -> None:
    # foreign key checks pass row level security by: the key itself must carry the tenant
    one, _, _, theirs = two
    with app.app_context(), tenancy.tenant(one):
        with pytest.raises(DBAPIError, match="foreign key"):
            db.session.execute(
                text("INSERT INTO question (tenant_id, campaign_id, position, label) VALUES (:t, :c, 1, 'x')"),
                {"t": one, "c": theirs},
            )
        db.session.rollback()


def test_the_scope_does_not_outlive_its_transaction(app: Flask, two: tuple[int, int, int, int]) -> None:
    one, *_ = two
    with app.app_context():
        with tenancy.tenant(one):
            db.session.scalars(select(Campaign)).all()
            db.session.commit()
        raw = db.engine.raw_connection()
        try:
            cursor = raw.cursor()
            cursor.execute("SELECT current_setting('app.tenant_id', true), current_setting('app.platform', true)")
            assert cursor.fetchone() in {("", ""), (None, None)}
            cursor.execute("SELECT count(*) FROM campaign")
            assert cursor.fetchone() == (0,)
        finally:
            raw.close()


def test_a_tenant_cannot_change_in_mid_transaction(app: Flask, two: tuple[int, int, int, int]) -> None:
    one, other, *_ = two
    with app.app_context(), tenancy.tenant(one):
        with pytest.raises(tenancy.ScopeInUse), tenancy.tenant(other):
            pass
        with pytest.raises(tenancy.ScopeInUse), tenancy.platform():
            pass
        with tenancy.tenant(one) as same:
            assert same.tenant_id == one


def test_another_tenants_object_is_not_met_in_the_session(app: Flask, two: tuple[int, int, int, int]) -> None:
    one, other, mine, _ = two
    with app.app_context():
        with tenancy.tenant(one):
            assert db.session.get(Campaign, mine) is not None
        with tenancy.tenant(other):
            assert db.session.get(Campaign, mine) is None


def test_what_was_not_committed_is_gone_with_the_scope(app: Flask, two: tuple[int, int, int, int]) -> None:
    one, _, mine, _ = two
    with app.app_context():
        with tenancy.tenant(one):
            db.session.get_one(Campaign, mine).name = "変更"
            db.session.flush()
        with tenancy.tenant(one):
            assert db.session.get_one(Campaign, mine).name != "変更"


def test_the_apps_role_owns_nothing_and_steps_over_nothing(settings: Settings, app: Flask) -> None:
    del app
    with psycopg.connect(settings.database_url.replace("+psycopg", "")) as raw:
        assert raw.execute(
            "SELECT rolsuper, rolbypassrls, rolcreatedb, rolcreaterole FROM pg_roles WHERE rolname = current_user"
        ).fetchone() == (False, False, False, False)
        owned = raw.execute("SELECT count(*) FROM pg_class WHERE relowner = current_user::regrole").fetchone()
        assert owned == (0,)


def test_every_table_is_protected_in_the_one_form(database: psycopg.Connection) -> None:
    tables = {
        row[0]: row[1:]
        for row in database.execute(
            "SELECT relname, relrowsecurity, relforcerowsecurity FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'"
        )
    }
    assert set(tables) == set(db.metadata.tables)
    assert set(tables.values()) == {(True, True)}
    policies = database.execute(
        "SELECT tablename, policyname, cmd, roles, qual, with_check FROM pg_policies"
    ).fetchall()
    assert {row[0] for row in policies} == set(tables)
    assert {(row[1], row[2], tuple(row[3])) for row in policies} == {("scope", "ALL", ("public",))}
    # two tables tell of the installation and of no tenant: every scope may read them, as every claim must
    shown = {name: qual.replace("tenant_id =", "id =") for name, _, _, _, qual, _ in policies}
    assert {name for name, qual in shown.items() if qual == "true"} == {"installation", "beat"}
    # one is the operator's alone: no company reads of a contract that it shares
    kept = {name: qual for name, qual in shown.items() if qual != "true" and "app.tenant_id" not in qual}
    assert set(kept) == {"shared_sms_account"}
    assert "app.platform" in kept["shared_sms_account"]
    assert len({qual for name, qual in shown.items() if qual != "true" and name not in kept}) == 1
    assert all(row[4] == row[5] for row in policies)


def test_every_reference_between_tenants_tables_carries_the_tenant(database: psycopg.Connection) -> None:
    loose = database.execute("""
        SELECT conrelid::regclass::text, conname FROM pg_constraint
        WHERE contype = 'f' AND confrelid::regclass::text NOT IN ('tenant', 'app_user', 'shared_sms_account')
        AND NOT EXISTS (
            SELECT FROM pg_attribute WHERE attrelid = conrelid AND attnum = ANY(conkey) AND attname = 'tenant_id'
        )
    """).fetchall()
    assert loose == []


def test_events_and_audit_entries_are_append_only(app: Flask, two: tuple[int, int, int, int]) -> None:
    one, *_ = two
    with app.app_context(), tenancy.tenant(one):
        for table in ("event", "audit_entry"):
            for statement in ("DELETE FROM {}", "UPDATE {} SET actor = 'x'", "TRUNCATE {}"):
                with pytest.raises(DBAPIError, match="permission denied"):
                    db.session.execute(text(statement.format(table)))
                db.session.rollback()


def test_an_error_shows_no_parameters(app: Flask, two: tuple[int, int, int, int]) -> None:
    one, *_ = two
    with app.app_context(), tenancy.tenant(one), pytest.raises(DBAPIError) as caught:
        db.session.execute(select(Recipient).where(text("reference = :r AND 1/0 = 1")), {"r": "090-1234-5678"}).all()
    assert "090-1234-5678" not in str(caught.value)
