"""Stripe's objects as JSON: checkout session, line item, payment intent, charge, refund, event.

In: checked parameters. Out: dicts with every field of the official fixtures (2026-08) and of the schema of
2023-08-16, at the values a Japanese test account gives. Money is whole yen, times are epoch seconds.
"""

import secrets
import string
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sandbox.messages import JST

Json = dict[str, Any]
API_VERSION = "2026-10-28.endive"
_LETTERS = string.ascii_letters + string.digits
_STORES = ("familymart", "lawson", "ministop", "seicomart")
_NO_ADDRESS = {"city": None, "country": "JP", "line1": None, "line2": None, "postal_code": None, "state": None}


def new_id(prefix: str, length: int = 24) -> str:
    """Make an id as long as Stripe's."""
    return f"{prefix}_" + "".join(secrets.choice(_LETTERS) for _ in range(length))


def line_item(params: Mapping[str, Any]) -> Json:
    """Make one line of a session."""
    price = params["price_data"]
    quantity = params.get("quantity", 1)
    amount = price["unit_amount"] * quantity
    product = price["product_data"]
    return {
        "id": new_id("li"),
        "object": "item",
        "adjustable_quantity": None,
        "amount_discount": 0,
        "amount_subtotal": amount,
        "amount_tax": 0,
        "amount_total": amount,
        "currency": "jpy",
        "description": product["name"],
        "metadata": {},
        "price": {
            "id": new_id("price"),
            "object": "price",
            "active": False,
            "billing_scheme": "per_unit",
            "created": int(time.time()),
            "currency": "jpy",
            "custom_unit_amount": None,
            "livemode": False,
            "lookup_key": None,
            "metadata": {},
            "nickname": None,
            "product": new_id("prod", 14),
            "recurring": None,
            "tax_behavior": "unspecified",
            "tiers_mode": None,
            "transform_quantity": None,
            "type": "one_time",
            "unit_amount": price["unit_amount"],
            "unit_amount_decimal": str(price["unit_amount"]),
        },
        "quantity": quantity,
    }


def session(params: Mapping[str, Any], amount: int, pages: str) -> Json:
    """Make an open checkout session whose payment page lies below `pages`."""
    now = int(time.time())
    session_id = new_id("cs_test", 58)
    return {
        "id": session_id,
        "object": "checkout.session",
        "adaptive_pricing": {"enabled": False},
        "after_expiration": None,
        "allow_promotion_codes": None,
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "billing_address_collection": None,
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "collected_information": None,
        "consent": None,
        "consent_collection": None,
        "created": now,
        "currency": "jpy",
        "currency_conversion": None,
        "custom_fields": [],
        "custom_text": {
            "after_submit": None,
            "shipping_address": None,
            "submit": None,
            "terms_of_service_acceptance": None,
        },
        "customer": None,
        "customer_account": None,
        "customer_creation": "if_required",
        "customer_details": None,
        "customer_email": params.get("customer_email"),
        "discounts": [],
        "expires_at": params.get("expires_at", now + 86400),
        "integration_identifier": None,
        "invoice": None,
        "invoice_creation": {
            "enabled": False,
            "invoice_data": {
                "account_tax_ids": None,
                "custom_fields": None,
                "description": None,
                "footer": None,
                "issuer": None,
                "metadata": {},
                "rendering_options": None,
            },
        },
        "livemode": False,
        "locale": params.get("locale"),
        "managed_payments": {"enabled": False},
        "metadata": params.get("metadata", {}),
        "mode": "payment",
        "origin_context": None,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": "if_required",
        "payment_method_configuration_details": None,
        "payment_method_options": params.get("payment_method_options", {}),
        "payment_method_types": params.get("payment_method_types", ["card"]),
        "payment_status": "unpaid",
        "permissions": None,
        "phone_number_collection": {"enabled": False},
        "recovered_from": None,
        "saved_payment_method_options": None,
        "setup_intent": None,
        "shipping_address_collection": None,
        "shipping_cost": None,
        "shipping_details": None,
        "shipping_options": [],
        "status": "open",
        "submit_type": params.get("submit_type"),
        "subscription": None,
        "success_url": params["success_url"],
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": "hosted_page",
        "url": f"{pages}/pay/{session_id}",
        "wallet_options": None,
    }


def customer_details() -> Json:
    """Return what a person typed on the payment page; the sandbox asks for nothing, so it is always the same."""
    return {
        "address": _NO_ADDRESS,
        "business_name": None,
        "email": "sandbox@example.com",
        "individual_name": None,
        "name": "ダミー 太郎",
        "phone": None,
        "tax_exempt": "none",
        "tax_ids": [],
    }


def intent(checkout: Json, data: Mapping[str, Any]) -> Json:
    """Make the payment intent of a session, at the moment when the person first tries to pay."""
    intent_id = new_id("pi")
    return {
        "id": intent_id,
        "object": "payment_intent",
        "amount": checkout["amount_total"],
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic",
        "client_secret": f"{intent_id}_secret_{new_id('x')[2:]}",
        "confirmation_method": "automatic",
        "created": int(time.time()),
        "currency": "jpy",
        "customer": None,
        "customer_account": None,
        "description": data.get("description"),
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": data.get("metadata", {}),
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": checkout["payment_method_options"],
        "payment_method_types": checkout["payment_method_types"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": data.get("statement_descriptor_suffix"),
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def charge(payment: Json, method: str, *, paid: bool) -> Json:
    """Make the charge of one try to pay."""
    charge_id = new_id("ch")
    return {
        "id": charge_id,
        "object": "charge",
        "amount": payment["amount"],
        "amount_captured": payment["amount"] if paid else 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": new_id("txn") if paid else None,
        "billing_details": {
            "address": _NO_ADDRESS,
            "email": "sandbox@example.com",
            "name": "ダミー 太郎",
            "phone": None,
            "tax_id": None,
        },
        "calculated_statement_descriptor": "DUMMY",
        "captured": paid,
        "created": int(time.time()),
        "currency": "jpy",
        "customer": None,
        "description": payment["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": None if paid else "card_declined",
        "failure_message": None if paid else "Your card was declined.",
        "fraud_details": {},
        "livemode": False,
        "metadata": payment["metadata"],
        "on_behalf_of": None,
        "outcome": {
            "advice_code": None if paid else "try_again_later",
            "network_advice_code": None,
            "network_decline_code": None if paid else "01",
            "network_status": "approved_by_network" if paid else "declined_by_network",
            "reason": None if paid else "generic_decline",
            "seller_message": "Payment complete." if paid else "The bank did not return any further details.",
            "type": "authorized" if paid else "issuer_declined",
        },
        "paid": paid,
        "payment_intent": payment["id"],
        "payment_method": new_id("pm"),
        "payment_method_details": {"type": method, method: _method_details(method)},
        "receipt_email": None,
        "receipt_number": None,
        "receipt_url": None,
        "refunded": False,
        "refunds": {"object": "list", "data": [], "has_more": False, "url": f"/v1/charges/{charge_id}/refunds"},
        "review": None,
        "shipping": None,
        "source": None,
        "source_transfer": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": payment["statement_descriptor_suffix"],
        "status": "succeeded" if paid else "failed",
        "transfer_data": None,
        "transfer_group": None,
    }


def refund(paid: Json, amount: int, params: Mapping[str, Any]) -> Json:
    """Make the refund of (part of) a charge."""
    method = paid["payment_method_details"]["type"]
    return {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": new_id("txn"),
        "charge": paid["id"],
        "created": int(time.time()),
        "currency": "jpy",
        "customer": None,
        "customer_account": None,
        "destination_details": {"type": method, method: {"type": "refund"} if method == "card" else {}},
        "metadata": params.get("metadata", {}),
        "payment_intent": paid["payment_intent"],
        "payment_method": paid["payment_method"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        # the person is asked by e-mail for the bank account that it goes to
        "status": "requires_action" if method == "konbini" else "succeeded",
        "transfer_reversal": None,
    }


def dispute(paid: Json) -> Json:
    """Make the dispute of a charge."""
    return {
        "id": new_id("dp"),
        "object": "dispute",
        "amount": paid["amount"],
        "balance_transactions": [],
        "charge": paid["id"],
        "created": int(time.time()),
        "currency": "jpy",
        "evidence": {},
        "evidence_details": {
            "due_by": int(time.time()) + 7 * 86_400,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": False,
        "livemode": False,
        "metadata": {},
        "payment_intent": paid["payment_intent"],
        "payment_method_details": {"type": "card", "card": {"brand": "visa", "case_type": "chargeback"}},
        "reason": "fraudulent",
        "status": "needs_response",
    }


def foreign_charge() -> Json:
    """Make a charge that another system took and gave back: nothing in it is of any session here."""
    payment: Json = {
        "id": new_id("pi"),
        "amount": 5_000,
        "description": None,
        "metadata": {"order": new_id("order")},
        "statement_descriptor_suffix": None,
    }
    return charge(payment, "card", paid=True) | {"amount_refunded": 5_000, "refunded": True}


def konbini_slip(expires_after_days: int, slip_url: str) -> Json:
    """Make a payment intent's next action: a slip to pay at a konbini until 23:59:59 in Japan, some days from now."""
    last_day = datetime.now(JST) + timedelta(days=expires_after_days)
    confirmation = "".join(secrets.choice(string.digits) for _ in range(11))
    codes = {store: "".join(secrets.choice(string.digits) for _ in range(6)) for store in _STORES}
    return {
        "type": "konbini_display_details",
        "konbini_display_details": {
            "expires_at": int(last_day.replace(hour=23, minute=59, second=59, microsecond=0).timestamp()),
            "hosted_voucher_url": slip_url,
            "stores": {
                store: {"confirmation_number": confirmation, "payment_code": code} for store, code in codes.items()
            },
        },
    }


def event(kind: str, about: Json) -> Json:
    """Make an event with a snapshot of what it is about."""
    return {
        "id": new_id("evt"),
        "object": "event",
        "api_version": API_VERSION,
        "created": int(time.time()),
        "data": {"object": about},
        "livemode": False,
        "pending_webhooks": 1,
        "request": {"id": None, "idempotency_key": None},
        "type": kind,
    }


def _method_details(method: str) -> Json:
    if method == "konbini":
        return {"store": {"chain": "familymart"}}
    if method != "card":
        return {}
    return {
        "amount_authorized": None,
        "authorization_code": None,
        "brand": "visa",
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": "JP",
        "exp_month": 12,
        "exp_year": datetime.now(JST).year + 2,
        "fingerprint": "SandboxSandbox00",
        "funding": "credit",
        "installments": None,
        "last4": "4242",
        "mandate": None,
        "network": "visa",
        "network_token": {"used": False},
        "network_transaction_id": None,
        "three_d_secure": None,
        "wallet": None,
    }
