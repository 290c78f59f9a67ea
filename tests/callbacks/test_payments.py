"""Payment providers' webhooks: only what is theirs is kept, once, and it changes nothing by itself."""

import hashlib
import hmac
import json
import time

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from app import queues
from tests import factories


@pytest.fixture
def account_id(app: Flask) -> int:
    with app.app_context():
        return factories.payment_account(factories.tenant())


def event(event_id: str = "evt_1", session_id: str = "cs_test_1") -> bytes:
    about = {"id": session_id, "object": "checkout.session", "payment_status": "paid"}
    return json.dumps(
        {"id": event_id, "object": "event", "type": "checkout.session.completed", "data": {"object": about}}
    ).encode()


def signed(account_id: int, body: bytes, *, age_s: int = 0) -> dict[str, str]:
    at = int(time.time()) - age_s
    digest = hmac.new(f"whsec_{account_id}".encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={at},v1={digest}"}


def push(client: FlaskClient, account_id: object, body: bytes, headers: dict[str, str]) -> TestResponse:
    return client.post(f"/callbacks/payment/{account_id}", data=body, headers=headers, content_type="application/json")


def kept(database: psycopg.Connection) -> list[tuple[str, str, str | None]]:
    return database.execute("SELECT event_id, kind, provider_id FROM payment_notice ORDER BY id").fetchall()


def payment(app: Flask, database: psycopg.Connection, account_id: int, session_id: str) -> None:
    """Put one person's payment on record, of which the provider has a page."""
    ((tenant_id,),) = database.execute("SELECT tenant_id FROM payment_account WHERE id = %s", [account_id]).fetchall()
    with app.app_context():
        campaign_id = factories.campaign(tenant_id, payment_account_id=account_id)
        (person,) = factories.people(tenant_id, campaign_id, 1)
    database.execute(
        "INSERT INTO payment (tenant_id, campaign_id, recipient_id, payment_account_id, attempt, reference,"
        " provider_id, amount_yen) VALUES (%s, %s, %s, %s, 1, 'ref', %s, 100)",
        [tenant_id, campaign_id, person.id, account_id, session_id],
    )


def test_a_webhook_is_kept_once_and_its_job_waits(
    app: Flask, client: FlaskClient, database: psycopg.Connection, account_id: int
) -> None:
    body = event()
    for _ in range(3):
        assert push(client, account_id, body, signed(account_id, body)).status_code == 200
    assert kept(database) == [("evt_1", "checkout.session.completed", "cs_test_1")]
    (row,) = database.execute("SELECT tenant_id FROM payment_account").fetchall()
    # no payment of ours: there is nothing to ask about
    queues.finish_offers()
    assert queues.waiting("jobs.payments.ask") == set()
    assert database.execute("SELECT outcome, applied_at IS NOT NULL FROM payment_notice").fetchall() == [
        ("none of our payments", True)
    ]
    payment(app, database, account_id, "cs_test_2")
    body = event("evt_2", "cs_test_2")
    for _ in range(3):
        assert push(client, account_id, body, signed(account_id, body)).status_code == 200
    queues.finish_offers()
    assert queues.waiting("jobs.payments.ask") == {(row[0],)}
    assert queues.queue(queues.TRACKING).count == 1


def test_a_webhook_of_another_is_refused(client: FlaskClient, database: psycopg.Connection, account_id: int) -> None:
    body = event()
    good = signed(account_id, body)
    assert push(client, account_id, body, {}).status_code == 400
    assert push(client, account_id, body, signed(account_id + 1, body)).status_code == 400
    assert push(client, account_id, body + b" ", good).status_code == 400
    assert push(client, account_id, body, signed(account_id, body, age_s=301)).status_code == 400
    assert push(client, account_id, body, signed(account_id, body, age_s=-301)).status_code == 400
    assert push(client, account_id + 1, body, good).status_code == 404
    assert push(client, 2**63, body, good).status_code == 404
    assert push(client, "x", body, good).status_code == 404
    assert client.get(f"/callbacks/payment/{account_id}").status_code == 405
    assert kept(database) == []
    queues.finish_offers()
    assert queues.waiting("jobs.payments.ask") == set()


def test_an_account_without_credentials_takes_none(
    client: FlaskClient, database: psycopg.Connection, account_id: int
) -> None:
    database.execute("UPDATE payment_account SET credentials_sealed = NULL")
    assert push(client, account_id, event(), signed(account_id, event())).status_code == 404


def test_a_stopped_account_still_hears_of_money_under_way(
    client: FlaskClient, database: psycopg.Connection, account_id: int
) -> None:
    database.execute("UPDATE payment_account SET active = false")
    assert push(client, account_id, event(), signed(account_id, event())).status_code == 200
    assert len(kept(database)) == 1


@hypothesis_settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(body=st.binary(max_size=300), header=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=60))
def test_garbage_is_refused_and_never_our_fault(
    client: FlaskClient, database: psycopg.Connection, account_id: int, body: bytes, header: str
) -> None:
    assert push(client, account_id, body, {"Stripe-Signature": header}).status_code == 400
    assert push(client, account_id, body, signed(account_id, body)).status_code == 400
    assert kept(database) == []


def test_more_than_any_site_says_is_not_taken(
    client: FlaskClient, database: psycopg.Connection, account_id: int
) -> None:
    body = b"{" + b" " * 300_000 + b"}"
    assert push(client, account_id, body, signed(account_id, body)).status_code == 413
    assert kept(database) == []


def test_nothing_of_a_webhook_is_logged(
    client: FlaskClient, account_id: int, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    body = event(session_id="cs_test_secretlike")
    push(client, account_id, body, {"Stripe-Signature": "t=1,v1=abcdef0123456789"})
    written = capsys.readouterr().err + caplog.text
    assert "webhook refused" in written
    assert "secretlike" not in written
    assert "abcdef0123456789" not in written
