"""Bodies of deliveries: every form that is documented, and everything else that may come."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mcsync.model import EventKind, WebhookEvent
from mcsync.sandbox.mailchimp.webhooks import flatten
from mcsync.webhooks.payload import MAX_BODY, NotAPayload, Payload, parse_payload

# As Mailchimp documents them, decoded, one field a line.
SUBSCRIBE = """type=subscribe
fired_at=2020-09-07 21:31:09
data[id]=b748506b63
data[email]=example@gmail.com
data[email_type]=html
data[ip_opt]=98.128.229.135
data[ip_signup]=98.128.229.135
data[web_id]=404947702
data[merges][EMAIL]=example@gmail.com
data[merges][FNAME]=
data[merges][LNAME]=
data[merges][ADDRESS]=
data[merges][PHONE]=
data[merges][INTERESTS]=Yes
data[merges][GROUPINGS][0][id]=6197
data[merges][GROUPINGS][0][unique_id]=458a556058
data[merges][GROUPINGS][0][name]=Interested in updates?
data[merges][GROUPINGS][0][groups]=Yes
data[list_id]=8a6d823488"""
UNSUBSCRIBE = """type=unsubscribe
fired_at=2009-03-26 21:40:57
data[action]=unsub
data[reason]=manual
data[id]=8a25ff1d98
data[list_id]=a6b5da1054
data[email]=api+unsub@mailchimp.com
data[email_type]=html
data[merges][EMAIL]=api+unsub@mailchimp.com
data[merges][FNAME]=Mailchimp
data[merges][LNAME]=API
data[merges][INTERESTS]=Group1,Group2
data[ip_opt]=10.20.10.30
data[campaign_id]=cb398d21d2"""
PROFILE = """type=profile
fired_at=2009-03-26 21:31:21
data[id]=8a25ff1d98
data[list_id]=a6b5da1054
data[email]=api@mailchimp.com
data[email_type]=html
data[merges][EMAIL]=api@mailchimp.com
data[merges][FNAME]=Mailchimp
data[merges][LNAME]=API
data[merges][INTERESTS]=Group1,Group2
data[ip_opt]=10.20.10.30
data[web_id]=404947702"""
UPEMAIL = """type=upemail
fired_at=2009-03-26 22:15:09
data[list_id]=a6b5da1054
data[new_id]=51da8c3259
data[new_email]=api+new@mailchimp.com
data[old_email]=api+old@mailchimp.com"""
CLEANED = """type=cleaned
fired_at=2009-03-26 22:01:00
data[list_id]=a6b5da1054
data[campaign_id]=4fjk2ma9xd
data[reason]=hard
data[email]=api+cleaned@mailchimp.com"""
CAMPAIGN = """type=campaign
fired_at=2009-03-26 21:31:21
data[id]=5aa2102003
data[subject]=Test Campaign Subject
data[status]=sent
data[reason]=
data[list_id]=a6b5da1054"""
BATCH = """type=batch_operation_completed
fired_at=2017-02-10 14:59:37
data[id]=1234ab56cd
data[status]=finished
data[total_operations]=1
data[finished_operations]=1
data[errored_operations]=0
data[submitted_at]=2017-02-10T14:44:14+00:00
data[completed_at]=2017-02-10T14:44:22+00:00
data[response_body_url]=https://storage.example/1234-response.tar.gz?GoogleAccessId=a&Expires=1
data[_links][0][rel]=parent
data[_links][0][href]=https://us1.api.mailchimp.com/3.0/batches
data[_links][0][method]=GET"""

Fields = list[tuple[str, str]]


def fields_of(text: str) -> Fields:
    pairs = [line.partition("=") for line in text.splitlines()]
    return [(name, value) for name, _, value in pairs]


def encode(text: str) -> bytes:
    """The body as Mailchimp sends it, brackets percent-encoded."""
    return urlencode(fields_of(text)).encode()


def change(text: str, **changes: str | None) -> bytes:
    """A payload with other `data` fields; None takes one out, a new one is added."""
    fields = dict(fields_of(text))
    for name, value in changes.items():
        fields.pop(f"data[{name}]", None)
        if value is not None:
            fields[f"data[{name}]"] = value
    return urlencode(fields).encode()


def read(body: bytes) -> WebhookEvent | None:
    return parse_payload(body).event


DOCUMENTED = {
    "subscribe": (
        SUBSCRIBE,
        WebhookEvent(
            EventKind.SUBSCRIBE,
            "8a6d823488",
            "example@gmail.com",
            fired_at="2020-09-07 21:31:09",
        ),
    ),
    "unsubscribe": (
        UNSUBSCRIBE,
        WebhookEvent(
            EventKind.UNSUBSCRIBE,
            "a6b5da1054",
            "api+unsub@mailchimp.com",
            fired_at="2009-03-26 21:40:57",
        ),
    ),
    "profile": (
        PROFILE,
        WebhookEvent(
            EventKind.PROFILE, "a6b5da1054", "api@mailchimp.com", fired_at="2009-03-26 21:31:21"
        ),
    ),
    "upemail": (
        UPEMAIL,
        WebhookEvent(
            EventKind.UPEMAIL,
            "a6b5da1054",
            "api+new@mailchimp.com",
            "api+old@mailchimp.com",
            fired_at="2009-03-26 22:15:09",
        ),
    ),
    "cleaned": (
        CLEANED,
        WebhookEvent(
            EventKind.CLEANED,
            "a6b5da1054",
            "api+cleaned@mailchimp.com",
            reason="hard",
            fired_at="2009-03-26 22:01:00",
        ),
    ),
    "cleaned after a complaint": (
        CLEANED.replace("=hard", "=abuse"),
        WebhookEvent(
            EventKind.CLEANED,
            "a6b5da1054",
            "api+cleaned@mailchimp.com",
            reason="abuse",
            fired_at="2009-03-26 22:01:00",
        ),
    ),
    "batch": (
        BATCH,
        WebhookEvent(
            EventKind.BATCH_COMPLETED, batch_id="1234ab56cd", fired_at="2017-02-10 14:59:37"
        ),
    ),
}


@pytest.mark.parametrize(("text", "event"), DOCUMENTED.values(), ids=DOCUMENTED)
def test_every_documented_payload_is_read(text: str, event: WebhookEvent):
    payload = parse_payload(encode(text))
    assert payload == Payload(event.kind.value, event.list_id, event)
    assert payload.is_batch == (event.kind is EventKind.BATCH_COMPLETED)


@pytest.mark.parametrize(("text", "event"), DOCUMENTED.values(), ids=DOCUMENTED)
def test_brackets_need_not_be_encoded_nor_plus_signs_mistaken(text: str, event: WebhookEvent):
    body = "&".join(f"{name}={quote(value)}" for name, value in fields_of(text))
    assert read(body.encode()) == event


def test_the_simulators_batch_payload_is_read():
    batch = {"id": "1234ab56cd", "total_operations": 2, "_links": [{"rel": "parent"}]}
    fields = [("type", "batch_operation_completed")]
    fields += [(f"data{name}", value) for name, value in flatten(batch)]
    assert parse_payload(urlencode(fields).encode()).event == WebhookEvent(
        EventKind.BATCH_COMPLETED, batch_id="1234ab56cd"
    )


def test_a_campaign_is_nothing_for_us_and_tells_its_audience():
    assert parse_payload(encode(CAMPAIGN)) == Payload("campaign", "a6b5da1054", None)


@pytest.mark.parametrize("kind", ["sms_subscribe", "sms_unsubscribe", "upsms", "sms_campaign", "x"])
def test_kinds_that_came_later_are_nothing_for_us(kind: str):
    body = encode(SUBSCRIBE).replace(b"type=subscribe", f"type={kind}".encode(), 1)
    assert parse_payload(body) == Payload(kind, "8a6d823488", None)


def test_a_kind_of_odd_shape_is_never_repeated():
    assert parse_payload(b"type=%0a%3Cscript%3E") == Payload("", "", None)


TOO_LITTLE = {
    "a subscribe without any address": change(SUBSCRIBE, **{"email": None, "merges][EMAIL": None}),
    "a subscribe without a list": change(SUBSCRIBE, list_id=None),
    "an upemail without the new address": change(UPEMAIL, new_email=None),
    "an upemail with empty addresses": change(UPEMAIL, new_email="", old_email=""),
    "a batch without id": change(BATCH, id=None),
    "a batch with an id that is a path": change(BATCH, id="../lists/aaaaaaaaaa"),
    "a batch with an endless id": change(BATCH, id="1" * 65),
    "a list id that is a path": change(SUBSCRIBE, list_id="a/../b"),
    "a list id with a line's end": change(SUBSCRIBE, list_id="a\nb"),
    "nothing but a type": b"type=subscribe",
}


@pytest.mark.parametrize("body", TOO_LITTLE.values(), ids=TOO_LITTLE)
def test_too_little_to_go_by_is_nothing_for_us(body: bytes):
    assert read(body) is None


def test_partial_payloads_are_survived():
    body = change(SUBSCRIBE, email=None)
    assert read(body) == DOCUMENTED["subscribe"][1]
    assert read(b"type=profile&data[list_id]=a1&data[email]=a@b.example") == WebhookEvent(
        EventKind.PROFILE, "a1", "a@b.example"
    )
    assert read(change(UPEMAIL, old_email=None)) == WebhookEvent(
        EventKind.UPEMAIL,
        "a6b5da1054",
        "api+new@mailchimp.com",
        fired_at="2009-03-26 22:15:09",
    )


@pytest.mark.parametrize("at", ["", "yesterday", "2009-03-26\n22:15:09", "9" * 41])
def test_a_time_of_odd_shape_is_none(at: str):
    body = urlencode([("type", "cleaned"), ("fired_at", at), ("data[list_id]", "a")]).encode()
    event = read(body + b"&data[email]=a@b.example&data[reason]=<b>")
    assert event == WebhookEvent(EventKind.CLEANED, "a", "a@b.example")


ADDRESSES = {
    "plain": ("a@b.example", True),
    "with spaces around it": (" a@b.example ", True),
    "not of ASCII": ("jürgen@bücher.example", True),
    "as long as may be": ("a" * 64 + "@" + "b" * 255, True),
    "longer": ("a" * 64 + "@" + "b" * 256, False),
    "without @": ("a.example", False),
    "without anything before it": ("@b.example", False),
    "without anything after it": ("a@", False),
    "with a zero byte": ("a\0@b.example", False),
    "with a line's end": ("a@b.example\r\nBcc: c@d.example", False),
    "with a mark that turns the line": ("a\u202e@b.example", False),
}


@pytest.mark.parametrize(("email", "is_good"), ADDRESSES.values(), ids=ADDRESSES)
def test_addresses(email: str, is_good: bool):
    event = read(change(CLEANED, email=email))
    assert (event.email if event else None) == (email.strip() if is_good else None)


@pytest.mark.parametrize(
    "email", [b"a%FF@b.example", b"a\xff@b.example", b"a%C3@b.example", b"a%ED%A0%80@b.example"]
)
def test_an_address_that_cannot_be_decoded_is_none(email: bytes):
    assert read(b"type=cleaned&data[list_id]=a&data[email]=" + email) is None


def test_percent_signs_that_mean_nothing_stay_what_they_are():
    event = read(b"type=cleaned&data[list_id]=a&data[email]=100%@b.example&x=%zz&%")
    assert event is not None
    assert event.email == "100%@b.example"


def test_the_last_of_a_doubled_field_counts():
    event = read(encode(CLEANED) + b"&data[email]=later@b.example&data[email][]=x@y.example")
    assert event is not None
    assert event.email == "later@b.example"


def test_absurd_nesting_costs_nothing():
    body = encode(CLEANED) + b"&data" + b"[a]" * 100_000 + b"=1&" + b"[" * 1000 + b"=1"
    assert read(body) == DOCUMENTED["cleaned"][1]


NO_PAYLOADS = {
    "nothing": b"",
    "no type": b"data[email]=a@b.example&data[list_id]=a",
    "an empty type": b"type=&data[list_id]=a",
    "a blank type": b"type=+&data[list_id]=a",
    "JSON": b'{"type": "subscribe", "data": {"email": "a@b.example"}}',
    "a file": bytes(range(256)) * 100,
    "more fields than anybody has": b"type=subscribe" + b"&a=1" * 5001,
    "a MiB of fields": b"a=&" * (MAX_BODY // 3),
}


@pytest.mark.parametrize("body", NO_PAYLOADS.values(), ids=NO_PAYLOADS)
def test_what_is_no_payload_is_told_apart(body: bytes):
    with pytest.raises(NotAPayload):
        parse_payload(body)


PIECES = st.sampled_from(
    [
        *(f"type={kind.value}" for kind in EventKind),
        *("data[list_id]=a1", "data%5Bemail%5D=a%40b.example", "data[new_email]=c@d.example"),
        *("data[id]=99", "data[merges][EMAIL]=%FF@x", "fired_at=2020-01-01 00:00:00", "%5B%5B=%"),
        *("=", "&", ";", "data[email]=", "data[reason]=abuse", "type=", "data[list_id]=\0"),
    ]
)


@given(st.lists(st.one_of(PIECES.map(str.encode), st.binary(max_size=20))).map(b"&".join))
@example(b"type=\xed\xa0\x80")
def test_nothing_unforeseen_is_raised_and_nothing_odd_let_in(body: bytes):
    try:
        payload = parse_payload(body)
    except NotAPayload:
        return
    event = payload.event
    if event is None:
        return
    assert event.kind == payload.type
    assert bool(event.batch_id) != bool(event.list_id and "@" in event.email)
    texts = (event.list_id, event.email, event.old_email, event.reason, event.batch_id)
    for text in (*texts, event.fired_at):
        assert text.isprintable()
        assert len(text) <= 320
        text.encode()


@given(st.binary(max_size=2000))
def test_any_bytes_are_survived(body: bytes):
    for front in (b"", b"type=subscribe&data[list_id]=a&data[email]="):
        try:
            parse_payload(front + body)
        except NotAPayload:
            assert not front
