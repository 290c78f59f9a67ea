"""An act is done once, whatever is sent twice, at once, or cut off in between."""

import threading
import uuid

import psycopg
import pytest

from app.api_access import idempotency
from app.tenancy import lookup
from tests import factories
from tests.api.systems import V1


@pytest.fixture
def sending(ours, take, app):
    """A campaign that is being sent."""
    with app.app_context():
        factories.launch(ours.tenant, ours.campaign)
    return ours


def test_the_same_again_gets_the_same_bytes(sending, database):
    once = str(uuid.uuid4())
    first = sending.post(f"{sending.of_campaign}/pause", once)
    again = sending.post(f"{sending.of_campaign}/pause", once)
    assert first.status_code == 200
    assert first.json["state"] == "paused"
    assert (first.data, first.status_code) == (again.data, again.status_code)
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["Idempotent-Replayed"] == "true"
    assert database.execute("SELECT count(*) FROM audit_entry WHERE act = 'pause'").fetchone() == (1,)


def test_the_same_key_for_something_else_is_refused(sending):
    once = str(uuid.uuid4())
    sending.post(f"{sending.of_campaign}/pause", once)
    answer = sending.post(f"{sending.of_campaign}/cancel", once)
    assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")
    assert sending.get(sending.of_campaign).json["state"] == "paused"


@pytest.mark.parametrize("key", ["", " ", "a b", "あ", "x" * 256])
def test_without_a_fit_key_nothing_is_done(sending, key):
    answer = sending.post(f"{sending.of_campaign}/pause", headers={"Idempotency-Key": key.encode().decode("latin-1")})
    assert answer.status_code == 400
    assert answer.json["code"].startswith("idempotency_key_")
    assert sending.get(sending.of_campaign).json["state"] == "sending"


def test_a_refusal_keeps_nothing_and_may_be_tried_again(sending, app):
    once = str(uuid.uuid4())
    answer = sending.post(f"{sending.of_campaign}/resume", once)
    assert (answer.status_code, answer.json["code"]) == (409, "api_state_conflict")
    sending.post(f"{sending.of_campaign}/pause")
    assert sending.post(f"{sending.of_campaign}/resume", once).status_code == 200


def test_another_company_may_use_the_same_key(sending, theirs, app):
    with app.app_context():
        factories.launch(theirs.tenant, theirs.campaign)
    once = str(uuid.uuid4())
    for one in (sending, theirs):
        answer = one.post(f"{one.of_campaign}/pause", once)
        assert answer.status_code == 200
        assert "Idempotent-Replayed" not in answer.headers


def test_the_act_and_its_answer_are_there_together_or_neither(sending, database, monkeypatch):
    """As if the process were killed after the act and before its answer: PostgreSQL is told nothing."""
    once = str(uuid.uuid4())

    def die(*_given):
        raise ConnectionAbortedError

    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "keep", die)
        with pytest.raises(ConnectionAbortedError):
            sending.post(f"{sending.of_campaign}/pause", once)
    assert database.execute("SELECT state FROM campaign WHERE id = %s", [sending.campaign]).fetchone() == ("sending",)
    assert database.execute("SELECT count(*) FROM api_answer").fetchone() == (0,)
    answer = sending.post(f"{sending.of_campaign}/pause", once)
    assert answer.status_code == 200
    assert "Idempotent-Replayed" not in answer.headers


def test_killed_after_the_act_the_answer_is_still_there(sending, monkeypatch):
    """As if the process were killed after COMMIT: who comes again hears what was done."""
    once = str(uuid.uuid4())
    committed = []

    def die(act):
        committed.append(act)
        raise ConnectionAbortedError

    with monkeypatch.context() as broken:
        broken.setattr("api.answers.ok", lambda *given: die(given))
        with pytest.raises(ConnectionAbortedError):
            sending.post(f"{sending.of_campaign}/pause", once)
    assert committed
    answer = sending.post(f"{sending.of_campaign}/pause", once)
    assert (answer.status_code, answer.json["state"]) == (200, "paused")
    assert answer.headers["Idempotent-Replayed"] == "true"


def test_while_it_is_under_way_the_second_is_told_to_wait(sending, settings):
    once = str(uuid.uuid4())
    url = settings.database_owner_url.replace("+psycopg", "", 1)
    answers = []
    with psycopg.connect(url) as holder:
        holder.execute("SELECT set_config('app.platform', 'on', true)")
        holder.execute("SELECT FROM campaign WHERE id = %s FOR UPDATE", [sending.campaign])
        first = threading.Thread(target=lambda: answers.append(sending.post(f"{sending.of_campaign}/pause", once)))
        first.start()
        for _ in range(200):
            waiting = holder.execute(
                "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype IN ('transactionid', 'tuple')"
            ).fetchone()
            if waiting != (0,):
                break
        second = sending.post(f"{sending.of_campaign}/pause", once)
        assert (second.status_code, second.json["code"]) == (409, "idempotency_key_under_way")
        assert second.headers["Retry-After"] == "2"
    first.join()
    assert [answer.status_code for answer in answers] == [200]
    assert sending.post(f"{sending.of_campaign}/pause", once).headers["Idempotent-Replayed"] == "true"


def test_many_at_once_do_it_once(sending, database):
    once = str(uuid.uuid4())
    answers = []

    def send():
        answers.append(sending.post(f"{sending.of_campaign}/pause", once))

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done = [answer for answer in answers if answer.status_code == 200]
    assert done
    assert {answer.data for answer in done} == {done[0].data}
    assert {answer.status_code for answer in answers} <= {200, 409}
    assert database.execute("SELECT count(*) FROM audit_entry WHERE act = 'pause'").fetchone() == (1,)


def test_while_the_installation_is_held_nothing_is_done(sending, database):
    database.execute("INSERT INTO installation (key, system, timeline, held_why) VALUES ('k', '1', 1, 'beat')")
    lookup.close()
    answer = sending.post(f"{sending.of_campaign}/pause")
    assert (answer.status_code, answer.json["code"]) == (503, "held_after_restore")
    assert answer.headers["Retry-After"] == "60"
    assert sending.get(f"{V1}/campaigns").status_code == 200


def test_an_answer_is_kept_for_three_days(app, sending, database):
    once = str(uuid.uuid4())
    sending.post(f"{sending.of_campaign}/pause", once)
    database.execute("UPDATE api_answer SET created_at = now() - interval '71 hours 59 minutes'")
    assert sending.post(f"{sending.of_campaign}/pause", once).headers["Idempotent-Replayed"] == "true"
    database.execute("UPDATE api_answer SET created_at = now() - interval '72 hours'")
    assert sending.post(f"{sending.of_campaign}/pause", once).status_code == 409
    assert sending.post(f"{sending.of_campaign}/resume", once).status_code == 200
    assert database.execute("SELECT count(*) FROM api_answer").fetchone() == (1,)
