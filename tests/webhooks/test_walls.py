"""A webhook leads nowhere behind the operator's walls, however its address is written or whatever its name becomes."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import ip_network

import pycurl
import pytest

from app import tenancy, webhook_addresses
from app.problems import Refused
from app.providers.curl import Engine, _Exchange
from app.providers.http import Answer, Failure, Reach, Request, Response
from app.webhooks import endpoints
from app.webhooks.endpoints import Wishes
from tests import steps
from tests.providers.rawserver import RawServer
from tests.webhooks.company import Company

# as libcurl takes them: plain, short, octal, hexadecimal and whole numbers, in IPv6's forms that carry IPv4, and names
FORMS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "017700000001", "0.0.0.0",  # noqa: S104 - nothing is bound to it
    "0", "127.255.255.254", "localhost", "LOCALHOST", "localhost.", "10.0.0.1", "10.1", "172.16.0.1", "172.31.255.255",
    "192.168.0.1", "0xc0a80001", "3232235521", "169.254.169.254", "0xa9fea9fe", "2852039166", "100.64.0.1",
    "100.127.255.255", "192.0.0.8", "198.18.0.1", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1",
    "168.63.129.16", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[::ffff:169.254.169.254]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::a00:1]",
    "[64:ff9b:1::10.0.0.1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::]", "[fe80::1]", "[fec0::1]",
    "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[2001:db8::1]",
]  # fmt: skip

PUBLIC = ["1.1.1.1", "8.8.8.8", "203.104.209.102", "2606:4700::1111", "2400:4050::1", "64:ff9b::1.1.1.1",
          "::ffff:8.8.8.8"]  # fmt: skip


def tried(url: str, may_reach: Callable[[str], bool]) -> Answer:
    """Send one request by the engine that webhooks are sent by."""
    answers: list[Answer] = []
    with Engine[int](1, may_reach=may_reach) as engine:
        engine.run(
            iter([(0, Request("POST", url, {}, b"{}", 5.0))]),
            lambda _key, answer: answers.append(answer),
            may_connect=lambda _key: True,
            may_send=lambda _key: True,
            on_skipped=lambda _key: None,
        )
    return answers[0]


@contextmanager
def listening() -> Iterator[tuple[int, Callable[[], int]]]:
    """Listen on every address of this machine, IPv6 too; give the port and a count of connections."""
    with socket.socket(socket.AF_INET6) as both:
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        both.bind(("::", 0))
        both.listen(128)
        both.settimeout(0)

        def count() -> int:
            found = 0
            with suppress(BlockingIOError):
                while True:
                    both.accept()[0].close()
                    found += 1
            return found

        yield both.getsockname()[1], count


def test_no_form_of_a_private_address_is_connected_to() -> None:
    assert len(FORMS) >= 40
    with listening() as (port, connections):
        for form in FORMS:
            answer = tried(f"http://{form}:{port}/", webhook_addresses.may_reach)
            assert isinstance(answer, Failure), form
            # a machine without IPv6, or a form that its libcurl doesn't know, gets no further either
            assert answer.reach is Reach.NEVER_LEFT, form
            assert answer.reason in {"address", "refused", "dns", "malformed"}, form
        assert connections() == 0
        assert isinstance(tried(f"http://127.0.0.1:{port}/", lambda _address: True), Failure)
        assert connections() == 1, "the one that listens would have seen it"


@pytest.mark.parametrize("form", [one.strip("[]") for one in FORMS if one[0] in "[12" and one.count(".") in {0, 3}])
def test_the_wall_knows_each_address_by_itself(form: str) -> None:
    assert not webhook_addresses.may_reach(form)


def test_the_internet_is_reached() -> None:
    assert [one for one in PUBLIC if not webhook_addresses.may_reach(one)] == []


@pytest.mark.parametrize("nonsense", ["", "x", "1.1.1", "1.1.1.1.1", "[::1]", "fe80::1%eth0", "1.1.1.1/8"])
def test_what_is_no_address_is_not_reached(nonsense: str) -> None:
    assert not webhook_addresses.may_reach(nonsense)


def test_what_the_operator_allows_is_reached_in_each_form_of_it() -> None:
    allowed = (ip_network("127.0.0.1"), ip_network("10.0.0.0/8"))
    assert webhook_addresses.may_reach("127.0.0.1", allowed)
    assert webhook_addresses.may_reach("::ffff:10.1.2.3", allowed)
    assert not webhook_addresses.may_reach("127.0.0.2", allowed)
    assert not webhook_addresses.may_reach("::1", allowed)


def test_a_name_that_changes_between_look_and_connect_is_judged_by_where_it_leads_then() -> None:
    """A look finds the name on the internet; as the socket is opened, it leads to this machine."""
    name, public = "changes.example", "203.104.209.102"
    with RawServer() as server:
        url = server.url.replace("127.0.0.1", name)
        for now_at in (["127.0.0.1"], ["::1", "127.0.0.1"], [public, "127.0.0.1"]):
            assert webhook_addresses.may_reach(public), "so it looked"
            asked: list[str] = []

            def wall(address: str, asked: list[str] = asked) -> bool:
                asked.append(address)
                return address != public and webhook_addresses.may_reach(address)  # nothing leaves this machine here

            exchange = _Exchange(wall)
            exchange.curl.setopt(pycurl.RESOLVE, [f"{name}:{server.port}:{','.join(now_at)}"])
            exchange.load(Request("POST", url, {}, b"{}", 5.0))
            with pytest.raises(pycurl.error) as error:
                exchange.curl.perform()
            answer = exchange.answer(int(error.value.args[0]))
            assert isinstance(answer, Failure)
            assert (answer.reach, answer.reason) == (Reach.NEVER_LEFT, "address")
            assert set(asked) <= set(now_at), "the address is asked about that it leads to now"
            assert asked
            assert server.connections == 0
            exchange.curl.close()


def test_no_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer() as server, RawServer() as proxy:
        for name in ("http_proxy", "https_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert isinstance(tried(server.url, lambda _address: True), Response)
        assert proxy.connections == 0


def test_an_endpoint_on_a_private_address_gets_nothing_and_is_told_why(
    company: Company, allowed: Callable[..., None]
) -> None:
    with RawServer() as server:
        endpoint = company.endpoint(url=server.url)
        # the operator allows it no longer
        allowed(webhook_local_addresses=())
        steps.open_page(company.people[0].id)
        company.serve(endpoint)
        assert server.connections == 0
    (row,) = company.deliveries(endpoint)
    assert (row["fault"], row["status"], row["delivered"]) == ("address", None, False)
    assert row["due_at"] is not None


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("", "webhook_url_bad"),
        ("example.co.jp/hook", "webhook_url_bad"),
        ("ftp://example.co.jp/", "webhook_url_bad"),
        ("https://", "webhook_url_bad"),
        ("https://例え.jp/", "webhook_url_bad"),
        ("https://example.co.jp/a b", "webhook_url_bad"),
        ("https://example.co.jp\\@127.0.0.1/", "webhook_url_bad"),
        ("https://example.co.jp:0/", "webhook_url_bad"),
        ("https://example.co.jp:99999/", "webhook_url_bad"),
        ("https://[::1/", "webhook_url_bad"),
        ("https://example.co.jp/\nHost: x", "webhook_url_bad"),
        ("http://example.co.jp/", "webhook_url_not_https"),
        ("https://me:topsecret@example.co.jp/", "webhook_url_with_password"),
        ("https://@example.co.jp/", "webhook_url_with_password"),
        ("https://example.co.jp/#top", "webhook_url_fragment"),
        ("https://example.co.jp/" + "x" * 2000, "webhook_url_too_long"),
        ("https://localhost/", "webhook_url_private"),
        ("https://db.internal/", "webhook_url_private"),
        ("https://intranet/", "webhook_url_private"),
        ("https://10.0.0.1/", "webhook_url_private"),
        ("https://[::ffff:192.168.0.1]/", "webhook_url_private"),
    ],
)
def test_a_bad_address_is_refused_with_what_to_do(company: Company, url: str, code: str) -> None:
    with tenancy.tenant(company.tenant), pytest.raises(Refused) as refused:
        endpoints.make(Wishes("main", url, ["sms.delivered"]), actor="user:1")
    assert refused.value.problem.code == code
    assert "ください" in refused.value.message_ja
    assert company.rows("SELECT 1 FROM webhook_endpoint") == []


@pytest.mark.parametrize(
    ("wishes", "code"),
    [
        (Wishes(" ", "https://example.co.jp/", ["sms.delivered"]), "webhook_name_missing"),
        (Wishes("x" * 61, "https://example.co.jp/", ["sms.delivered"]), "webhook_name_too_long"),
        (Wishes("a", "https://example.co.jp/", []), "webhook_events_missing"),
        (Wishes("a", "https://example.co.jp/", ["page.wrong_answer"]), "webhook_event_unknown"),
        (Wishes("a", "https://example.co.jp/", ["ping"]), "webhook_event_unknown"),
    ],
)
def test_a_bad_wish_is_refused(company: Company, wishes: Wishes, code: str) -> None:
    with tenancy.tenant(company.tenant), pytest.raises(Refused) as refused:
        endpoints.make(wishes, actor="user:1")
    assert refused.value.problem.code == code


def test_a_company_has_ten_endpoints_at_most(company: Company) -> None:
    for place in range(endpoints.MOST):
        company.endpoint(f"e{place}")
    with pytest.raises(Refused) as refused:
        company.endpoint("more")
    assert refused.value.problem.code == "webhook_too_many"


def test_secrets_are_sealed_and_every_act_is_on_record(company: Company) -> None:
    endpoint = company.endpoint()
    with tenancy.tenant(company.tenant):
        new = endpoints.renew_secret(endpoint, actor="user:1")
        endpoints.end_former_secret(endpoint, actor="user:1")
        wishes = Wishes("other", company.sandbox.receiver("other"), ["sms.delivered"], in_order=True)
        endpoints.change(endpoint, wishes, actor="user:1")
        endpoints.rest(endpoint, actor="user:1")
        endpoints.resume(endpoint, actor="user:1")
    kept = repr(company.row(endpoint)) + repr(company.rows("SELECT detail FROM audit_entry"))
    assert company.secrets[endpoint] not in kept
    assert new not in kept
    acts = [row["act"] for row in company.rows("SELECT act FROM audit_entry ORDER BY id")]
    assert acts == [f"webhook.{act}" for act in ("create", "renew_secret", "end_secret", "update", "rest", "resume")]
    for refused in (endpoints.resume, endpoints.end_former_secret):
        with tenancy.tenant(company.tenant), pytest.raises(Refused):
            refused(endpoint, actor="user:1")
