"""Workbooks as companies keep them: a cover, titles over the list, headings of their own."""

import io
from collections.abc import Sequence

import openpyxl

COVER: tuple[list[object], ...] = ([None, "契約管理部 御中"], [None, "2026年11月30日 出力"], [], [None, "取扱注意"])
OWN_NAMES = ["№", "保険契約者様（漢字）", "お手元の番号（ハイフン不要）", "お生まれ", "証券№"]
PEOPLE = (
    [1, "佐藤　花子", "090-1234-5678", "S55.1.2", "K1"],
    [2, "鈴木　一郎", "08012345678", "1980/1/2", "K2"],
)
# two cells of a title, the first of which is empty, look like a headline that has an empty cell
BROAD_TITLES = ([None, "未入金者リスト", "作成日：11月30日"], ["※赤字は要確認"])


def book(**sheets: Sequence[Sequence[object]]) -> bytes:
    made = openpyxl.Workbook()
    made.remove(made.worksheets[0])
    for name, rows in sheets.items():
        sheet = made.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    stream = io.BytesIO()
    made.save(stream)
    return stream.getvalue()
