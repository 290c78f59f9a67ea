"""The form in which a campaign is written: texts, questions, payment, validity."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import null
from wtforms import (
    BooleanField,
    DateTimeLocalField,
    Field,
    FieldList,
    FormField,
    HiddenField,
    RadioField,
    SelectField,
)
from wtforms.validators import NumberRange, Optional, ValidationError

from admin_views.campaigns.send_windows_form import hours_field, hours_typed
from admin_views.framework import display
from admin_views.framework.fields import Check, RowField, WholeField, line, many_lines, required, select_options, text
from admin_views.framework.scoping import rows
from admin_views.framework.secure_view import Form, Sent
from app import links
from app.campaigns import lifecycle, standing, template
from app.campaigns.sms_length import LIMIT, units
from app.models import Campaign, PaymentAccount, Question, SmsAccount
from app.problems import Refused
from app.values.answers import KANA_LABELS, QUESTION_KIND_LABELS, Kana, QuestionKind, normalise
from app.values.japan_time import TOKYO

MOST_QUESTIONS = 4
_UNITS = {"days": ("日", 1440), "hours": ("時間", 60), "minutes": ("分", 1)}
_SHORTEST_MINUTES, _LONGEST_MINUTES = 5, 527_040  # the table's own bounds
_FEWEST_CHOICES = 2
_LOCAL = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]


def _accounts(model: type[SmsAccount] | type[PaymentAccount]) -> Callable[[], list[tuple[int, str]]]:
    return lambda: [(row.id, row.name) for row in rows(model).filter(model.active).order_by(model.name)]


def _usual_account() -> int | None:
    """Return the SMS account that a new campaign goes by: the only one that isn't kept to take over for others."""
    usual = rows(SmsAccount).filter(SmsAccount.active, SmsAccount.takeover_order.is_(None)).limit(2).all()
    return usual[0].id if len(usual) == 1 else None


def least_units(typed: str, company: str) -> int:
    """Return the length of an SMS whose merge fields are all empty, in UTF-16 units: no person's is shorter."""
    values = dict.fromkeys(template.fields_in(typed), "")
    values |= {template.LINK: "x" * links.length(), template.COMPANY: company}
    return units(template.render(typed, values))


class QuestionForm(Form):
    """One question; without a label there is none."""

    label = line("質問文", most=60)
    kind = SelectField("答えの種類", choices=select_options(QUESTION_KIND_LABELS.items()))
    column_name = line("正解の列名", most=100)
    kana = SelectField(
        "ひらがなとカタカナ",
        default=Kana.AS_WRITTEN,
        choices=select_options(KANA_LABELS.items()),
        description="漢字の名前は「区別する」、ふりがなの名前は「同じとみなす」が適しています。空白や全角・半角の違いは、どちらでも区別しません。",
    )
    variants_alike = BooleanField("異体字を同じとみなす", description="髙と高、﨑と崎、德と徳などを区別しません。")
    choices = text("選択肢", most=1000)

    def validate_label(self, field: Field) -> None:
        """Refuse a question that is half written."""
        if not field.data and (self.column_name.data or self.choices.data):
            raise ValidationError("質問文を入力してください。使わない設問は、ほかの欄も空にしてください。")

    def validate_choices(self, field: Field) -> None:
        """Refuse a choice of nothing."""
        if self.kind.data != QuestionKind.CHOICE or not self.label.data:
            return
        kana = Kana.KANA if self.kana.data == Kana.KANA else Kana.AS_WRITTEN
        try:
            alike = [normalise(QuestionKind.CHOICE, one, kana=kana) for one in _lines(field.data)]
        except Refused as refused:
            raise ValidationError(f"選択肢のうち、使えないものがあります：{refused.message_ja}") from None
        if len(alike) < _FEWEST_CHOICES:
            raise ValidationError(f"選択肢を1行に1つずつ、{_FEWEST_CHOICES}つ以上入力してください。")
        if len(set(alike)) < len(alike):
            raise ValidationError("同じとみなされる選択肢があります。1つを残して消してください。")


class CampaignForm(Form):
    """A campaign as it is written.

    `revision` tells when somebody else has saved meanwhile.
    """

    revision = HiddenField()
    name = line(
        "配信名",
        required("配信名を入力してください。"),
        help="社内での呼び名です。受信者には表示されません。例：12月度 未納のご案内",
    )
    kind = RadioField(
        "送り方",
        choices=select_options([("list", "名簿の全員に送る"), ("standing", "常設配信：1人ずつ、続けて送る")]),
        default="list",
        description="常設配信は、文面を一度だけ確認・承認しておき、予約や問い合わせのたびに1人ずつ送ります。あとで変えられません。",
    )
    day_limit = WholeField(
        "1日に受け付ける人数の上限（常設配信）",
        [Optional(), NumberRange(1, 1_000_000, "1人から1,000,000人までの間で入力してください。")],
        default=standing.USUAL_DAY_LIMIT,
        description="誤りで大量に送らないための上限です。常設配信だけで使います。",
    )
    sms_account_id = RowField("SMSアカウント", offer=_accounts(SmsAccount), blank="（あとで選ぶ）")
    may_switch = BooleanField(
        "ほかのSMSアカウントでの送信を許す",
        description="選んだアカウントで送れない状態が続いたとき、会社で決めた順番のアカウントに自動で切り替えます。"
        "切り替わった分は、送信元の番号が変わります。結果の分からないSMSを、別のアカウントで送り直すことはありません。",
    )
    sms_text = text("SMS本文", most=300)
    page_title = line("ページの題名", most=60)
    page_text = text("ページの本文", most=5000)
    page_language = SelectField("ページの言語", choices=select_options([("ja", "日本語"), ("en", "英語")]))
    questions = FieldList(
        FormField(QuestionForm), "本人確認の設問", min_entries=MOST_QUESTIONS, max_entries=MOST_QUESTIONS
    )
    max_failures = SelectField(
        "間違えてよい回数",
        coerce=int,
        default=5,
        choices=select_options((n, f"{n}回でロック") for n in range(3, 11)),
        description="この回数だけ続けて間違えると、そのリンクはロックされます。送信先の画面で解除できます。",
    )
    payment_required = BooleanField("支払いを案内する", description="名簿の請求金額の列を使います。")
    payment_account_id = RowField("決済アカウント", offer=_accounts(PaymentAccount), blank="（あとで選ぶ）")
    validity = RadioField(
        "リンクの有効期限",
        choices=select_options([("period", "SMSの送信から"), ("until", "日時を決める")]),
        default="period",
    )
    link_amount = WholeField("有効期間", [Optional()], default=14)
    link_unit = SelectField("単位", choices=select_options((unit, word) for unit, (word, _) in _UNITS.items()))
    # not called link_until: WTForms would show the row's own, which is UTC
    until = DateTimeLocalField("期限の日時", [Optional()], format=_LOCAL)
    profile = SelectField(
        "送信のきまり",
        default="normal",
        choices=select_options([("normal", "通常"), ("collection", "督促（毎日8:00〜21:00のほかは送りません）")]),
        description="督促を選ぶと、会社や配信の時間帯の設定にかかわらず、夜間と早朝には送られません。",
    )
    hours = hours_field("送信時間帯", "会社の送信時間帯どおりに送る", "この配信の時間帯を決める")
    # not called starts_at and deadline_at: WTForms would show the row's own, which are UTC
    starts = DateTimeLocalField(
        "送信を始める日時",
        [Optional()],
        format=_LOCAL,
        description="空なら、送信のボタンを押したあとすぐに始めます。送信時間帯の外なら、次に始まるときまで待ちます。",
    )
    deadline = DateTimeLocalField(
        "送信の締切",
        [Optional()],
        format=_LOCAL,
        description="この日時を過ぎた分は送らず、「期限切れ」とします。空なら、締切はありません。",
    )
    retry_times = SelectField(
        "届かなかったときの再送",
        coerce=int,
        default=3,
        choices=select_options([(0, "再送しない"), *((n, f"{n}回まで") for n in range(1, 6))]),
        description="電源が入っていない、圏外など、時間をおけば届くことがある場合だけ送り直します。",
    )
    retry_after_minutes = WholeField(
        "再送までの間隔（分）",
        [NumberRange(5, 1440, "5分から1440分（24時間）までの間で入力してください。")],
        default=60,
    )

    def __init__(
        self, formdata: Sent | None, obj: Campaign | None, company: str, start: Mapping[str, object] | None = None
    ) -> None:
        """Read a form, or show a campaign's; a new one shows what it is to start with."""
        values = typed_before(obj) if obj is not None else {"hours": hours_typed(None), **(start or {})}
        super().__init__(formdata, obj=obj, data=values)
        self.standing = obj.standing if obj is not None else self.kind.data == "standing"
        if obj is not None:
            del self.kind
            if not obj.standing:
                del self.day_limit
        self.company = company
        self.questions_locked = obj is not None and lifecycle.questions_locked(obj)
        if self.questions_locked:
            # the page has no fields for them: nothing would come back, and nothing is no kind of answer
            del self.questions
        if obj is None and formdata is None and not self.sms_account_id.data:
            self.sms_account_id.data = _usual_account()

    def validate_sms_text(self, field: Field) -> None:
        """Refuse a text that can't be an SMS for anybody; one that isn't finished may wait."""
        if not field.data:
            return
        if found := template.problems(field.data, needs_link=True):
            raise ValidationError(found[0].message_ja)
        if (least := least_units(field.data, self.company)) > LIMIT:
            raise ValidationError(
                f"差込項目を除いても{least}文字あります。SMSは{LIMIT}文字までです（リンクは{links.length()}文字）。短くしてください。"
            )

    def validate_page_title(self, field: Field) -> None:
        """Refuse braces that mean nothing."""
        _braces(field)

    def validate_page_text(self, field: Field) -> None:
        """Refuse braces that mean nothing."""
        _braces(field)

    def validate(self, extra_validators: Mapping[str, Sequence[Check]] | None = None) -> bool:
        """Check all fields, and of the validity's fields the one that counts."""
        fine = super().validate(extra_validators)
        field, problem = (
            (self.until, self._until_problem())
            if self.validity.data == "until"
            else (self.link_amount, self._period_problem())
        )
        if problem and not field.errors:
            field.errors = [problem]
        fits = not self.standing or self._fits_standing()
        return bool(fine) and not problem and fits

    def _fits_standing(self) -> bool:
        """Refuse times of one day: people come for years."""
        wrong: list[Field] = [field for field in (self.starts, self.deadline) if field.data is not None]
        for field in wrong:
            field.errors = ["常設配信では使えません。空にしてください。"]
        if self.validity.data == "until":
            self.until.errors = ["常設配信では、「SMSの送信から」の期間にしてください。"]
            wrong.append(self.until)
        if self.day_limit.data is None:
            self.day_limit.errors = ["1人から1,000,000人までの間で入力してください。"]
            wrong.append(self.day_limit)
        return not wrong

    def _period_problem(self) -> str:
        minutes = (self.link_amount.data or 0) * _UNITS.get(self.link_unit.data, ("", 0))[1]
        return "" if _SHORTEST_MINUTES <= minutes <= _LONGEST_MINUTES else "5分から366日までの間で入力してください。"

    def _until_problem(self) -> str:
        if self.until.data is None:
            return "期限の日時を入力してください。"
        now = datetime.now(UTC)
        fits = now < display.from_jst(self.until.data) <= now + timedelta(minutes=_LONGEST_MINUTES)
        return "" if fits else "いまより先、366日以内の日時にしてください。"

    def validate_starts(self, field: Field) -> None:
        """Refuse a start in the past: who means "at once" leaves it empty."""
        _in_time(field.data, "すぐに送るなら、空にしてください。")

    def validate_deadline(self, field: Field) -> None:
        """Refuse a deadline in the past, or before the start."""
        _in_time(field.data, "締切がないなら、空にしてください。")
        if self.starts.data is not None and field.data <= self.starts.data:
            raise ValidationError("送信を始める日時より後にしてください。")

    def validate_questions(self, field: Field) -> None:
        """Refuse the same question twice: whoever knows one answer would know both."""
        labels = [entry["label"] for entry in field.data if entry["label"]]
        if len(set(labels)) < len(labels):
            raise ValidationError("同じ質問文が2つあります。別の質問にしてください。")

    def populate_obj(self, obj: Any) -> None:
        """Write the form into the campaign."""
        for name in ("name", "sms_account_id", "may_switch", "sms_text", "page_title", "page_text", "page_language"):
            setattr(obj, name, self[name].data)
        for name in ("max_failures", "profile", "retry_times", "retry_after_minutes"):
            setattr(obj, name, self[name].data)
        obj.standing, obj.day_limit = self.standing, self.day_limit.data if self.standing else None
        window = self.hours.form.window()
        obj.send_window = None if window is None else window.to_json()
        obj.starts_at = None if self.starts.data is None else display.from_jst(self.starts.data)
        obj.deadline_at = None if self.deadline.data is None else display.from_jst(self.deadline.data)
        obj.payment_required = self.payment_required.data
        obj.payment_account_id = self.payment_account_id.data
        if self.validity.data == "until" and self.until.data is not None:
            # a plain None would let the column's default in
            obj.link_minutes, obj.link_until = null(), display.from_jst(self.until.data)
        else:
            obj.link_minutes, obj.link_until = (self.link_amount.data or 0) * _UNITS[self.link_unit.data][1], None
        if not self.questions_locked:
            _write_questions(obj, [entry for entry in self.questions.data if entry["label"]])


def _in_time(typed: datetime | None, otherwise: str) -> None:
    if typed is None:
        return
    now = datetime.now(UTC)
    if not now < display.from_jst(typed) <= now + timedelta(minutes=_LONGEST_MINUTES):
        raise ValidationError(f"いまより先、366日以内の日時にしてください。{otherwise}")


def _braces(field: Field) -> None:
    if field.data and (found := template.problems(field.data, needs_link=False)):
        raise ValidationError(found[0].message_ja)


def _lines(typed: str) -> list[str]:
    return [stripped for one in many_lines(typed).split("\n") if (stripped := one.strip())]


def typed_before(campaign: Campaign) -> dict[str, object]:
    """Return what stands otherwise in the table than in the form."""
    values: dict[str, object] = {
        "validity": "period",
        "hours": hours_typed(campaign.send_window),
        "starts": _local(campaign.starts_at),
        "deadline": _local(campaign.deadline_at),
    }
    if campaign.link_until is not None:
        values |= {"validity": "until", "until": _local(campaign.link_until)}
    elif campaign.link_minutes is not None:
        values |= validity_of(campaign.link_minutes)
    return values


def validity_of(minutes: int) -> dict[str, object]:
    """Return a validity from the sending on as the form has it: in the largest unit that fits."""
    unit = next(unit for unit, (_, size) in _UNITS.items() if minutes % size == 0)
    return {"validity": "period", "link_amount": minutes // _UNITS[unit][1], "link_unit": unit}


def _local(at: datetime | None) -> datetime | None:
    return None if at is None else at.astimezone(TOKYO).replace(tzinfo=None)


def _write_questions(campaign: Campaign, entries: list[dict[str, Any]]) -> None:
    for position, entry in enumerate(entries, start=1):
        if position > len(campaign.questions):
            campaign.questions.append(Question())
        question = campaign.questions[position - 1]
        question.position = position
        question.label, question.kind, question.column_name = entry["label"], entry["kind"], entry["column_name"]
        question.kana = entry["kana"] if entry["kind"] in {QuestionKind.TEXT, QuestionKind.CHOICE} else Kana.AS_WRITTEN
        question.variants_alike = bool(entry["variants_alike"]) and entry["kind"] == QuestionKind.TEXT
        question.choices = "\n".join(_lines(entry["choices"])) if entry["kind"] == QuestionKind.CHOICE else ""
    del campaign.questions[len(entries) :]
