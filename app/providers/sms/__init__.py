"""SMS providers: one adapter per file behind the contract of `app.providers.sms.base`.

In: a tenant's account and one message. Out: the HTTP request that sends it, and the meaning of what came back. Can't
happen here: I/O, a guess (what isn't certain is `unknown`), a domain rule. Another provider is one more file and one
more line below.
"""

from collections.abc import Mapping

from app.providers.sms.base import SmsProvider
from app.providers.sms.infobip import infobip
from app.providers.sms.karaden import karaden
from app.providers.sms.twilio import twilio
from app.providers.sms.zettai_reach import zettai_reach

PROVIDERS: Mapping[str, SmsProvider] = {
    provider.name: provider for provider in (karaden, zettai_reach, infobip, twilio)
}
