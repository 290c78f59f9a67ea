"""Which bytes a list is made of: its encoding, or what it is instead of a list.

A file is read once through before its first row is believed, so that a wrong byte at its end leaves nothing half taken
in. UTF-8 is tried first: Japanese in CP932 fails as UTF-8 within a few letters, nearly every file passes as CP932.
"""

import codecs
from typing import BinaryIO, NamedTuple

from app.problems import Kind, Refused

_CHUNK = 1 << 18  # bytes

_SAVE_AS_CSV = "Excelで開き、「名前を付けて保存」で「CSV (コンマ区切り)」か「CSV UTF-8」を選んで保存し直してください。"
_SAVE_AS_BOOK = "Excelで開き、パスワードを外して「Excelブック (.xlsx)」か「CSV UTF-8」で保存し直してください。"
_IS_HTML = Kind("file_is_html", "CSVではなくHTMLのファイルです。" + _SAVE_AS_CSV)
_SIGNATURES = (
    (
        b"\xd0\xcf\x11\xe0",
        Kind("file_is_old_excel", "Excelの古い形式(.xls)か、パスワード付きのExcelブックです。" + _SAVE_AS_BOOK),
    ),
    (b"%PDF", Kind("file_is_pdf", "PDFファイルです。元の表をCSVで保存し、そのファイルを選んでください。")),
    (b"\x1f\x8b", Kind("file_is_compressed", "圧縮ファイルです。展開して、中のCSVファイルを選んでください。")),
    (b"<html", _IS_HTML),
    (b"<!doc", _IS_HTML),
    (b"<table", _IS_HTML),
    (b"<?xml", Kind("file_is_xml", "CSVではなくXMLのファイルです。" + _SAVE_AS_CSV)),
)
_TOO_LARGE = Kind("file_too_large", "ファイルが大きすぎます。{megabytes}MB以下に分けてアップロードしてください。")
_EMPTY = Kind("file_empty", "ファイルが空です。見出しと1行以上のデータがあるファイルを選んでください。")
_UNREADABLE_AS = Kind(
    "file_unreadable_as_chosen",
    "{line}行目付近の文字を、{encoding}では読めません。別の文字コードを選んでください。",
)
_GARBLED = Kind(
    "file_garbled",
    "{line}行目付近の文字が壊れています。元のファイルをもう一度保存し直してから選んでください。",
)
_UNREADABLE = Kind("file_unreadable", "{line}行目付近の文字を読めません。" + _SAVE_AS_CSV)
_UNREADABLE_JIS = Kind(
    "file_unreadable_jis", "{line}行目付近の文字を読めません（JISコードの一覧です）。" + _SAVE_AS_CSV
)
_NUL = Kind("file_is_binary", "文字の表ではないデータが入っています(NUL文字)。" + _SAVE_AS_CSV)

# JIS as mail programs and old mainframes write it: 7 bits, with escapes to another set of letters (RFC 1468)
_JIS_ESCAPES = (b"\x1b$B", b"\x1b$@", b"\x1b(J", b"\x1b(I", b"\x1b$(")
_JIS = ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2004")

_HEADLINE_WORDS = ("番号", "電話", "氏名", "名前")

# A file that fails as UTF-8 after this many Japanese letters passed is broken UTF-8, not CP932: read as CP932 it would
# send people garbled names.
_SURELY_UTF8 = 8


def too_large(max_bytes: int) -> Refused:
    """Make what is raised for a file of more than `max_bytes`."""
    return Refused(_TOO_LARGE(megabytes=max_bytes // 1_000_000))


class _Undecodable(NamedTuple):
    line: int
    letters_before: int


ENCODING_LABELS = {
    "utf-8": "UTF-8",
    "utf-8-sig": "UTF-8",
    "utf-16": "UTF-16",
    "cp932": "Shift_JIS",
    "euc_jp": "EUC-JP",
    "iso2022_jp": "JIS",
    "iso2022_jp_ext": "JIS",
    "iso2022_jp_2004": "JIS",
}
_LOOKED_INTO = 1 << 16  # bytes, where other encodings are looked for


def encodings_possible(stream: BinaryIO, found: str) -> list[str]:
    """List the encodings that a file's beginning can be read in, the one that was `found` first.

    UTF-8 with some Japanese letters is no accident, nor is what has a mark or escapes.
    """
    stream.seek(0)
    head = stream.read(_LOOKED_INTO)
    if head.isascii() or found not in {"utf-8", "cp932", "euc_jp"}:
        return [found]
    if found == "utf-8" and _letters(head.decode("utf-8", "ignore")) > _SURELY_UTF8:
        return [found]
    return [found, *(one for one in ("utf-8", "cp932", "euc_jp") if one != found and _reads(head, one))]


def _reads(head: bytes, encoding: str) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return False
    return True


def check_encoding(stream: BinaryIO, encoding: str, max_bytes: int) -> str:
    """Return the encoding that somebody chose for a file.

    Raises Refused where it can't be read in it.
    """
    wrong = _first_wrong_byte(stream, encoding, max_bytes)
    if wrong:
        label = ENCODING_LABELS.get(encoding, encoding)
        raise Refused(_UNREADABLE_AS(line=wrong.line, encoding=label))
    return encoding


def find_encoding(stream: BinaryIO, max_bytes: int) -> str:
    """Return a seekable stream's encoding, by Python's name.

    utf-8, utf-8-sig, utf-16 (with its mark, Excel's "Unicode text"), cp932, euc_jp or one of the iso2022_jp family.
    Leaves the stream anywhere. Raises Refused.
    """
    stream.seek(0)
    head = stream.read(1024)
    if not head:
        raise Refused(_EMPTY())
    for signature, kind in _SIGNATURES:
        if head.lower().startswith(signature.lower()):
            raise Refused(kind())
    if any(escape in head for escape in _JIS_ESCAPES):
        return _find_jis(stream, max_bytes)
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding, marked = "utf-16", True
    else:
        marked = head.startswith(codecs.BOM_UTF8)
        encoding = "utf-8-sig" if marked else "utf-8"
    wrong = _first_wrong_byte(stream, encoding, max_bytes)
    if not wrong:
        return encoding
    if marked or wrong.letters_before > _SURELY_UTF8:
        raise Refused(_GARBLED(line=wrong.line))
    wrong = _first_wrong_byte(stream, "cp932", max_bytes)
    if (wrong or _reads_as_half_width_kana(head)) and not _first_wrong_byte(stream, "euc_jp", max_bytes):
        return "euc_jp"
    if wrong:
        raise Refused(_UNREADABLE(line=wrong.line))
    return "cp932"


def _find_jis(stream: BinaryIO, max_bytes: int) -> str:
    wrong = None
    for encoding in _JIS:
        wrong = _first_wrong_byte(stream, encoding, max_bytes)
        if wrong is None:
            return encoding
    line = wrong.line if wrong else 1
    raise Refused(_UNREADABLE_JIS(line=line))


def _reads_as_half_width_kana(head: bytes) -> bool:
    """Return whether CP932 makes half-width kana of a headline that EUC-JP reads as words.

    EUC-JP's bytes are nearly all half-width kana in CP932. A headline that is truly written so has no kanji as EUC-JP.
    """
    line = head.splitlines()[0] if head else b""
    letters = line.decode("cp932", "replace")
    half = sum("\uff61" <= letter <= "\uff9f" for letter in letters)
    words = line.decode("euc_jp", "replace")
    return half > _letters(letters) / 2 and any(name in words for name in _HEADLINE_WORDS)


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
            raise Refused(_NUL())
        if not chunk:
            return None
        lines += text.count("\n")
        letters = letters or _letters(text)


def _letters(text: str) -> int:
    return 0 if text.isascii() else sum(letter > "\x7f" for letter in text)
