"""取込: every list that was uploaded.

Read-only; what is to be done with one is on its campaign's page.
"""

from flask import url_for
from markupsafe import Markup

from admin_views.framework import display
from admin_views.framework.filters import Choice, RowChoice, states_of
from admin_views.framework.model_view import SecureModelView
from admin_views.recipients.table import campaign_name, latest_campaigns
from app.models import Import
from app.states.vocabulary import IMPORT


def _file(_view: object, _context: object, upload: Import, _name: str) -> Markup:
    address = url_for("flow.one_list", campaign_id=upload.campaign_id, import_id=upload.id)
    return Markup('<a href="{}">{}</a>').format(address, upload.filename)


def _count(_view: object, _context: object, upload: Import, name: str) -> str:
    return f"{getattr(upload, name):,}"


class ImportView(SecureModelView[Import]):
    """取込."""

    column_list = (
        "created_at", "campaign", "filename", "state", "rows_read", "rows_added", "rows_known", "rows_rejected",
        "problem",
    )  # fmt: skip
    column_filters = [
        RowChoice(Import.campaign_id, "配信", "campaign", latest_campaigns, campaign_name, rank=2),
        Choice(Import.state, "状態", "state", states_of(IMPORT)),
    ]
    column_labels = {
        "created_at": "日時",
        "campaign": "配信",
        "filename": "ファイル",
        "state": "状態",
        "rows_read": "読み取り",
        "rows_added": "追加",
        "rows_known": "登録済み",
        "rows_rejected": "エラー",
        "problem": "お知らせ",
    }
    column_formatters = {
        "filename": _file,
        "state": display.state_of(IMPORT),
        **dict.fromkeys(("rows_read", "rows_added", "rows_known", "rows_rejected"), _count),
        "problem": lambda _v, _c, upload, _n: upload.problem or display.NOTHING,
    }
    number_columns = ("rows_read", "rows_added", "rows_known", "rows_rejected")
    intro = "取り込んだ名簿の一覧です。ファイル名を押すと、結果とエラーの行を確認できます。"
    empty_text = "取り込んだ名簿がありません。配信を開き、「名簿」から取り込んでください。"

    def __init__(self) -> None:
        super().__init__(Import, "取込", endpoint="imports", url="import")
