"""Who may tell us something."""

import time
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.sandbox.mailchimp.webhooks import sign
from mcsync.webhooks.auth import AccountKeys, Gate, Proof, read_secret
from mcsync.webhooks.payload import parse_payload

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
STAMP = int(NOW.timestamp())
MAIN, OTHER, UNKNOWN = "aaaaaaaaaa", "bbbbbbbbbb", "zzzzzzzzzz"


def body_for(list_id: str | None) -> bytes:
    """An audience's payload; a batch's for None."""
    if list_id is None:
        return urlencode({"type": "batch_operation_completed", "data[id]": "1234"}).encode()
    fields = {"type": "cleaned", "data[list_id]": list_id, "data[email]": "wilma@bedrock.example"}
    return urlencode(fields).encode()


def ask(
    *accounts: AccountKeys,
    list_id: str | None = MAIN,
    secret: str | None = None,
    signature: str = "",
    now: datetime = NOW,
) -> bool:
    body = body_for(list_id)
    query = b"" if secret is None else urlencode({"secret": secret}).encode()
    return Gate(accounts).admits(parse_payload(body), Proof(query, signature, body), now)


def keys(list_id: str = MAIN, **secrets: tuple[str, ...]) -> AccountKeys:
    return AccountKeys(frozenset({list_id}), **secrets)


# --- the secret in the URL ------------------------------------------------------------------------


@pytest.mark.parametrize("secret", ["yabba", "dabba", "dü ö+&=%🦕"])
def test_any_of_the_accounts_secrets_is_right(secret: str):
    account = keys(secrets=("yabba", "dabba", "dü ö+&=%🦕"))
    assert ask(account, secret=secret)


@pytest.mark.parametrize("secret", [None, "", "yabb", "yabbaa", "Yabba", "yäbba", "\ud83d", "\0"])
def test_any_other_is_wrong(secret: str | None):
    query_secret = None if secret is None else secret.encode("utf-8", "replace").decode()
    assert not ask(keys(secrets=("yabba",)), secret=query_secret)


def test_half_a_character_in_the_config_stops_nobody():
    assert ask(keys(secrets=("\ud83d", "yabba")), secret="yabba")


def test_all_secrets_are_compared_and_none_first(monkeypatch: pytest.MonkeyPatch):
    import hmac

    compared: list[object] = []
    compare = hmac.compare_digest

    def note(a: bytes, b: bytes) -> bool:
        compared.append(b)
        return compare(a, b)

    monkeypatch.setattr("mcsync.webhooks.auth.hmac.compare_digest", note)
    assert ask(keys(secrets=("one", "two")), keys(UNKNOWN, secrets=("three",)), secret="one")
    assert compared == [b"one", b"two"]
    compared.clear()
    assert ask(
        keys(secrets=("one", "two")), keys(OTHER, secrets=("3",)), list_id=UNKNOWN, secret="one"
    )
    assert compared == [b"one", b"two", b"3"]


def test_the_secret_of_another_account_is_wrong():
    accounts = (keys(secrets=("main",)), keys(OTHER, secrets=("other",)))
    assert ask(*accounts, secret="main")
    assert not ask(*accounts, secret="other")
    assert ask(*accounts, list_id=OTHER, secret="other")
    assert not ask(*accounts, list_id=OTHER, secret="main")


def test_an_unknown_audience_may_come_with_any_accounts_secret():
    accounts = (keys(secrets=("main",)), keys(OTHER, secrets=("other",)))
    assert ask(*accounts, list_id=UNKNOWN, secret="main")
    assert ask(*accounts, list_id=UNKNOWN, secret="other")
    assert not ask(*accounts, list_id=UNKNOWN, secret="none")


def test_batches_have_secrets_of_their_own():
    accounts = (keys(secrets=("main",), batch_secrets=("batch",)), keys(OTHER, secrets=("o",)))
    assert ask(*accounts, list_id=None, secret="batch")
    assert not ask(*accounts, list_id=None, secret="main")
    assert not ask(*accounts, secret="batch")


def test_with_neither_secret_nor_signing_secret_nothing_is_right():
    assert not ask(keys())
    assert not ask(keys(), secret="")
    assert not ask(keys(), secret="x", signature=sign("", body_for(MAIN), STAMP))
    assert not ask()
    assert not ask(keys(secrets=("main",)), list_id=None, secret="main")


def test_what_is_no_payload_needs_any_proof():
    gate = Gate([keys(secrets=("main",), batch_secrets=("batch",))])
    for secret, is_right in ((b"main", True), (b"batch", True), (b"x", False), (b"", False)):
        assert gate.admits(None, Proof(b"secret=" + secret, "", b""), NOW) is is_right


def test_the_query_is_read_byte_for_byte():
    assert read_secret(b"a=1&secret=a%2Bb+c&secret=d") == b"a+b c"
    assert read_secret(b"secret=%FF\xff%zz") == b"\xff\xff%zz"
    assert read_secret(b"") == read_secret(b"secret") == read_secret(b"Secret=x") == b""


def test_no_repr_tells_a_secret():
    shown = repr(keys(secrets=("one",), batch_secrets=("two",), signing_secrets=("three",)))
    shown += repr(Proof(b"secret=one", "t=1,v1=three", b"two"))
    assert not [word for word in ("one", "two", "three") if word in shown]


# --- the signature --------------------------------------------------------------------------------


SIGNED = keys(signing_secrets=("old", "new"))
BOTH = keys(secrets=("main",), signing_secrets=("new",))
DIGEST = sign("new", body_for(MAIN), STAMP).partition("v1=")[2]

SIGNATURES = {
    "right": (f"t={STAMP},v1={DIGEST}", True),
    "in capitals": (f"t={STAMP},v1={DIGEST.upper()}", True),
    "with spaces": (f" t = {STAMP} , v1 = {DIGEST} ", True),
    "the other way round": (f"v1={DIGEST},t={STAMP}", True),
    "one of several": (f"t={STAMP},v1={'0' * 64},v1={DIGEST}", True),
    "beside one of a later kind": (f"t={STAMP},v2=xyz,v1={DIGEST}", True),
    "of another time": (f"t={STAMP + 1},v1={DIGEST}", False),
    "cut": (f"t={STAMP},v1={DIGEST[:-1]}", False),
    "empty": (f"t={STAMP},v1=", False),
    "with two times": (f"t={STAMP},t={STAMP},v1={DIGEST}", False),
    "without a time": (f"v1={DIGEST}", False),
    "with a time that is none": (f"t=abc,v1={DIGEST}", False),
    "with a time of other digits": (f"t=٣{STAMP},v1={DIGEST}", False),
    "with an endless time": (f"t={'9' * 64},v1={DIGEST}", False),
    "of a later kind only": (f"t={STAMP},v2={DIGEST}", False),
    "absent": ("", False),
    "rubbish": ("\0,=,t=,v1,é", False),
}


@pytest.mark.parametrize(("signature", "is_right"), SIGNATURES.values(), ids=SIGNATURES)
def test_signatures(signature: str, is_right: bool):
    assert ask(SIGNED, signature=signature) is is_right


@pytest.mark.parametrize(
    ("age_s", "is_right"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
)
def test_a_signature_is_good_for_five_minutes(age_s: int, is_right: bool):
    signature = sign("old", body_for(MAIN), STAMP)
    assert ask(SIGNED, signature=signature, now=NOW + timedelta(seconds=age_s)) is is_right


def test_where_both_are_configured_both_must_be_right():
    good = sign("new", body_for(MAIN), STAMP)
    bad = sign("stolen", body_for(MAIN), STAMP)
    assert ask(BOTH, secret="main", signature=good)
    assert not ask(BOTH, secret="main", signature=bad)
    assert not ask(BOTH, secret="main")
    assert not ask(BOTH, secret="other", signature=good)
    assert not ask(BOTH, signature=good)


def test_a_signature_that_nobody_can_check_is_passed_over():
    assert ask(keys(secrets=("main",)), secret="main", signature="t=1,v1=00")


def test_a_signature_is_of_one_body_and_one_account():
    signature = sign("new", body_for(MAIN), STAMP)
    assert not ask(SIGNED, list_id=UNKNOWN, signature=signature)
    assert not ask(keys(OTHER, signing_secrets=("new",)), SIGNED, list_id=OTHER, signature="")
    assert ask(SIGNED, list_id=None, signature=sign("new", body_for(None), STAMP))


@given(st.binary(max_size=60), st.text(max_size=120))
def test_no_query_and_no_header_raises_anything(query: bytes, signature: str):
    proof = Proof(query, signature, body_for(MAIN))
    assert not Gate([BOTH]).admits(parse_payload(proof.body), proof, NOW)


def test_a_long_header_takes_no_time():
    begun = time.process_time()
    assert not ask(SIGNED, signature="t=" * 16_000 + ",v1=0" * 3000)
    assert time.process_time() - begun < 5
