"""The payment providers that an account can be made with, by name.

Another provider is one more file and one more line below.
"""

from collections.abc import Mapping

from app.providers.payments.base import PaymentProvider
from app.providers.payments.komoju import komoju
from app.providers.payments.payjp import payjp
from app.providers.payments.paypay import paypay
from app.providers.payments.stripe import stripe_checkout

PROVIDERS: Mapping[str, PaymentProvider] = {
    provider.name: provider for provider in (stripe_checkout, payjp, komoju, paypay)
}
