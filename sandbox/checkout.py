"""The payment provider behind Stripe's door: sessions, payments, refunds, and the events that tell of them.

In: checked API calls, and what a person does on the payment page. Out: Stripe's objects in their new state, and signed
events to the account's address. Can't happen here: a session paid twice, or paid after it expired. Accounts are digests
of their secret keys, so that no key is kept.
"""

import copy
import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sandbox import stripe_objects as objects
from sandbox.faults import Switches
from sandbox.journal import Journal, Record
from sandbox.settings import Webhook
from sandbox.stripe_objects import Json
from sandbox.stripe_params import StripeError
from sandbox.timers import Agenda
from sandbox.webhook_sender import Courier

_KONBINI_DAYS = 3


class WrongMomentError(Exception):
    """A person's act that the session's state doesn't allow (any more)."""


class Checkouts:
    """All objects of all accounts.

    `pages` is the address that payment pages lie below.
    """

    def __init__(self, journal: Journal, agenda: Agenda, courier: Courier, switches: Switches, pages: str) -> None:
        self._journal = journal
        self._agenda = agenda
        self._courier = courier
        self._switches = switches
        self._pages = pages
        self._webhooks: dict[str, Webhook] = {}
        self._objects: dict[str, Json] = {}
        self._owners: dict[str, str] = {}
        self._extras: dict[str, Json] = {}  # session id -> its lines and its payment intent's data
        self._order: dict[tuple[str, str], list[str]] = {}

    def tell(self, webhooks: Mapping[str, Webhook]) -> None:
        """Set where each secret key's events go; `"*"` stands for every other key."""
        self._webhooks = {key if key == "*" else account_of(key): webhook for key, webhook in webhooks.items()}

    def shop(self, session_id: str) -> str:
        """Name the shop that a session's payment page shows."""
        return self._webhook(self._owners[session_id]).shop

    def sessions(self) -> list[Json]:
        """Return every session of every account, oldest first."""
        return [found for found in self._objects.values() if found["object"] == "checkout.session"]

    def session(self, session_id: str) -> Json | None:
        """Return a session by its id alone, as the payment page needs it, or None."""
        found = self._objects.get(session_id)
        return found if found is not None and found["object"] == "checkout.session" else None

    def lines(self, session_id: str) -> list[Json]:
        """Return a session's line items."""
        lines: list[Json] = self._extras[session_id]["line_items"]
        return lines

    def payment(self, session: Json) -> Json | None:
        """Return a session's payment intent, or None before the first try to pay."""
        return self._objects.get(session["payment_intent"] or "")

    def find(self, account: str, kind: str, object_id: str) -> Json:
        """Return one object of an account. Raises StripeError."""
        found = self._objects.get(object_id)
        if found is None or found["object"] != kind or self._owners[object_id] != account:
            message = f"No such {kind}: '{object_id[:100]}'"
            raise StripeError(message, status=404, code="resource_missing", param="id")
        return found

    def get(self, object_id: str) -> Json:
        """Return an object that another one names."""
        return self._objects[object_id]

    def newest_first(self, account: str, kind: str) -> Sequence[Json]:
        """Return an account's objects of a kind, newest first."""
        return [self._objects[object_id] for object_id in reversed(self._order.get((account, kind), []))]

    def open(self, account: str, params: Mapping[str, Any]) -> Json:
        """Open a session for checked parameters."""
        lines = [objects.line_item(line) for line in params["line_items"]]
        session = objects.session(params, sum(line["amount_total"] for line in lines), self._pages)
        self._extras[session["id"]] = {"line_items": lines, "intent_data": params.get("payment_intent_data", {})}
        self._put(account, session)
        self._watch(session)
        return session

    def expire(self, account: str, session_id: str) -> Json:
        """Expire an open session by API. Raises StripeError."""
        session = self.find(account, "checkout.session", session_id)
        if session["status"] != "open":
            message = (
                'Only Checkout Sessions with a status in ["open"] can be expired. '
                f"This Checkout Session has a status of `{session['status']}`."
            )
            raise StripeError(message, executed=True)
        self._lapse(session_id)
        return session

    def pay(self, session_id: str, method: str) -> Json:
        """Pay an open session at once, by card or paypay. Raises WrongMomentError."""
        session, account = self._opened(session_id)
        payment = self._intent(session, account)
        self._capture(account, payment, method)
        self._complete(session, account, "paid")
        return session

    def decline(self, session_id: str) -> Json:
        """Let a card be declined; the session stays open. Raises WrongMomentError."""
        session, account = self._opened(session_id)
        payment = self._intent(session, account)
        failed = objects.charge(payment, "card", paid=False)
        payment["latest_charge"] = failed["id"]
        payment["last_payment_error"] = {
            "type": "card_error",
            "charge": failed["id"],
            "code": "card_declined",
            "decline_code": "generic_decline",
            "message": "Your card was declined.",
        }
        for changed in (failed, payment, session):
            self._put(account, changed)
        return session

    def order_konbini(self, session_id: str) -> Json:
        """Order a slip to pay at a konbini: the session is complete and unpaid.

        Raises WrongMomentError.
        """
        session, account = self._opened(session_id)
        payment = self._intent(session, account)
        wanted = session["payment_method_options"].get("konbini", {})
        days = wanted.get("expires_after_days", _KONBINI_DAYS)
        payment["status"], payment["last_payment_error"] = "requires_action", None
        payment["payment_method"] = objects.new_id("pm")
        payment["next_action"] = objects.konbini_slip(days, f"{self._pages}/pay/{session_id}/slip")
        self._put(account, payment)
        self._complete(session, account, "unpaid")
        self._watch(session)
        return session

    def settle_konbini(self, session_id: str, *, paid: bool) -> Json:
        """Let the money come, or the slip lapse. Raises WrongMomentError."""
        session = self._objects[session_id]
        account, payment = self._owners[session_id], self.payment(session)
        if payment is None or payment["status"] != "requires_action":
            raise WrongMomentError
        payment["next_action"] = None
        if paid:
            self._capture(account, payment, "konbini")
            session["payment_status"] = "paid"
            self._put(account, session)
            self._emit(account, "checkout.session.async_payment_succeeded", session)
        else:
            payment["status"] = "requires_payment_method"
            payment["last_payment_error"] = {
                "type": "invalid_request_error",
                "code": "payment_intent_payment_attempt_expired",
                "message": "The payment attempt for this PaymentIntent has expired.",
            }
            self._put(account, payment)
            self._emit(account, "checkout.session.async_payment_failed", session)
        return session

    def refund(self, account: str, params: Mapping[str, Any]) -> Json:
        """Refund money. Raises StripeError."""
        charge_id = params.get("charge")
        if charge_id is None:
            payment = self.find(account, "payment_intent", params["payment_intent"])
            charge_id = payment["latest_charge"] if payment["status"] == "succeeded" else None
            if charge_id is None:
                message = f"This PaymentIntent ({payment['id']}) does not have a successful charge to refund."
                raise StripeError(message, param="payment_intent", executed=True)
        paid = self.find(account, "charge", charge_id)
        left = paid["amount_captured"] - paid["amount_refunded"]
        if left == 0:
            message = f"Charge {charge_id} has already been refunded."
            raise StripeError(message, code="charge_already_refunded", executed=True)
        amount = params.get("amount", left)
        if amount > left:
            message = f"Refund amount (¥{amount:,}) is greater than unrefunded amount on charge (¥{left:,})"
            raise StripeError(message, param="amount", executed=True)
        made = objects.refund(paid, amount, params)
        paid["amount_refunded"] += amount
        paid["refunded"] = paid["amount_refunded"] == paid["amount_captured"]
        paid["refunds"]["data"].insert(0, made)
        self._put(account, made)
        self._put(account, paid)
        self._emit(account, "charge.refunded", paid)
        return made

    def refunds_waiting(self, session: Json) -> list[Json]:
        """Return the refunds of a session that wait for the person's bank account."""
        payment = self.payment(session)
        paid = self._objects.get(payment["latest_charge"] or "") if payment is not None else None
        return [one for one in paid["refunds"]["data"] if one["status"] == "requires_action"] if paid else []

    def settle_refunds(self, session_id: str, *, taken: bool) -> None:
        """Let konbini's money get to the person's bank account, or come back to the shop.

        Raises WrongMomentError.
        """
        waiting, account = self.refunds_waiting(self._objects[session_id]), self._owners[session_id]
        if not waiting:
            raise WrongMomentError
        paid = self._objects[waiting[0]["charge"]]
        for made in waiting:
            made["status"] = "succeeded" if taken else "failed"
            if not taken:
                paid["amount_refunded"] -= made["amount"]
                paid["refunded"] = False
            self._put(account, made)
            self._emit(account, "refund.updated" if taken else "refund.failed", made)
        self._put(account, paid)

    def refund_at_desk(self, session_id: str, amount: int | None) -> None:
        """Refund money at Stripe's own desk: the refund bears nothing of ours.

        Raises WrongMomentError.
        """
        payment = self._paid(session_id)
        try:
            self.refund(
                self._owners[session_id], {"payment_intent": payment["id"]} | ({"amount": amount} if amount else {})
            )
        except StripeError:
            raise WrongMomentError from None

    def fail_refund(self, session_id: str) -> None:
        """Let the newest refund come back from the person's bank. Raises WrongMomentError."""
        account, paid = self._owners[session_id], self._objects[self._paid(session_id)["latest_charge"]]
        done = [one for one in paid["refunds"]["data"] if one["status"] != "failed"]
        if not done:
            raise WrongMomentError
        done[0]["status"] = "failed"
        paid["amount_refunded"] -= done[0]["amount"]
        paid["refunded"] = False
        self._put(account, done[0])
        self._put(account, paid)
        self._emit(account, "refund.failed", done[0])

    def dispute(self, session_id: str, status: str) -> None:
        """Let a person's bank contest a payment, or the contest end.

        Raises WrongMomentError.
        """
        account, paid = self._owners[session_id], self._objects[self._paid(session_id)["latest_charge"]]
        found = [one for one in self.newest_first(account, "dispute") if one["charge"] == paid["id"]]
        if status != "open" and not found:
            raise WrongMomentError
        contested = found[0] if found else objects.dispute(paid)
        contested["status"] = {"open": "needs_response"}.get(status, status)
        paid["disputed"] = True
        self._put(account, contested)
        self._put(account, paid)
        self._emit(account, "charge.dispute.created" if status == "open" else "charge.dispute.closed", contested)

    def tell_of_foreign(self, account: str) -> None:
        """Push an event of a payment that another system took by the same contract."""
        self._emit(account, "charge.refunded", objects.foreign_charge())

    def _paid(self, session_id: str) -> Json:
        payment = self.payment(self._objects[session_id])
        if payment is None or payment["status"] != "succeeded":
            raise WrongMomentError
        return payment

    def load(self, record: Record) -> None:
        """Take back an object that the journal kept."""
        loaded: Json = record["object"]
        if "extras" in record:
            self._extras[loaded["id"]] = record["extras"]
        self._keep(record["account"], loaded)

    def resume(self) -> None:
        """After a replay: watch the deadlines again."""
        for found in self._objects.values():
            if found["object"] == "checkout.session":
                self._watch(found)

    def clear(self) -> None:
        """Forget every object."""
        for store in (self._objects, self._owners, self._extras, self._order):
            store.clear()

    def _opened(self, session_id: str) -> tuple[Json, str]:
        session = self._objects[session_id]
        if session["status"] == "open" and session["expires_at"] <= time.time():
            self._lapse(session_id)
        if session["status"] != "open":
            raise WrongMomentError
        return session, self._owners[session_id]

    def _intent(self, session: Json, account: str) -> Json:
        payment = self.payment(session)
        if payment is None:
            payment = objects.intent(session, self._extras[session["id"]]["intent_data"])
            session["payment_intent"] = payment["id"]
            self._put(account, payment)
        return payment

    def _capture(self, account: str, payment: Json, method: str) -> None:
        paid = objects.charge(payment, method, paid=True)
        payment["status"], payment["last_payment_error"] = "succeeded", None
        payment["amount_received"] = payment["amount"]
        payment["latest_charge"], payment["payment_method"] = paid["id"], paid["payment_method"]
        self._put(account, paid)
        self._put(account, payment)

    def _complete(self, session: Json, account: str, payment_status: str) -> None:
        session["status"], session["payment_status"], session["url"] = "complete", payment_status, None
        session["customer_details"] = objects.customer_details()
        self._put(account, session)
        self._emit(account, "checkout.session.completed", session)

    def _lapse(self, session_id: str) -> None:
        session = self._objects.get(session_id)
        if session is not None and session["status"] == "open":
            session["status"], session["url"] = "expired", None
            self._put(self._owners[session_id], session)
            self._emit(self._owners[session_id], "checkout.session.expired", session)

    def _lapse_slip(self, session_id: str) -> None:
        payment = self.payment(self._objects[session_id]) if session_id in self._objects else None
        if payment is not None and payment["status"] == "requires_action":
            self.settle_konbini(session_id, paid=False)

    def _watch(self, session: Json) -> None:
        """Let the session's own deadline come, or its slip's."""
        payment = self.payment(session)
        if session["status"] == "open":
            self._agenda.after(session["expires_at"] - time.time(), partial(self._lapse, session["id"]))
        elif payment is not None and payment["next_action"] is not None:
            due = payment["next_action"]["konbini_display_details"]["expires_at"]
            self._agenda.after(due - time.time(), partial(self._lapse_slip, session["id"]))

    def _emit(self, account: str, kind: str, about: Json) -> None:
        webhook = self._webhook(account)
        if webhook.url:
            body = json.dumps(objects.event(kind, about)).encode()
            headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "Stripe/1.0 (sandbox)"}
            self._courier.announce(webhook.url, body, headers, self._switches, webhook.secret)

    def _webhook(self, account: str) -> Webhook:
        return self._webhooks.get(account) or self._webhooks.get("*") or Webhook()

    def _put(self, account: str, changed: Json) -> None:
        self._keep(account, changed)
        if self._journal.on:
            record = {"k": "stripe", "account": account, "object": changed}
            if changed["id"] in self._extras:
                record["extras"] = self._extras[changed["id"]]
            self._journal.append(record)

    def _keep(self, account: str, changed: Json) -> None:
        object_id = changed["id"]
        if object_id not in self._objects:
            self._owners[object_id] = account
            self._order.setdefault((account, changed["object"]), []).append(object_id)
        self._objects[object_id] = changed


def account_of(secret_key: str) -> str:
    """Name the account of a secret key without giving the key away."""
    return "acct_" + hashlib.sha256(secret_key.encode()).hexdigest()[:16]


def shown(found: Json) -> Json:
    """Copy an object so that it can be dressed for an answer."""
    return copy.deepcopy(found)
