"""The English that a page speaks, word by word."""

import re
from html.parser import HTMLParser

from app.providers import payments, sms

# Names, units and what people type; nothing that is said to them.
ALLOWED = {
    "Todoke", "SMS", "URL", "ID", "Stripe", "PAY", "JP", "KOMOJU", "PayPay", "au", "Webhook", "API", "CSV", "Excel",
    "PNG", "JPEG", "name", "example", "co", "jp", "sk", "rk",
    "Google", "Microsoft", "Authenticator", "QR", "IP", "IPv", "Chrome", "Windows",
    "whsec", "CP932", "UTF", "BOM", "HTTP", "MB", "Shift", "JIS", "xlsx",
    "NTT", "KDDI",
}  # fmt: skip
# the services' own names
_LABELS = [one.label for one in sms.PROVIDERS.values()] + [one.label for one in payments.PROVIDERS.values()]
ALLOWED |= set(re.findall(r"[A-Za-z]{2,}", " ".join(_LABELS)))
_SPOKEN = ("title", "aria-label", "placeholder", "alt", "data-confirm", "data-once")
_DATA = re.compile(
    r"https?://\S+|\{[^}]*\}|[\w.+-]+@[\w.-]+|K\d+|\w+\.csv|karaden-token|sk_test_\d+|midori\d+|[0-9a-f]{8}-[0-9a-f-]+|\bcode-\d+"
)


class _Reader(HTMLParser):
    """Collects what a person sees or a screen reader says; not what somebody typed into a field."""

    def __init__(self):
        super().__init__()
        self.silent = 0
        self.said: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.silent += tag in {"script", "style", "textarea", "code"}
        self.said += [value for name, value in attrs if name in _SPOKEN and value]
        typed = dict(attrs)
        if tag == "input" and typed.get("type") in {"submit", "button"}:
            self.said.append(typed.get("value") or "")

    def handle_endtag(self, tag):
        self.silent -= tag in {"script", "style", "textarea", "code"}

    def handle_data(self, data):
        if not self.silent:
            self.said.append(data)


def english_in(page: str) -> list[str]:
    reader = _Reader()
    reader.feed(page)
    text = _DATA.sub(" ", " ".join(reader.said))
    return [word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in ALLOWED]
