"""Our own codes beside the providers': why an attempt to send ended, or why none was made, and their words.

They stand in the send log, in a person's `sms_code` and in an event's detail.
"""

import re
from http import HTTPStatus

from app.values import suppression_reasons

NOT_SENT = "not_sent"  # claimed, but its request never left
ABSENT = "absent"  # looked up and provably not at the provider
WORKER_LOST = "worker_lost"  # the worker died or lost its lease before it recorded an answer
REPEATED = "repeated"  # sent again under the same reference, which its service takes but once
LISTED = "listed"  # absent under its reference, but its carrier lists an SMS to its number that may be it
NO_RECEIPT = "no_receipt"  # accepted, and the provider never told what became of it
AS_SENT = "by_hand:sent"  # a person decided that it counts as sent
AGAIN = "by_hand:again"  # a person decided that it is sent again
OPENED = "opened"  # its person used the link it carried: it arrived, whatever the provider says
NEEDLESS = "needless"  # it waited while its person paid, or opened what they were to be reminded of
CALLED_OFF = "called_off"  # it waited when its campaign was given up
TOO_LATE = "too_late"  # it waited until nothing may leave any more
RESTORED = "restored"  # what a restored database forgot: written down afterwards, or held for it
REVOKED = "revoked"  # it waited when its person's link was ended
NUMBER_CAMPAIGN = "number_cap:campaign"  # its number had as many first SMS of the campaign as one may get
NUMBER_DAY = "number_cap:day"  # its number had as many first SMS of the company as one may get on a day
ALLOWED = "by_hand:send"  # a manager decided that it is sent all the same
NOT_WANTED = "by_hand:not_sent"  # a manager decided that it is not sent
SUPPRESSED = "suppressed:"  # begins the code of a message whose number is on the company's list of those not sent to
GAVE_UP = "gave_up:"  # begins the code of a message that provably never got in, however often it was tried
MESSAGE = "message:"  # begins the code of a refusal that looked like the account's and is this message's alone
ACCOUNT = "account:"  # begins the code of a refusal that is the account's fault, not the message's

_WORDS = {
    NOT_SENT: "送信前に中断",
    ABSENT: "送信サービスに記録なし",
    WORKER_LOST: "結果の記録前に中断",
    REPEATED: "同じ参照番号で送り直し（送信サービスが重複を断るため、2通にはならない）",
    LISTED: "送信サービスに、同じころの同じ番号あてのSMSの記録あり",
    NO_RECEIPT: "送信サービスから結果の知らせなし",
    AS_SENT: "管理者が送信済みとした",
    AGAIN: "管理者が再送とした",
    OPENED: "本人がリンクを開いたため、届いたものとした",
    NUMBER_CAMPAIGN: "同じ電話番号への、この配信でのSMSが上限に達したため、送らずに保留",
    NUMBER_DAY: "同じ電話番号への、きょうのSMSが上限に達したため、送らずに保留",
    ALLOWED: "管理者が送ると決めた",
    NOT_WANTED: "管理者が送らないと決めた",
    NEEDLESS: "支払済みまたは開封済みなどのため、送らず",
    CALLED_OFF: "配信が取り消されたため、送らず",
    TOO_LATE: "送信の期限を過ぎたため、送らず",
    RESTORED: "復元の前に送信されたもの",
    REVOKED: "リンクを無効にしたため、送らず",
}
# codes that the adapters in app.providers.sms and app.providers.http hand over, where a clerk can do something with it
_FROM_OUTSIDE = {
    "received": "受信を確認",
    "unconnected": "電源が入っていないか、圏外",
    "error": "使われていない番号など、届かない番号",
    "vacant": "使われていない番号など、届かない番号",
    "congested": "携帯電話会社の回線の混雑",
    "handset_refused": "端末が受け取らず（SMSの受信拒否など）",
    "failed": "配信の失敗",
    "quota": "契約で送信できる件数の上限",
    "rejected": "送信サービスが受け付けず",
    "sender_refused": "送信元の番号や名前が受け付けられず",
    "processing_error": "送信サービスでの処理の失敗",
    "canceled": "送信サービスで取り消し",
    "unknown": "携帯会社の結果が不明",
    "waiting": "送信サービスで処理中",
    "processing": "送信サービスで処理中",
    "done": "送信サービスで処理済み",
    "duplicate": "送信サービスに同じ参照番号の記録が複数",
    "duplicate_refused": "送信サービスがすでに受け付けていたため、重ねての送信は断られた",
    "validation_error": "送信サービスが内容を受け付けず",
    "unauthentication": "認証情報の誤り",
    "invalid_tenant": "テナントIDの誤り",
    "invalid_version": "送信サービスのバージョンの不一致",
    "model_not_found": "サービスIDの誤り",
    "unreadable": "読み取れない応答",
    "no_id": "読み取れない応答",
    "incomplete": "途中までの応答",
    "unfiltered": "ほかのSMSが混ざった応答",
    "mismatch": "別のSMSについての応答",
    "timeout": "応答なし",
    "empty": "応答なし",
    "reset": "通信の途中で切断",
    "truncated": "途中までの応答",
    "too_large": "読み取れない応答",
    "garbage": "読み取れない応答",
    "dns": "接続先が見つからず",
    "refused": "接続できず",
    "tls": "安全な接続ができず",
    "malformed": "設定の誤りで要求を作れず",
    "held": "送信直前に中止",
}
_STATUS = re.compile(r"(http|curl|code)_([0-9]{1,3})")
_REFUSED_FIELD = {"to": "送信サービスがこの電話番号を受け付けず", "body": "送信サービスが本文を受け付けず"}
_REASONS = {str(reason): words for reason, words in suppression_reasons.REASON_WORDS.items()}
_BEGINNINGS = {
    GAVE_UP: "受け付けられず断念",
    MESSAGE: "この送信先へのSMSだけが受け付けられず断念",
    ACCOUNT: "アカウントの問題",
}


def words(code: str) -> str:
    """Describe what a code means in Japanese; one that nobody here knows as it is, nothing for none."""
    start, _, rest = code.partition(":")
    if f"{start}:" == SUPPRESSED:
        return f"送信しない番号のため、送らず（{_REASONS.get(rest, rest)}）"
    if said := _BEGINNINGS.get(f"{start}:"):
        return f"{said}（{words(rest)}）" if rest else said
    if start == "validation_error" and rest in _REFUSED_FIELD:
        return _REFUSED_FIELD[rest]
    if status := _STATUS.fullmatch(code):
        return _status(status[1], int(status[2]))
    return _WORDS.get(code) or _FROM_OUTSIDE.get(start, code)


def _status(protocol: str, number: int) -> str:
    """Return in words an answer's status, or curl's own number, which a service's support asks for."""
    if protocol == "curl":
        return f"通信の失敗、番号{number}"
    if number == HTTPStatus.TOO_MANY_REQUESTS:
        return f"送信サービスの混雑、応答コード{number}"
    if number >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return f"送信サービスの障害、応答コード{number}"
    return f"送信サービスが受け付けず、応答コード{number}"
