"""The official SDK of PayPay, which needs a warning silenced: it imports pkg_resources."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import paypayopa


@contextmanager
def paypay_client(base_url: str, api_key: str, api_secret: str, merchant_id: str) -> Iterator[Any]:
    """PayPay's SDK, pointed at the sandbox."""
    with requests.Session() as session:
        client = paypayopa.Client(session=session, auth=(api_key, api_secret), base_url=base_url)
        client.set_assume_merchant(merchant_id)
        yield client
