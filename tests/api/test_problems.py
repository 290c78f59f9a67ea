"""Problems: a code that lasts, Japanese or English, and never what was sent."""

from string import Formatter

import pytest

from api import answers, english
from app.web import bare_problems
from dev import problem_codes
from tests.api.systems import V1


@pytest.mark.parametrize(
    ("languages", "english_first"),
    [
        ("", False),
        ("ja", False),
        ("en", True),
        ("en-US,en;q=0.9,ja;q=0.8", True),
        ("ja,en;q=0.9", False),
        ("en;q=0.1, ja;q=0.2", False),
        ("fr", False),
        ("*", False),
        ("en;q=x", False),
        ("en;q=0", False),
        (";;,,=", False),
    ],
)
def test_the_language_that_is_asked_for(languages, english_first):
    assert bare_problems.speaks_english(languages) == english_first


def test_a_problem_says_code_and_page_in_both_languages(ours, client):
    japanese = ours.get(f"{V1}/campaigns/none")
    other = ours.get(f"{V1}/campaigns/none", headers={"Accept-Language": "en"})
    for answer, language, word in ((japanese, "ja", "見つかりません"), (other, "en", "Not found")):
        assert answer.mimetype == "application/problem+json"
        assert (answer.status_code, answer.json["status"], answer.json["code"]) == (404, 404, "api_not_found")
        assert word in answer.json["title"]
        assert answer.headers["Content-Language"] == language
        page = client.get(answer.json["type"].removeprefix("http://localhost"))
        assert page.status_code == 200
        assert word in page.get_data(as_text=True)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/none", 404),
        ("GET", "/api/v1", 404),
        ("DELETE", f"{V1}/campaigns", 405),
        ("PUT", f"{V1}/campaigns/x/pause", 405),
        ("GET", f"/api/{'x' * 6_001}", 414),
        ("GET", f"{V1}/campaigns?{'x' * 8_001}", 414),
    ],
)
def test_what_no_handler_answers_is_a_problem_too(ours, method, path, status):
    answer = ours._send(method, path)
    assert (answer.status_code, answer.mimetype, answer.json["status"]) == (status, "application/problem+json", status)
    assert answer.json["code"] in {kind.code for kind in bare_problems._BY_STATUS.values()}


def test_a_fault_of_ours_is_a_problem_without_its_cause(app, ours, monkeypatch):
    monkeypatch.setattr("api.finding.campaign", lambda text: {}[text])
    app.testing, app.config["PROPAGATE_EXCEPTIONS"] = False, False
    try:
        answer = ours.get(f"{V1}/campaigns/secret-of-ours")
    finally:
        app.testing, app.config["PROPAGATE_EXCEPTIONS"] = True, None
    assert (answer.status_code, answer.json["code"]) == (500, "api_failed")
    assert "secret-of-ours" not in answer.get_data(as_text=True)


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "after=cmp_x", "limit=1&other=090-1234-5678"])
def test_a_bad_query_is_told_by_its_place(ours, query):
    answer = ours.get(f"{V1}/campaigns?{query}")
    assert answer.status_code in {404, 422}
    assert "090" not in answer.get_data(as_text=True)


def test_every_code_has_a_page(client):
    kinds = problem_codes.declared()
    listed = client.get("/api/problems").get_data(as_text=True)
    for kind in kinds:
        assert f">{kind.code}<" in listed
    assert client.get("/api/problems/api_forbidden").status_code == 200
    assert client.get("/api/problems/nothing_of_ours").status_code == 404


def test_english_knows_real_codes_and_their_facts():
    kinds = {kind.code: kind for kind in problem_codes.declared()}
    assert set(english.SENTENCES) <= set(kinds)
    for code, words in english.SENTENCES.items():
        names = {name for _, name, _, _ in Formatter().parse(words) if name}
        assert names <= set(problem_codes.facts_of(kinds[code])), code


_SPOKEN = (
    "idempotency_", "phone_", "amount_", "answer_", "date_", "reference_", "already_", "check_", "locked_", "resend_",
    "reminder_", "settle_", "unsettle_", "text_", "merge_", "sms_account_", "payment_account_",
)  # fmt: skip


def test_what_systems_meet_is_told_in_english():
    codes = {kind.code for kind in problem_codes.declared() if kind.code.startswith(_SPOKEN)}
    assert codes - set(english.SENTENCES) == set()


def test_each_code_that_has_a_status_is_declared():
    assert set(answers._STATUS) <= {kind.code for kind in problem_codes.declared()}
