"""受信者の画面: how a company's pages look to those it writes to: its colour, its logo, words about itself."""

import base64
import re
import unicodedata

from flask import Blueprint, Response, abort, flash, make_response, redirect, request, url_for
from flask_admin import Admin
from flask_admin.helpers import get_form_data
from werkzeug.wrappers import Response as BaseResponse
from wtforms import BooleanField, ColorField, Field, FileField
from wtforms.validators import ValidationError

from admin_views.framework.access import staff
from admin_views.framework.fields import text
from admin_views.framework.scoping import rows
from admin_views.framework.secure_view import Form, Page, SecureView, Sent, expose
from app import audit
from app.extensions import db, limiter
from app.models import Tenant
from app.problems import Refused
from app.tenants import branding, branding_preview

STANDARD = "#0017c1"  # public/static/page.css without a company's own
_FORM_BYTES = 1_000_000  # and some more, so that a picture a little too large is told so in its place
_COLOUR_SIGNS = 40
_COLOUR = re.compile(r"#[0-9a-f]{6}")


def _hex(typed: str | None) -> str:
    # browsers without a palette show a line of text
    if len(typed or "") > _COLOUR_SIGNS:
        return ""  # the form says what to type
    plain = unicodedata.normalize("NFKC", typed or "").strip().lower()
    return f"#{plain}" if re.fullmatch(r"[0-9a-f]{6}", plain) else plain


class LookForm(Form):
    """A company's look."""

    about = text(
        "企業の紹介",
        most=200,
        help="最初の画面に表示されます。何の会社か、公式サイトの名前などを書くと、安心して読んでもらえます。",
    )
    own_colour = BooleanField("自社の色を使う", description="使わないときは、標準の青になります。")
    colour = ColorField(
        "自社の色",
        filters=[_hex],
        default=STANDARD,
        description="ボタンや見出しの色です。文字が読みにくくなる薄い色は使えません。暗い画面では自動で明るくなります。",
    )
    logo = FileField(
        "ロゴの画像",
        description=(
            f"PNGまたはJPEG、{branding.LOGO_UPLOAD_BYTES // 1_000_000}MBまで。会社名の上に白い地で表示されます。"
            "横長の単純なロゴが適しています。"
        ),
    )
    without_logo = BooleanField("いまのロゴを外す")

    def __init__(self, formdata: Sent | None, tenant: Tenant) -> None:
        colour = tenant.colour or STANDARD
        super().__init__(formdata, about=tenant.about, own_colour=bool(tenant.colour), colour=colour)
        self.picture = tenant.logo
        if tenant.logo is None:
            del self.without_logo

    @property
    def chosen_colour(self) -> str:
        """The colour to be kept; empty for the standard one."""
        return str(self.colour.data) if self.own_colour.data else ""

    def validate_colour(self, field: Field) -> None:
        """Refuse what is no colour, and one in which letters can't be read."""
        if not self.own_colour.data:
            return
        if not _COLOUR.fullmatch(field.data):
            raise ValidationError("色を選び直してください。文字で入力するときは #0a7a3c のような形にします。")
        try:
            branding.check_colour(field.data)
        except Refused as refused:
            raise ValidationError(refused.message_ja) from None

    def validate_logo(self, field: Field) -> None:
        """Make our own small picture of it, or refuse it."""
        if field.data and getattr(field.data, "filename", ""):
            try:
                self.picture = branding.prepare_logo(field.data.read(branding.LOGO_UPLOAD_BYTES + 1))
            except Refused as refused:
                raise ValidationError(refused.message_ja) from None
        elif "without_logo" in self and self.without_logo.data:
            self.picture = None


class PageLookView(SecureView):
    """受信者の画面."""

    def __init__(self) -> None:
        super().__init__("受信者の画面", endpoint="page_look")

    def create_blueprint(self, admin: Admin) -> Blueprint:
        """Let a picture through, and tell whoever sends one that is far too large what to do."""
        blueprint = super().create_blueprint(admin)
        # before anything reads the form, the check of its token too
        blueprint.url_value_preprocessor(_allow_picture)
        blueprint.register_error_handler(413, _too_large)
        return blueprint

    def is_visible(self) -> bool:
        """Show managers the way to their own; operators come from the list of companies."""
        return bool(super().is_visible()) and staff().tenant_id is not None

    @expose("/")
    def index(self) -> BaseResponse:
        """Lead on to one's own company, or to the list of them."""
        own = staff().tenant_id
        return redirect(url_for("page_look.one", tenant_id=own) if own else url_for("tenant.index_view"), 303)

    @expose("/<int:tenant_id>/", methods=["GET", "POST"])
    @limiter.limit("20 per minute", methods=["POST"])
    def one(self, tenant_id: int) -> Page:
        """Show the form; try on or save what was typed."""
        tenant = rows(Tenant).filter(Tenant.id == tenant_id).one_or_none() or abort(404)
        form = LookForm(get_form_data(), tenant)
        if request.method == "POST" and form.validate():
            if "try" not in request.form:
                return _save(tenant, form)
            try:
                return redirect(url_for("sample.shown", key=branding_preview.keep(_sample(tenant, form))), 303)
            except Refused as refused:
                flash(refused.message_ja, "warning")
        picture = base64.b64encode(tenant.logo).decode() if tenant.logo else ""
        company = tenant.name if staff().tenant_id is None else ""
        return self.render("office/page_look.html", form=form, picture=picture, company=company)


def _save(tenant: Tenant, form: LookForm) -> BaseResponse:
    before = {"about": tenant.about, "colour": tenant.colour, "logo": tenant.logo}
    tenant.about, tenant.colour, tenant.logo = form.about.data or "", form.chosen_colour, form.picture
    if changed := [name for name, value in before.items() if getattr(tenant, name) != value]:
        tenant.look = branding.digest(tenant.colour, tenant.logo)
        audit.record(
            db.session,
            actor=staff().actor,
            act="tenant.update",
            target=f"tenant:{tenant.id}",
            detail={"fields": changed},
            tenant_id=tenant.id,
        )
        db.session.commit()
    flash("受信者の画面の見た目を保存しました。これから開かれる画面に表示されます。", "success")
    return redirect(url_for("page_look.one", tenant_id=tenant.id), 303)


def _sample(tenant: Tenant, form: LookForm) -> branding_preview.Sample:
    about = form.about.data or ""
    return branding_preview.Sample(
        tenant.name, tenant.contact_phone, tenant.contact_hours, about, form.chosen_colour, form.picture
    )


def _allow_picture(_endpoint: str | None, _values: dict[str, object] | None) -> None:
    request.max_content_length = branding.LOGO_UPLOAD_BYTES + _FORM_BYTES


def _too_large(_error: Exception) -> Response:
    most = branding.LOGO_UPLOAD_BYTES // 1_000_000
    flash(f"画像が大きすぎます。{most}MBまでの画像を選んでください。保存はされていません。", "danger")
    return make_response(redirect(request.path, 303))
