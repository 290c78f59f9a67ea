"""The menu: the day's work in one line, what is set once in a while behind one entry."""

import re

import pytest

DAILY = {"/admin/", "/admin/campaign/", "/admin/recipient/", "/admin/import/", "/admin/send_log/", "/admin/payment/",
         "/admin/payment_difference/", "/admin/export/"}  # fmt: skip


def _menu(page: str) -> tuple[str, str]:
    """Return the line of the day and the group below it, "" without one."""
    menu = page.split('<div class="office-menu">')[1].split("</nav>", maxsplit=1)[0]
    line, _, group = menu.partition("<details")
    return line, group


def _links(part: str) -> set[str]:
    return set(re.findall(r'href="([^"]+)"', part))


@pytest.mark.parametrize("role", ["manager", "clerk"])
def test_a_companys_staff_have_the_days_work_in_the_line_and_the_rest_behind_it(browser_of, ours, role):
    browser = browser_of(getattr(ours, role))
    line, group = _menu(browser.get("/admin/").get_data(as_text=True))
    assert _links(line) == (DAILY if role == "manager" else DAILY - {"/admin/payment_difference/"})
    assert "/admin/export-layout/" in _links(group)
    assert ("/admin/audit/" in _links(group)) == (role == "manager")
    assert not _links(group) & DAILY
    assert " open>" not in group


def test_operators_have_all_of_theirs_in_the_line(browser_of, operator):
    line, group = _menu(browser_of(operator).get("/admin/").get_data(as_text=True))
    assert {"/admin/", "/admin/tenant/", "/admin/user/", "/admin/audit/"} <= _links(line)
    assert group == ""


@pytest.mark.parametrize("role", ["operator", "manager", "clerk"])
def test_every_entry_marks_itself_alone_as_the_page_that_is_open(browser_of, ours, operator, role):
    browser = browser_of(operator if role == "operator" else getattr(ours, role))
    line, group = _menu(browser.get("/admin/").get_data(as_text=True))
    for url in _links(line) | _links(group):
        page = browser.get(url, follow_redirects=True).get_data(as_text=True)
        assert re.findall(r'href="([^"]+)" aria-current="page"', page) == [url]
        within = url in _links(group)
        assert (" open>" in _menu(page)[1]) == within, "the group stands open where one is inside it"
        assert ('<summary aria-current="true">' in page) == within


def test_a_page_that_is_no_entry_marks_the_one_it_belongs_to(browser_of, ours):
    browser = browser_of(ours.manager)
    for url, entry in (
        ("/admin/password/", "/admin/myself/"),
        (f"/admin/campaign/{ours.campaign}/", "/admin/campaign/"),
    ):
        page = browser.get(url).get_data(as_text=True)
        assert re.findall(r'href="([^"]+)" aria-current="page"', page) == [entry]
        assert (" open>" in _menu(page)[1]) == (entry == "/admin/myself/")
