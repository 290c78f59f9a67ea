"""The payment providers that an account can be made with, by name. Another provider is one more file and one line."""

from collections.abc import Mapping

from app.payments.base import PaymentProvider
from app.payments.komoju import komoju
from app.payments.payjp import payjp
from app.payments.paypay import paypay
from app.payments.stripe import stripe_checkout

PROVIDERS: Mapping[str, PaymentProvider] = {
    provider.name: provider for provider in (stripe_checkout, payjp, komoju, paypay)
}
