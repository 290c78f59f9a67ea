"""Every state that a recipient's page can be in, and the way there: what `make a11y` and the pictures go through."""

from functools import partial

from dev.page_visits import State, Visit

_WRONG = {"pay": {"q2": "999-9999"}, "four": {"q3": "9999"}}
_LOOKS, _PAUSE_MS = 20, 300
_UNREADABLE = {"pay": {"q1_month": "13"}, "four": {"q2": ""}}


def _unreadable(visit: Visit) -> None:
    visit.begin()
    visit.answer(**_UNREADABLE[visit.play])


def _wrong(visit: Visit, times: int = 1) -> None:
    visit.begin()
    for _ in range(times):
        visit.answer(**_WRONG[visit.play])


def _ended(visit: Visit) -> None:
    visit.change("UPDATE recipient SET link_expires_at = now() WHERE id = {id}")
    visit.open()


def _unavailable(visit: Visit) -> None:
    visit.read()
    visit.switch({"error_before": {"value": True, "on": "stripe"}})
    visit.press()


def _unavailable_after(visit: Visit) -> None:
    _back(visit, "?back=1")
    # a page about to end is not used again before the provider was asked
    visit.change("UPDATE payment SET expires_at = now() + interval '1 minute' WHERE recipient_id = {id}")
    visit.switch({"error_before": {"value": True, "on": "stripe"}})
    visit.press()


def _refused(visit: Visit) -> None:
    visit.change("UPDATE payment_account SET active = {id} < 0")
    visit.read()
    visit.press()


def _in_use(visit: Visit) -> None:
    visit.change("UPDATE payment_account SET active = {id} > 0")


def _available(visit: Visit) -> None:
    visit.switch({})


def _go(visit: Visit) -> None:
    visit.pay()
    visit.stand("/p/pay")


def _back(visit: Visit, query: str = "") -> None:
    """Come back from the payment provider, without having paid."""
    visit.pay()
    visit.goto(f"/p/return{query}")


def _waiting(visit: Visit) -> None:
    visit.pay()
    visit.stand("/p/return")


def _paying(visit: Visit, *choices: str, comes: str, at: str = "", over: bool = False) -> None:
    """Choose on the payment provider, come back, and look again until the state has come that the choices lead to."""
    visit.pay()
    for choice in choices:
        visit.choose(choice)
    if over:
        visit.change("UPDATE recipient SET link_expires_at = now() WHERE id = {id}")
    for _ in range(_LOOKS):
        visit.change("UPDATE payment SET checked_at = checked_at - interval '1 minute' WHERE recipient_id = {id}")
        visit.goto("/p/return")
        if visit.page.locator(f".result.{comes}").count():
            break
        visit.page.wait_for_timeout(_PAUSE_MS)
    if at:
        visit.goto(at)


def _changed(*statements: str, visit: Visit) -> None:
    visit.pay()
    for statement in statements:
        visit.change(statement)
    visit.goto("/p/return")


def _in_test(visit: Visit) -> None:
    visit.change("UPDATE payment_account SET test_mode = {id} > 0")
    visit.read()


def _in_earnest(visit: Visit) -> None:
    visit.change("UPDATE payment_account SET test_mode = {id} < 0")


def _verify(visit: Visit, company: str, number: str) -> None:
    visit.goto("/verify")
    visit.page.locator("[name=company]").fill(company)
    visit.page.locator("[name=number]").fill(number)
    visit.press()


def _busy(visit: Visit) -> None:
    visit.goto("/verify")
    for _ in range(20):
        visit.page.request.post(f"{visit.stack.web_url}/verify")
    visit.press()


def _too_much(visit: Visit) -> None:
    visit.goto("/verify")
    company = visit.page.locator("[name=company]")
    company.evaluate("field => { field.removeAttribute('maxlength'); field.value = 'x'.repeat(3_100_000) }")
    visit.press()


def _broken(visit: Visit) -> None:
    visit.begin()
    visit.change(r"UPDATE recipient SET fields_sealed = '\x00' WHERE id = {id}")
    visit.answer()


STATES = (
    # name, way, words seen, what it is
    State("welcome", Visit.open, "why_title", "リンクを開いた最初のページ", "The page behind the link"),
    State(
        "welcome-direct",
        Visit.open,
        "begin_direct",
        "設問のない配信の最初のページ",
        "The same, where nothing is asked",
        play="direct",
    ),
    State("questions", Visit.begin, "questions_lead", "ご本人の確認", "Is it really them?"),
    State(
        "questions-four",
        Visit.begin,
        "questions_lead",
        "4つの設問（文字・数字・下4桁・選択）",
        "Four questions of four kinds",
        play="four",
    ),
    State(
        "unreadable",
        _unreadable,
        "unreadable_title",
        "読み取れない回答（回数には数えません）",
        "An answer that can't be read; no try is spent",
    ),
    State(
        "unreadable-four",
        _unreadable,
        "unreadable_title",
        "4つの設問のひとつが空のとき",
        "One of four left empty",
        play="four",
    ),
    State(
        "wrong",
        _wrong,
        "wrong_title",
        "一致しなかった回答（どれが違うかは言わず、残り回数を示します）",
        "Answers that don't match: never which one, always how many tries are left",
    ),
    State(
        "wrong-four", _wrong, "wrong_title", "4つの設問で一致しないとき", "The same with four questions", play="four"
    ),
    State("last-try", partial(_wrong, times=4), "wrong_title", "あと1回のとき", "One try is left"),
    State(
        "locked",
        partial(_wrong, times=5),
        "locked_title",
        "続けて一致せず、閉じたページ",
        "Locked; the company can open it again",
    ),
    State(
        "stopped",
        Visit.open,
        "stopped_title",
        "失敗が多すぎる配信の確認を止めている間",
        "Checks are held, too many failed in this campaign",
        play="stopped",
    ),
    State(
        "gone",
        _ended,
        "gone_title",
        "期限切れ・取り消し・存在しないリンク（区別のつかない同じページ）",
        "Expired, revoked or never a link: one and the same page",
    ),
    State(
        "over",
        lambda visit: visit.goto("/p"),
        "over_title",
        "しばらく操作がなかったとき",
        "After a while without a press",
    ),
    State(
        "trial",
        lambda visit: visit.goto("/trial-0000000000"),
        "trial_title",
        "テスト送信のリンクの先",
        "Behind the link of a test SMS",
    ),
    State("message", Visit.read, "contact", "お知らせ（お支払いなし）", "The message, nothing to pay", play="plain"),
    State(
        "message-direct",
        Visit.begin,
        "contact",
        "設問なしで開いたお知らせ",
        "The message, where nothing was asked",
        play="direct",
    ),
    State("unpaid", Visit.read, "pay_button", "お知らせとお支払い", "The message and what is to be paid"),
    State("test", _in_test, "pay_test", "テスト決済の契約のとき", "The same on a test contract", undo=_in_earnest),
    State(
        "unavailable",
        _unavailable,
        "unavailable_title",
        "決済サービスにつながらないとき",
        "The payment provider can't be reached; nothing was paid",
        undo=_available,
    ),
    State(
        "unavailable-unsure",
        _unavailable_after,
        "unavailable_unsure",
        "手続きの途中で、決済サービスにつながらないとき",
        "The payment provider can't be reached and may have been paid: it says so",
        undo=_available,
    ),
    State(
        "unavailable-refused",
        _refused,
        "unavailable_refused",
        "決済の契約が使えないとき",
        "The payment provider refuses, or the contract isn't used any more: only the company can mend it",
        undo=_in_use,
    ),
    State("go", _go, "go_title", "決済ページへ移動する間", "On the way to the payment provider"),
    State(
        "started", partial(_back, query="?back=1"), "pay_started", "支払わずに戻ったとき", "Turned back without paying"
    ),
    State("waiting", _waiting, "waiting", "決済サービスの結果を待つ間", "The payment provider's word is awaited"),
    State(
        "waiting-long",
        partial(_back, query="?looks=8"),
        "waiting_long",
        "結果に時間がかかっているとき",
        "The word takes its time",
    ),
    State(
        "pending",
        lambda visit: _paying(visit, "konbini", comes="pending"),
        "pending_title",
        "入金待ち（コンビニ払いなど）",
        "Ordered, to be paid at a shop",
    ),
    State(
        "message-pending",
        lambda visit: _paying(visit, "konbini", comes="pending", at="/p"),
        "pending_title",
        "入金待ちの間のお知らせ",
        "The message while money is awaited",
    ),
    State(
        "paid", lambda visit: _paying(visit, "card", comes="paid"), "paid_title", "お支払い完了", "Paid: the receipt"
    ),
    State(
        "message-paid",
        lambda visit: _paying(visit, "card", comes="paid", at="/p"),
        "paid_title",
        "お支払い後のお知らせ",
        "The message after paying",
    ),
    State(
        "lapsed",
        lambda visit: _paying(visit, "konbini", "lapsed", comes="expired"),
        "pay_expired",
        "支払わないまま手続きの期限が切れたとき",
        "The order lapsed unpaid",
    ),
    State(
        "declined",
        lambda visit: _changed(
            "UPDATE payment SET state = 'failed' WHERE recipient_id = {id}",
            "UPDATE recipient SET payment_state = 'failed' WHERE id = {id}",
            visit=visit,
        ),
        "pay_failed",
        "お支払いできなかったとき",
        "The payment failed",
    ),
    State(
        "review",
        lambda visit: _changed(
            "UPDATE payment SET problem = 'mismatch: amount' WHERE recipient_id = {id}", visit=visit
        ),
        "review_title",
        "食い違いを担当者が確認している間",
        "Someone looks into a difference; no second payment is offered",
    ),
    State(
        "refunded",
        lambda visit: _changed(
            "UPDATE payment SET state = 'paid', paid_at = now() WHERE recipient_id = {id}",
            "UPDATE payment SET state = 'refunded' WHERE recipient_id = {id}",
            "UPDATE recipient SET payment_state = 'paid' WHERE id = {id}",
            "UPDATE recipient SET payment_state = 'refunded' WHERE id = {id}",
            visit=visit,
        ),
        "refunded_title",
        "返金したとき",
        "Refunded",
    ),
    State(
        "pay-over",
        lambda visit: _paying(visit, "konbini", "lapsed", comes="expired", over=True),
        "pay_over",
        "手続き中にリンクの期限が過ぎたとき",
        "The link ended meanwhile",
    ),
    State(
        "returned",
        lambda visit: visit.goto("/p/return"),
        "returned_title",
        "別のブラウザーに戻ったとき",
        "Back in another browser",
    ),
    State("verify", lambda visit: visit.goto("/verify"), "verify_lead", "SMSの送信元を確かめる", "Who sent the SMS?"),
    State(
        "verify-yes",
        lambda visit: _verify(visit, "【みどり損害保険】", "0005-000-001"),
        "verify_yes_title",
        "その会社の番号だったとき",
        "It is that company's number",
    ),
    State(
        "verify-no",
        lambda visit: _verify(visit, "みどり損害保険", "0120-999-999"),
        "verify_no_title",
        "確認できないとき",
        "It can't be confirmed",
    ),
    State(
        "verify-empty", lambda visit: _verify(visit, "みどり損害保険", ""), "unreadable_title", "空のとき", "Left empty"
    ),
    State("not-found", lambda visit: visit.goto("/nothing"), "not_found_title", "アドレスの誤り", "A wrong address"),
    State("busy", _busy, "busy_title", "アクセスが多すぎるとき", "Too many requests"),
    State("bad", _too_much, "bad_title", "受け付けられない操作", "What can't be taken"),
    State("failed", _broken, "failed_title", "こちらの不具合", "A fault of ours"),
)
BY_NAME = {state.name: state for state in STATES}
