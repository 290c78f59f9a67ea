"""Row numbers that come again, as after a restored backup: nothing of before opens, names or moves anybody new.

And what was sent before links had secrets goes on: its links, its references.
"""

import json
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import Cookie

from app import links, tenancy
from app.delivery import dispatch, send_context
from app.extensions import db, vault
from app.outcomes import missing_receipts
from app.providers.curl import perform
from app.states.vocabulary import SmsState
from jobs import outcomes
from sandbox.harness import Sandbox
from tests import factories, steps
from tests.factories import Person
from tests.launched import Job
from tests.public.browser import Browser
from tests.public.conftest import ANSWERS

Launched = Callable[..., Job]

_SEQUENCE = "pg_get_serial_sequence('recipient', 'id')"


def set_back(database: psycopg.Connection, job: Job) -> None:
    """Lose a campaign's people, and let their row numbers be drawn again."""
    for table in ("payment", "send_log", "event", "slice", "recipient"):
        database.execute(f"DELETE FROM {table} WHERE campaign_id = %s", [job.campaign_id])  # noqa: S608 - named above
    database.execute(f"SELECT setval({_SEQUENCE}, %s, false)", [job.people[0].id])


def somebody_else(**columns: Any) -> tuple[int, int, Person]:
    """Send another company's list, of one person."""
    tenant_id = factories.tenant("ひかり生命")
    account_id = factories.sms_account(tenant_id)
    campaign_id = factories.campaign(tenant_id, sms_account_id=account_id, **columns)
    (person,) = factories.people(tenant_id, campaign_id, 1)
    factories.launch(tenant_id, campaign_id)
    dispatch.take()
    return tenant_id, account_id, person


def row(database: psycopg.Connection, person: Person) -> tuple[str, str]:
    found = database.execute("SELECT sms_state, page_state FROM recipient WHERE id = %s", [person.id]).fetchone()
    assert found is not None
    return found[0], found[1]


# --- links and pages ---


def test_a_link_that_was_sent_never_leads_to_somebody_else(
    launched: Launched, app: Flask, database: psycopg.Connection
) -> None:
    job = launched(1)
    job.send()
    set_back(database, job)
    _, _, other = somebody_else(questions=())
    assert other.id == job.people[0].id
    browser = Browser(app.test_client()).open(f"/{job.people[0].token}")
    assert (browser.page.status_code, "ひかり生命" in browser.text) == (404, False)
    assert browser.client.post(f"/{job.people[0].token}").status_code == 404
    assert row(database, other) == ("accepted", "unopened")


@pytest.mark.parametrize("questions", [(), factories.QUESTIONS])
def test_a_page_that_was_open_never_becomes_somebody_elses(
    launched: Launched, app: Flask, database: psycopg.Connection, questions: Any
) -> None:
    job = launched(1, questions=questions)
    job.send()
    browser = Browser(app.test_client()).open(f"/{job.people[0].token}").press()
    if questions:
        browser.press(**ANSWERS)
    cookie = browser.client.get_cookie("todoke")
    assert cookie is not None
    assert job.people[0].fields["氏名"] in with_cookie(app, cookie).get("/p").text
    set_back(database, job)
    # the very company and list again: tenant and row are those that the cookie names
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=job.account_id, questions=questions)
    (other,) = factories.people(job.tenant_id, campaign_id, 1)
    factories.launch(job.tenant_id, campaign_id)
    dispatch.take()
    steps.view(other.id)
    assert other.id == job.people[0].id
    for path in ("/p", "/p/return", "/p/pay"):
        page = with_cookie(app, cookie).get(path)
        assert page.status_code == 404, path
        assert other.fields["氏名"] not in page.text


def with_cookie(app: Flask, cookie: Cookie) -> FlaskClient:
    """Return a browser that has kept its page session."""
    client = app.test_client()
    client.set_cookie(cookie.key, cookie.value)
    return client


def test_an_answer_from_a_page_of_before_counts_for_nobody(
    launched: Launched, app: Flask, database: psycopg.Connection
) -> None:
    job = launched(1)
    job.send()
    browser = Browser(app.test_client()).open(f"/{job.people[0].token}").press()
    set_back(database, job)
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    (other,) = factories.people(job.tenant_id, campaign_id, 1)
    factories.launch(job.tenant_id, campaign_id)
    dispatch.take()
    browser.press(**ANSWERS)
    assert browser.page.status_code == 404
    found = database.execute("SELECT page_state, failed_attempts FROM recipient WHERE id = %s", [other.id]).fetchone()
    assert found == ("unopened", 0)


# --- references ---


def push(account_id: int, message: dict[str, object]) -> None:
    """Let the carrier tell what became of a message."""
    factories.keep_receipt(account_id, json.dumps(message).encode())


def test_a_receipt_of_before_says_nothing_of_somebody_else(
    launched: Launched, sandbox: Sandbox, database: psycopg.Connection
) -> None:
    """In the same company and through the same contract: the row's number alone would name the new person."""
    job = launched(1, phones=["+819012340001"])  # this number's SMS don't arrive
    job.send()
    (before,) = sandbox.messages()
    set_back(database, job)
    campaign_id = factories.campaign(job.tenant_id, sms_account_id=job.account_id)
    (other,) = factories.people(job.tenant_id, campaign_id, 1)
    factories.launch(job.tenant_id, campaign_id)
    dispatch.take()
    push(job.account_id, detail(sandbox, job, before["id"]))
    outcomes.apply_receipts(job.tenant_id)
    assert other.id == job.people[0].id
    assert row(database, other)[0] == "accepted"
    assert job.rows("SELECT outcome FROM receipt WHERE %s > 0")[0]["outcome"] == "no message of ours"


def test_no_two_sms_bear_one_reference(launched: Launched, sandbox: Sandbox, database: psycopg.Connection) -> None:
    job = launched(3)
    job.send()
    set_back(database, job)
    somebody_else()
    tags = [tag for message in sandbox.messages() for tag in message["tags"]]
    assert len(set(tags)) == len(tags) == 4


def detail(sandbox: Sandbox, job: Job, provider_id: str) -> dict[str, object]:
    """Return the carrier's own answer about a message, as it would push it."""
    del sandbox
    with tenancy.tenant(job.tenant_id):
        account = send_context.account(job.account_id)
    answer = perform(account.provider.detail(account.opened, provider_id))
    content: dict[str, object] = json.loads(answer.body)  # type: ignore[union-attr] # it answers
    return content


# --- what left before, and what left under an earlier link ---


def without_secret(job: Job) -> None:
    """Make the campaign's people those of before links had secrets."""
    for person in job.people:
        token = vault.link_token(person.id, 1, None)
        job.change(
            "UPDATE recipient SET link_secret = NULL, token_digest = %s WHERE id = %s",
            vault.token_digest(token),
            person.id,
        )


def renew(job: Job) -> None:
    """Draw for the campaign's people a new generation of their links."""
    for person in job.people:
        (secret,) = links.draw_secrets(1)
        job.change(
            "UPDATE recipient SET link_secret = %s, link_generation = 2, token_digest = %s WHERE id = %s",
            secret,
            vault.token_digest(vault.link_token(person.id, 2, secret)),
            person.id,
        )


def test_a_link_of_before_is_sent_and_opens(launched: Launched, sandbox: Sandbox, app: Flask) -> None:
    job = launched(1)
    without_secret(job)
    job.send()
    token = vault.link_token(job.people[0].id, 1, None)
    assert sandbox.messages()[0]["body"].endswith(f"/{token}")
    browser = Browser(app.test_client()).open(f"/{token}").press().press(**ANSWERS)
    assert job.people[0].fields["氏名"] in browser.text


@pytest.fixture(params=["of before", "of an earlier link"])
def earlier(request: pytest.FixtureRequest, launched: Launched, sandbox: Sandbox) -> Callable[..., Job]:
    """Send, then let what was sent be of before references were stored, or of an earlier generation of the link."""
    old = request.param == "of before"

    def make(**switches: object) -> Job:
        job = launched(2)
        if old:
            without_secret(job)
        sandbox.faults(**switches)
        job.send()
        sandbox.faults()
        if old:
            job.change("UPDATE send_log SET reference = NULL WHERE campaign_id = %s", job.campaign_id)
            keys = {row["key"] for row in job.rows("SELECT key FROM campaign WHERE id = %s")}
            assert {tag.split(".")[0] for message in sandbox.messages() for tag in message["tags"]} == keys
        else:
            renew(job)
        return job

    return make


def test_its_receipts_are_applied(earlier: Callable[..., Job], sandbox: Sandbox) -> None:
    job = earlier()
    for message in sandbox.messages():
        push(job.account_id, detail(sandbox, job, message["id"]))
    outcomes.apply_receipts(job.tenant_id)
    assert job.states() == {"delivered": 2}


def test_its_lost_answers_are_found(earlier: Callable[..., Job], sandbox: Sandbox) -> None:
    job = earlier(reset_after_body=True)
    assert job.states() == {"unknown": 2}
    job.change("UPDATE slice SET check_at = now() WHERE campaign_id = %s", job.campaign_id)
    outcomes.reconcile(job.tenant_id)
    assert set(job.states()) <= {"accepted", "delivered"}
    assert len(sandbox.messages()) == 2


def test_its_silence_is_asked_about(earlier: Callable[..., Job]) -> None:
    job = earlier()
    # an answer without the carrier's id: it can be asked about by the reference alone
    job.change("UPDATE send_log SET provider_id = NULL WHERE campaign_id = %s", job.campaign_id)
    job.change("UPDATE recipient SET accepted_at = now() - interval '73 hours' WHERE campaign_id = %s", job.campaign_id)
    job.change("UPDATE slice SET receipts_due_at = now() WHERE campaign_id = %s", job.campaign_id)
    with tenancy.tenant(job.tenant_id):
        missing_receipts.poll(job.tenant_id)
        left = db.session.scalar(
            text("SELECT count(*) FROM recipient WHERE sms_state <> :to"), {"to": SmsState.DELIVERED}
        )
    assert left == 0
