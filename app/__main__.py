"""`python -m app new-secrets`: what an installation needs before any of its settings is there."""

import sys

from app.config import new_secrets

if sys.argv[1:] != ["new-secrets"]:
    sys.exit(
        "usage: python -m app new-secrets\nprints fresh SECRET_KEY, FIELD_KEYS and DIGEST_KEY for an environment file"
    )
sys.stdout.writelines(f"{name}={value}\n" for name, value in new_secrets().items())
