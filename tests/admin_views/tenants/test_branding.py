"""受信者の画面: what managers and operators set is what people see, and what can't be read is refused with advice."""

import io
import re
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from flask import Flask
from PIL import Image

from app.extensions import redis_client
from app.tenants import branding
from tests.admin_views.conftest import Browser, House


def picture(form: str = "PNG", size: tuple[int, int] = (400, 120)) -> io.BytesIO:
    out = io.BytesIO()
    Image.new("RGB", size, "#0a7a3c").save(out, form)
    out.seek(0)
    return out


def send(browser: Browser, house: House, **typed: Any) -> Any:
    data = {"about": "損害保険会社です。", "own_colour": "y", "colour": "#7a0a3c", **typed}
    answer = browser.post(f"/admin/page_look/{house.tenant}/", data, content_type="multipart/form-data")
    answer.request.environ["wsgi.input"].close()  # large ones lie in a file, which the test client leaves open
    return answer


def kept(database: psycopg.Connection, house: House) -> tuple[Any, ...]:
    row = database.execute("SELECT about, colour, logo, look FROM tenant WHERE id = %s", [house.tenant]).fetchone()
    assert row is not None
    return row


def test_a_manager_sets_it_and_it_is_on_record(manager: Browser, ours: House, database: psycopg.Connection) -> None:
    own = manager.get("/admin/page_look/").headers["Location"]
    assert own == f"/admin/page_look/{ours.tenant}/"
    saved = send(manager, ours, logo=(picture("JPEG"), "logo.jpg"))
    assert (saved.status_code, saved.headers["Location"]) == (303, own)
    about, colour, logo, name = kept(database, ours)
    assert (about, colour) == ("損害保険会社です。", "#7a0a3c")
    assert logo.startswith(b"\x89PNG")
    assert name == branding.digest(colour, logo)
    acts = database.execute("SELECT act, detail FROM audit_entry WHERE target = %s", [f"tenant:{ours.tenant}"])
    assert acts.fetchall() == [("tenant.update", {"fields": ["about", "colour", "logo"]})]
    shown = manager.get(own).get_data(as_text=True)
    assert "保存しました" in shown
    assert "data:image/png;base64," in shown


def test_another_save_keeps_the_logo_and_the_box_takes_it_off(
    manager: Browser, ours: House, database: psycopg.Connection
) -> None:
    send(manager, ours, logo=(picture(), "logo.png"))
    before = kept(database, ours)
    send(manager, ours, about="別の紹介")
    assert kept(database, ours) == ("別の紹介", *before[1:])
    taken = send(manager, ours, without_logo="y", own_colour="")
    assert taken.status_code == 303
    assert kept(database, ours) == ("損害保険会社です。", "", None, "")


@pytest.mark.parametrize("typed", ["#7A0A3C", "７ａ０ａ３ｃ", " 7a0a3c "])
def test_a_colour_typed_by_hand_is_read(
    manager: Browser, ours: House, database: psycopg.Connection, typed: str
) -> None:
    send(manager, ours, colour=typed)
    assert kept(database, ours)[1] == "#7a0a3c"


@pytest.mark.parametrize(
    ("typed", "advice"),
    [
        ({"colour": "#ffee00"}, r"この色は薄く、文字が読みにくくなります.*近い色では #[0-9a-f]{6} が使えます"),
        ({"colour": "red"}, "色を選び直してください"),
        ({"colour": ""}, "色を選び直してください"),
        ({"logo": (io.BytesIO(b"<svg/>"), "x.svg")}, "PNGまたはJPEGの画像として読めません"),
        ({"logo": (io.BytesIO(b""), "x.png")}, "PNGまたはJPEGの画像として読めません"),
        ({"logo": (io.BytesIO(b"\x89PNG" + b"x" * 2_000_000), "x.png")}, "2MBまでの画像にしてください"),
        ({"about": "あ" * 201}, "200文字以内で"),
        ({"about": "4242 4242 4242 4242"}, "カード番号"),
    ],
)
def test_what_cannot_be_shown_is_refused_and_nothing_is_lost(
    manager: Browser, ours: House, database: psycopg.Connection, typed: dict[str, Any], advice: str
) -> None:
    before = kept(database, ours)
    for more in ({}, {"try": "1"}):
        # the test client closes what it has sent
        fresh = {k: (io.BytesIO(v[0].getvalue()), v[1]) if isinstance(v, tuple) else v for k, v in typed.items()}
        refused = send(manager, ours, **fresh, **more)
        page = refused.get_data(as_text=True)
        assert refused.status_code == 200
        assert re.search(advice, page)
        assert typed.get("about", "損害保険会社です。") in page
    assert kept(database, ours) == before


def test_a_picture_far_too_large_leads_back_with_advice(manager: Browser, ours: House) -> None:
    answer = send(manager, ours, logo=(io.BytesIO(b"x" * 3_100_000), "x.png"))
    assert answer.status_code == 303
    assert "2MBまでの画像を選んでください" in manager.get(answer.headers["Location"]).get_data(as_text=True)


def test_it_is_tried_on_before_it_is_saved(
    manager: Browser, ours: House, database: psycopg.Connection, app: Flask
) -> None:
    before = kept(database, ours)
    tried = send(manager, ours, about="山の会社です。", logo=(picture(), "logo.png"), **{"try": "1"})
    assert tried.status_code == 303
    stranger = app.test_client()
    page = stranger.get(tried.headers["Location"])
    assert page.headers["Cache-Control"] == "no-store"
    assert {"みどり信販", "山の会社です。", "これは見本です"} <= {
        words for words in ("みどり信販", "山の会社です。", "これは見本です") if words in page.text
    }
    style = stranger.get(re.findall(r'rel="stylesheet" href="([^"]+)"', page.text)[0])
    assert style.headers["Cache-Control"] == "no-store"
    assert "--main: #7a0a3c;" in style.text
    assert "data:image/png;base64," in style.text
    assert stranger.post(tried.headers["Location"]).headers["Location"] == tried.headers["Location"]
    assert kept(database, ours) == before
    assert 0 < redis_client.connection.ttl("todoke:sample:" + tried.headers["Location"].rpartition("/")[2]) <= 900
    assert stranger.get("/sample/none").status_code == 404
    assert stranger.get("/sample/none.css").status_code == 404


def test_another_companys_is_not_there(
    manager: Browser, theirs: House, browser_of: Callable[[int], Browser], operator: int, database: psycopg.Connection
) -> None:
    before = kept(database, theirs)
    assert manager.get(f"/admin/page_look/{theirs.tenant}/").status_code == 404
    assert send(manager, theirs).status_code == 404
    assert kept(database, theirs) == before
    assert send(browser_of(operator), theirs).status_code == 303
    assert kept(database, theirs)[1] == "#7a0a3c"
    entry = database.execute("SELECT tenant_id FROM audit_entry WHERE act = 'tenant.update'").fetchone()
    assert entry == (theirs.tenant,)
