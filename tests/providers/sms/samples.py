"""Every service's sample, from the file of its own."""

from collections.abc import Mapping
from importlib import import_module

from app.providers.sms import PROVIDERS
from tests.providers.sms.sample import Sample

SAMPLES: Mapping[str, Sample] = {
    name: import_module(f"tests.providers.sms.samples_{name}").SAMPLE for name in PROVIDERS
}
