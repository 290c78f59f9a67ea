"""The Japanese that Flask-Admin's and WTForms' own catalogues lack.

Flask-Admin's `translations_path` lets the shipped words win and is forgotten when a word is asked for outside a view;
here ours are put into the loaded catalogues, once, at start-up.
"""

from collections.abc import Mapping

import flask_admin.babel
from flask import Flask

_ADMIN: Mapping[str, str] = {
    "%(placeholder)s": "%(placeholder)s",
    "Home": "ホーム",
    "Failed to create record.": "まだ登録されていません。赤い文字の項目を直して、もう一度保存してください。",
    "Failed to save record.": "まだ保存されていません。赤い文字の項目を直して、もう一度保存してください。",
    "Failed to create record. %(error)s": "登録できませんでした。%(error)s",
    "Failed to update record. %(error)s": "保存できませんでした。%(error)s",
    "Failed to delete record. %(error)s": "削除できませんでした。%(error)s",
    "Failed to perform action. %(error)s": "操作できませんでした。%(error)s",
    "Record was successfully created.": "登録しました。",
    "Record was successfully saved.": "保存しました。",
    "Record was successfully deleted.": "削除しました。",
    "Record does not exist.": "データが見つかりません。",
    "Permission denied.": "この操作をする権限がありません。",
    "There are no items in the table.": "まだ何もありません。",
    "Already exists.": "すでに使われています。",
    "Please select at least one record.": "1件以上選んでください。",
    "{} item": "{}件",
}
_PLURALS: Mapping[str, str] = {
    "Record was successfully deleted.": "%(count)s件削除しました。",
    "At least %(num)d item is required": "%(num)d件以上必要です",
}

_WTFORMS: Mapping[str, str] = {
    "This field is required.": "入力してください。",
    "Not a valid choice.": "選択肢から選び直してください。",
    "'%(value)s' is not a valid choice for this field.": "選択肢から選び直してください。",
    "Invalid Choice: could not coerce.": "選択肢から選び直してください。",
    "Invalid choice(s): one or more data inputs could not be coerced.": "選択肢から選び直してください。",
    "Choices cannot be None.": "選択肢がありません。",
    "Not a valid integer value.": "整数で入力してください。",
    "Not a valid decimal value.": "数字で入力してください。",
    "Not a valid datetime value.": "日時を正しく入力してください。",
    "Not a valid date value.": "日付を正しく入力してください。",
    "Not a valid week value.": "週を正しく入力してください。",
    "Date must be at least %(min)s.": "%(min)s以降にしてください。",
    "Date must be at most %(max)s.": "%(max)s以前にしてください。",
    "Date must be between %(min)s and %(max)s.": "%(min)sから%(max)sの間にしてください。",
    "This field cannot be edited.": "この項目は変更できません。",
    "This field is disabled and cannot have a value.": "この項目は入力できません。",
    "Invalid email address.": "メールアドレスを正しく入力してください。",
    "CSRF failed.": "画面の有効期限が切れています。再読み込みしてください。",
}
_WTFORMS_PLURALS: Mapping[str, str] = {
    "Field cannot be longer than %(max)d character.": "%(max)d文字以内で入力してください。",
    "Field must be at least %(min)d character long.": "%(min)d文字以上で入力してください。",
    "Field must be exactly %(max)d character long.": "%(max)d文字で入力してください。",
}


def install(app: Flask) -> None:
    """Put our words into the catalogues of this process."""
    with app.app_context():
        for domain, words, plurals in (
            (flask_admin.babel.domain, _ADMIN, _PLURALS),
            (flask_admin.babel.wtforms_domain, _WTFORMS, _WTFORMS_PLURALS),
        ):
            catalog = domain.get_translations()._catalog  # noqa: SLF001 - gettext offers no other way in
            catalog.update(words)
            catalog.update({(word, 0): text for word, text in plurals.items()})
