"""Which bytes a list is made of: its encoding, or what it is instead of a list.

A file is read once through before its first row is believed, so that a wrong byte at its end leaves nothing half taken
in. UTF-8 is tried first: Japanese in CP932 fails as UTF-8 within a few letters, nearly every file passes as CP932.
"""

import codecs
from typing import BinaryIO, NamedTuple

from app.identity.bad_input import BadInput

_CHUNK = 1 << 18  # bytes

_SAVE_AS_CSV = "Excelで開き、「名前を付けて保存」で「CSV (コンマ区切り)」か「CSV UTF-8」を選んで保存し直してください。"
_SAVE_AS_BOOK = "Excelで開き、パスワードを外して「Excelブック (.xlsx)」か「CSV UTF-8」で保存し直してください。"
_SIGNATURES = (
    (b"\xd0\xcf\x11\xe0", "Excelの古い形式(.xls)か、パスワード付きのExcelブックです。" + _SAVE_AS_BOOK),
    (b"%PDF", "PDFファイルです。元の表をCSVで保存し、そのファイルを選んでください。"),
    (b"\x1f\x8b", "圧縮ファイルです。展開して、中のCSVファイルを選んでください。"),
    (b"<html", "CSVではなくHTMLのファイルです。" + _SAVE_AS_CSV),
    (b"<!doc", "CSVではなくHTMLのファイルです。" + _SAVE_AS_CSV),
    (b"<table", "CSVではなくHTMLのファイルです。" + _SAVE_AS_CSV),
    (b"<?xml", "CSVではなくXMLのファイルです。" + _SAVE_AS_CSV),
)

# A file that fails as UTF-8 after this many Japanese letters passed is broken UTF-8, not CP932: read as CP932 it would
# send people garbled names.
_SURELY_UTF8 = 8


class BadFile(BadInput):
    """A file that can't be taken as a list; nothing of it is. `code` is stable, `message_ja` says what to do."""


def too_large(max_bytes: int) -> BadFile:
    """Make what is raised for a file of more than `max_bytes`."""
    return BadFile(
        "too_large", f"ファイルが大きすぎます。{max_bytes // 1_000_000}MB以下に分けてアップロードしてください。"
    )


class _Undecodable(NamedTuple):
    line: int
    letters_before: int


def find_encoding(stream: BinaryIO, max_bytes: int) -> str:
    """Give a seekable stream's encoding: utf-8, utf-8-sig, utf-16 (with its mark, Excel's "Unicode text") or cp932.

    Leaves the stream anywhere. Raises BadFile: empty, too_large, binary, broken_utf8, encoding.
    """
    stream.seek(0)
    head = stream.read(1024)
    if not head:
        raise BadFile("empty", "ファイルが空です。見出しと1行以上のデータがあるファイルを選んでください。")
    for signature, message in _SIGNATURES:
        if head.lower().startswith(signature.lower()):
            raise BadFile("binary", message)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding, marked = "utf-16", True
    else:
        marked = head.startswith(codecs.BOM_UTF8)
        encoding = "utf-8-sig" if marked else "utf-8"
    wrong = _first_wrong_byte(stream, encoding, max_bytes)
    if not wrong:
        return encoding
    if marked or wrong.letters_before > _SURELY_UTF8:
        raise BadFile(
            "broken_utf8",
            f"{wrong.line}行目付近の文字が壊れています。元のファイルをもう一度保存し直してから選んでください。",
        )
    wrong = _first_wrong_byte(stream, "cp932", max_bytes)
    if wrong:
        raise BadFile("encoding", f"{wrong.line}行目付近の文字を読めません。" + _SAVE_AS_CSV)
    return "cp932"


def _first_wrong_byte(stream: BinaryIO, encoding: str, max_bytes: int) -> _Undecodable | None:
    """Decode the whole stream in chunks; a letter cut by a chunk's end is the incremental decoder's business."""
    stream.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    size, lines, letters = 0, 1, 0
    while True:
        chunk = stream.read(_CHUNK)
        size += len(chunk)
        if size > max_bytes:
            raise too_large(max_bytes)
        try:
            text = decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            before = error.object[: error.start].decode(encoding, "ignore")
            return _Undecodable(lines + before.count("\n"), letters + _letters(before))
        if "\0" in text:
            raise BadFile("binary", "文字の表ではないデータが入っています(NUL文字)。" + _SAVE_AS_CSV)
        if not chunk:
            return None
        lines += text.count("\n")
        letters = letters or _letters(text)


def _letters(text: str) -> int:
    return 0 if text.isascii() else sum(letter > "\x7f" for letter in text)
