"""Files made by a job: sealed, whole or not there, begun anew after a crash, forgotten; one each day if planned."""

import csv
import io
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from flask import Flask, current_app
from sqlalchemy.exc import OperationalError

from app import tenancy
from app.campaigns import rendering
from app.exports import columns, export_jobs, status_file
from app.exports.selection import Selection
from app.extensions import db, vault
from app.models import Export
from jobs import exports
from tests import factories
from tests.raw_states import force


@pytest.fixture
def tenant(app: Flask) -> Iterator[int]:
    with app.app_context():
        yield factories.tenant()


@pytest.fixture
def campaign(tenant: int) -> int:
    made = factories.campaign(tenant, sms_account_id=factories.sms_account(tenant))
    factories.people(tenant, made, 3)
    return made


@pytest.fixture
def user(tenant: int) -> int:
    return factories.user(tenant, "manager")


def ordered(tenant: int, campaign: int, user: int, form: str = "utf-8-sig") -> int:
    with tenancy.tenant(tenant):
        return export_jobs.order(Selection(campaign), form, None, "状況.csv", user_id=user)


def row_of(tenant: int, export_id: int) -> Export:
    with tenancy.tenant(tenant):
        row = db.session.get_one(Export, export_id)
        db.session.expunge(row)
        return row


def content_of(tenant: int, export_id: int) -> bytes:
    with tenancy.tenant(tenant):
        return b"".join(export_jobs.pieces(export_id))


def test_a_file_is_what_a_download_gives_and_lies_around_sealed(
    tenant: int, campaign: int, user: int, database: psycopg.Connection
) -> None:
    export_id = ordered(tenant, campaign, user)
    assert row_of(tenant, export_id).state == "queued"
    assert content_of(tenant, export_id) == b""
    with tenancy.tenant(tenant):
        export_jobs.make(export_id, piece_bytes=100)
    row = row_of(tenant, export_id)
    assert (row.state, row.rows_done, row.rows_total) == ("done", 3, 3)
    with tenancy.tenant(tenant):
        wanted = b"".join(status_file.status_file(Selection(campaign), "utf-8-sig"))
    assert content_of(tenant, export_id) == wanted
    assert row.byte_count == len(wanted)
    stored = database.execute("SELECT data_sealed FROM export_piece WHERE export_id = %s", [export_id]).fetchall()
    assert len(stored) > 3
    assert not any("佐藤".encode() in piece for (piece,) in stored)


def test_a_second_call_changes_nothing_and_one_after_a_crash_begins_anew(
    tenant: int, campaign: int, user: int, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = ordered(tenant, campaign, user)
    exports.make_export(tenant, export_id)
    whole = content_of(tenant, export_id)
    exports.make_export(tenant, export_id)
    assert content_of(tenant, export_id) == whole
    again_id = ordered(tenant, campaign, user)

    def died(*_args: object, **_rest: object) -> Iterator[bytes]:
        yield b"x" * (1 << 20)
        raise OperationalError("", None, Exception("PostgreSQL went away"))

    with monkeypatch.context() as patch:
        patch.setattr(status_file, "status_file", died)
        with pytest.raises(OperationalError):
            exports.make_export(tenant, again_id)
    # the row says running, half of the pieces are there
    assert row_of(tenant, again_id).state == "running"
    assert content_of_now(database, again_id) > 0
    assert content_of(tenant, again_id) == b""
    exports.make_export(tenant, again_id)
    assert content_of(tenant, again_id) == whole


def test_a_file_taken_over_from_a_frozen_worker_is_written_once(
    tenant: int, campaign: int, user: int, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first worker sleeps between two pieces, the second makes the file, then the first goes on."""
    export_id = ordered(tenant, campaign, user)
    whole, made = status_file.status_file, []

    def frozen(*given: Any, **more: Any) -> Iterator[bytes]:
        monkeypatch.setattr(status_file, "status_file", whole)
        yield b"x" * (1 << 20)
        database.execute("UPDATE lease SET held_until = now() - interval '1 second'")
        with ThreadPoolExecutor(1) as other:
            other.submit(elsewhere, current_app._get_current_object(), tenant, export_id).result()  # type: ignore[attr-defined]
        made.append(content_of_now(database, export_id))
        yield b"y" * (1 << 20)

    monkeypatch.setattr(status_file, "status_file", frozen)
    exports.make_export(tenant, export_id)
    assert made[0] > 0
    assert content_of_now(database, export_id) == made[0], "it wrote nothing more"
    assert row_of(tenant, export_id).state == "done"
    assert b"x" * 1000 not in content_of(tenant, export_id)


def elsewhere(app: Flask, tenant: int, export_id: int) -> None:
    with app.app_context():
        exports.make_export(tenant, export_id)


def content_of_now(database: psycopg.Connection, export_id: int) -> int:
    row = database.execute("SELECT sum(octet_length(data_sealed)) FROM export_piece WHERE export_id = %s", [export_id])
    return int(row.fetchone()[0])  # type: ignore[index]


def test_a_file_that_fails_leaves_no_piece(
    tenant: int, campaign: int, user: int, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_rest: object) -> Iterator[bytes]:
        yield b"x" * (3 << 20)
        raise ValueError("half way")

    monkeypatch.setattr(status_file, "status_file", broken)
    export_id = ordered(tenant, campaign, user)
    with pytest.raises(ValueError, match="half way"):
        exports.make_export(tenant, export_id)
    assert row_of(tenant, export_id).state == "failed"
    assert database.execute("SELECT count(*) FROM export_piece").fetchone() == (0,)


def test_a_file_cancelled_while_it_is_made_stops(
    tenant: int, campaign: int, user: int, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    export_id = ordered(tenant, campaign, user)

    def slow(*_args: object, **_rest: object) -> Iterator[bytes]:
        yield b"x" * (1 << 20)
        force(database, "export", [export_id], state="cancelled")
        yield b"y"
        pytest.fail("it went on")

    monkeypatch.setattr(status_file, "status_file", slow)
    with tenancy.tenant(tenant):
        export_jobs.make(export_id, tell_every_s=0)
    assert row_of(tenant, export_id).state == "cancelled"
    assert database.execute("SELECT count(*) FROM export_piece").fetchone() == (0,)


def test_a_file_goes_when_its_time_is_over(tenant: int, campaign: int, user: int, database: psycopg.Connection) -> None:
    old, new = ordered(tenant, campaign, user), ordered(tenant, campaign, user)
    for export_id in (old, new):
        exports.make_export(tenant, export_id)
    database.execute("UPDATE export SET finished_at = now() - interval '8 days' WHERE id = %s", [old])
    with tenancy.platform():
        export_jobs.expire()
    assert (row_of(tenant, old).state, row_of(tenant, new).state) == ("expired", "done")
    assert content_of(tenant, old) == b""
    assert content_of(tenant, new)


def listed_with(database: psycopg.Connection, tenant: int, campaign: int, fields: dict[str, str]) -> None:
    """Replace the cells of each person of a campaign by those of another list."""
    for (recipient_id,) in database.execute("SELECT id FROM recipient WHERE campaign_id = %s", [campaign]).fetchall():
        sealed = vault.seal(json.dumps(fields, ensure_ascii=False), rendering.fields_place(tenant, recipient_id))
        database.execute("UPDATE recipient SET fields_sealed = %s WHERE id = %s", [sealed, recipient_id])


def test_characters_that_cp932_lacks_are_counted(
    tenant: int, campaign: int, user: int, database: psycopg.Connection
) -> None:
    listed_with(database, tenant, campaign, {"氏名": "𠮷田〓", "備考": "〜"})
    export_id = ordered(tenant, campaign, user, "cp932")
    exports.make_export(tenant, export_id)
    assert row_of(tenant, export_id).replaced == 3  # one for each person; 〓 of the list's own is none
    assert "〓田〓" in content_of(tenant, export_id).decode("cp932")


def test_each_morning_one_file(tenant: int, campaign: int, user: int, database: psycopg.Connection) -> None:
    def orders() -> int:
        with tenancy.tenant(tenant):
            return db.session.query(Export).filter(Export.daily).count()

    with tenancy.tenant(tenant):
        export_jobs.plan_daily(campaign, "xlsx", None, user_id=user)
    exports.order_daily(tenant)
    assert orders() == 0  # the first one comes tomorrow
    database.execute("UPDATE export_plan SET made_on = made_on - 2")
    exports.order_daily(tenant)
    exports.order_daily(tenant)
    assert orders() == 1
    with tenancy.tenant(tenant):
        assert export_jobs.stop_daily(campaign)
        assert not export_jobs.stop_daily(campaign)


def test_nobody_gets_files_of_a_campaign_long_over(
    tenant: int, campaign: int, user: int, database: psycopg.Connection
) -> None:
    with tenancy.tenant(tenant):
        export_jobs.plan_daily(campaign, "xlsx", None, user_id=user)
    database.execute("UPDATE export_plan SET made_on = made_on - 2")
    over = datetime.now(UTC) - timedelta(days=100)
    database.execute("UPDATE campaign SET completed_at = %s WHERE id = %s", [over, campaign])
    exports.order_daily(tenant)
    with tenancy.tenant(tenant):
        assert export_jobs.plan_of(campaign) is None
        assert db.session.query(Export).count() == 0


def rows(content: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def test_columns_stand_as_a_layout_says(tenant: int, campaign: int) -> None:
    keys = ["+氏名", "sms_state", "+無い列", columns.REST, "gone", "reference", "sms_state"]
    with tenancy.tenant(tenant):
        header, first, *_ = rows(b"".join(status_file.status_file(Selection(campaign), "utf-8-sig", keys)))
    assert header == ["氏名", "SMS状態", "無い列", "生年月日", "契約番号下4桁", "管理番号"]
    assert (first[1], first[2]) == ("未送信", "")


def test_a_column_of_the_list_called_like_ours_is_told_apart(
    tenant: int, campaign: int, database: psycopg.Connection
) -> None:
    listed_with(database, tenant, campaign, {"管理番号": "=1", "SMS状態": "x"})
    with tenancy.tenant(tenant):
        header, first, *_ = rows(b"".join(status_file.status_file(Selection(campaign), "utf-8-sig")))
    assert len(header) == len(set(header))
    assert dict(zip(header, first, strict=True))["管理番号（名簿）"] == "'=1"


def test_whom_a_file_is_about_survives_the_way_to_the_job() -> None:
    today = datetime.now(UTC).date()
    whole = Selection(7, {"sms": "queued"}, "au", today, today, (1, 2))
    assert Selection.from_json(whole.to_json()) == whole
    assert Selection.from_json(Selection().to_json()) == Selection()


@pytest.mark.parametrize("word", [*[column.word for column in columns.COLUMNS], columns.REST_WORDS, "氏名", "+"])
def test_columns_and_their_words_are_one_to_one(word: str) -> None:
    assert columns.word_of(columns.key_of(word)) == word
