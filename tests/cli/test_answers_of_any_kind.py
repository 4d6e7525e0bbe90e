"""Both services answer anything at all: no bug, no flood, no end of the time.

Fifty answers in an ordinary run; MCSYNC_FUZZ=long asks for 5,000.
"""

import gzip
import json
import logging
import tarfile
import tracemalloc
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mcsync.errors import ExitCode
from mcsync.sandbox.server import Fault, Request, Response
from tests.cli.conftest import Office
from tests.fuzz import IS_LONG, how_many

PEAK = 200 << 20
COMMANDS = (
    ("sync",),
    ("sync", "--dry-run"),
    ("sync", "--wait", "0", "--with-data", "--print-changes"),
    ("sync-contact", "--email", "wilma@bedrock.example"),
    ("check",),
    ("fetch", "--since", "ever", "-vv"),
    ("process-batches",),
    ("sync", "--json"),
)

ODD_TEXTS = st.sampled_from(
    (
        *("", "\0", "\x1b[2J", "null", "[/b]", "=1+1", "%s%n", "x" * 5000, "\ud800", "\u202e"),
        *("0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "https://[::1/", "-0", "1e999"),
        *("fred@example.org", "subscribed", "cleaned", "finished", "Added", "2026-11-22 10:00:00"),
    )
)
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False)),
    *(st.text(max_size=20), ODD_TEXTS),
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner)
)


def text_of(value: object) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


def twist(value: Any, draw: st.DataObject) -> Any:
    """The value with one thing in it replaced, taken out, or doubled."""
    if isinstance(value, dict) and value and draw.draw(st.booleans()):
        key = draw.draw(st.sampled_from(sorted(value)))
        return {**value, key: twist(value[key], draw)}
    if isinstance(value, list) and value and draw.draw(st.booleans()):
        place = draw.draw(st.integers(0, len(value) - 1))
        return [*value[:place], twist(value[place], draw), *value[place + 1 :]]
    if isinstance(value, dict) and value and draw.draw(st.booleans()):
        gone = draw.draw(st.sampled_from(sorted(value)))
        return {key: each for key, each in value.items() if key != gone}
    if isinstance(value, list) and draw.draw(st.booleans()):
        return value * 2
    return draw.draw(JSON)


PACKINGS = {
    "": lambda body: body,
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "gzip, gzip": lambda body: gzip.compress(gzip.compress(body)),
    "br": lambda body: body,
}
HEADERS = st.dictionaries(
    st.sampled_from(("Retry-After", "Content-Type", "Location", "Set-Cookie", "Link", "X-Odd")),
    st.sampled_from(
        (
            *("application/json", "application/problem+json; charset=utf-7", "text/html", ""),
            *("9" * 400, "-1", "Fri, 31 Dec 9999 23:59:59 GMT", "https://[::1/", "\xff"),
        )
    ),
)


def tar_of(data: bytes, kind: bytes) -> bytes:
    entry = tarfile.TarInfo("./a.json")
    entry.size, entry.type = len(data), kind
    return entry.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512 + 1024)


def archive(draw: st.DataObject) -> bytes:
    """Results of a batch, more or less."""
    result = {"status_code": 200, "operation_id": "x-1", "response": "{}"}
    data = text_of([twist(result, draw), result])
    kind = draw.draw(st.sampled_from((b"0", b"1", b"2", b"5", b"S", b"x", b"g", b"L", b"Q")))
    packed = gzip.compress(tar_of(data, kind))
    size = draw.draw(st.integers(0, len(packed)))
    return packed if draw.draw(st.booleans()) else packed[:size]


def body_of(answer: Response, draw: st.DataObject) -> bytes:
    """Another body than the service's own."""
    kind = draw.draw(st.sampled_from(("twisted", "twisted", "json", "bytes", "bomb", "archive")))
    if kind == "twisted":
        try:
            return text_of(twist(json.loads(answer.body), draw))
        except ValueError:
            return answer.body
    if kind == "json":
        return text_of(draw.draw(JSON))
    if kind == "bomb":
        return draw.draw(st.sampled_from(BOMBS))
    return archive(draw) if kind == "archive" else draw.draw(st.binary(max_size=300))


BOMBS = (
    b"[" * 100_000,
    b"[" + b"{}," * 700_000 + b"{}]",
    b'{"members": [' + b"{}," * 400_000 + b'{}], "total_items": 1}',
    b'{"values": [' + b"[]," * 700_000 + b"[]]}",
    b'{"title": "' + b"a" * 60_000 + b'"}',
    b'{"error_message": "' + b"a@" * 30_000 + b'"}',
    b" " * (4 << 20),
)


@pytest.fixture
def fuzzed(office: Office, no_pauses: list[float]) -> Iterator[Office]:
    """People on both sides, a batch under way; whatever is logged goes nowhere."""
    assert office.run("sync").code == 0
    yield office
    logging.getLogger("mcsync").handlers.clear()


@settings(
    max_examples=how_many(50),
    derandomize=not IS_LONG,
    suppress_health_check=list(HealthCheck),
    print_blob=True,
)
@given(draw=st.data())
def test_whatever_is_answered_is_no_bug_d4(fuzzed: Office, draw: st.DataObject) -> None:
    def rewrite(_request: Request, answer: Response) -> Response:
        # Hypothesis wants to be asked in one thread, so all is drawn before.
        return made.pop() if made else answer

    server = draw.draw(st.sampled_from(("mailchimp_server", "civicrm_server")))
    own = Response(200, OWN[server], {"Content-Type": "application/json"})
    made = [make_answer(own, draw) for _ in range(draw.draw(st.integers(1, 3)))]
    skip = draw.draw(st.integers(0, 12))
    faults = getattr(fuzzed.town, server).faults
    faults.append(Fault(rewrite=rewrite, skip=skip, times=None))
    tracemalloc.start()
    try:
        said = fuzzed.run(*draw.draw(st.sampled_from(COMMANDS)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        faults.clear()
    assert said.code not in (1, ExitCode.BUG), said
    assert peak < PEAK
    for key in fuzzed.secrets():
        assert key not in said.out + said.err


def make_answer(own: Response, draw: st.DataObject) -> Response:
    packing = draw.draw(st.sampled_from(sorted(PACKINGS)))
    body = PACKINGS[packing](body_of(own, draw))
    status = draw.draw(
        st.sampled_from((200, 200, 200, 204, 301, 400, 401, 403, 404, 422, 429, 500))
    )
    headers = {"Content-Type": "application/json", **draw.draw(HEADERS)}
    if packing:
        headers["Content-Encoding"] = packing
    return Response(status, b"" if status == 204 else body, headers)


OWN = {
    "mailchimp_server": text_of(
        {
            "id": "aaaaaaaaaa",
            "account_id": "1",
            "name": "Main audience",
            "double_optin": False,
            "stats": {"member_count": 4},
            "total_items": 1,
            "members": [
                {
                    "id": "0123456789abcdef0123456789abcdef",
                    "contact_id": "c1",
                    "email_address": "wilma@bedrock.example",
                    "status": "subscribed",
                    "last_changed": "2026-11-22T10:00:00+00:00",
                    "merge_fields": {"FNAME": "Wilma", "LNAME": "Flintstone"},
                    "interests": {"cccccccccc": True},
                    "unsubscribe_reason": "",
                }
            ],
            "merge_fields": [{"tag": "FNAME", "name": "First", "type": "text", "required": False}],
            "categories": [{"id": "k", "title": "Topics"}],
            "interests": [{"id": "cccccccccc", "name": "Volunteering"}],
            "batches": [],
            "status": "finished",
            "total_operations": 1,
            "finished_operations": 1,
            "errored_operations": 0,
            "submitted_at": "2026-11-22T10:00:00+00:00",
            "completed_at": "2026-11-22T10:00:00+00:00",
            "response_body_url": "",
        }
    ),
    "civicrm_server": text_of(
        {
            "contact_id": 3,
            "values": [
                {
                    "id": 1,
                    "group_id": 111,
                    "contact_id": 7,
                    "status": "Added",
                    "date": "2026-11-22 10:00:00",
                    "email": "wilma@bedrock.example",
                    "first_name": "Wilma",
                    "modified_date": "2026-11-22 10:00:00",
                    "title": "Main",
                    "is_active": True,
                }
            ],
        }
    ),
}
