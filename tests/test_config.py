"""Settings: each fault is named with its reason, none with its value, and production takes no demo secret."""

import base64
from pathlib import Path

import pytest

from app.config import BadSettings, Settings, new_secrets

GOOD = {
    **new_secrets(),
    "DATABASE_URL": "postgresql://app:pw@db/todoke",
    "REDIS_URL": "rediss://:secret@localhost/0",
    "PUBLIC_BASE_URL": "https://todoke.example",
    "OUTSIDE_DIR": "/var/lib/todoke/outside",
}


def faults(**changes: str) -> str:
    with pytest.raises(BadSettings) as caught:
        Settings.from_env({**GOOD, **changes})
    return str(caught.value)


def test_defaults_are_filled_from_what_is_given() -> None:
    settings = Settings.from_env(GOOD)
    assert settings.env == "production"
    assert settings.database_url == "postgresql+psycopg://app:pw@db/todoke"
    assert settings.database_owner_url == settings.database_url
    assert settings.database_app_role == "app"
    assert settings.link_base_url == "https://todoke.example"
    assert settings.trusted_hosts == ("todoke.example",)
    assert settings.https


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("TODOKE_ENV", "staging", "production, demo, test"),
        ("SECRET_KEY", "short", "32 characters"),
        ("FIELD_KEYS", "k1:AAAA", "base64 of 32 bytes"),
        ("FIELD_KEYS", "no-colon", "id:base64"),
        ("DIGEST_KEY", "!!", "base64 of 32 bytes"),
        ("DATABASE_URL", "mysql://x/y", "postgresql://"),
        ("REDIS_URL", "localhost", "redis://"),
        ("REDIS_URL", "redis://localhost/0", "REDIS_NO_PASSWORD_BECAUSE"),
        ("REDIS_URL", "unix:///run/valkey.sock", "REDIS_NO_PASSWORD_BECAUSE"),
        ("PUBLIC_BASE_URL", "todoke.example", "https://"),
        ("LINK_BASE_URL", "http://todoke.example", "https://"),
        ("SEND_TIMEOUT_S", "0", "1 to 60"),
        ("SEND_TIMEOUT_S", "fast", "1 to 60"),
        ("LEASE_S", "20", "SEND_TIMEOUT_S"),
        ("UNKNOWN_SETTLE_S", "39", "twice SEND_TIMEOUT_S"),
        ("TRUSTED_PROXIES", "9", "0 to 5"),
        ("OUTSIDE_DIR", "", "must be set in production"),
        ("OUTSIDE_DIR", "outside", "absolute path"),
        ("KARADEN_API_BASE", "http://127.0.0.1:1/karaden", "https:// in production"),
        ("KARADEN_API_BASE", "https://one.example,http://two.example", "https:// in production"),
        ("KARADEN_API_BASE", "", "one address or more"),
        ("KARADEN_API_BASE", " , ", "one address or more"),
        ("KARADEN_API_BASE", "prg.karaden.jp", "starts with https://"),
        ("KARADEN_API_BASE", "https:///api", "starts with https://"),
        ("KARADEN_API_BASE", "https://[::1", "starts with https://"),
        ("KARADEN_API_BASE", "https://me:topsecret@one.example", "no user"),
        ("KARADEN_API_BASE", "https://one.example?key=topsecret", "no query"),
        ("STRIPE_API_BASE", "https://one.example/,https://one.example", "twice"),
    ],
)
def test_a_wrong_setting_is_refused_by_name_and_reason(name: str, value: str, reason: str) -> None:
    said = faults(**{name: value})
    assert said.startswith(f"{name}: ")
    assert reason in said


def test_the_addresses_of_each_providers_api_are_its_own_or_those_listed() -> None:
    assert Settings.from_env(GOOD).api_bases["stripe"] == ("https://api.stripe.com",)
    listed = {"STRIPE_API_BASE": " https://one.example/v1/ , https://two.example"}
    assert Settings.from_env(GOOD | listed).api_bases["stripe"] == ("https://one.example/v1", "https://two.example")


def test_all_faults_are_told_at_once_and_no_value_with_them() -> None:
    said = faults(SECRET_KEY_FILE="/nowhere", DIGEST_KEY="topsecretvalue", SEND_TIMEOUT_S="x")
    assert {line.split(":")[0] for line in said.splitlines()} == {"SECRET_KEY", "DIGEST_KEY", "SEND_TIMEOUT_S"}
    assert "topsecretvalue" not in said


def test_what_must_be_set_is_told() -> None:
    with pytest.raises(BadSettings, match="DATABASE_URL: must be set"):
        Settings.from_env({name: value for name, value in GOOD.items() if name != "DATABASE_URL"})


@pytest.mark.parametrize("name", ["SECRET_KEY", "FIELD_KEYS", "DIGEST_KEY"])
def test_production_refuses_demo_secrets(name: str) -> None:
    demo = new_secrets(demo=True)
    assert "demo secret" in faults(**{name: demo[name]})
    Settings.from_env({**GOOD, **demo, "TODOKE_ENV": "demo"})


def test_a_second_field_key_may_not_be_a_demo_one_either() -> None:
    both = f"{GOOD['FIELD_KEYS']},k2:{new_secrets(demo=True)['FIELD_KEYS'].split(':')[1]}"
    assert "FIELD_KEYS" in faults(FIELD_KEYS=both)


def test_secrets_are_read_from_files_and_never_from_both(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(GOOD["SECRET_KEY"] + "\n")
    rest = {name: value for name, value in GOOD.items() if name != "SECRET_KEY"}
    assert Settings.from_env({**rest, "SECRET_KEY_FILE": str(file)}).secret_key == GOOD["SECRET_KEY"]
    assert "given twice" in faults(SECRET_KEY_FILE=str(file))


def test_no_secret_stands_in_the_repr() -> None:
    settings = Settings.from_env(GOOD)
    said = repr(settings)
    assert GOOD["SECRET_KEY"] not in said
    assert "app:pw" not in said
    assert repr(settings.digest_key) not in said
    assert repr(next(iter(settings.field_keys.values()))) not in said


def test_new_secrets_differ_each_time_and_are_long() -> None:
    one, other = new_secrets(), new_secrets()
    assert all(one[name] != other[name] for name in one)
    assert len(base64.b64decode(one["DIGEST_KEY"])) == 32


def test_the_documentation_lists_every_setting_as_it_is() -> None:
    written = (Path(__file__).parents[1] / "docs" / "settings.md").read_text("utf-8")
    assert [line for line in written.splitlines() if line.startswith("| `")] == [
        f"| `{name}` | {f'`{default}`' if default else ''} | {what} |" for name, default, what in Settings.describe()
    ]
