"""Answer when the back office can't do what was asked: what happened, and what to do next."""

from flask import Response, make_response, render_template
from flask_login import current_user
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

_WORDS = {
    400: ("送られた内容を読み取れませんでした", "前の画面に戻り、もう一度操作してください。"),
    403: (
        "この画面を開く権限がありません",
        "必要な場合は、自社の管理者に相談してください。メニューから別の画面へ移動できます。",
    ),
    404: (
        "お探しのページまたはデータは見つかりませんでした",
        "削除されたか、アドレスが間違っている可能性があります。メニューから探し直してください。",
    ),
    405: ("この操作はできません", "メニューから画面を開き直してください。"),
    408: ("送信が途中で止まりました", "通信状態のよいところで、もう一度送信してください。"),
    413: ("送られたデータが大きすぎます", "内容を減らすか、ファイルを分けてからもう一度送ってください。"),
    429: ("短い時間に操作が集中しました", "1分ほど待ってから、もう一度お試しください。"),
    503: (
        "ほかの処理が終わるのを待っています",
        "今回の操作は行われていません。数秒待ってから、前の画面に戻ってもう一度お試しください。",
    ),
}
_OURS_FROM = 500
_OURS = (
    "処理中に問題が起きました",
    "操作は完了していない可能性があります。一覧で結果を確かめてから、もう一度お試しください。",
)
_STALE = (
    "画面の有効期限が切れています",
    (
        "別の画面でサインインし直したか、長い時間が経っています。今回入力した内容は保存されていません。"
        "前の画面に戻り、入力した文章が残っていれば控えてから再読み込みし、もう一度操作してください。"
    ),
)


def page(error: HTTPException) -> Response:
    """Make the page for an error; a response that an error carries is that response."""
    if error.response is not None:
        return make_response(error.response)
    code = error.code or 500
    title, advice = _STALE if isinstance(error, CSRFError) else _words(code)
    text = render_template(
        "office/error.html", code=code, title=title, advice=advice, signed_in=current_user.is_authenticated
    )
    response = make_response(text, code)
    for name, value in error.get_headers():
        if name.lower() not in {"content-type", "content-length"}:
            response.headers[name] = value
    return response


def _words(code: int) -> tuple[str, str]:
    """Return a status's words; of those that we don't know, whose fault it was."""
    return _WORDS.get(code) or (_OURS if code >= _OURS_FROM else _WORDS[400])
