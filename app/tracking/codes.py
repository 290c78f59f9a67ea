"""Our own codes beside the providers': why an attempt to send ended, or why none was made, and their words.

They stand in the send log, in a person's `sms_code` and in an event's detail.
"""

NOT_SENT = "not_sent"  # claimed, but its request never left
ABSENT = "absent"  # looked up and provably not at the provider
WORKER_LOST = "worker_lost"  # the worker died or lost its lease before it recorded an answer
NO_RECEIPT = "no_receipt"  # accepted, and the provider never told what became of it
AS_SENT = "by_hand:sent"  # a person decided that it counts as sent
AGAIN = "by_hand:again"  # a person decided that it is sent again
NEEDLESS = "needless"  # it waited while its person paid, or opened what they were to be reminded of
CALLED_OFF = "called_off"  # it waited when its campaign was given up
TOO_LATE = "too_late"  # it waited until nothing may leave any more
REVOKED = "revoked"  # it waited when its person's link was ended
GAVE_UP = "gave_up:"  # begins the code of a message that provably never got in, however often it was tried
ACCOUNT = "account:"  # begins the code of a refusal that is the account's fault, not the message's

_WORDS = {
    NOT_SENT: "送信前に中断",
    ABSENT: "送信サービスに記録なし",
    WORKER_LOST: "結果の記録前に中断",
    NO_RECEIPT: "送信サービスから結果の知らせなし",
    AS_SENT: "管理者が送信済みとした",
    AGAIN: "管理者が再送とした",
    NEEDLESS: "支払済みまたは開封済みなどのため、送らず",
    CALLED_OFF: "配信が取り消されたため、送らず",
    TOO_LATE: "送信の期限を過ぎたため、送らず",
    REVOKED: "リンクを無効にしたため、送らず",
}
_BEGINNINGS = {GAVE_UP: "受け付けられず断念", ACCOUNT: "アカウントの問題"}


def words(code: str) -> str:
    """Say what a code means: one of ours in Japanese, a provider's as it is, nothing for none."""
    start, _, rest = code.partition(":")
    if said := _BEGINNINGS.get(f"{start}:"):
        return f"{said}（{rest}）" if rest else said
    return _WORDS.get(code, code)
