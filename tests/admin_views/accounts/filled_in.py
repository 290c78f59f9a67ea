"""Forms of accounts as a manager fills them in."""

KARADEN = {
    "name": "本社 督促用",
    "active": "y",
    "provider_tenant_id": "9d6b2c1e-0000-4000-8000-000000000001",
    "provider_service_id": "12",
    "provider_token": "s3cret-token",
}
