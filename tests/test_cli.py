"""The commands, run as people run them."""

import json

import psycopg
import pytest
from flask import Flask
from sqlalchemy import delete, select

from app import audit, demo, tenancy
from app.delivery import failover
from app.extensions import db
from app.models import Campaign, SenderNumber, SmsAccount, Tenant
from app.tenants import sender_check
from app.values import sender_numbers
from tests import factories

PASSWORD = "three unrelated words here"


def test_the_first_operator_is_made_and_recorded(app: Flask, database: psycopg.Connection) -> None:
    run = app.test_cli_runner().invoke(args=["create-operator", "op@todoke.example", "--password", PASSWORD])
    assert run.exit_code == 0, run.output
    assert database.execute("SELECT role, email, tenant_id FROM app_user").fetchone() == (
        "operator",
        "op@todoke.example",
        None,
    )
    act = database.execute("SELECT act, target FROM audit_entry").fetchone()
    assert act is not None
    assert act[0] == "user.create"
    assert "@" not in act[1]
    again = app.test_cli_runner().invoke(args=["create-operator", "OP@todoke.example", "--password", PASSWORD])
    assert again.exit_code == 1
    assert "exists" in again.output


def test_a_weak_password_makes_no_operator(app: Flask, database: psycopg.Connection) -> None:
    run = app.test_cli_runner().invoke(args=["create-operator", "op@todoke.example", "--password", "password1234"])
    assert run.exit_code == 1
    assert database.execute("SELECT count(*) FROM app_user").fetchone() == (0,)


def test_verify_audit_names_the_chain_that_was_changed(app: Flask, database: psycopg.Connection) -> None:
    with app.app_context():
        tenant_id = factories.tenant()
        with tenancy.tenant(tenant_id):
            audit.record(db.session, actor="user:1", act="launch")
            db.session.commit()
    run = app.test_cli_runner().invoke(args=["verify-audit"])
    assert run.exit_code == 0
    assert f"tenant {tenant_id}: intact" in run.output
    database.execute("UPDATE audit_entry SET actor = 'user:2'")
    run = app.test_cli_runner().invoke(args=["verify-audit"])
    assert run.exit_code == 1
    assert "does not fit" in run.output


def test_the_demos_seed_is_for_demos(app: Flask) -> None:
    run = app.test_cli_runner().invoke(args=["seed-demo"])
    assert run.exit_code == 1
    assert "TODOKE_ENV=demo" in run.output


@pytest.mark.usefixtures("database")
def test_the_demos_second_contract_takes_over_for_its_first(app: Flask) -> None:
    with app.app_context():
        told = [demo.seed(standby=True) for _ in range(2)]
        assert told[0]["sandbox"] == told[1]["sandbox"], "a second seed changes nothing"
        with tenancy.platform():
            campaign = db.session.scalars(select(Campaign)).one()
        with tenancy.tenant(campaign.tenant_id):
            campaign = db.session.scalars(select(Campaign)).one()
            assert campaign.may_switch
            [second] = failover.standbys(campaign)
            assert campaign.sms_account is not None
            assert second.provider != campaign.sms_account.provider
            db.session.rollback()


@pytest.mark.usefixtures("database")
def test_the_demos_own_sms_is_confirmed_by_who_runs_it(app: Flask) -> None:
    """Also in a demo that was begun before numbers were recorded."""
    with app.app_context():
        demo.seed()
        with tenancy.platform():
            db.session.execute(delete(SenderNumber))
            db.session.commit()
        demo.seed()
        with tenancy.platform():
            found = db.session.execute(select(SmsAccount.settings, Tenant.name).join(Tenant)).all()
        for settings, company in found:
            on_the_phone = f"0005{int(settings['service_id']):06d}"  # as the sandbox's phones show it
            assert sender_check.find(f"【{company}】", on_the_phone) is not None
        assert len(found) == 2


@pytest.mark.usefixtures("database")
def test_the_demos_sender_numbers_are_those_that_its_own_form_takes(app: Flask) -> None:
    with app.app_context():
        demo.seed(standby=True)
        with tenancy.platform():
            found = db.session.scalars(select(SenderNumber)).all()
            approved = [one.number for one in found if one.state == "approved"]
            assert len(approved) == len(set(approved)) == 4
            assert all(sender_numbers.read(one.carrier, one.number) == one.number for one in found)
            for one in found:
                code = one.account.settings.get("sms_code")
                assert code is None or one.number == f"0005{int(code):06d}"  # as the sandbox's phones show it
            db.session.rollback()


@pytest.mark.usefixtures("database")
def test_settings_are_told_as_json(app: Flask) -> None:
    run = app.test_cli_runner().invoke(args=["settings"])
    assert {"name", "default", "what"} == set(json.loads(run.output)[0])


def test_an_empty_database_is_told_in_words(app: Flask, database: psycopg.Connection) -> None:
    """As a failed pg_restore leaves it."""
    database.execute("ALTER TABLE installation RENAME TO elsewhere")
    try:
        for command in ("after-restore", "ready"):
            run = app.test_cli_runner().invoke(args=[command])
            assert run.exit_code == 1
            assert "restore the dump" in run.output
            assert "Traceback" not in run.output
        answer = app.test_client().get("/healthz")
        assert (answer.status_code, "restore the dump" in answer.get_json()["status"]) == (503, True)
    finally:
        database.execute("ALTER TABLE elsewhere RENAME TO installation")
