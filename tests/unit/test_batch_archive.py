"""Every odd form of a batch's results, and what becomes of an archive that is not whole."""

import gzip
import io
import itertools
import json
import tarfile
import time
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.errors import ProtocolError
from mcsync.mailchimp import archive as archive_module
from mcsync.mailchimp.archive import parse_batch_archive
from mcsync.model import MemberStatus, Outcome, Refusal

FRED = {
    "id": "c0ffee",
    "email_address": "fred@example.org",
    "status": "subscribed",
    "last_changed": "2026-11-22T12:00:00+00:00",
    "contact_id": "abc",
    "merge_fields": {"FNAME": "Fred", "AGE": 38, "HEIGHT": 1.5, "ADDRESS": {"addr1": "Cave 1"}},
    "interests": {"bowling": True},
}


def result(operation_id: object, status: int = 200, response: object = FRED) -> dict[str, object]:
    """One result as Mailchimp writes it: the response is JSON inside JSON."""
    return {
        "status_code": status,
        "operation_id": operation_id,
        "response": json.dumps(response) if isinstance(response, dict | list) else response,
    }


def pack(files: Sequence[bytes], *, zipped: bool = True) -> bytes:
    """An archive as Mailchimp makes it: the directory first, then a file per element."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        top = tarfile.TarInfo("./")
        top.type = tarfile.DIRTYPE
        tar.addfile(top)
        for number, data in enumerate(files):
            entry = tarfile.TarInfo(f"./{number:010x}.json")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return gzip.compress(out.getvalue(), mtime=0) if zipped else out.getvalue()


def parse(files: Sequence[object], *, zipped: bool = True) -> list[Outcome]:
    data = [file if isinstance(file, bytes) else json.dumps(file).encode() for file in files]
    return list(parse_batch_archive(io.BytesIO(pack(data, zipped=zipped))))


def ids(outcomes: list[Outcome]) -> list[str]:
    return [outcome.operation_id for outcome in outcomes]


@pytest.mark.fact("mailchimp: Batches", "archive: gzip tar, ./ first, one or several per file")
def test_one_file_per_operation() -> None:
    assert ids(parse([[result("a")], [result("b")]])) == ["a", "b"]


@pytest.mark.fact("mailchimp: Batches", "archive: gzip tar, ./ first, one or several per file")
def test_several_operations_in_a_file() -> None:
    assert ids(parse([[result("a"), result("b")], [result("c")]])) == ["a", "b", "c"]


@pytest.mark.fact("mailchimp: Batches", "empty files and []")
def test_empty_files_and_empty_lists_are_normal() -> None:
    assert ids(parse([b"", [], b" \n", b"null", [result("a")]])) == ["a"]


def test_a_file_with_a_bare_result() -> None:
    assert ids(parse([result("a")])) == ["a"]


@pytest.mark.fact("mailchimp: Batches", "null operation ids")
def test_nameless_results_are_left_out() -> None:
    nameless = {"status_code": 200, "response": "{}"}
    assert ids(parse([[result(None), result(""), nameless, result("a")]])) == ["a"]


def test_an_archive_without_operations() -> None:
    assert parse([]) == []


def test_an_archive_whose_gzip_was_already_undone() -> None:
    assert ids(parse([[result("a")]], zipped=False)) == ["a"]


@pytest.mark.fact("mailchimp: Batches", "response is parsed twice; 204 is empty or null")
def test_the_member_is_read_from_the_answer() -> None:
    (outcome,) = parse([[result("a")]])
    assert outcome.is_success
    assert outcome.member is not None
    assert outcome.member.member_id == "c0ffee"
    assert outcome.member.status is MemberStatus.SUBSCRIBED
    assert outcome.member.last_changed.isoformat() == "2026-11-22T12:00:00+00:00"
    assert outcome.member.merge_fields == {"FNAME": "Fred", "AGE": "38", "HEIGHT": "1.5"}
    assert outcome.member.interests == {"bowling": True}


@pytest.mark.fact("mailchimp: Batches", "response is parsed twice; 204 is empty or null")
@pytest.mark.parametrize("response", ["", None, "null", "{}", "[]"])
def test_an_answer_without_a_body_is_a_success_without_a_member(response: object) -> None:
    (outcome,) = parse([[result("a", 204, response)]])
    assert outcome.is_success
    assert outcome.http_status == 204
    assert outcome.member is None


def test_a_response_left_out_altogether() -> None:
    (outcome,) = parse([[{"status_code": 204, "operation_id": "a"}]])
    assert outcome.is_success


def test_a_response_that_is_an_object_and_no_string() -> None:
    (outcome,) = parse([[{"status_code": 200, "operation_id": "a", "response": FRED}]])
    assert outcome.member is not None


def test_null_merge_fields_and_interests_are_empty() -> None:
    (outcome,) = parse([[result("a", 200, {**FRED, "merge_fields": None, "interests": None})]])
    assert outcome.member is not None
    assert outcome.member.merge_fields == {}
    assert outcome.member.interests == {}


COMPLIANCE = (
    "fred@example.org is in a compliance state due to unsubscribe, bounce, or compliance review "
    "and cannot be subscribed."
)
FORGOTTEN = (
    "fred@example.org was permanently deleted and cannot be re-imported. The contact must "
    "re-subscribe to get back on the list."
)
CLEANED = (
    'This member\'s status is "cleaned." You can only update email addresses for members with '
    'a status of "subscribed."'
)
REFUSALS = {
    "compliance": (400, "Member In Compliance State", COMPLIANCE, Refusal.COMPLIANCE),
    "forgotten": (400, "Forgotten Email Not Subscribed", FORGOTTEN, Refusal.FORGOTTEN),
    "forgotten-old": (400, "Member In Compliance State", FORGOTTEN, Refusal.FORGOTTEN),
    "fake": (
        400,
        "Invalid Resource",
        "fred@example.org looks fake or invalid, please enter a real email address.",
        Refusal.FAKE,
    ),
    "no-address": (
        400,
        "Invalid Resource",
        "Please provide a valid email address.",
        Refusal.FAKE,
    ),
    "too-many-lists": (
        400,
        "Invalid Resource",
        "fred@example.org has signed up to a lot of lists very recently; we're not allowing more "
        "signups for now",
        Refusal.TEMPORARY,
    ),
    "cleaned": (400, "Bad Request", CLEANED, Refusal.CLEANED),
    "exists": (400, "Member Exists", "fred@example.org is already a list member.", Refusal.EXISTS),
    "fields": (400, "Invalid Resource", "Your merge fields were invalid.", Refusal.MERGE_FIELDS),
    "not-found": (
        404,
        "Resource Not Found",
        "The requested resource could not be found.",
        Refusal.NOT_FOUND,
    ),
    "cannot-archive": (
        405,
        "Method Not Allowed",
        "This list member cannot be removed.",
        Refusal.INVALID,
    ),
    "throttled": (429, "Too Many Requests", "", Refusal.TEMPORARY),
    "their-trouble": (500, "Internal Server Error", "", Refusal.TEMPORARY),
    "key-died-meanwhile": (403, "Forbidden", "", Refusal.TEMPORARY),
}


@pytest.mark.fact(
    "mailchimp: Errors", "status and title decide, never type", "400 please provide a valid address"
)
@pytest.mark.fact("mailchimp: Batches", "retry 429 and 5xx, never 400, 404, 422")
@pytest.mark.parametrize(("status", "title", "detail", "refusal"), REFUSALS.values(), ids=REFUSALS)
def test_a_refusal_is_known_by_status_and_title(
    status: int, title: str, detail: str, refusal: Refusal
) -> None:
    problem = {"title": title, "status": status, "detail": detail, "instance": ""}
    (outcome,) = parse([[result("a", status, problem)]])
    assert not outcome.is_success
    assert outcome.refusal is refusal
    assert outcome.member is None
    assert title in outcome.error
    assert detail.strip(".") in outcome.error


@pytest.mark.fact("mailchimp: Errors", "400 Invalid Resource with errors")
def test_field_errors_are_told() -> None:
    problem = {
        "title": "Invalid Resource",
        "detail": "Your merge fields were invalid.",
        "errors": [{"field": "AGE", "message": "Please enter a number"}],
    }
    (outcome,) = parse([[result("a", 400, problem)]])
    assert "AGE: Please enter a number" in outcome.error


def test_a_refusal_without_words() -> None:
    (outcome,) = parse([[result("a", 502, "")]])
    assert outcome.error == "HTTP 502"
    assert outcome.refusal is Refusal.TEMPORARY


def read_until_error(data: bytes) -> list[str]:
    seen = []
    with pytest.raises(ProtocolError):  # noqa: PT012  # what came before the error counts
        for outcome in parse_batch_archive(io.BytesIO(data)):
            seen.append(outcome.operation_id)  # noqa: PERF401
    return seen


def test_a_file_that_is_no_json_spoils_only_itself() -> None:
    good = [json.dumps([result(name)]).encode() for name in "ab"]
    assert read_until_error(pack([good[0], b'[{"status', good[1]])) == ["a", "b"]


def test_a_response_that_is_no_json_spoils_only_its_file() -> None:
    bad = json.dumps([result("bad", 200, "{half")]).encode()
    good = json.dumps([result("a")]).encode()
    assert read_until_error(pack([bad, good])) == ["a"]


@pytest.mark.parametrize(
    "data",
    [b"", b"<Error/>", b"\x1f\x8b", gzip.compress(b"no tar here")],
    ids=["nothing", "xml", "only-magic", "no-tar"],
)
def test_what_is_no_archive_is_an_error(data: bytes) -> None:
    assert read_until_error(data) == []


MANY = [json.dumps([result(f"op{number}")]).encode() for number in range(40)]
WHOLE = pack(MANY)


@given(st.integers(min_value=0, max_value=len(WHOLE) - 1))
def test_a_cut_archive_gives_what_it_can_and_then_an_error(size: int) -> None:
    seen = read_until_error(WHOLE[:size])
    assert seen == [f"op{number}" for number in range(len(seen))]


def test_an_archive_cut_near_its_end_gives_nearly_all() -> None:
    loose = gzip.compress(gzip.decompress(WHOLE), compresslevel=0)
    assert len(read_until_error(loose[: len(loose) // 2])) > 5


def test_a_damaged_archive_is_an_error_although_it_can_be_unpacked() -> None:
    damaged = bytearray(WHOLE)
    damaged[-8] ^= 1  # the checksum
    assert len(read_until_error(bytes(damaged))) == len(MANY)


def test_what_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_UNPACKED_BYTES", 1 << 16)
    assert read_until_error(pack([b" " * (1 << 20)])) == []


def test_a_file_that_is_too_long_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_FILE_BYTES", 10)
    assert read_until_error(pack([b" " * 11])) == []


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_module, "MAX_ENTRIES", 5)
    assert len(read_until_error(WHOLE)) == 4  # the directory is the fifth entry


def test_deep_nesting_is_refused() -> None:
    deep = b'[{"status_code": 200, "operation_id": "a", "response": ' + b"[" * 200_000
    assert read_until_error(pack([deep])) == []


KINDS = {
    "symlink": tarfile.SYMTYPE,
    "hard link": tarfile.LNKTYPE,
    "device": tarfile.CHRTYPE,
    "pipe": tarfile.FIFOTYPE,
    "sparse": tarfile.GNUTYPE_SPARSE,
    "unheard of": b"Q",
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_is_neither_a_file_nor_a_folder_is_refused_d6(kind: bytes) -> None:
    entry = tarfile.TarInfo("./a.json")
    entry.type, entry.linkname = kind, "/etc/passwd"
    assert read_until_error(gzip.compress(entry.tobuf() + bytes(1024))) == []


def raw_entry(kind: bytes, data: bytes, size: int | None = None) -> bytes:
    """An entry with this data, which says that it is so long."""
    entry = tarfile.TarInfo("./x")
    entry.type, entry.size = kind, len(data) if size is None else size
    return entry.tobuf(tarfile.GNU_FORMAT) + data + bytes(-len(data) % 512)


def record(text: str) -> bytes:
    """A record of a pax header, its length told rightly."""
    length = len(text) + 3
    while len(f"{length} {text}\n") != length:
        length = len(f"{length} {text}\n")
    return f"{length} {text}\n".encode()


GOOD = raw_entry(b"0", json.dumps([result("a")]).encode())
LIES = {
    "size": record("size=99999999999"),
    "sparse": record("GNU.sparse.major=1") + record("GNU.sparse.realsize=99999999999"),
    "realsize": record("SCHILY.realsize=9"),
    "link": record("linkpath=/etc/passwd"),
}


@pytest.mark.parametrize("kind", [b"x", b"g"])
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_headers_that_overrule_others_are_refused_d6(kind: bytes, lie: bytes) -> None:
    assert read_until_error(gzip.compress(raw_entry(kind, lie) + GOOD + bytes(1024))) == []


@pytest.mark.parametrize("data", [b"0 a=b\n", b"-5 a\n", b"1", b"99999999 x=y\n", b"\xff" * 600])
def test_headers_that_loop_elsewhere_are_passed_over_d6(data: bytes) -> None:
    archive = gzip.compress(raw_entry(b"x", data) + GOOD + bytes(1024))
    assert ids(list(parse_batch_archive(io.BytesIO(archive)))) == ["a"]


def test_long_names_and_fine_times_are_passed_over_d6() -> None:
    for form in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w:gz", format=form) as tar:
            entry = tarfile.TarInfo("./" + "long/" * 60 + "name.json")
            data = json.dumps([result("a")]).encode()
            entry.size, entry.mtime = len(data), 1_790_000_000.25  # type: ignore[assignment]
            tar.addfile(entry, io.BytesIO(data))
        assert ids(list(parse_batch_archive(io.BytesIO(out.getvalue())))) == ["a"]


@pytest.mark.parametrize("size", ["77777777777", "-1", "x", "9", "\x80\0\0\0\0\0\0\0\0\0\1"])
def test_a_size_that_makes_no_sense_is_refused_d6(size: str) -> None:
    header = bytearray(tarfile.TarInfo("./a").tobuf())
    header[124:136] = size.encode("latin-1").ljust(12, b"\0")
    header[148:156] = b" " * 8
    header[148:156] = f"{sum(header):06o}\0 ".encode()
    assert read_until_error(gzip.compress(bytes(header) + bytes(2048))) == []


def test_a_header_that_was_damaged_is_refused_d6() -> None:
    assert read_until_error(gzip.compress(b"./b" + GOOD[3:])) == []


BOMBS = {
    "a header of 900 MiB": lambda: raw_entry(b"x", b"", 900 << 20) + bytes(64 << 20),
    "a long name of 900 MiB": lambda: raw_entry(b"L", b"", 900 << 20) + bytes(64 << 20),
    "a folder of 900 MiB": lambda: raw_entry(b"5", b"", 900 << 20) + bytes(64 << 20),
    "a member of 124 MiB": lambda: raw_entry(b"0", b" " * (124 << 20)),
    "a member of zeros only": lambda: raw_entry(b"0", bytes(16 << 20)),
    "many values": lambda: raw_entry(b"0", b'[{"status_code":1},' * ((16 << 20) // 19)),
    "empty lists": lambda: raw_entry(b"0", b"[" + b"[]," * (5 << 20)),
    "one large answer": lambda: raw_entry(
        b"0", json.dumps([result("a", 400, "\U0001f600" * (1 << 20))]).encode()
    ),
    "folders without end": lambda: tarfile.TarInfo("./").tobuf() * 120_000,
}


@pytest.mark.parametrize("make", BOMBS.values(), ids=BOMBS)
def test_no_archive_takes_much_time_d6(make: Callable[[], bytes]) -> None:
    # What memory they take is measured in processes of their own, by test_peak_memory.py.
    archive = gzip.compress(make(), 1)
    begun = time.process_time()
    assert read_until_error(archive) == []
    assert time.process_time() - begun < 30


def test_reading_has_a_time_of_its_own_d6() -> None:
    times = itertools.count(0.0, 1.0)
    name_without_end = b"\x1f\x8b\x08\x08" + bytes(6) + b"x" * (1 << 20)
    for archive in (name_without_end, gzip.compress(b"") * 100_000, pack([b"[]"] * 1000)):
        with pytest.raises(ProtocolError, match="over 120 s"):
            list(parse_batch_archive(io.BytesIO(archive), lambda: next(times)))


def test_what_is_done_with_the_outcomes_meanwhile_does_not_count_d6() -> None:
    now = [0.0]
    seen = []
    for outcome in parse_batch_archive(io.BytesIO(WHOLE), lambda: now[0]):
        seen.append(outcome)
        now[0] += 1000.0
    assert len(seen) == len(MANY)
