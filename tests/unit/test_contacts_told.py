"""The body of CiviCRM's deliveries: contact ids as a form or JSON has them, and who is believed."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcsync.model import ContactsTold
from mcsync.text import find_hook_url
from mcsync.webhooks.auth import AccountKeys, Gate, Proof
from mcsync.webhooks.payload import NotAPayload, Payload, parse_contacts, parse_delivery

NOW = datetime(2026, 11, 22, 6, tzinfo=UTC)
MAIN, HOOK = "aaaaaaaaaa", "pebbles"

READ = {
    "one": (b"contact_id=7", (7,)),
    "several": (b"contact_id=7&contact_id=8&contact_id=7", (7, 8)),
    "as PHP writes an array": (b"contact_id%5B0%5D=7&contact_id%5B1%5D=8", (7, 8)),
    "as PHP's forms write one": (b"contact_id[]=7&contact_id[]=8", (7, 8)),
    "among other things": (b"op=create&contact_id=+7+&group_id=111", (7,)),
    "the largest": (b"contact_id=4294967295", (4294967295,)),
    "JSON": (b'{"contact_id": 7, "op": "edit"}', (7,)),
    "JSON, as text": (b' \n{"contact_id": "7"}', (7,)),
    "JSON, several": (b'{"contact_id": [7, "8", 7]}', (7, 8)),
    "JSON with what Mailchimp's has": (b'{"contact_id": 7, "url": "?a=1&type=profile&b=2"}', (7,)),
    "very many": (b'{"contact_id": [%b]}' % b",".join(b"%d" % n for n in range(1, 5001)), None),
}
REFUSED = {
    "nothing": b"",
    "empty": b"contact_id=",
    "zero": b"contact_id=0",
    "negative": b"contact_id=-7",
    "one of them is no id": b"contact_id=7&contact_id=seven",
    "other digits": "contact_id=٣".encode(),
    "too large": b"contact_id=4294967296",
    "endless": b"contact_id=" + b"9" * 100_000,
    "another name": b"contact_ids=7&xcontact_id=7&contact_id[x]=7",
    "too many fields": b"&".join([b"contact_id=7"] * 5001),
    "too many ids": b'{"contact_id": [%b]}' % b",".join(b"%d" % n for n in range(1, 5002)),
    "JSON without it": b'{"id": 7}',
    "JSON, none": b'{"contact_id": []}',
    "JSON, true": b'{"contact_id": true}',
    "JSON, a fraction": b'{"contact_id": 7.5}',
    "JSON, null": b'{"contact_id": null}',
    "half of JSON": b'{"contact_id": 7',
    "deep JSON": b'{"contact_id":' + b"[" * 100_000,
    "deep JSON beside it": b'{"x":' + b"[" * 100_000,
    "no text": b"\xff\xfe{",
    "JSON that is no text": b'{"contact_id": "\xff"}',
}


@pytest.mark.parametrize(("body", "contact_ids"), READ.values(), ids=READ)
def test_what_is_read(body: bytes, contact_ids: tuple[int, ...] | None):
    assert parse_delivery(body) == ContactsTold(contact_ids or tuple(range(1, 5001)))


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_what_is_refused(body: bytes):
    with pytest.raises(NotAPayload):
        parse_delivery(body)


def test_what_has_a_type_is_mailchimps():
    assert isinstance(parse_delivery(b"type=subscribe&contact_id=7"), Payload)


@given(st.binary(max_size=200))
@example(b"\xed\xa0\x80")
def test_nothing_unforeseen_is_raised(body: bytes):
    for front in (b"", b"contact_id=", b'{"contact_id":'):
        try:
            told = parse_contacts(front + body)
        except NotAPayload:
            continue
        assert all(0 < contact_id < 2**32 for contact_id in told.contact_ids)


# --- who is believed ------------------------------------------------------------------------------

TOLD, OF_MAILCHIMP = ContactsTold((7,)), Payload("subscribe", MAIN, None)
ACCOUNT = AccountKeys(
    frozenset({MAIN}), secrets=("main",), batch_secrets=("batch",), signing_secrets=()
)


@pytest.mark.parametrize(
    ("payload", "secret", "is_right"),
    [
        (TOLD, HOOK, True),
        (TOLD, "main", False),
        (TOLD, "batch", False),
        (TOLD, "", False),
        (OF_MAILCHIMP, HOOK, False),
        (OF_MAILCHIMP, "main", True),
        (None, HOOK, True),
        (None, "other", False),
    ],
)
def test_each_side_has_its_own_secret(
    payload: Payload | ContactsTold | None, secret: str, is_right: bool
):
    gate = Gate([ACCOUNT], (HOOK,))
    assert gate.admits(payload, Proof(f"secret={secret}".encode(), "", b""), NOW) is is_right


@pytest.mark.parametrize("secret", ["", "main", "None"])
def test_without_a_secret_the_door_is_shut(secret: str):
    gate = Gate([ACCOUNT])
    assert not gate.expects_civicrm
    assert not gate.admits(TOLD, Proof(f"secret={secret}".encode(), "", b""), NOW)


def test_a_signature_is_mailchimps_alone():
    signed = AccountKeys(frozenset({MAIN}), signing_secrets=("signing",))
    proof = Proof(f"secret={HOOK}".encode(), "", b"contact_id=7")
    assert Gate([signed], (HOOK,)).admits(TOLD, proof, NOW)
    assert Gate([signed], (HOOK,)).find_fault(TOLD, Proof(b"secret=x", "", b"")) == "secret"


# --- where ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("webhook", "hook"),
    [
        ("https://a.example/m/webhook?secret=x", "https://a.example/m/civicrm-hook"),
        ("https://a.example:8443/batch-webhook/", "https://a.example:8443/civicrm-hook"),
        ("https://a.example/b/m.cgi/webhook", "https://a.example/b/m.cgi/civicrm-hook"),
        ("https://a.example/elsewhere?secret=x", None),
        ("https://[a/webhook", None),
    ],
)
def test_the_address_beside_mailchimps(webhook: str, hook: str | None):
    assert find_hook_url(webhook) == hook
