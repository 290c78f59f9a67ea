"""The bench of receipts pushes as each service does: the product reads, and believes, it alike."""

from urllib.parse import urlsplit

import pytest

from app.providers.sms import PROVIDERS
from app.providers.sms.base import Pushed, ReceiptTrust, ReportState, SmsAccess
from bench.lists import CONTRACTS
from bench.pushes import WRITERS, Parcel

URL = "https://todoke.example/callbacks/sms/1/key"
MESSAGES = [
    {
        "id": f"159bfd33-b9e7-424f-9755-c206b324c{number:03d}",
        "to": f"0901234{number:04d}",
        "body": "【みどり損害保険】佐藤 太郎様 大切なお知らせです https://todoke.example/abc",
        "tags": [f"k3mzq7x2abcd.{number}.1"],
    }
    for number in range(1, 251)
]


def pushed(parcel: Parcel) -> Pushed:
    headers = {name.lower(): value for name, value in parcel.headers.items()}
    return Pushed(parcel.body.encode(), headers, urlsplit(parcel.url).query)


@pytest.mark.parametrize("service", WRITERS)
def test_each_receipt_is_read_as_the_arrival_of_its_message(service: str) -> None:
    parcels = WRITERS[service](URL, MESSAGES)
    assert sum(parcel.receipts for parcel in parcels) == len(MESSAGES)
    told = [PROVIDERS[service].receipt(pushed(parcel)) for parcel in parcels]
    assert [len(reports) for reports in told] == [parcel.receipts for parcel in parcels]
    reports = [report for bundle in told for report in bundle]
    assert {report.state for report in reports} == {ReportState.DELIVERED}
    assert [report.references[0] for report in reports] == [message["tags"][0] for message in MESSAGES]


def test_bundles_are_as_large_as_the_service_makes_them() -> None:
    assert [parcel.receipts for parcel in WRITERS["zettai_reach"](URL, MESSAGES)] == [100, 100, 50]


@pytest.mark.parametrize("service", WRITERS)
def test_what_its_service_signs_is_signed(service: str) -> None:
    held, signs = CONTRACTS[service], PROVIDERS[service].capabilities.receipts is ReceiptTrust.SIGNED
    account = SmsAccess("https://api.example", held.settings, held.credentials, receipt_url=URL)
    for parcel in WRITERS[service](URL, MESSAGES[:3]):
        assert PROVIDERS[service].is_authentic(account, pushed(parcel)) is signs
