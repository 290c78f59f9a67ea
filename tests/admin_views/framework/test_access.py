"""Every view, for every role."""

import pytest

from admin_views.framework.access import ACCESS
from app.auth.staff import Role

# The views that each role may open; written out again, so that a slip in the table shows.
OPENS = {
    "operator": {"/admin/", "/admin/tenant/", "/admin/user/", "/admin/sms_account/", "/admin/payment_account/",
                 "/admin/sender_number/", "/admin/audit/", "/admin/password/", "/admin/shared_account/"},
    "manager": {"/admin/", "/admin/user/", "/admin/sms_account/", "/admin/payment_account/", "/admin/audit/",
                "/admin/password/", "/admin/campaign/", "/admin/recipient/", "/admin/import/", "/admin/send_log/",
                "/admin/payment/", "/admin/suppression/", "/admin/payment_difference/", "/admin/sender_number/",
                "/admin/webhook/"},
    "clerk": {"/admin/", "/admin/password/", "/admin/campaign/", "/admin/recipient/", "/admin/import/",
              "/admin/send_log/", "/admin/payment/", "/admin/suppression/"},
}  # fmt: skip
ALL = set().union(*OPENS.values())


def test_the_table_names_every_view_that_is_registered(app):
    views = {rule.endpoint.split(".")[0] for rule in app.url_map.iter_rules() if rule.rule.startswith("/admin/")}
    assert views - {"auth", "look"} == set(ACCESS)


@pytest.mark.parametrize("role", sorted(OPENS))
def test_a_view_opens_for_its_roles_alone(browser_of, ours, operator, role):
    browser = browser_of({"operator": operator, "manager": ours.manager, "clerk": ours.clerk}[role])
    for url in ALL:
        assert browser.get(url).status_code == (200 if url in OPENS[role] else 403), url


@pytest.mark.parametrize("role", sorted(OPENS))
def test_the_menu_leads_nowhere_that_is_shut(browser_of, ours, operator, role):
    browser = browser_of({"operator": operator, "manager": ours.manager, "clerk": ours.clerk}[role])
    page = browser.get("/admin/").get_data(as_text=True)
    for url in ALL:
        shown = url in OPENS[role] and url != "/admin/password/"  # 自分の設定 leads there
        assert (f'href="{url}"' in page) == shown, url


def test_operators_come_to_a_companys_look_by_the_list_of_companies(browser_of, ours, operator):
    browser = browser_of(operator)
    assert browser.get("/admin/page_look/").headers["Location"] == "/admin/tenant/"
    assert f'href="/admin/page_look/{ours.tenant}/"' in browser.get("/admin/tenant/").get_data(as_text=True)
    assert browser.get(f"/admin/page_look/{ours.tenant}/").status_code == 200
    assert browser_of(ours.clerk).get(f"/admin/page_look/{ours.tenant}/").status_code == 403


@pytest.mark.parametrize("endpoint", ["index_view", "overview"])
def test_the_flow_of_a_campaign_is_shut_to_operators(browser_of, ours, operator, endpoint):
    url = f"/admin/campaign/{ours.campaign}/" if endpoint == "overview" else "/admin/campaign/"
    assert browser_of(operator).get(url).status_code == 403


def test_every_rule_of_the_back_office_asks_who_is_there(app, client):
    """Without a session, every address leads to the sign-in or nowhere."""
    open_to_all = {"auth.sign_in_page", "auth.code_page", "look.static", "admin.static", "auth.nothing"}
    for rule in app.url_map.iter_rules():
        if not rule.rule.startswith("/admin") or rule.endpoint in open_to_all:
            continue
        url = rule.build(dict.fromkeys(rule.arguments, 1), append_unknown=False)[1]
        if "GET" in rule.methods:
            answer = client.get(url)
            assert (answer.status_code, answer.headers.get("Location", "")[:12]) == (302, "/admin/login"), rule
        if "POST" in rule.methods:
            # no CSRF token; the upload looks at its own, after it has looked who is there
            assert client.post(url).status_code == (302 if rule.endpoint == "flow.upload" else 400), rule


def test_every_post_of_someone_signed_in_wants_its_token(app, browser_of, ours):
    browser = browser_of(ours.manager)
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/admin") and "POST" in rule.methods]
    assert len(rules) > 20
    for rule in rules:
        url = rule.build(dict.fromkeys(rule.arguments, 1), append_unknown=False)[1]
        if rule.endpoint == "flow.upload":
            url = f"/admin/campaign/{ours.campaign}/list/"
        for data in ({}, {"csrf_token": "forged"}):
            answer = browser.client.post(url, data=data)
            assert answer.status_code == 400, rule
            assert "画面の有効期限が切れています" in answer.get_data(as_text=True)


def test_roles_have_words():
    assert all(set(roles) <= set(Role) for roles in ACCESS.values())
