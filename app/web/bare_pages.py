"""Answer where no door can make a page: a bare one, with what to do next.

In: a status. Out: HTML without a style, in Japanese, and in English too but for the back office; nothing for programs,
which go by the status. Can't happen here: a word of what was sent.
"""

_WORDS = {
    400: (
        "このアドレスからは利用できません",
        "SMSのリンク、または案内されたアドレスから開き直してください。",
        "This address is not ours. Please open the link in your SMS again.",
    ),
    404: (
        "ページが見つかりません",
        "アドレスを確かめるか、メニューから開き直してください。",
        "Page not found. Please check the address.",
    ),
    405: (
        "この操作はできません",
        "前の画面に戻り、メニューから開き直してください。",
        "That can't be done here. Please go back and try again.",
    ),
    408: (
        "送信が途中で止まりました",
        "通信状態のよいところで、もう一度送信してください。",
        "Your data did not arrive in time. Please send it again.",
    ),
    411: (
        "送られた内容を読み取れませんでした",
        "前の画面に戻り、もう一度操作してください。",
        "The request could not be read. Please go back and try again.",
    ),
    413: (
        "送られたデータが大きすぎます",
        "入力を短くするか、ファイルを分けてから、もう一度送信してください。",
        "What was sent is too large. Please shorten it and send it again.",
    ),
    414: (
        "アドレスが長すぎます",
        "SMSのリンクか、メニューから開き直してください。",
        "The address is too long. Please open the link in your SMS again.",
    ),
    431: (
        "ブラウザから送られた情報が長すぎます",
        "このサイトのCookieを削除してから、もう一度開いてください。",
        "Your browser sent too much. Please delete this site's cookies and try again.",
    ),
    500: (
        "処理中に問題が起きました",
        "数分たってから、もう一度お試しください。",
        "Something went wrong on our side. Please try again in a few minutes.",
    ),
    503: (
        "ただいま混み合っています",
        "1分ほど待ってから、もう一度お試しください。",
        "We are busy. Please try again in a minute.",
    ),
}
_UNREADABLE, _OURS = 411, 500
# doors at which programs ask
_PROGRAMS = ("/callbacks/", "/healthz")


def page(status: int, path: str) -> bytes:
    """Return the page for a status, at a path."""
    if path.startswith(_PROGRAMS):
        return b""
    title, advice, english = _WORDS.get(status) or _WORDS[_OURS if status >= _OURS else _UNREADABLE]
    # the back office speaks Japanese alone
    other = "" if path.startswith("/admin") else f'<p lang="en">{english}</p>'
    return (
        f'<!doctype html><html lang="ja"><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><h1>{title}</h1><p>{advice}</p>{other}</html>"
    ).encode()
