"""The vault, attack by attack: moved, altered, cut, guessed, rotated."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.vault import CannotOpen, Place, Vault

SECRET = bytes(range(16))
KEY, OTHER, DIGEST = os.urandom(32), os.urandom(32), os.urandom(32)
PLACE = Place(7, "recipient", "phone_sealed", 42)


@pytest.fixture
def vault() -> Vault:
    return loaded({"k1": KEY})


def loaded(keys: dict[str, bytes], digest: bytes = DIGEST) -> Vault:
    made = Vault()
    made.load(keys, digest)
    return made


@given(st.binary(max_size=300))
def test_what_is_sealed_opens_in_its_place(plain: bytes) -> None:
    vault = loaded({"k1": KEY})
    sealed = vault.seal(plain, PLACE)
    assert vault.open(sealed, PLACE) == plain
    assert len(plain) < 8 or plain not in sealed


def test_the_same_text_is_sealed_differently_each_time(vault: Vault) -> None:
    assert vault.seal("090", PLACE) != vault.seal("090", PLACE)


@pytest.mark.parametrize(
    "elsewhere",
    [
        PLACE._replace(tenant_id=8),
        PLACE._replace(table="payment"),
        PLACE._replace(column="fields_sealed"),
        PLACE._replace(row_id=43),
    ],
)
def test_a_value_moved_elsewhere_does_not_open(vault: Vault, elsewhere: Place) -> None:
    sealed = vault.seal("090-1234-5678", PLACE)
    with pytest.raises(CannotOpen):
        vault.open(sealed, elsewhere)


def test_no_single_bit_can_be_changed(vault: Vault) -> None:
    sealed = vault.seal("090-1234-5678", PLACE)
    for at in range(len(sealed)):
        altered = bytearray(sealed)
        altered[at] ^= 1
        with pytest.raises(CannotOpen):
            vault.open(bytes(altered), PLACE)


@given(st.binary(max_size=60))
def test_garbage_is_refused_in_one_way(garbage: bytes) -> None:
    with pytest.raises(CannotOpen):
        loaded({"k1": KEY}).open(garbage, PLACE)


def test_every_cut_is_refused(vault: Vault) -> None:
    sealed = vault.seal("090", PLACE)
    for end in range(len(sealed)):
        with pytest.raises(CannotOpen):
            vault.open(sealed[:end], PLACE)


def test_without_its_key_a_value_stays_shut(vault: Vault) -> None:
    sealed = vault.seal("090", PLACE)
    with pytest.raises(CannotOpen, match="FIELD_KEYS"):
        loaded({"k2": OTHER}).open(sealed, PLACE)
    with pytest.raises(CannotOpen):
        loaded({"k1": OTHER}).open(sealed, PLACE)


def test_a_new_key_seals_and_the_old_one_still_opens(vault: Vault) -> None:
    old = vault.seal("090", PLACE)
    rotated = loaded({"k2": OTHER, "k1": KEY})
    assert rotated.open_text(old, PLACE) == "090"
    new = rotated.seal("090", PLACE)
    assert loaded({"k2": OTHER}).open_text(new, PLACE) == "090"
    with pytest.raises(CannotOpen):
        vault.open(new, PLACE)


def test_the_last_four_digits_meet_within_a_tenant_only(vault: Vault) -> None:
    assert vault.last4_index(1, "+819012345678") == vault.last4_index(1, "+818099995678")
    assert vault.last4_index(1, "+819012345678") != vault.last4_index(2, "+819012345678")
    assert vault.last4_index(1, "+819012345678") != vault.last4_index(1, "+819012345679")


def test_the_phone_index_meets_within_a_tenant_only(vault: Vault) -> None:
    assert vault.phone_index(1, "+819012345678") == vault.phone_index(1, "+819012345678")
    assert vault.phone_index(1, "+819012345678") != vault.phone_index(2, "+819012345678")
    assert vault.phone_index(1, "+819012345678") != vault.phone_index(1, "+819012345679")


def test_an_answer_digest_serves_one_person_and_one_question(vault: Vault) -> None:
    digest = vault.answer_digest(1, 2, 3, "1980-01-02")
    others = [
        vault.answer_digest(9, 2, 3, "1980-01-02"),
        vault.answer_digest(1, 9, 3, "1980-01-02"),
        vault.answer_digest(1, 2, 9, "1980-01-02"),
        vault.answer_digest(1, 2, 3, "1980-01-03"),
    ]
    assert digest not in others
    assert len({len(value) for value in [digest, *others]}) == 1


def test_digests_need_the_key(vault: Vault) -> None:
    stolen = loaded({"k1": KEY}, os.urandom(32))
    assert vault.phone_index(1, "+819012345678") != stolen.phone_index(1, "+819012345678")
    assert vault.answer_digest(1, 2, 3, "x") != stolen.answer_digest(1, 2, 3, "x")
    assert vault.link_token(1, 1, SECRET) != stolen.link_token(1, 1, SECRET)


def test_parts_of_a_digest_do_not_run_together(vault: Vault) -> None:
    assert vault.identity_key(1, 2, "3x") != vault.identity_key(1, 23, "x")


def test_rotating_field_keys_changes_no_digest(vault: Vault) -> None:
    rotated = loaded({"k2": OTHER, "k1": KEY})
    assert vault.link_token(5, 1, SECRET) == rotated.link_token(5, 1, SECRET)
    assert vault.phone_index(5, "+81") == rotated.phone_index(5, "+81")


def test_tokens_are_derived_apart_and_hard_to_guess(vault: Vault) -> None:
    tokens = {vault.link_token(person, generation, SECRET) for person in range(2000) for generation in (1, 2)}
    assert len(tokens) == 4000
    assert {len(token) for token in tokens} == {16}
    assert set("".join(tokens)) <= set("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz")
    # every character of every place is used about as often as any other: 4000 tokens, 58 characters
    for place in range(16):
        counts = [sum(token[place] == char for token in tokens) for char in "1zGm"]
        assert all(30 < count < 120 for count in counts)


def test_a_number_that_comes_again_makes_another_token(vault: Vault) -> None:
    tokens = {vault.link_token(7, 1, secret) for secret in (None, b"", bytes(16), SECRET)}
    assert len(tokens) == 4


def test_links_of_before_there_were_secrets_still_open() -> None:
    made = Vault()
    made.load({"k1": bytes(32)}, bytes(range(32)))
    # as versions before derived them
    assert made.link_token(1, 1, None) == "sENkm1Gv1Ur4MyLW"
    assert made.link_token(123456, 2, None) == "NAHLXQuHMeaDQvWE"


def test_a_token_is_looked_up_by_its_digest_alone(vault: Vault) -> None:
    token = vault.link_token(1, 1, SECRET)
    assert token.encode() not in vault.token_digest(token)
    assert vault.token_digest(token) == vault.token_digest(token)


def test_a_column_is_sealed_as_single_values_are(vault: Vault) -> None:
    plains = [b"one", b"two", b"three"]
    sealed = vault.seal_column(7, "recipient", "phone_sealed", [11, 12, 13], plains)
    assert [
        vault.open(item, Place(7, "recipient", "phone_sealed", row_id))
        for row_id, item in zip((11, 12, 13), sealed, strict=True)
    ] == plains
    assert len({item[: -len(b"one") - 16] for item in sealed}) == 3  # a nonce for each
    with pytest.raises(CannotOpen):
        vault.open(sealed[0], Place(7, "recipient", "phone_sealed", 12))
