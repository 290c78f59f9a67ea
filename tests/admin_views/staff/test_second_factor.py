"""The second factor: set up, asked for, taken once; its loss; what a company may require."""

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from flask import Flask

from admin_views.staff.sign_in import SET_UP, TOO_LATE
from app import config, tenancy
from app.auth import second_factor, sign_in
from app.config import Settings
from app.extensions import db
from app.models import AuditEntry, Tenant, User
from tests.admin_views.conftest import Browser, House
from tests.admin_views.signing_in import Door, code_of, set_up

BrowserOf = Callable[[int], Browser]


def acts(app: Flask) -> list[tuple[str, str]]:
    with app.app_context(), tenancy.platform():
        return [(row.act, row.actor) for row in db.session.query(AuditEntry).order_by(AuditEntry.id)]


def test_the_password_alone_opens_nothing_once_the_factor_is_set_up(
    app: Flask, browser_of: BrowserOf, ours: House
) -> None:
    phone, _ = set_up(browser_of(ours.clerk))
    door = Door(app, ours.clerk)
    assert door.password().headers["Location"] == "/admin/login/code"
    assert not door.is_in()
    assert door.client.get("/admin/campaign/").status_code == 302
    assert sign_in.CODE_REFUSED.template_ja in door.typed("000000").get_data(as_text=True)
    assert door.typed(code_of(phone, 1)).headers["Location"] == "/admin/"
    assert door.is_in()
    assert [act for act, _ in acts(app)] == ["factor_on", "sign_in"]


def test_a_code_is_taken_once(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    phone, _ = set_up(browser_of(ours.clerk))
    first, second = Door(app, ours.clerk), Door(app, ours.clerk)
    first.password()
    second.password()
    code = code_of(phone, 1)
    assert first.typed(code).status_code == 303
    assert sign_in.CODE_REFUSED.template_ja in second.typed(code).get_data(as_text=True)
    # nor one of a step before the last that was taken
    assert sign_in.CODE_REFUSED.template_ja in second.typed(code_of(phone)).get_data(as_text=True)
    with time_machine.travel(datetime.now(UTC) + timedelta(seconds=60), tick=True):
        assert second.typed(code_of(phone)).status_code == 303


def test_of_many_who_type_the_same_code_at_once_one_gets_in(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    phone, codes = set_up(browser_of(ours.clerk))
    for typed, how in ((code_of(phone, 1), "code"), (codes[0], "recovery")):

        def take(_: int, typed: str = typed) -> str:
            with app.app_context(), tenancy.platform():
                taken = second_factor.check(db.session.get_one(User, ours.clerk), typed)
                db.session.commit()
                return taken

        with ThreadPoolExecutor(6) as pool:
            assert sorted(pool.map(take, range(6))) == [""] * 5 + [how]


@pytest.mark.parametrize(("steps", "taken"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_a_step_off(app: Flask, browser_of: BrowserOf, ours: House, steps: int, *, taken: bool) -> None:
    phone, _ = set_up(browser_of(ours.clerk))
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=10), tick=False):
        door = Door(app, ours.clerk)
        door.password()
        assert (door.typed(code_of(phone, steps)).status_code == 303) is taken


def test_a_recovery_code_helps_once_however_it_is_typed(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    _, codes = set_up(browser_of(ours.clerk))
    wide = codes[0].upper().translate({ord(char): ord(char) + 0xFEE0 for char in "ABCDEFGHJKMNPQRSTUVWXYZ23456789-"})
    for typed, taken in ((wide, True), (codes[0], False), (codes[1].replace("-", " "), True), ("", False)):
        door = Door(app, ours.clerk)
        door.password()
        assert (door.typed(typed).status_code == 303) is taken
    with app.app_context(), tenancy.platform():
        assert len(db.session.get_one(User, ours.clerk).recovery_digests) == 8
        assert {(row.detail or {})["by"] for row in db.session.query(AuditEntry).filter_by(act="sign_in")} == {
            "recovery"
        }


def test_new_recovery_codes_void_the_old_ones(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    browser = browser_of(ours.clerk)
    _, old = set_up(browser)
    page = browser.post("/admin/myself/factor/codes").get_data(as_text=True)
    assert "前のコードは使えません" in page
    new = re.findall(r"<li><code>([a-z2-9-]{14})</code>", page)
    door = Door(app, ours.clerk)
    door.password()
    assert door.typed(old[0]).status_code == 200
    assert door.typed(new[0]).status_code == 303


def test_guesses_of_codes_rest_the_user_and_a_known_password_buys_no_more(
    app: Flask, browser_of: BrowserOf, ours: House
) -> None:
    phone, _ = set_up(browser_of(ours.clerk))
    door = Door(app, ours.clerk)
    wrong = 0
    while door.password().status_code == 303 and wrong < 10:
        door.typed("123456")
        wrong += 1
    assert wrong < sign_in.TRIES
    assert sign_in.REFUSED.template_ja in door.password().get_data(as_text=True)
    assert door.typed(code_of(phone, 1)).status_code in {200, 303}
    assert not door.is_in()
    with time_machine.travel(datetime.now(UTC) + sign_in.REST + timedelta(seconds=1), tick=True):
        door.password()
        door.typed(code_of(phone))
        assert door.is_in()


def test_the_code_is_waited_for_five_minutes(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    phone, _ = set_up(browser_of(ours.clerk))
    door = Door(app, ours.clerk)
    door.password()
    with time_machine.travel(datetime.now(UTC) + timedelta(minutes=5, seconds=1), tick=True):
        assert door.client.get("/admin/login/code").headers["Location"] == "/admin/login"
        assert TOO_LATE in door.client.get("/admin/login").get_data(as_text=True)
        assert door.typed(code_of(phone)).status_code != 200
        assert not door.is_in()


def test_another_password_ends_a_sign_in_halfway(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    phone, _ = set_up(browser_of(ours.clerk))
    door = Door(app, ours.clerk)
    door.password()
    with app.app_context(), tenancy.platform():
        sign_in.set_password(db.session.get_one(User, ours.clerk), "まったく別の合言葉にする")
        db.session.commit()
    assert door.typed(code_of(phone, 1)).status_code in {303, 400}
    assert not door.is_in()


def test_a_wrong_first_code_sets_nothing_up(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    browser = browser_of(ours.clerk)
    browser.post("/admin/myself/factor/begin")
    for code in ("000000", "", "x" * 5000, "12345a"):
        page = browser.post("/admin/myself/factor", {"code": code})
        assert "コードが違います" in page.get_data(as_text=True)
    door = Door(app, ours.clerk)
    assert door.password().headers["Location"] == "/admin/"


def test_nobody_sees_a_secret_in_use_again(browser_of: BrowserOf, ours: House) -> None:
    browser = browser_of(ours.clerk)
    set_up(browser)
    assert browser.get("/admin/myself/factor").headers["Location"] == "/admin/myself/"
    browser.post("/admin/myself/factor/begin")
    assert browser.get("/admin/myself/factor").headers["Location"] == "/admin/myself/"


def test_the_secret_is_sealed(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    phone, codes = set_up(browser_of(ours.clerk))
    with app.app_context(), tenancy.platform():
        user = db.session.get_one(User, ours.clerk)
        kept = bytes(user.totp_sealed or b"") + b"".join(user.recovery_digests)
    assert phone.secret.encode() not in kept
    assert not any(code.replace("-", "").encode() in kept for code in codes)


def test_one_may_do_without_it_unless_the_company_says_no(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    browser = browser_of(ours.clerk)
    set_up(browser)
    with app.app_context(), tenancy.platform():
        db.session.get_one(Tenant, ours.tenant).second_factor_required = True
        db.session.commit()
    browser.post("/admin/myself/factor/off")
    assert Door(app, ours.clerk).password().headers["Location"] == "/admin/login/code"
    with app.app_context(), tenancy.platform():
        db.session.get_one(Tenant, ours.tenant).second_factor_required = False
        db.session.commit()
    browser.post("/admin/myself/factor/off")
    assert Door(app, ours.clerk).password().headers["Location"] == "/admin/"


def test_where_it_is_required_nothing_opens_before_it_is_set_up(app: Flask, browser_of: BrowserOf, ours: House) -> None:
    with app.app_context(), tenancy.platform():
        db.session.get_one(Tenant, ours.tenant).second_factor_required = True
        db.session.commit()
    browser = browser_of(ours.clerk)
    for url in ("/admin/", "/admin/campaign/", "/admin/password/", "/admin/myself/everybody", "/admin/campaign/new/"):
        assert browser.get(url).headers["Location"] == "/admin/myself/", url
    page = browser.get("/admin/myself/").get_data(as_text=True)
    assert SET_UP in page
    found = re.search(r'name="csrf_token" value="([^"]+)"', page)
    assert found
    browser.token = lambda: found[1]  # type: ignore[method-assign]
    set_up(browser)
    assert browser.get("/admin/campaign/").status_code == 200


def test_a_manager_takes_it_from_who_lost_phone_and_codes(
    app: Flask, browser_of: BrowserOf, ours: House, theirs: House
) -> None:
    lost = browser_of(ours.clerk)
    set_up(lost)
    form = {"name": "山田 花子", "email": Door(app, ours.clerk).email, "role": "clerk", "active": "y"}
    stranger = browser_of(theirs.manager)
    assert stranger.post(f"/admin/user/edit/?id={ours.clerk}", {**form, "forget_factor": "y"}).status_code == 404
    manager = browser_of(ours.manager)
    manager.post(f"/admin/user/edit/?id={ours.clerk}", form)
    assert Door(app, ours.clerk).password().headers["Location"] == "/admin/login/code"
    assert "二段階認証を解除する" in manager.get(f"/admin/user/edit/?id={ours.clerk}").get_data(as_text=True)
    manager.post(f"/admin/user/edit/?id={ours.clerk}", {**form, "forget_factor": "y"})
    assert lost.get("/admin/").status_code == 302
    assert Door(app, ours.clerk).password().headers["Location"] == "/admin/"
    # not his own: whoever sits at his screen could
    set_up(manager)
    assert "forget_factor" not in manager.get(f"/admin/user/edit/?id={ours.manager}").get_data(as_text=True)


def test_an_installation_may_require_it_of_operators(browser_of: BrowserOf, operator: int, settings: Settings) -> None:
    browser = browser_of(operator)
    assert browser.get("/admin/tenant/").status_code == 200
    config.install(replace(settings, operator_second_factor="required"))
    assert browser.get("/admin/tenant/").headers["Location"] == "/admin/myself/"
    config.install(settings)
