"""Explain on screens that everything that sends or charges is held: why, and what to do."""

from app.problems import Kind
from app.setback.known import OUTSIDE, Why

TITLE = "復元の確認待ち"

_TITLE_OUTSIDE = "送信を止めています"

_WHY = {
    OUTSIDE: "送信の控えを残すフォルダーに書き込めません。",
    Why.BEAT: "データベースが以前の状態に戻っています。その後の送信や支払いの記録が欠けています。",
    Why.TIMELINE: "データベースが別のサーバーに切り替わったか、過去の時点から復元されています。",
    Why.INSTALLATION: "データベースの外に置いた控えが、別の環境のものです。",
    Why.MISSED: "送信サービスに、このデータベースに記録のない送信があります。",
    Why.UNASKED: "記録のない送信がないかを、送信サービスに確かめられませんでした。",
}
_STAFF = (
    "二重に送らないよう、SMSの送信と支払いの受付を止めています。お客さまのページの閲覧はそのまま続いています。"
    "運営担当者の確認が終わると、送信待ちの方から自動で再開します。同じ名簿を新しい配信でもう一度送らないでください。"
)
_OPERATOR = (
    "二重に送らないよう、SMSの送信と支払いの受付を止めています。お客さまのページの閲覧はそのまま続いています。"
    "サーバーで flask --app wsgi after-restore を実行してください。"
    "欠けた送信と支払いを取り込み、確かめられた配信から再開します。"
)
_FOLDER = "OUTSIDE_DIR と REDIS_URL が、この環境のものかも確かめてください。"

_STAFF_OUTSIDE = (
    "控えのない送信はできないため、SMSの送信と支払いの受付を止めています。お客さまのページの閲覧はそのまま続いています。"
    "運営担当者に連絡してください。書き込めるようになると、送信待ちの方から自動で再開します。"
)
_OPERATOR_OUTSIDE = (
    "OUTSIDE_DIR に、すべてのサーバーから書き込めるようにしてください（空き容量・権限・マウント）。"
    "SMSの送信と支払いの受付は、書き込めるようになると自動で再開します。"
)

# to a clerk whose act was refused for it
REFUSED = Kind(
    "held_after_restore",
    "復元の確認待ちのため、いまは送信も返金もできません。まだ何も行っていません。"
    "運営担当者の確認が終わってから、もう一度お試しください。",
)


def why(code: str) -> str:
    """Return why, in a sentence."""
    return _WHY.get(code, "")


def title(code: str) -> str:
    """Return what it is called."""
    return _TITLE_OUTSIDE if code == OUTSIDE else TITLE


def todo(code: str, *, operator: bool) -> str:
    """Return what it means and what to do."""
    if code == OUTSIDE:
        return _OPERATOR_OUTSIDE if operator else _STAFF_OUTSIDE
    if not operator:
        return _STAFF
    return _OPERATOR + _FOLDER if code == Why.INSTALLATION else _OPERATOR
