"""送信ログ: every attempt to send, as it went. Read-only."""

from flask import url_for
from markupsafe import Markup

from admin_views.framework import display
from admin_views.framework.filters import Choice, Days, RowChoice, states_of
from admin_views.framework.keyset_pagination import ListIndex
from admin_views.framework.model_view import SecureModelView
from admin_views.recipients.table import campaign_name, latest_campaigns
from app.models import SendLog
from app.states import result_codes
from app.states.vocabulary import CARRIERS, SMS


def _person(_view: object, _context: object, attempt: SendLog, _name: str) -> Markup:
    address = url_for("recipient.details_view", id=attempt.recipient_id)
    return Markup('<a class="text-nowrap" href="{}">{}</a>').format(address, attempt.recipient)


class SendLogView(SecureModelView[SendLog]):
    """送信ログ."""

    column_list = ("started_at", "campaign", "recipient", "attempt", "state", "code", "carrier", "units", "settled_at")
    column_filters = [
        RowChoice(SendLog.campaign_id, "配信", "campaign", latest_campaigns, campaign_name, rank=2),
        Choice(SendLog.state, "結果", "state", states_of(SMS)),
        Choice(SendLog.carrier, "携帯会社", "carrier", lambda: list(CARRIERS.items())),
        Days(SendLog.started_at, "送信日"),
    ]
    column_sortable_list = ("started_at",)
    column_labels = {
        "started_at": "送信日時",
        "campaign": "配信",
        "recipient": "送信先",
        "attempt": "回数",
        "state": "結果",
        "code": "理由",
        "carrier": "携帯会社",
        "units": "通数",
        "settled_at": "結果の日時",
    }
    column_formatters = {
        "started_at": lambda _v, _c, attempt, _n: display.jst_exact(attempt.started_at),
        "settled_at": lambda _v, _c, attempt, _n: display.jst_exact(attempt.settled_at),
        "recipient": _person,
        "state": display.state_of(SMS),
        "code": lambda _v, _c, attempt, _n: result_codes.words(attempt.code) or display.NOTHING,
        "carrier": display.words_of(CARRIERS),
    }
    number_columns = ("attempt", "units")
    intro = (
        "送信の1回ごとの記録です。「照会中」は、送信サービスに確かめている状態です。"
        "送られていないと確かめられるまで、送り直しません。"
    )
    empty_text = "送信の記録がありません。配信を送信すると、ここに1件ずつ記録されます。"

    def __init__(self) -> None:
        super().__init__(SendLog, "送信ログ", endpoint="send_log")

    def usual_index(self) -> ListIndex:
        """Walk by time: no index holds a company's attempts by their ids."""
        return ListIndex((SendLog.started_at, SendLog.id))
