"""Uploads on the real database: stored sealed, run as one transaction, corrected, taken back."""

import contextlib
import io
import json
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask, current_app
from openpyxl import Workbook
from sqlalchemy import Connection, func, select, text
from sqlalchemy.exc import DBAPIError

from app import leases, tenancy
from app.campaigns import lifecycle, readiness
from app.campaigns.rendering import open_fields, open_phone
from app.event_feed import feed
from app.extensions import db, vault
from app.intake.columns.mapping import REASON_COLUMN, ColumnMapping
from app.intake.lists import import_run, imports, load, upload_chunks, whole_look
from app.models import Campaign, Import, ImportChunk, ImportFault, Recipient
from app.problems import Refused
from jobs import due
from tests import factories, steps
from tests.intake.uploads import LIST, author, counts, kept, upload
from tests.plans import explained, touched

SAMPLES = Path(__file__).parents[3].parent / "shared" / "samples"


CARD = "４１１１－１１１１－１１１１－１１１１"


def test_no_card_number_comes_in_by_a_headline_or_a_files_name(campaign: Campaign) -> None:
    headless = LIST.partition("\r\n")[2].replace("山田 太郎", CARD)
    with pytest.raises(Refused) as refused:
        upload(campaign, headless.encode())
    assert "クレジットカード番号" in refused.value.message_ja
    assert db.session.scalar(select(func.count()).select_from(ImportChunk)) == 0
    row = upload(campaign, LIST.encode(), f"{CARD}の名簿.csv")
    assert row.filename == f"{'*' * 12}1111の名簿.csv"


@pytest.mark.parametrize("number", ["090-1234-5678", "０８０１２３４５６７８", "+81 70 1234 5678"])
def test_a_list_without_a_headline_leaves_nobody_in_plain(campaign: Campaign, number: str) -> None:
    """The first person's cells would be the columns' names, which stand readable in the table and on screens."""
    with pytest.raises(Refused, match="headline_phone_number"):
        upload(campaign, f"K1,{number},山田 太郎\r\nK2,080-1234-5678,佐藤 花子\r\n".encode())
    assert db.session.scalar(select(func.count()).select_from(Import)) == 0
    assert db.session.scalar(select(func.count()).select_from(ImportChunk)) == 0


def test_no_card_number_comes_in_by_a_book(campaign: Campaign) -> None:
    """A number typed as a number, a text in full width, and one in a column that nothing uses."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    header, *lines = [line.split(",") for line in LIST.strip().split("\r\n")]
    sheet.append([*header, "備考"])
    for line, remark in zip(lines, (4242424242424242, CARD, "なし"), strict=True):
        sheet.append([*line, remark])
    made = io.BytesIO()
    book.save(made)
    row = upload(campaign, made.getvalue(), "名簿.xlsx")
    assert counts(row)[1:4] == (0, 0, 3)  # the third has no mobile number
    faults = db.session.scalars(select(ImportFault).where(ImportFault.import_id == row.id)).all()
    assert sum(fault.code in {"card_number", "card_or_own_number"} for fault in faults) == 2
    assert not any("4242" in fault.message for fault in faults)


def test_a_look_that_a_worker_has_begun_is_waited_for(campaign: Campaign) -> None:
    import_id = imports.store(campaign.id, "名簿.csv", io.BytesIO(LIST.encode()), user_id=author(campaign))
    tenant_id, app = campaign.tenant_id, current_app._get_current_object()  # type: ignore[attr-defined]

    def waits() -> int | None:
        with app.app_context(), tenancy.tenant(tenant_id):
            whole_look.wait_for(import_id)
            return db.session.get_one(Import, import_id).hidden_rows

    with ThreadPoolExecutor(1) as pool:
        with leases.taking(f"look:{import_id}", 60):
            waiting = pool.submit(waits)
            with pytest.raises(TimeoutError):
                waiting.result(timeout=0.3)
        assert waiting.result(timeout=30) == 0


def test_a_corrected_file_keeps_the_columns_that_somebody_chose(campaign: Campaign) -> None:
    """Two columns could be the number: which one it is was said once, and the second file says nothing else."""
    two = LIST.replace("電話番号", "携帯番号,電話番号", 1)
    head, *rows = two.strip().split("\r\n")
    wide = [
        ",".join([row.split(",")[0], f"070-5555-000{place}", *row.split(",")[1:]]) for place, row in enumerate(rows)
    ]
    content = "\r\n".join([head, *wide]).encode()
    first = db.session.get_one(Import, kept(campaign, content))
    proposed = ColumnMapping.from_json(first.mapping or {})
    assert proposed.phone == "携帯番号"
    chosen = replace(proposed, phone="電話番号", reference=None)
    imports.start(first.id, chosen)
    import_run.run(first.id)
    db.session.expire_all()
    assert first.rows_rejected == 1
    fixed = b"".join(imports.rejects(first.id, "cp932")).replace(b"03-1234-5678", b"090-3333-5678")
    second = kept(campaign, fixed, "修正.csv")
    assert ColumnMapping.from_json(db.session.get_one(Import, second).mapping or {}) == chosen
    # another headline, or another question: nobody has chosen anything for that
    other = imports.store(
        campaign.id, "別.csv", io.BytesIO(content.replace("氏名".encode(), "名前".encode())), user_id=author(campaign)
    )
    assert ColumnMapping.from_json(db.session.get_one(Import, other).mapping or {}).phone == "携帯番号"


def test_good_rows_arrive_sealed_and_digested(campaign: Campaign) -> None:
    row = upload(campaign, LIST.encode("cp932"))
    assert counts(row) == ("done", 2, 0, 1, 0)
    person = db.session.scalars(select(Recipient).where(Recipient.reference == "K1")).one()
    assert open_phone(campaign.tenant_id, person.id, person.phone_sealed) == "+819012345678"
    fields = open_fields(campaign.tenant_id, person.id, person.fields_sealed)
    assert fields["氏名"] == "山田 太郎"
    assert "生年月日" not in fields
    assert "契約番号下4桁" not in fields
    assert b"9012345678" not in person.phone_sealed
    birth = campaign.questions[0]
    assert person.answer_digests[0] == vault.answer_digest(campaign.tenant_id, person.id, birth.id, "1978-09-02")
    assert person.token_digest == vault.token_digest(vault.link_token(person.id, 1, person.link_secret))
    assert (person.amount_yen, str(person.due_date), person.payment_state) == (1000, "2026-12-26", "unpaid")


def test_the_file_is_stored_sealed_and_removed_after_the_run(campaign: Campaign) -> None:
    import_id = kept(campaign, LIST.encode())
    stored = db.session.scalars(select(ImportChunk)).all()
    assert len(stored) == 1
    assert "山田".encode() not in stored[0].data_sealed
    row = db.session.get_one(Import, import_id)
    imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
    import_run.run(import_id)
    assert db.session.scalar(select(func.count()).select_from(ImportChunk)) == 0


def test_a_file_of_many_chunks_reads_as_one_stream(campaign: Campaign) -> None:
    lines = [f"K{n},0901234{n:04d},山田 太郎{'あ' * 400},1000,2026-12-26,1978/09/02,0489\r\n" for n in range(3000)]
    content = (LIST.splitlines(keepends=True)[0] + "".join(lines)).encode("cp932")
    assert len(content) > 2 * upload_chunks.CHUNK_BYTES
    row = upload(campaign, content)
    assert counts(row) == ("done", 3000, 0, 0, 0)


def test_a_corrected_upload_adds_only_what_is_new(campaign: Campaign) -> None:
    first = upload(campaign, LIST.encode("cp932"))
    rejected = b"".join(imports.rejects(first.id, "cp932")).decode("cp932")
    assert rejected.splitlines()[0].startswith(f"{REASON_COLUMN},管理番号")
    assert len(rejected.splitlines()) == 2
    corrected = rejected.replace("03-1234-5678", "070-1234-5678")
    second = upload(campaign, corrected.encode("cp932"))
    assert counts(second) == ("done", 1, 0, 0, 0)
    third = upload(campaign, LIST.replace("03-1234-5678", "070-1234-5678").encode("cp932"))
    assert counts(third) == ("done", 0, 3, 0, 0)
    assert lifecycle.people_count(campaign.id) == 3


def test_a_known_reference_with_other_content_is_told_not_guessed(campaign: Campaign) -> None:
    upload(campaign, LIST.encode("cp932"))
    row = upload(campaign, LIST.replace("090-1234-5678", "090-9999-5678").encode("cp932"))
    assert counts(row) == ("done", 0, 1, 2, 0)
    fault = db.session.scalars(
        select(ImportFault).where(ImportFault.import_id == row.id, ImportFault.code == "contradicts")
    ).one()
    assert (fault.sheet_row, fault.level, fault.column_name) == (2, "error", "管理番号")
    content = b"".join(imports.rejects(row.id, "cp932")).decode("cp932")
    assert "090-9999-5678" in content


def test_rows_without_a_reference_are_known_by_what_they_say(campaign: Campaign) -> None:
    content = "\r\n".join(line.partition(",")[2] for line in LIST.splitlines()).encode("cp932")
    assert counts(upload(campaign, content)) == ("done", 2, 0, 1, 0)
    assert counts(upload(campaign, content)) == ("done", 0, 2, 1, 0)


@pytest.mark.parametrize(
    ("content", "part"),
    [(b"", "空です"), (b"PK\x03\x04" + b"\0" * 100, "壊れている"), ("電話番号\r\n".encode(), "見出しだけ")],
)
def test_a_file_that_is_no_list_is_refused_and_leaves_nothing(campaign: Campaign, content: bytes, part: str) -> None:
    with pytest.raises(Refused, match=part):
        kept(campaign, content)
    assert db.session.scalar(select(func.count()).select_from(Import)) == 0
    assert db.session.scalar(select(func.count()).select_from(ImportChunk)) == 0


def test_a_fault_of_the_file_in_its_middle_takes_nothing(campaign: Campaign) -> None:
    rows = "".join(f"K{n},0901234{n:04d},山田,1000,2026-12-26,1978/09/02,0489\r\n" for n in range(6000))
    content = LIST.splitlines(keepends=True)[0] + rows + '"open quote,'
    row = upload(campaign, content.encode("cp932"))
    assert row.state == "failed"
    assert row.problem
    assert not readiness.has_people(campaign.id)


def test_cancel_leaves_nothing(campaign: Campaign) -> None:
    import_id = kept(campaign, LIST.encode())
    assert imports.cancel(import_id)
    import_run.run(import_id)
    assert db.session.get_one(Import, import_id).state == "cancelled"
    assert not readiness.has_people(campaign.id)
    assert not imports.cancel(import_id)


def test_cancel_in_the_middle_of_a_run_leaves_nothing(
    app: Flask, campaign: Campaign, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tenant_id = campaign.tenant_id
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    rows = "".join(f"K{n},0901{n:07d},山田,1000,2026-12-26,1978/09/02,0489\r\n" for n in range(30_000))
    content = (LIST.splitlines(keepends=True)[0] + rows).encode("cp932")
    import_id = kept(campaign, content)
    row = db.session.get_one(Import, import_id)
    imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
    loaded = []
    insert_new = load.insert_new

    def insert_and_cancel(*given: Any) -> load.Loaded:
        loaded.append(insert_new(*given))
        if len(loaded) == 2:
            with ThreadPoolExecutor(1) as clerk:
                assert clerk.submit(cancel_elsewhere, app, tenant_id, import_id).result()
        return loaded[-1]

    monkeypatch.setattr(load, "insert_new", insert_and_cancel)
    import_run.run(import_id, tell_every_s=0)
    db.session.expire_all()
    assert 2 <= len(loaded) <= 4
    assert sum(item.added for item in loaded) >= 5_000
    told = db.session.get_one(Import, import_id)
    assert (told.state, told.rows_added) == ("cancelled", 0)
    assert told.bytes_read < told.byte_count
    for table in (Recipient, ImportChunk, ImportFault):
        assert db.session.scalar(select(func.count()).select_from(table)) == 0
    assert list(tmp_path.iterdir()) == []


def cancel_elsewhere(app: Flask, tenant_id: int, import_id: int) -> bool:
    with app.app_context(), tenancy.tenant(tenant_id):
        return imports.cancel(import_id)


def test_a_worker_that_comes_second_does_nothing(campaign: Campaign) -> None:
    import_id = kept(campaign, LIST.encode())
    row = db.session.get_one(Import, import_id)
    imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
    other = leases.take(f"import:{import_id}", 60)
    assert other is not None
    import_run.run(import_id)
    db.session.expire_all()
    assert db.session.get_one(Import, import_id).state == "queued"
    leases.give_back(other)
    import_run.run(import_id)
    db.session.expire_all()
    assert db.session.get_one(Import, import_id).state == "done"


def test_an_import_taken_over_from_a_frozen_worker_is_written_once(
    app: Flask, campaign: Campaign, monkeypatch: pytest.MonkeyPatch, database: psycopg.Connection
) -> None:
    """The first worker sleeps with its rows not committed, the second runs the list, then the first wakes."""
    tenant_id = campaign.tenant_id
    import_id = kept(campaign, LIST.encode())
    row = db.session.get_one(Import, import_id)
    imports.start(import_id, ColumnMapping.from_json(row.mapping or {}))
    db.session.rollback()
    insert_new = load.insert_new
    slept: list[int] = []

    def insert_and_sleep(connection: Connection, *given: Any) -> load.Loaded:
        done = insert_new(connection, *given)
        if not slept:
            slept.append(1)
            database.execute("UPDATE lease SET held_until = now() - interval '1 second'")
            connection.exec_driver_sql("SELECT set_config('idle_in_transaction_session_timeout', '200ms', true)")
            with ThreadPoolExecutor(1) as other:
                other.submit(run_elsewhere, app, tenant_id, import_id).result()
        return done

    monkeypatch.setattr(load, "insert_new", insert_and_sleep)
    with contextlib.suppress(DBAPIError):  # PostgreSQL ended its transaction; the sweep brings nothing back
        import_run.run(import_id)
    db.session.expire_all()
    told = db.session.get_one(Import, import_id)
    assert (told.state, told.rows_added) == ("done", 2)
    assert db.session.scalar(select(func.count()).select_from(Recipient)) == 2
    assert due_imports() == []


def run_elsewhere(app: Flask, tenant_id: int, import_id: int) -> None:
    with app.app_context(), tenancy.tenant(tenant_id):
        import_run.run(import_id)


def due_imports() -> list[tuple[int, ...]]:
    db.session.remove()
    with ThreadPoolExecutor(1) as other:
        return other.submit(_due_imports, current_app._get_current_object()).result()  # type: ignore[attr-defined]


def _due_imports(app: Flask) -> list[tuple[int, ...]]:
    with app.app_context(), tenancy.platform():
        return [ids for job, wanted in due.work() if job == "jobs.intake.run_import" for ids in wanted]


def test_a_list_can_be_taken_back_until_it_is_sent(campaign: Campaign) -> None:
    row = upload(campaign, LIST.encode("cp932"))
    assert imports.discard(row.id, user_id=author(campaign)) == 2
    assert not readiness.has_people(campaign.id)
    steps.resume(campaign.id)
    db.session.expire_all()
    with pytest.raises(Refused, match="locked_launched"):
        kept(campaign, LIST.encode())


def test_the_dirty_sample_is_told_exactly(campaign: Campaign) -> None:
    if not SAMPLES.is_dir():
        pytest.skip("../shared/samples is missing")
    truth = json.loads((SAMPLES / "dirty.truth.json").read_text("utf-8"))
    row = upload(campaign, (SAMPLES / "dirty.csv").read_bytes())
    found = {
        str(fault.sheet_row): (fault.column_name, fault.level)
        for fault in db.session.scalars(select(ImportFault).where(ImportFault.import_id == row.id))
    }
    assert found == {sheet_row: (said["column"], said["level"]) for sheet_row, said in truth.items()}
    errors = sum(said["level"] == "error" for said in truth.values())
    assert (row.rows_read, row.rows_added, row.rows_rejected, row.rows_ignored) == (60, 60 - errors - 1, errors, 1)


def test_a_row_that_is_there_already_is_found_without_reading_the_others(app: Flask, database: Any) -> None:
    """Of a million rows a few stand twice in each batch: that must not mean a million rows for each batch.

    No statistics know a list while it is taken in: its campaign seems to have one person at most.
    """
    with app.app_context():
        for _ in range(30):
            other = factories.tenant()
            factories.people(other, factories.campaign(other), 10)
        database.execute("ANALYZE recipient")
        tenant_id = factories.tenant()
        made = factories.campaign(tenant_id)
        factories.people(tenant_id, made, 1500)
        known = 30
        target = load.Target(tenant_id, made, 1, [1, 2], payment_required=False)
        columns = "sheet_row, identity_key, reference, phone_sealed, phone_index, fields_sealed, phone_last4_index"
        with tenancy.tenant(tenant_id), tenancy.transaction() as connection:
            load.prepare(connection, target)
            connection.execute(
                text(f"""
                    INSERT INTO arriving (id, token_digest, row_digest, answer_0, answer_1, {columns})
                    SELECT -id, sha256(token_digest), 'other', 'a', 'b', {columns} FROM recipient
                    ORDER BY id LIMIT :known
                """),  # noqa: S608 - our own words
                {"known": known},
            )
            with explained(answer="SELECT 0 AS sheet_row, '' AS reason") as plans:
                load.insert_new(connection, target, known)
            _insert, _order, contradictions, excluded, _any_order, suppressed = plans
            assert touched(contradictions) >= known
            assert touched(contradictions) < 10 * known
            assert touched(excluded) < 10 * known
            assert touched(suppressed) < 10 * known


REPORTED = Path(__file__).parents[4] / "shared" / "samples" / "reported"
LETTERED = {"c52_question_marks.csv": {"cell_lost_letters"}}


@pytest.fixture
def asking_nothing(app: Flask) -> Iterator[Campaign]:
    with app.app_context():
        tenant_id = factories.tenant()
        account_id = factories.payment_account(tenant_id)
        campaign_id = factories.campaign(
            tenant_id, payment_account_id=account_id, created_by=factories.user(tenant_id), questions=()
        )
        with tenancy.tenant(tenant_id):
            yield db.session.get_one(Campaign, campaign_id)


@pytest.mark.skipif(not REPORTED.is_dir(), reason="the lists of kinds that failed people lie beside the project")
@pytest.mark.parametrize(
    ("name", "added", "rejected"),
    [
        ("x03_filtered_rows.xlsx", 2, 0),
        ("x02_reference_K00000.xlsx", 3, 0),
        ("LO_saved_by_libreoffice.xlsx", 1, 0),
        ("c55_kana_small.csv", 2, 0),
        ("c57_dot_for_comma.csv", 1, 1),
        ("c11_double_bom.csv", 2, 0),
        ("c35_bidi_phone.csv", 4, 1),
        ("c18_rows_shorter.csv", 2, 0),
        ("x06_title_rows.xlsx", 2, 0),
        ("c01_sep_line.csv", 2, 0),
        ("x05_numbers_summary_first.xlsx", 2, 0),
        ("x11_SharedStrings_case.xlsx", 1, 0),
        ("x13_backslash_paths.xlsx", 1, 0),
        ("d02_13digit_customer_numbers.csv", 200, 0),
        ("c52_question_marks.csv", 3, 0),
        ("c26_equals_quotes.csv", 2, 0),
        ("c32_pandas_float.csv", 1, 0),
        ("c15_ctrl_z.csv", 2, 0),
        ("c09_iso2022jp.csv", 2, 0),
    ],
)
def test_a_reported_list_comes_to_what_it_must(asking_nothing: Campaign, name: str, added: int, rejected: int) -> None:
    row = upload(asking_nothing, (REPORTED / name).read_bytes(), name)
    assert (row.state, row.rows_added, row.rows_rejected) == ("done", added, rejected)
    codes = set(db.session.scalars(select(ImportFault.code).where(ImportFault.import_id == row.id)))
    assert codes >= LETTERED.get(name, set())


def test_an_import_under_way_holds_nobodys_feed(campaign: Campaign, monkeypatch: pytest.MonkeyPatch) -> None:
    """A list of a million rows is one transaction of minutes; what happens meanwhile is told to other systems."""
    others = factories.campaign(campaign.tenant_id)
    (person,) = factories.people(campaign.tenant_id, others, 1)
    told: list[feed.FeedEvent] = []
    copy = load.copy

    def copy_and_read(connection: Connection, *given: Any) -> None:
        copy(connection, *given)
        assert connection.execute(text("SELECT txid_current_if_assigned()")).scalar() is not None
        steps.queue(person.id)
        told.extend(feed.read(None, 100).events)

    monkeypatch.setattr(load, "copy", copy_and_read)
    row = upload(campaign, LIST.encode())
    assert row.rows_added == 2
    assert [(event.recipient_id, event.state) for event in told] == [(person.id, "queued")]
