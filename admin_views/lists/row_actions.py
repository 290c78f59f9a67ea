"""Act on single rows of a list, in words: left out, taken back, put in the place of earlier ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flask import url_for
from sqlalchemy import select

from admin_views.campaigns.status import Confirmation
from admin_views.framework.scoping import as_id
from app.campaigns import lifecycle
from app.extensions import db
from app.intake.checking.checks import Level
from app.intake.lists import imports
from app.intake.rows import excluded, replacing
from app.models import Campaign, Import, Recipient
from app.states.vocabulary import ImportState

_SHOWN = 50


@dataclass(frozen=True, slots=True)
class Excluded:
    """One row that is left out, as a page names it."""

    id: int
    name: str
    why: str


def back_url(campaign_id: int, sent: Mapping[str, str]) -> str:
    """Return the page that an act was begun from: the check, a list's result, else the lists."""
    if sent.get("back") == "check":
        return url_for("flow.check", campaign_id=campaign_id)
    upload = as_id(sent.get("import_id", ""))
    if upload is not None:
        return url_for("flow.one_list", campaign_id=campaign_id, import_id=upload)
    return url_for("flow.lists", campaign_id=campaign_id)


def excluded_rows(campaign: Campaign, upload: Import | None = None) -> dict[str, object]:
    """Return what a page shows of the rows that are left out, of one list or of all."""
    found = excluded.listed(campaign, _SHOWN, None if upload is None else upload.id)
    return {"excluded": [_named(row) for row in found], "excluded_shown": _SHOWN}


def _named(row: excluded.LeftOut) -> Excluded:
    at = f"{row.sheet_row:,}行目" if row.sheet_row else ""
    name = f"{row.reference}（{at}）" if row.reference and at else row.reference or at or f"#{row.id}"
    return Excluded(row.id, name, "後の行と置き換え" if row.replaced else "対象外にした")


def actions(upload: Import, found: Sequence[imports.FoundRow]) -> dict[str, object]:
    """Return what can be done with the rows that are shown: which are to be corrected, which to be left out."""
    if upload.state != ImportState.DONE or lifecycle.content_locked(upload.campaign):
        return {"to_correct": frozenset(), "to_exclude": {}, "contradicting": 0, "same_number": 0}
    ids = [row.recipient_id for row in found if row.recipient_id]
    there = set(
        db.session.scalars(
            select(Recipient.id).where(Recipient.campaign_id == upload.campaign_id, Recipient.id.in_(ids))
        )
    )
    return {
        "to_correct": {row.sheet_row for row in found if any(fault.level == Level.ERROR for fault in row.faults)},
        "to_exclude": {row.sheet_row: row.recipient_id for row in found if row.recipient_id in there},
        "contradicting": replacing.count_contradicting(upload.id) if upload.rows_rejected else 0,
        "same_number": upload.same_number,
    }


def replace_question(upload: Import, by: replacing.By) -> Confirmation:
    """Ask before a list's rows take the place of earlier ones."""
    back = "置き換えた前の行は「対象外」になり、送信を始めるまでは1件ずつ戻せます。まだ何も送信されません。"
    if by == replacing.By.REFERENCE:
        count = replacing.count_contradicting(upload.id)
        what = (
            f"「{upload.filename}」の{count:,}行は、前に取り込んだ送信先と同じ番号で、内容が違います。"
            "前の送信先をやめて、この名簿の内容で送ります。"
        )
    else:
        what = (
            f"「{upload.filename}」には、前に取り込んだ送信先（{upload.same_number:,}件）と同じ電話番号の行があります。"
            "前の送信先をやめて、この名簿の行だけに送ります。家族で同じ電話番号を使っているなど、別の案内のときは"
            "置き換えないでください。"
        )
    return Confirmation(
        title="前の行と置き換えますか",
        words=(what, back),
        button="置き換える",
        url=url_for("rows.replace", campaign_id=upload.campaign_id, import_id=upload.id, by=str(by)),
        back=url_for("flow.one_list", campaign_id=upload.campaign_id, import_id=upload.id),
        dangerous=False,
    )


def discard_words(campaign: Campaign) -> list[str]:
    """Return the warning that those whom a list's rows replaced don't come back when it is taken back."""
    if not any(row.replaced for row in excluded.listed(campaign, _SHOWN)):
        return []
    words = (
        "この名簿の行と置き換えた前の送信先は、対象外のままです。送るときは「対象外にした送信先」から戻すか、前の名簿も"
        "取り消して取り込み直してください。"
    )
    return [words]


def replaced_words(replaced: int) -> tuple[str, str]:
    """Return in words what came of it, and the tone of the message."""
    if not replaced:
        return "置き換える行はありませんでした。すでに置き換えてあるか、名簿が取り消されています。", "warning"
    return f"{replaced:,}件を置き換えました。前の行は「対象外にした送信先」にあります。", "success"
