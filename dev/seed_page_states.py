"""Campaigns whose people `dev.page_visits` brings into every state, made and launched as staff do.

`python -m dev.seed_page_states` runs in a stack's environment and prints `[{play, language, reference, phone}, …]` as
JSON. A play is a kind of campaign; each person is one visit. Everybody was born on 1980-01-02, at 100-0001.
"""

import io
import json
import sys
import time
from dataclasses import asdict, dataclass
from typing import Any

from PIL import Image, ImageDraw
from sqlalchemy import select

from app import create_app, tenancy
from app.campaigns import lifecycle, preflight
from app.campaigns.send_windows import ALWAYS
from app.extensions import db
from app.intake.columns.mapping import ColumnMapping
from app.intake.lists import imports, whole_look
from app.models import Campaign, Import, PaymentAccount, Question, SmsAccount, Tenant, User
from app.problems import messages_ja
from app.tenants import branding

# visits that one play gets in one language
_PEOPLE = {"pay": 120}
_FEW = 30
_LIMIT_S = 60

COLOUR = "#0b6b4f"
ABOUT = "みどり損害保険は、自動車保険と火災保険の会社です。ご契約のお手続きのために、SMSをお送りしています。"

_HEAD = (
    "お客様番号,携帯電話番号,氏名,請求金額,払込期限,生年月日,郵便番号,"
    "お名前（カナ）,証券番号,契約番号下4桁,ご契約の種類"
)
_REST = '田中 一郎,"26,000",2026/12/25,1980/01/02,100-0001,タナカ イチロウ,12345678,0123,火災保険'
_KINDS = "自動車保険\n火災保険\n医療保険"


@dataclass(frozen=True, slots=True)
class Words:
    """A clerk's words in one language; `questions` are (label, kind, column)."""

    title: str
    text: str
    visit: str
    questions: tuple[tuple[str, str, str], ...]
    four: tuple[tuple[str, str, str], ...]


WORDS = {
    "ja": Words(
        title="初回保険料お払込みのご案内",
        text=(
            "{氏名} 様\n\nこのたびはご契約いただき、まことにありがとうございます。\n"
            "初回保険料 {請求金額}円 のお払込みについて、ご案内いたします。\n"
            "{払込期限} までに、このページからお手続きください。\n\n"
            "お払込みがない場合、保障が始まりませんのでご注意ください。"
        ),
        visit=(
            "{氏名} 様\n\n点検の日時が決まりました。\n\n日時：12月18日（金）10時から11時\n担当：佐藤\n\n"
            "当日は、担当者がお電話のうえうかがいます。"
        ),
        questions=(("生年月日", "date", "生年月日"), ("郵便番号", "postcode", "郵便番号")),
        four=(
            ("お名前（カナ）", "text", "お名前（カナ）"),
            ("証券番号（数字8桁）", "digits", "証券番号"),
            ("契約番号の下4桁", "last4", "契約番号下4桁"),
            ("ご契約の種類", "choice", "ご契約の種類"),
        ),
    ),
    "en": Words(
        title="Your first premium",
        text=(
            "Dear {氏名},\n\nThank you for your contract.\nWe have not received the first premium of "
            "{請求金額} yen yet.\n"
            "Please pay it by {払込期限} with the button below.\n\nYour cover begins when it is paid."
        ),
        visit=(
            "Dear {氏名},\n\nYour inspection is on 18 December, between 10:00 and 11:00.\n\n"
            "Mr Sato will call before he comes."
        ),
        questions=(("Date of birth", "date", "生年月日"), ("Postcode", "postcode", "郵便番号")),
        four=(
            ("Name in kana", "text", "お名前（カナ）"),
            ("Policy number (8 digits)", "digits", "証券番号"),
            ("Last 4 digits of the contract number", "last4", "契約番号下4桁"),
            ("Kind of contract", "choice", "ご契約の種類"),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Person:
    """Someone on a list, as `dev.page_visits` finds them again."""

    play: str
    language: str
    reference: str
    phone: str


def main() -> int:
    """Write and launch every play."""
    app = create_app()
    with app.app_context():
        with tenancy.platform():
            midori = _dress("midori", colour=COLOUR, logo=_logo(), about=ABOUT)
            aoba = _dress("aoba", colour="", logo=None, about="")
        cast: list[Person] = []
        for number, language in enumerate(WORDS):
            for place, (play, tenant_id) in enumerate(
                (("pay", midori), ("four", midori), ("direct", midori), ("plain", aoba), ("stopped", midori))
            ):
                with tenancy.tenant(tenant_id):
                    cast += _play(play, language, tenant_id, 10_000_000 * (number + 1) + 10_000 * place)
    print(json.dumps([asdict(person) for person in cast], ensure_ascii=False))
    return 0


def _dress(code: str, *, colour: str, logo: bytes | None, about: str) -> int:
    row = db.session.scalars(select(Tenant).where(Tenant.code == code)).one()
    row.colour, row.logo, row.look, row.about = colour, logo, branding.digest(colour, logo), about
    row.verifiable, row.send_window = True, ALWAYS.to_json()
    db.session.commit()
    return row.id


def _logo() -> bytes:
    """Draw a company's mark: a leaf and a bar on nothing, wide as such marks are."""
    picture = Image.new("RGBA", (960, 192))
    draw = ImageDraw.Draw(picture)
    draw.pieslice((8, 8, 184, 184), 90, 360, fill=COLOUR)
    draw.ellipse((70, 70, 122, 122), fill="#ffffff")
    for place, width in enumerate((620, 480)):
        draw.rounded_rectangle(
            (240, 40 + 72 * place, 240 + width, 80 + 72 * place), 20, fill=("#1a1a1a", COLOUR)[place]
        )
    made = io.BytesIO()
    picture.save(made, "PNG")
    return branding.prepare_logo(made.getvalue())


def _play(play: str, language: str, tenant_id: int, first: int) -> list[Person]:
    words = WORDS[language]
    asked = {"direct": (), "four": words.four}.get(play, words.questions)
    pays = play in {"pay", "stopped"}
    author = db.session.scalars(select(User).where(User.role == "clerk")).first()
    assert author is not None  # noqa: S101 - the demo's data hold one
    campaign = Campaign(
        tenant_id=tenant_id,
        key=lifecycle.new_key(),
        name=f"{play} {language}",
        sms_account=db.session.scalars(select(SmsAccount)).one(),
        payment_account=db.session.scalars(select(PaymentAccount)).one() if pays else None,
        payment_required=pays,
        sms_text="【{会社名}】{氏名}様 大切なお知らせです {リンク}",
        page_title=words.title if pays else {"ja": "点検のご案内", "en": "Your inspection"}[language],
        page_text=words.text if pays else words.visit,
        page_language=language,
        author=author,
        questions=[
            Question(
                tenant_id=tenant_id,
                position=position,
                label=label,
                kind=kind,
                column_name=column,
                choices=_KINDS if kind == "choice" else "",
                kana="kana" if kind == "text" else "as_written",
            )
            for position, (label, kind, column) in enumerate(asked, start=1)
        ],
    )
    db.session.add(campaign)
    db.session.commit()
    people = [
        # a number to which the sandbox's carrier delivers ends in 1000 or more
        Person(play, language, f"{play}-{language}-{number:03d}", f"090{first + 1000 + number:08d}")
        for number in range(_PEOPLE.get(play, _FEW))
    ]
    _upload(campaign.id, author.id, people)
    checked = preflight.run(campaign.id)
    if checked.problems:
        raise SystemExit("\n".join(messages_ja(checked.problems)))
    lifecycle.launch(campaign.id, user_id=author.id, digest=checked.digest)
    return people


def _upload(campaign_id: int, user_id: int, people: list[Person]) -> None:
    rows = [f"{one.reference},{one.phone},{_REST}" for one in people]
    content = "\r\n".join((_HEAD, *rows, ""))
    import_id = imports.store(campaign_id, "見本.csv", io.BytesIO(content.encode("cp932")), user_id=user_id)
    whole_look.wait_for(import_id)
    mapping: dict[str, Any] = db.session.get_one(Import, import_id).mapping or {}
    imports.start(import_id, ColumnMapping.from_json(mapping))
    deadline = time.monotonic() + _LIMIT_S
    while (state := db.session.scalar(select(Import.state).where(Import.id == import_id))) != "done":
        db.session.rollback()
        if state in {"failed", "cancelled"} or time.monotonic() > deadline:
            raise SystemExit(f"the list of campaign {campaign_id} did not come in: {state}")
        time.sleep(0.05)
    db.session.rollback()


if __name__ == "__main__":
    sys.exit(main())
