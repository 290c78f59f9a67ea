"""The words of the recipient's pages, in Japanese and English, and how they write money and times.

Plain and short: they are read on small screens by people who don't know us. No word here says what a
message is about.
"""

from collections.abc import Mapping
from datetime import date, datetime

from app.values.japan_time import TOKYO
from public.payment_texts import PAYMENT

LANGUAGES = ("ja", "en")

OF_FAULTS = {
    "answer_empty": "unreadable_empty",
    "answer_without_digits": "unreadable_empty",
    "date_empty": "unreadable_empty",
    "answer_too_long": "unreadable_long",
}
"""The text that tells a fault of an answer where the page is not in Japanese, by the problem's code."""

_TEXTS: Mapping[str, tuple[str, str]] = {
    **PAYMENT,
    # on every page
    "service": ("Todoke（届け）", "Todoke"),
    "operated": (
        "このページは、{company}の委託を受けて、お知らせサービス「Todoke（届け）」{operator}が運営しています。",
        "This page is run by the notification service Todoke{operator} on behalf of {company}.",
    ),
    "operated_bare": (
        "このページは、お知らせサービス「Todoke（届け）」{operator}が運営しています。",
        "This page is run by the notification service Todoke{operator}.",
    ),
    "contact": ("お問い合わせ", "Contact"),
    "contact_phone": ("電話", "Phone"),
    "contact_hours": ("受付時間", "Hours"),
    "error_prefix": ("エラー：", "Error: "),
    "skip": ("本文へ移動", "Skip to content"),
    "sample": (
        "これは見本です。まだ保存されていません。",
        "This is a sample. It has not been saved yet.",
    ),
    # is it really them
    "verify_title": ("SMSの送信元を確かめる", "Check who sent an SMS"),
    "verify_lead": (
        "届いたSMSが、本当にその会社からのものかを確かめられます。SMSに書かれている会社名と、SMSの送信元の番号を入力してください。",
        "Find out whether an SMS really came from the company it names.",
    ),
    "verify_company": ("会社名", "Company"),
    "verify_company_hint": ("SMSに書かれているとおりに入力してください。", "As it is written in the SMS."),
    "verify_number": ("SMSの送信元の番号", "Number the SMS came from"),
    "verify_number_hint": (
        "SMSの画面のいちばん上に表示されています。例：0120-123-456",
        "It stands at the top of the message, for example 0120-123-456.",
    ),
    "verify_button": ("確かめる", "Check"),
    "verify_yes_title": ("この会社の送信元です", "This number is the company's"),
    "verify_yes": (
        "{company}は、この番号からSMSをお送りしています。",
        "{company} sends SMS from this number.",
    ),
    "verify_yes_link": (
        "SMSのリンクは https://{host}/ で始まります。ほかのアドレスのリンクは開かないでください。",
        "Links in its SMS begin with https://{host}/. Don't open links to other addresses.",
    ),
    "verify_numbers": (
        "この会社のSMSは、お使いの携帯会社により、次の番号から届きます。",
        "This company's SMS come from these numbers, by mobile network.",
    ),
    "sender_all": ("どの携帯会社でも", "Every network"),
    "sender_docomo": ("ドコモ", "docomo"),
    "sender_au": ("au", "au"),
    "sender_softbank": ("ソフトバンク", "SoftBank"),
    "sender_rakuten": ("楽天モバイル", "Rakuten Mobile"),
    "verify_no_title": (
        "この会社の送信元とは確認できませんでした",
        "We can't confirm that this is the company's number",
    ),
    "verify_no": (
        "会社名と番号が、SMSに表示されているとおりか、もう一度お確かめください。",
        "Please check that the name and the number are exactly as in the SMS.",
    ),
    "verify_no_call": (
        "間違いがないときは、SMSのリンクを開かずに、その会社の公式サイトなどに載っている電話番号でお問い合わせください。",
        "If they are, don't open the link; call the company at a number from its official website.",
    ),
    "verify_again": ("ほかの番号を確かめる", "Check another number"),
    "security_contact": (
        "このサイトの安全上の問題を知らせる（技術者の方へ）",
        "Report a security problem of this site (for engineers)",
    ),
    # the first page
    "welcome_title": ("{company}からのお知らせ", "A message from {company}"),
    "welcome_why": (
        "{company}から、あなたにお知らせがあります。SMS（ショートメッセージ）でこのページのリンクをお送りしました。",
        "{company} has a message for you and sent you the link to this page by SMS.",
    ),
    "why_title": ("このSMSが届いた理由", "Why you got this SMS"),
    "why": (
        "{company}に登録されている携帯電話番号あてにお送りしました。お送りしたのは、あなただけのリンクです。",
        "It was sent to the mobile number that {company} has on file. The link is yours alone.",
    ),
    "welcome_asks": (
        "ほかの方に内容を見られないように、はじめにご本人かどうかを確認します。1分ほどで終わります。",
        "So that nobody else reads it, we first check that it is you. It takes about a minute.",
    ),
    "welcome_direct": ("ボタンを押すと、お知らせの内容が表示されます。", "Press the button to read the message."),
    "begin": ("確認をはじめる", "Start"),
    "begin_direct": ("お知らせを見る", "Read the message"),
    "until": ("このページは{time}まで開けます。", "You can open this page until {time}."),
    "safe_title": ("ご安心いただくために", "For your safety"),
    "safe_card": (
        "このページで、クレジットカードの番号や暗証番号、パスワードをうかがうことはありません。",
        "This page never asks for card numbers, PINs or passwords.",
    ),
    "safe_doubt": (
        "心当たりがないときや、ご不安なときは、ボタンを押さずに下の電話番号へお問い合わせください。",
        "If you don't expect this message or have doubts, don't press the button and call the number below.",
    ),
    "safe_doubt_no_phone": (
        "心当たりがないときや、ご不安なときは、ボタンを押さずに、{company}へお問い合わせください。",
        "If you don't expect this message or have doubts, don't press the button and ask {company}.",
    ),
    # not for me
    "not_me_title": ("このSMSに心当たりがない方", "This SMS is not for you?"),
    "not_me_why": (
        (
            "わけを選んでボタンを押すと、このリンクは開けなくなり、この番号へ送らないように{company}へ伝わります。"
            "担当者が確かめて決めます。"
        ),
        (
            "Choose a reason and press the button: this link ends, and {company} is asked to send nothing more to this"
            " number. Their staff will decide."
        ),
    ),
    "not_me_reason": ("わけ", "Reason"),
    "not_me_reason_missing": (
        "わけを1つ選んでから、もう一度ボタンを押してください。",
        "Please choose a reason and press the button again.",
    ),
    "not_me_stale": (
        "時間がたったため、まだ伝えていません。わけを選んで、もう一度ボタンを押してください。",
        "Some time has passed, so nothing was sent. Please choose a reason and press the button again.",
    ),
    "not_me_button": ("心当たりがないと伝える", "Say that it is not for me"),
    "not_me_wrong_number": ("宛名の人を知らない・番号がちがう", "I don't know the person, or the number is wrong"),
    "not_me_wish": ("心当たりはあるが、SMSを送らないでほしい", "I know the company, but don't send me SMS"),
    "not_me_other": ("そのほか・わからない", "Something else, or I'm not sure"),
    "disowned_title": ("お知らせいただき、ありがとうございました", "Thank you for telling us"),
    "disowned": (
        (
            "このリンクは開けなくなりました。この番号へ送らないように、{company}へ伝えました。担当者が確かめて決めます。"
            "まちがえて押したときは、{company}へお問い合わせください。リンクを元に戻せます。"
        ),
        (
            "The link has ended. {company} was asked to send nothing more to this number; their staff will decide. If"
            " you pressed by mistake, please contact {company}: they can open the link again."
        ),
    ),
    "disown_paying_title": ("このリンクは、そのままにしてあります", "The link was left as it is"),
    "disown_paying": (
        "お支払いの手続きが始まっているか、終わっているためです。心当たりがないときは、{company}へお問い合わせください。",
        "A payment was begun or made with it. If it wasn't you, please contact {company}.",
    ),
    "disown_verified_title": ("このリンクは、そのままにしてあります", "The link was left as it is"),
    "disown_verified": (
        (
            "このリンクでは、ご本人の確認が済んでいるためです。SMSを送らないでほしいときや、心当たりがないときは、"
            "{company}へお問い合わせください。"
        ),
        "Somebody has proved with it who they are. If it wasn't you, or to get no more SMS, contact {company}.",
    ),
    # questions
    "questions_title": ("ご本人の確認", "Identity check"),
    "questions_lead": (
        "ご登録の内容と同じになるように入力してください。全角・半角やハイフンの違いは気にせず入力できます。",
        "Please enter what the company has on file. Spaces, hyphens and full-width characters don't matter.",
    ),
    "required": ("※必須", "(required)"),
    "calendar": ("年の数え方", "Calendar"),
    "western": ("西暦", "Western"),
    "year": ("年", "Year"),
    "month": ("月", "Month"),
    "day": ("日", "Day"),
    "hint_date": ("例：西暦 1958年9月4日、昭和 33年9月4日", "For example 1958 / 9 / 4"),
    "hint_digits": ("数字で入力してください。", "Digits only."),
    "hint_postcode": ("数字7桁。例：123-4567", "7 digits, for example 123-4567"),
    "hint_last4": ("数字4桁。例：0489", "4 digits, for example 0489"),
    "hint_choice": ("ひとつ選んでください。", "Choose one."),
    "submit_answers": ("回答を送る", "Send answers"),
    "attempts": (
        "あと{left}回まで入力できます。{left}回まちがえると、このページは開けなくなります。",
        "{left} attempts left. After that this page will be locked.",
    ),
    "attempts_last": (
        "あと1回まで入力できます。次に一致しないと、このページは開けなくなります。",
        "This is your last attempt. If the answers don't match, this page will be locked.",
    ),
    "wrong_title": ("ご登録の内容と一致しませんでした", "The answers don't match"),
    "wrong": (
        "入力した内容をもう一度お確かめください。安全のため、どの項目が違っているかはお知らせできません。",
        "Please check all of your answers. For your safety we can't say which one differs.",
    ),
    "wrong_ask": (
        "わからないときは、無理に入力せず、{company}（電話 {phone}）へお問い合わせください。",
        "If you are not sure, please call {company} at {phone} instead.",
    ),
    "wrong_ask_no_phone": (
        "わからないときは、無理に入力せず、{company}へお問い合わせください。",
        "If you are not sure, please contact {company} instead.",
    ),
    "unreadable_title": ("入力内容をお確かめください", "Please check your answers"),
    "unreadable": (
        "次の項目を直してください。回数には数えていません。",
        "Please correct these. No attempt was counted.",
    ),
    "unreadable_item": ("この項目を確かめて入力してください。", "Please check this answer."),
    "unreadable_long": ("長すぎます。短くして入力してください。", "This is too long. Please shorten it."),
    "unreadable_empty": ("この項目を入力してください。", "Please fill in this answer."),
    # locked, gone, over
    "locked_title": ("安全のため、このページを閉じました", "This page is locked for your safety"),
    "locked": (
        (
            "回答が続けて一致しなかったため、これ以上は入力できません。内容をお知りになりたいときは、"
            "{company}へお問い合わせください。ご本人を確認のうえ、もう一度開けるようにできます。"
        ),
        "The answers did not match several times. Please contact {company}: they can open the page for you again.",
    ),
    "trial_title": ("テスト送信の確認ページ", "Trial page"),
    "trial": (
        "これはテスト送信のSMSから開いたページです。リンクは正しく開けています。",
        "You opened this page from a test SMS. The link works.",
    ),
    "trial_more": (
        "実際のSMSでは、このリンクの先に、送信先ごとの専用ページが開きます。",
        "In the real SMS the link opens each person's own page.",
    ),
    "stopped_title": ("ただいま確認を受け付けていません", "Identity checks are paused"),
    "stopped": (
        (
            "安全のため、{company}のページではご本人の確認を一時的に止めています。しばらくたってから、"
            "SMSのリンクをもう一度開いてください。お急ぎのときは、{company}へお電話ください。"
        ),
        "For your safety, identity checks for {company} are paused. Please try the link later, or call {company}.",
    ),
    "gone_title": ("このページは開けません", "This page can't be opened"),
    "gone": (
        "リンクの有効期限が切れているか、リンクが正しくありません。",
        "The link has expired or is not correct.",
    ),
    "gone_copied": (
        "リンクを貼り付けたときは、途中で切れていないかお確かめください。",
        "If you pasted the link, please check that it is complete.",
    ),
    "gone_call": (
        "SMSに書かれている会社へ、会社の公式サイトなどに載っている電話番号でお問い合わせください。",
        "Please contact the company named in the SMS, at a number from its official website.",
    ),
    "over_title": ("もう一度、SMSのリンクを開いてください", "Please open the link in the SMS again"),
    "over": (
        "しばらく操作がなかったため、安全のためにページを閉じました。お手数ですが、SMSのリンクからもう一度開いてください。",
        "For your safety the page was closed after a while. Please open the link in the SMS again.",
    ),
    "over_cookies": (
        "何度も表示されるときは、ブラウザーの設定でCookie（クッキー）を使えるようにしてください。",
        "If you see this repeatedly, please allow cookies in your browser's settings.",
    ),
    # pages about a fault
    "busy_title": ("アクセスが集中しています", "Too many requests"),
    "busy": (
        "1分ほど待ってから、もう一度お試しください。",
        "Please wait about a minute and try again.",
    ),
    "held_up_title": ("ただいま混み合っています", "Busy at the moment"),
    "held_up": (
        "数秒待ってから、前の画面に戻ってもう一度お試しください。お手続きの内容は失われていません。",
        "Please wait a few seconds, go back and try again. Nothing that you completed is lost.",
    ),
    "not_found_title": ("ページが見つかりません", "Page not found"),
    "not_found": (
        "アドレスをお確かめください。SMSのリンクからもう一度開いてください。",
        "Please check the address, or open the link in the SMS again.",
    ),
    "bad_title": ("操作を受け付けられませんでした", "That did not work"),
    "bad": (
        "お手数ですが、SMSのリンクからもう一度開いてください。",
        "Please open the link in the SMS again.",
    ),
    "failed_title": ("ただいまページを表示できません", "The page can't be shown right now"),
    "failed": (
        "こちらの不具合です。数分たってから、もう一度お試しください。",
        "Something went wrong on our side. Please try again in a few minutes.",
    ),
}


def texts(language: str) -> dict[str, str]:
    """Return all words in a language; Japanese where we don't speak it."""
    place = LANGUAGES.index(language) if language in LANGUAGES else 0
    return {name: words[place] for name, words in _TEXTS.items()}


def operator(name: str, language: str) -> str:
    """Write who runs the site behind the service's name; nothing where no name is set."""
    if not name:
        return ""
    return f" ({name})" if language == "en" else f"（{name}）"


def yen(amount: int, language: str) -> str:
    """Write an amount of whole yen."""
    return f"¥{amount:,}" if language == "en" else f"{amount:,}円"


def day(value: date, language: str) -> str:
    """Write a date."""
    return value.isoformat() if language == "en" else f"{value.year}年{value.month}月{value.day}日"


def moment(at: datetime, language: str) -> str:
    """Write an aware time, to the minute, as it is in Japan."""
    local = at.astimezone(TOKYO)
    return (
        f"{local:%Y-%m-%d %H:%M} JST" if language == "en" else f"{day(local.date(), 'ja')} {local.hour}時{local:%M}分"
    )
