"""Share between the forms of SMS and payment accounts: fields that the adapter names, secrets that never come back."""

import unicodedata
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Generic, TypeVar

from flask import abort, request
from flask_admin.helpers import get_form_data
from wtforms import BooleanField, Field, PasswordField, SelectField, StringField
from wtforms.validators import StopValidation, ValidationError

from admin_views.framework import display
from admin_views.framework.fields import (
    Check,
    ChoicesField,
    RowField,
    at_most,
    line,
    no_card_number,
    one_line,
    required,
    select_options,
)
from admin_views.framework.model_view import SecureModelView
from admin_views.framework.secure_view import Form, Sent
from admin_views.staff.users import companies
from app import tenancy
from app.accounts import (
    Account,
    AddressGone,
    address_of,
    choose_address,
    chosen_address,
    credentials_of,
    misfits,
    seal_credentials,
    twins,
)
from app.config import settings
from app.models import PaymentAccount, SharedSmsAccount, SmsAccount
from app.problems import Problem
from app.providers.http import AccountField
from app.providers.payments.base import PaymentProvider
from app.providers.sms.base import SmsProvider

Provider = SmsProvider | PaymentProvider

A = TypeVar("A", bound=SmsAccount | SharedSmsAccount | PaymentAccount)
F = TypeVar("F", bound="AccountForm")

PREFIX = "provider_"
_LONGEST = 500
_GONE = "このアカウントの接続先は、運営担当者の一覧から外れました。{}"
_GONE_SMS = _GONE.format("このアカウントでは、送信も、送信結果の照会もできません。")
_GONE_PAYMENT = _GONE.format("このアカウントでは、新しい支払いの受付も、支払いの確認もできません。")
_CHOOSE_AGAIN = (
    "接続先を選び直して保存してください。"
    "選び直せないときは、新しいアカウントとして登録するか、運営担当者に確かめてください。"
)


class AccountForm(Form):
    """An account. The fields of its provider follow, each named `provider_<name>`."""

    provider: Provider
    model: type[Account]

    tenant_id = RowField("企業", required("企業を選んでください。"), offer=companies, blank="（選んでください）")
    name = line(
        "アカウント名",
        required("アカウント名を入力してください。"),
        help="配信を作るときに選ぶ名前です。例：本社 督促用",
    )
    active = BooleanField("利用する", default=True, description="外すと、新しい送信や支払いに使われなくなります。")
    address = SelectField(
        "接続先",
        [required("接続先を一覧から選んでください。")],
        description="契約先から案内されたアドレスを選んでください。一覧にないときは、運営担当者に追加を依頼してください。",
        validate_choice=False,
    )

    def __init__(self, formdata: Sent | None = None, obj: Account | None = None) -> None:
        stored = {PREFIX + name: value for name, value in obj.settings.items()} if obj is not None else {}
        if obj is not None:
            stored["address"] = self.address_at(obj)
        super().__init__(formdata, obj=obj, data=stored)
        self._offer_addresses(obj)
        sealed = credentials_of(obj) if obj is not None else {}
        for item, field in self.of_provider():
            if item.secret and item.name in sealed:
                field.description = f"設定済み。変えるときだけ入力してください。{item.description}"
            elif item.secret and not item.optional:
                field.flags.required = True
        if obj is not None or tenancy.current().tenant_id is not None:
            del self.tenant_id

    def _offer_addresses(self, obj: Account | None) -> None:
        """Offer the operator's addresses where there is a choice; the account's own stays one, listed or not."""
        offered = {address: host_of(address) for address in settings().api_bases[self.provider.name]}
        if obj is not None and (own := self.address_at(obj)) and own not in offered:
            offered[own] = f"{host_of(own)}（今は使えません）"
        self._addresses = frozenset(offered)
        if len(offered) > 1:
            self.address.choices = select_options([("", "（選んでください）"), *offered.items()])
        else:
            del self.address

    @staticmethod
    def address_at(obj: Account) -> str:
        """Return the address that an account is at, listed or not; nothing where it has none."""
        try:
            return address_of(obj)
        except AddressGone:
            return chosen_address(obj) or ""

    def validate_address(self, field: Field) -> None:
        """Refuse what is not on offer."""
        if field.data not in self._addresses:
            raise ValidationError("接続先を一覧から選んでください。")

    def of_provider(self) -> list[tuple[AccountField, Field]]:
        """Return the provider's fields with the form's."""
        return [(item, self[PREFIX + item.name]) for item in self.provider.fields]

    def validate(self, extra_validators: Mapping[str, Sequence[Check]] | None = None) -> bool:
        """Check every field, and that no other account of the company is taken for this one."""
        if not super().validate(extra_validators):
            return False
        found = self.twins_of()
        for name, problem in found.items():
            field = self[name] if name in self else self._first_of_contract()
            field.errors = [*field.errors, problem.message_ja]
        return not found

    def twins_of(self) -> Mapping[str, Problem]:
        """Return what the account as typed shares with another one of its company, by the field's name."""
        made: Any = self.model()
        if (owner := self._obj.tenant_id if self._obj is not None else tenancy.current().tenant_id) is not None:
            made.tenant_id = owner
        self.populate_obj(made)
        kept = credentials_of(self._obj) if self._obj is not None else {}
        return twins.problems(made, {**kept, **self.secrets()}, stored=self._obj)

    def _first_of_contract(self) -> Field:
        """Return the field at which a contract that stands there already is told."""
        told = [field for item, field in self.of_provider() if item.contract]
        return (told or [field for _, field in self.of_provider()])[0]

    def populate_obj(self, obj: Any) -> None:
        """Write the form into the account, but for the secrets."""
        if "tenant_id" in self:  # of a new account
            obj.tenant_id = self.tenant_id.data
        obj.provider = self.provider.name
        kept = chosen_address(self._obj) if self._obj is not None else None
        for name in ("name", "active", "rate_per_s", "price_yen", "test_mode", "takeover_order"):
            if name in self:
                setattr(obj, name, self[name].data)
        obj.settings = {
            item.name: field.text if isinstance(field, ChoicesField) else field.data
            for item, field in self.of_provider()
            if not item.secret
        }
        if "address" in self:
            choose_address(obj, self.address.data)
        elif kept is not None:
            choose_address(obj, kept)

    def secrets(self) -> dict[str, str]:
        """Return the secrets that were typed."""
        return {item.name: field.data for item, field in self.of_provider() if item.secret and field.data}


def _plain_ascii(_form: object, field: Field) -> None:
    # they go into HTTP headers and bodies of the provider
    if field.data and not (field.data.isascii() and field.data.isprintable()):
        raise StopValidation(
            "半角の英数字と記号だけで入力してください。前後の文字が余分に入っていないか確かめてください。"
        )


def _as_expected(item: AccountField) -> Check:
    """Refuse a value that is not of its field's form; one that stands there already is told of, and kept."""

    def check(form: AccountForm, field: Field) -> None:
        kept = form._obj.settings.get(item.name) if form._obj is not None else None  # noqa: SLF001 - Flask-Admin's
        if field.data and field.data != kept and (words := item.refusal(field.data)):
            raise ValidationError(words)

    return check


def _secret_needed(form: AccountForm, field: Field) -> None:
    name = field.name.removeprefix(PREFIX)
    if not field.data and (form._obj is None or name not in credentials_of(form._obj)):  # noqa: SLF001 - Flask-Admin's
        raise ValidationError("入力してください。")


def _whole(least: int, most: int) -> Check:
    def check(_form: object, field: Field) -> None:
        typed = field.data
        if typed and not (typed.isascii() and typed.isdigit() and least <= int(typed[:9]) <= most):
            raise ValidationError(f"{least}から{most}までの数字で入力してください。")

    return check


def _field_of(item: AccountField) -> Field:
    if item.secret:
        return PasswordField(
            item.label,
            [*([] if item.optional else [_secret_needed]), at_most(_LONGEST), _plain_ascii, _as_expected(item)],
            filters=[lambda typed: (typed or "").strip()],
            description=item.description,
        )
    if item.choices:
        return ChoicesField(
            item.label, required("1つ以上選んでください。"), offered=item.choices, description=item.description
        )
    needed = [required("入力してください。")] if item.whole is None else [_whole(*item.whole)]
    return StringField(
        item.label,
        [*needed, at_most(_LONGEST), _plain_ascii, no_card_number, _as_expected(item)],
        filters=[lambda typed: unicodedata.normalize("NFKC", one_line(typed))],
        description=item.description,
    )


def label_in(providers: Mapping[str, Provider]) -> display.Formatter:
    """Format a column that holds a provider's name."""

    def show(_view: object, _context: object, model: object, name: str) -> str:
        known = providers.get(getattr(model, name))
        return known.label if known else str(getattr(model, name))

    return show


def host_of(address: str) -> str:
    """Write an address as people read it."""
    return address.partition("://")[2]


def setting_warnings(account: Account) -> list[tuple[str, str, str]]:
    """Return what is wrong with an account's settings: no address of the operator's list, a value of another form."""
    found = []
    try:
        address_of(account)
    except AddressGone:
        words = _GONE_PAYMENT if isinstance(account, PaymentAccount) else _GONE_SMS
        found.append(("接続先の見直し", words, _CHOOSE_AGAIN))
    for item in misfits(account):
        words = f"「{item.label}」の値が、送信サービスや決済サイトで使われている形ではありません。"
        found.append(("入力の見直し", words, f"{item.expects}かどうかを確かめ、違うときは入力し直してください。"))
    return found


def form_for(base: type[F], provider: Provider) -> type[F]:
    """Make the form of one provider's accounts."""
    attributes: dict[str, object] = {"provider": provider}
    attributes |= {PREFIX + item.name: _field_of(item) for item in provider.fields}
    return type(f"{base.__name__}For{provider.name.title()}", (base,), attributes)


class AccountView(SecureModelView[A], Generic[A, F]):
    """A table of accounts."""

    form: type[F]
    providers: Mapping[str, Provider] = {}
    asks_again = True
    can_create = True
    can_edit = True
    column_searchable_list = ("name",)

    def __init__(self, model: type[A], name: str, *, endpoint: str) -> None:
        self._form_of = cache(lambda provider: form_for(self.form, self.providers[provider]))
        super().__init__(model, name, endpoint=endpoint)

    def create_links(self) -> list[tuple[str, str]]:
        """Return a way to a new account for each provider."""
        return [
            (f"{provider.label}のアカウントを登録する", self.get_url(".create_view", provider=name))
            for name, provider in self._offered().items()
        ]

    def _offered(self) -> Mapping[str, Provider]:
        """Return the providers that new accounts can be made with: the operator lists an address of each."""
        return {name: provider for name, provider in self.providers.items() if settings().api_bases[name]}

    def create_form(self, obj: A | None = None) -> F:
        """Make the form of the provider that the address names."""
        offered = self._offered()
        name = request.args.get("provider") or next(iter(offered), "")
        if name not in offered:
            abort(404)
        return self._form_of(name)(get_form_data(), obj=obj)

    def edit_form(self, obj: Any = None) -> F:
        """Make the form of the account's provider."""
        return self._form_of(obj.provider)(get_form_data(), obj=obj)

    def complete(self, form: F, model: A) -> None:
        """Seal the secrets: they are bound to the row's id."""
        if typed := form.secrets():
            seal_credentials(model, {**credentials_of(model), **typed})
