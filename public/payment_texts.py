"""The words of the recipient's pages about paying, in Japanese and English (`public.texts`).

No page of somebody who paid may say that their money isn't there, nor ask for it again.
"""

from collections.abc import Mapping

PAYMENT: Mapping[str, tuple[str, str]] = {
    "pay_title": ("お支払い", "Payment"),
    "written_before": (
        "お支払いの前にお送りした内容です。お支払いについては、このお知らせの下の欄をご覧ください。",
        "This was written before you paid. For your payment, see the box below this message.",
    ),
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
}
