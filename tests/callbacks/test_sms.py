"""The door for receipts: a secret address, everything kept before it is answered."""

from collections.abc import Iterator

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import queues
from app.extensions import vault
from app.outcomes import pushed_bodies, receipts
from app.vault import Place
from tests import factories

JOB = "jobs.outcomes.apply_receipts"


@pytest.fixture
def accounts(app: Flask) -> Iterator[tuple[int, int]]:
    """A tenant's id and its account's."""
    with app.app_context():
        tenant_id = factories.tenant()
        yield tenant_id, factories.sms_account(tenant_id)


def address(account_id: int, key: str = "") -> str:
    return f"/callbacks/sms/{account_id}/{key}" if key else factories.receipt_path(account_id)


def rows(database: psycopg.Connection) -> list[tuple[int, int, int, bytes]]:
    return database.execute("SELECT tenant_id, sms_account_id, id, body_sealed FROM receipt ORDER BY id").fetchall()


def test_a_receipt_is_kept_sealed_and_a_job_put_on_its_queue(
    client: FlaskClient, accounts: tuple[int, int], database: psycopg.Connection
) -> None:
    tenant_id, account_id = accounts
    body = b'{"object":"message","to":"09012345678"}'
    assert client.post(address(account_id), data=body).status_code == 200
    [(owner, account, row_id, sealed)] = rows(database)
    assert (owner, account) == (tenant_id, account_id)
    assert b"09012345678" not in sealed
    whole = vault.open(sealed, Place(tenant_id, "receipt", "body_sealed", row_id))
    assert pushed_bodies.unpack(whole).body == body
    queues.finish_offers()
    assert queues.waiting(JOB) == {(tenant_id,)}


def test_the_same_body_again_is_the_same_row(
    client: FlaskClient, accounts: tuple[int, int], database: psycopg.Connection
) -> None:
    for _ in range(3):
        assert client.post(address(accounts[1]), data=b"{}").status_code == 200
    assert client.post(address(accounts[1]), data=b"{} ").status_code == 200
    assert len(rows(database)) == 2
    queues.finish_offers()
    assert len(queues.queue(queues.TRACKING).job_ids) == 1


@pytest.mark.parametrize("key", ["0" * 32, "x", "%E3%81%82", "a" * 5000])
def test_a_wrong_key_finds_nothing(
    client: FlaskClient, accounts: tuple[int, int], database: psycopg.Connection, key: str
) -> None:
    assert client.post(address(accounts[1], key), data=b"{}").status_code == 404
    assert rows(database) == []


def test_another_accounts_key_finds_nothing(
    client: FlaskClient, accounts: tuple[int, int], database: psycopg.Connection
) -> None:
    other = factories.sms_account(accounts[0])
    assert client.post(address(accounts[1], address(other).rpartition("/")[2]), data=b"{}").status_code == 404
    assert rows(database) == []


def test_an_address_that_was_given_out_is_nobody_elses_though_the_accounts_number_comes_again(
    client: FlaskClient, accounts: tuple[int, int], database: psycopg.Connection
) -> None:
    """An account registered after the backup that was restored: its service goes on pushing to that address."""
    before = address(accounts[1])
    database.execute("DELETE FROM sms_account WHERE id = %s", [accounts[1]])
    database.execute("SELECT setval(pg_get_serial_sequence('sms_account', 'id'), %s, false)", [accounts[1]])
    assert factories.sms_account(factories.tenant()) == accounts[1]
    assert client.post(before, data=b"{}").status_code == 404
    assert client.post(address(accounts[1]), data=b"{}").status_code == 200


def test_an_address_of_before_there_were_secrets_stays(
    client: FlaskClient, accounts: tuple[int, int], database: psycopg.Connection
) -> None:
    database.execute("UPDATE sms_account SET receipt_secret = NULL WHERE id = %s", [accounts[1]])
    assert client.post(address(accounts[1], vault.receipt_key(accounts[1], None)), data=b"{}").status_code == 200


@pytest.mark.parametrize("account_id", [0, 999_999_999, 2**63 - 1])
def test_an_account_that_is_none_finds_nothing(client: FlaskClient, account_id: int) -> None:
    assert client.post(address(account_id, vault.receipt_key(account_id, None)), data=b"{}").status_code == 404


def test_a_number_that_is_none_finds_nothing(client: FlaskClient) -> None:
    assert client.post(f"/callbacks/sms/{2**63}/x", data=b"{}").status_code == 404


def test_a_body_beyond_the_limit_is_refused(
    client: FlaskClient, accounts: tuple[int, int], database: psycopg.Connection
) -> None:
    assert client.post(address(accounts[1]), data=b"x" * receipts.BODY_LIMIT).status_code == 200
    assert client.post(address(accounts[1]), data=b"x" * (receipts.BODY_LIMIT + 1)).status_code == 413
    assert len(rows(database)) == 1


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_only_a_post_is_taken(client: FlaskClient, accounts: tuple[int, int], method: str) -> None:
    assert getattr(client, method)(address(accounts[1])).status_code == 405


def test_a_form_is_kept_as_it_came(
    client: FlaskClient, accounts: tuple[int, int], database: psycopg.Connection
) -> None:
    body = b"json=%7B%22a%22%3A1%7D&x=1"
    answer = client.post(address(accounts[1]), data=body, content_type="application/x-www-form-urlencoded")
    assert answer.status_code == 200
    [(tenant_id, _, row_id, sealed)] = rows(database)
    whole = vault.open(sealed, Place(tenant_id, "receipt", "body_sealed", row_id))
    assert pushed_bodies.unpack(whole).body == body
