"""The words of the recipient's pages, in Japanese and English, and how they write money and times.

Plain and short: they are read on small screens by people who don't know us. No word here says what a
message is about.
"""

from collections.abc import Mapping
from datetime import date, datetime

from app.values.japan_time import TOKYO

LANGUAGES = ("ja", "en")

OF_FAULTS = {
    "answer_empty": "unreadable_empty",
    "answer_without_digits": "unreadable_empty",
    "date_empty": "unreadable_empty",
    "answer_too_long": "unreadable_long",
}
"""The text that tells a fault of an answer where the page is not in Japanese, by the problem's code."""

_TEXTS: Mapping[str, tuple[str, str]] = {
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
            "次からひとつ選んで押すと、このリンクはすぐに開けなくなり、この番号へ送らないように{company}へ伝わります。"
            "元には戻せません。"
        ),
        "Press one of these: this link ends at once, and {company} is asked to send nothing more to this number.",
    ),
    "not_me_wrong_number": ("宛名の人を知らない・番号がちがう", "I don't know the person, or the number is wrong"),
    "not_me_wish": ("心当たりはあるが、SMSを送らないでほしい", "I know the company, but don't send me SMS"),
    "not_me_other": ("そのほか・わからない", "Something else, or I'm not sure"),
    "disowned_title": ("お知らせいただき、ありがとうございました", "Thank you for telling us"),
    "disowned": (
        "このリンクは開けなくなりました。この番号へ送らないように、{company}へ伝えました。担当者が確かめて決めます。",
        "The link has ended. {company} was asked to send nothing more to this number; their staff will decide.",
    ),
    "disown_paying_title": ("このリンクは、そのままにしてあります", "The link was left as it is"),
    "disown_paying": (
        "お支払いの手続きが始まっているか、終わっているためです。心当たりがないときは、{company}へお問い合わせください。",
        "A payment was begun or made with it. If it wasn't you, please contact {company}.",
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
    # payment
    "pay_title": ("お支払い", "Payment"),
    "amount": ("お支払い金額", "Amount"),
    "due": ("お支払い期限", "Due date"),
    "pay_test": ("テスト決済：お金は動きません。", "Test payment: no money moves."),
    "pay_over": (
        "リンクの有効期限が過ぎたため、このページからお支払いを始めることはできません。{company}へお問い合わせください。",
        "This link has expired, so no payment can be started from here. Please contact {company}.",
    ),
    "pay_button": ("支払いに進む", "Continue to payment"),
    "pay_again": ("もう一度支払う", "Try to pay again"),
    "try_again": ("もう一度試す", "Try again"),
    "pay_go_on": ("支払いを続ける", "Continue to payment"),
    "pay_lead": (
        "決済サービスのページに移動します。お支払いが終わると、このページに戻ります。",
        "You will be taken to the payment service and come back here afterwards.",
    ),
    "pay_started": (
        "お支払いの手続きが途中です。続けるときは、下のボタンを押してください。",
        "Your payment is not finished. Press the button to continue.",
    ),
    "pay_unsure": (
        (
            "決済サービスに、いまお支払いの結果を確かめられません。お支払いを済ませた場合は、もう一度支払わずにお待ちください。"
            "結果は自動で反映します。まだの場合は、下のボタンから続けられます。"
        ),
        (
            "The result of your payment can't be checked right now. If you have paid, don't pay again: this page shows "
            "the result later. If you haven't, press the button to continue."
        ),
    ),
    "pay_failed": (
        "前回のお支払いは完了していません。もう一度お支払いください。",
        "Your last payment did not go through. Please try again.",
    ),
    "pay_expired": (
        "前回のお支払い手続きは期限が切れました。もう一度お支払いください。",
        "Your last payment has expired. Please try again.",
    ),
    "pay_none": (
        "お支払いについては、{company}へお問い合わせください。",
        "Please contact {company} about the payment.",
    ),
    "review_title": ("お支払いを確認しています", "We are checking your payment"),
    "review": (
        (
            "お支払いの内容を担当者が確認しています。二重のお支払いを防ぐため、もう一度支払わずに、"
            "{company}へお問い合わせください。"
        ),
        "Someone is checking your payment. Please don't pay again and contact {company}.",
    ),
    "checking_title": ("お支払いを確認しています", "Checking your payment"),
    "checking": (
        (
            "決済サービスに、お支払いの結果を確かめています。時間がかかることがあります。もう一度支払わずに、"
            "しばらくたってから、このページを開き直してください。"
        ),
        "We are checking your payment, which may take a while. Please don't pay again and open this page again later.",
    ),
    "unavailable_title": ("決済ページを開けませんでした", "The payment page could not be opened"),
    "unavailable": (
        (
            "決済サービスに接続できませんでした。お支払いは行われていません。"
            "数分たってから、下のボタンを押してください。"
        ),
        "The payment service could not be reached. Nothing was paid. Please try again in a few minutes.",
    ),
    "unavailable_unsure": (
        (
            "決済サービスに接続できず、前回のお支払いの結果を確かめられませんでした。"
            "お支払いを済ませた場合は、もう一度支払わないでください。数分たってから、下のボタンを押してください。"
        ),
        "Your last payment could not be checked. If you have paid, don't pay again. Please try again in a few minutes.",
    ),
    "unavailable_held": (
        (
            "ただいま、お支払いの受け付けを一時的に止めています。ご不便をおかけします。すでにお支払いがお済みの場合は、"
            "もう一度支払わないでください。しばらくたってからもう一度お試しください。お急ぎの場合は、{company}（{phone}）へお問い合わせください。"
        ),
        (
            "Payments are paused for the moment, we are sorry. If you have paid already, don't pay again. "
            "Please try again later. If it is urgent, please call {company} ({phone})."
        ),
    ),
    "unavailable_held_no_phone": (
        (
            "ただいま、お支払いの受け付けを一時的に止めています。ご不便をおかけします。すでにお支払いがお済みの場合は、"
            "もう一度支払わないでください。しばらくたってからもう一度お試しください。お急ぎの場合は、{company}へお問い合わせください。"
        ),
        (
            "Payments are paused for the moment, we are sorry. If you have paid already, don't pay again. "
            "Please try again later. If it is urgent, please contact {company}."
        ),
    ),
    "unavailable_refused": (
        "ただいま、このページからはお支払いいただけません。お支払いは行われていません。お手数ですが、{company}へお問い合わせください。",
        "Payments can't be made from this page right now. Nothing was paid. Please contact {company}.",
    ),
    "go_title": ("決済ページへ移動します", "Going to the payment page"),
    "go": (
        "自動で移動します。移動しないときは、下のボタンを押してください。",
        "You will be taken there automatically. If not, press the button.",
    ),
    "go_where": ("移動先：{host}", "Address: {host}"),
    "go_button": ("決済ページを開く", "Open the payment page"),
    "back_to_message": ("お知らせに戻る", "Back to the message"),
    "pending_title": ("ご入金をお待ちしています", "Waiting for your payment"),
    "pending": (
        "お支払いの申し込みを受け付けました。決済サービスの案内に従って、お支払いください。ご入金が確認できると、このページに表示します。",
        "Your order was received. Please pay as the payment service told you. This page shows when the money has come.",
    ),
    "slip": ("払込番号とお支払い方法を見る", "See how to pay"),
    "pay_by": ("お支払いの締め切り", "Pay by"),
    "paid_title": ("お支払いが完了しました", "Payment complete"),
    "paid": ("お支払いありがとうございました。", "Thank you for your payment."),
    "payee": ("お支払い先", "Paid to"),
    "paid_at": ("お支払い日時", "Paid at"),
    "settled_at": ("ご入金を確認した日時", "Payment recorded at"),
    "receipt_number": ("受付番号", "Receipt number"),
    "twice_title": ("二重のお支払い", "You have paid twice"),
    "twice": (
        (
            "同じお支払いを2回以上いただいています。多くいただいた分のご返金について、{company}（電話 {phone}）へ"
            "お問い合わせください。これ以上のお支払いは必要ありません。"
        ),
        (
            "The same payment has reached us more than once. Please call {company} at {phone} to get the extra amount"
            " back. You don't need to pay anything more."
        ),
    ),
    "twice_no_phone": (
        (
            "同じお支払いを2回以上いただいています。多くいただいた分のご返金について、{company}へお問い合わせください。"
            "これ以上のお支払いは必要ありません。"
        ),
        (
            "The same payment has reached us more than once. Please contact {company} to get the extra amount back."
            " You don't need to pay anything more."
        ),
    ),
    "refund_review_title": ("ご返金を確認しています", "We are checking your refund"),
    "refund_review": (
        "ご返金の手続きが完了していません。お手数ですが、{company}へお問い合わせください。",
        "Your refund has not been completed. Please contact {company}.",
    ),
    "charged_back_title": ("お支払いが取り消されています", "Your payment was reversed"),
    "charged_back": (
        (
            "カード会社などを通してお支払いが取り消され、お金が戻されています。お支払いについては、"
            "{company}へお問い合わせください。"
        ),
        "Your payment was reversed through your card company or bank. Please contact {company} about the payment.",
    ),
    "refunded_title": ("ご返金しました", "Refunded"),
    "refunded": (
        "お支払いいただいた金額を返金しました。ご不明な点は{company}へお問い合わせください。",
        "Your payment was refunded. Please contact {company} with any questions.",
    ),
    "waiting_title": ("お支払いを確認しています", "Checking your payment"),
    "waiting": (
        "決済サービスからの結果を待っています。自動で更新されます。このままお待ちください。",
        "Waiting for the payment service. This page updates by itself.",
    ),
    "waiting_long": (
        (
            "結果の確認に時間がかかっています。少したってから、下のボタンを押してください。"
            "お支払いが済んでいるときは、もう一度支払わないでください。"
        ),
        "This is taking longer than usual. Please press the button in a moment. If you have paid, don't pay again.",
    ),
    "look_again": ("結果を確認する", "Check again"),
    "returned_title": ("お支払いの手続きから戻りました", "Back from the payment page"),
    "returned": (
        "お支払いの結果は、SMSのリンクをもう一度開くとご覧いただけます。",
        "Please open the link in the SMS again to see the result of your payment.",
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
