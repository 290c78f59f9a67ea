"""The audit chain shows what was changed behind its back."""

import psycopg
import pytest
from flask import Flask

from app import audit, tenancy
from app.extensions import db
from tests import factories


@pytest.fixture
def tenant_id(app: Flask) -> int:
    with app.app_context():
        made = factories.tenant()
        with tenancy.tenant(made):
            for number in range(5):
                audit.record(
                    db.session, actor="user:1", act="reveal", target=f"recipient:{number}", detail={"n": number}
                )
                db.session.commit()
        return made


def verified(app: Flask, tenant_id: int | None) -> int | None:
    with app.app_context(), tenancy.platform():
        return audit.verify(db.session, tenant_id)


def test_an_untouched_chain_holds(app: Flask, tenant_id: int) -> None:
    assert verified(app, tenant_id) is None


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE audit_entry SET actor = 'user:2' WHERE id = {third}",
        "UPDATE audit_entry SET target = '' WHERE id = {third}",
        "UPDATE audit_entry SET detail = NULL WHERE id = {third}",
        "UPDATE audit_entry SET at = at + interval '1 s' WHERE id = {third}",
        "DELETE FROM audit_entry WHERE id = {third} - 1",
    ],
)
def test_any_change_is_named(app: Flask, tenant_id: int, database: psycopg.Connection, attack: str) -> None:
    ids = [row[0] for row in database.execute("SELECT id FROM audit_entry ORDER BY id")]
    database.execute(attack.format(third=ids[2]))
    assert verified(app, tenant_id) == ids[2]


def test_each_tenant_and_the_platform_have_chains_of_their_own(app: Flask, tenant_id: int) -> None:
    with app.app_context():
        with tenancy.platform():
            audit.record(db.session, actor="user:9", act="create")
            audit.record(db.session, actor="user:9", act="suspend", tenant_id=tenant_id)
            db.session.commit()
        with tenancy.tenant(tenant_id):
            audit.record(db.session, actor="user:1", act="export")
            db.session.commit()
    assert verified(app, tenant_id) is None
    assert verified(app, None) is None


def test_an_act_that_is_rolled_back_leaves_no_entry(app: Flask, tenant_id: int, database: psycopg.Connection) -> None:
    with app.app_context(), tenancy.tenant(tenant_id):
        audit.record(db.session, actor="user:1", act="export")
        db.session.rollback()
    assert database.execute("SELECT count(*) FROM audit_entry WHERE act = 'export'").fetchone() == (0,)
