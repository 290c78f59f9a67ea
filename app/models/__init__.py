"""Tables and nothing else, one file per aggregate.

Every tenant's table carries `tenant_id`, is unique on (tenant_id, id), and is referred to by both, so that a row
can't point into another tenant's data even where row level security doesn't look (foreign key checks pass it by).
"""

from app.models.account import (
    PaymentAccount,
    SenderNumber,
    SharedSmsAccount,
    SmsAccount,
    SmsContract,
    WitnessMessage,
)
from app.models.api import ApiAddress, ApiAnswer, ApiKey, ApiRate, ApiRefusal, TestNumber
from app.models.audit import AuditEntry
from app.models.campaign import Campaign, Question, StandingDay
from app.models.delivery import DoubledMessage, Pulse, Receipt, SendingDay, SendLog, Slice
from app.models.event import Event
from app.models.export import Export, ExportLayout, ExportPiece, ExportPlan
from app.models.intake import ExcludedRecipient, Import, ImportChunk, ImportFault
from app.models.lease import LeaseRow
from app.models.payment import Payment, PaymentDifference, PaymentNotice
from app.models.recipient import Recipient
from app.models.reminder import Reminder
from app.models.setback import BeatSlot, Installation, MissedMessage
from app.models.staff_session import StaffSession
from app.models.suppression import Suppression, SuppressionProposal
from app.models.tenant import Tenant
from app.models.total import PaymentTotal, RecipientTotal, SendLogTotal
from app.models.trial import TrialMessage
from app.models.user import User
from app.models.wave import Wave
from app.models.webhook import WebhookDelivery, WebhookEndpoint

__all__ = [
    "ApiAddress",
    "ApiAnswer",
    "ApiKey",
    "ApiRate",
    "ApiRefusal",
    "AuditEntry",
    "BeatSlot",
    "Campaign",
    "DoubledMessage",
    "Event",
    "ExcludedRecipient",
    "Export",
    "ExportLayout",
    "ExportPiece",
    "ExportPlan",
    "Import",
    "ImportChunk",
    "ImportFault",
    "Installation",
    "LeaseRow",
    "MissedMessage",
    "Payment",
    "PaymentAccount",
    "PaymentDifference",
    "PaymentNotice",
    "PaymentTotal",
    "Pulse",
    "Question",
    "Receipt",
    "Recipient",
    "RecipientTotal",
    "Reminder",
    "SendLog",
    "SendLogTotal",
    "SenderNumber",
    "SendingDay",
    "SharedSmsAccount",
    "Slice",
    "SmsAccount",
    "SmsContract",
    "StaffSession",
    "StandingDay",
    "Suppression",
    "SuppressionProposal",
    "Tenant",
    "TestNumber",
    "TrialMessage",
    "User",
    "Wave",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WitnessMessage",
]
