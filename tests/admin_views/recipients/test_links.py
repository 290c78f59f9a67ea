"""One person's link from their page: sent anew once it ended unused, opened again after a press by mistake."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from flask import Flask

from app import tenancy
from app.identity import disown, visit
from app.values.suppression_reasons import SuppressionReason
from tests import factories, steps
from tests.admin_views.conftest import Browser, House, acts, plain, words


@pytest.fixture
def person(app: Flask, ours: House, database: psycopg.Connection) -> factories.Person:
    """Somebody whose SMS arrived, in a campaign that was sent; the link lives for a day."""
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
        steps.deliver(*(one.id for one in ours.people))
    database.execute("UPDATE recipient SET link_expires_at = %s", [datetime.now(UTC) + timedelta(days=1)])
    return ours.people[0]


def page_of(person: factories.Person) -> str:
    return f"/admin/recipient/details/?id={person.id}"


def say_not_me(app: Flask, ours: House, person: factories.Person) -> None:
    with app.app_context():
        link = visit.by_token(person.token)
        assert link is not None
        with tenancy.tenant(ours.tenant):
            assert disown.disown(link, SuppressionReason.WISH) is disown.Disowned.ENDED


def state(database: psycopg.Connection, person: factories.Person) -> tuple[str, str]:
    row = database.execute("SELECT page_state, sms_state FROM recipient WHERE id = %s", [person.id]).fetchone()
    assert row is not None
    return row[0], row[1]


def test_a_link_that_was_ended_by_mistake_is_opened_again_in_two_presses(
    app: Flask, clerk: Browser, ours: House, person: factories.Person, database: psycopg.Connection
) -> None:
    assert "リンクを元に戻す" not in words(clerk, page_of(person))
    say_not_me(app, ours, person)
    assert "リンクを元に戻す" in words(clerk, page_of(person))
    url = f"/admin/recipient/{person.id}/reopen"
    assert "ご本人がまちがえて押したときだけ" in words(clerk, url)
    assert state(database, person)[0] == "revoked"
    answer = clerk.post(url, follow_redirects=True)
    assert "リンクを元に戻しました" in plain(answer.get_data(as_text=True))
    assert state(database, person) == ("unopened", "delivered")
    assert database.execute("SELECT verdict FROM suppression_proposal").fetchall() == [("dismissed",)]
    assert acts(app, ours) == [
        ("reopen_link", f"user:{ours.clerk}", f"recipient:{person.id}"),
        ("dismiss_suppression", f"user:{ours.clerk}", f"recipient:{person.id}"),
    ]
    assert app.test_client().get(f"/{person.token}").status_code == 200
    assert "リンクを元に戻した" in words(clerk, page_of(person))
    assert "ではありません" in plain(clerk.post(url, follow_redirects=True).get_data(as_text=True))


def test_a_link_whose_time_is_over_is_found_ended(
    app: Flask, clerk: Browser, ours: House, person: factories.Person, database: psycopg.Connection
) -> None:
    say_not_me(app, ours, person)
    database.execute("UPDATE recipient SET link_expires_at = now() - interval '1 minute' WHERE id = %s", [person.id])
    database.execute("UPDATE slice SET links_end_at = NULL")
    clerk.post(f"/admin/recipient/{person.id}/reopen")
    assert database.execute("SELECT count(*) FROM slice WHERE links_end_at <= now()").fetchone() == (1,)
    assert app.test_client().get(f"/{person.token}").status_code == 404


def test_a_link_that_staff_ended_stays_ended(
    clerk: Browser, person: factories.Person, database: psycopg.Connection
) -> None:
    clerk.post(f"/admin/recipient/{person.id}/revoke")
    assert "リンクを元に戻す" not in words(clerk, page_of(person))
    clerk.post(f"/admin/recipient/{person.id}/reopen")
    assert state(database, person)[0] == "revoked"


def test_an_ended_link_is_sent_anew_to_one_person_in_two_presses(
    app: Flask, clerk: Browser, ours: House, person: factories.Person, database: psycopg.Connection
) -> None:
    url, button = f"/admin/recipient/{person.id}/renew", "SMSをもう一度送る（新しい期限）"
    assert button not in words(clerk, page_of(person))
    assert "この方には送り直せません" in plain(clerk.get(url, follow_redirects=True).get_data(as_text=True))
    with app.app_context():
        steps.end_link(person.id)
    assert button in words(clerk, page_of(person))
    assert "1通のSMSを送ります" in words(clerk, url)
    assert state(database, person) == ("expired", "delivered")
    assert "もう一度送ります" in plain(clerk.post(url, follow_redirects=True).get_data(as_text=True))
    assert state(database, person) == ("expired", "queued")
    assert acts(app, ours) == [("renew_link", f"user:{ours.clerk}", f"recipient:{person.id}")]
    assert "期限の切れたリンクの送り直し" in words(clerk, page_of(person))
    assert "この方には送り直せません" in plain(clerk.post(url, follow_redirects=True).get_data(as_text=True))
    assert len(acts(app, ours)) == 1


def test_whoever_opened_an_ended_link_is_told_of_and_not_sent_to(
    app: Flask, clerk: Browser, person: factories.Person, database: psycopg.Connection
) -> None:
    with app.app_context():
        steps.open_page(person.id)
        steps.end_link(person.id)
    page = words(clerk, page_of(person))
    assert "同じSMSは送り直せません" in page
    assert "新しい期限" not in page
    clerk.post(f"/admin/recipient/{person.id}/renew")
    assert state(database, person) == ("expired", "delivered")


def test_another_companys_person_is_nobody(clerk: Browser, theirs: House) -> None:
    for act in ("reopen", "renew"):
        assert clerk.get(f"/admin/recipient/{theirs.people[0].id}/{act}").status_code == 404
        assert clerk.post(f"/admin/recipient/{theirs.people[0].id}/{act}").status_code == 404
