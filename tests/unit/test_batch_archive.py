"""Every odd form of a batch's results, and what becomes of an archive that is not whole."""

import gzip
import io
import json
import tarfile
from collections.abc import Sequence

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


def test_one_file_per_operation() -> None:
    assert ids(parse([[result("a")], [result("b")]])) == ["a", "b"]


def test_several_operations_in_a_file() -> None:
    assert ids(parse([[result("a"), result("b")], [result("c")]])) == ["a", "b", "c"]


def test_empty_files_and_empty_lists_are_normal() -> None:
    assert ids(parse([b"", [], b" \n", b"null", [result("a")]])) == ["a"]


def test_a_file_with_a_bare_result() -> None:
    assert ids(parse([result("a")])) == ["a"]


def test_nameless_results_are_left_out() -> None:
    nameless = {"status_code": 200, "response": "{}"}
    assert ids(parse([[result(None), result(""), nameless, result("a")]])) == ["a"]


def test_an_archive_without_operations() -> None:
    assert parse([]) == []


def test_an_archive_whose_gzip_was_already_undone() -> None:
    assert ids(parse([[result("a")]], zipped=False)) == ["a"]


def test_the_member_is_read_from_the_answer() -> None:
    (outcome,) = parse([[result("a")]])
    assert outcome.is_success
    assert outcome.member is not None
    assert outcome.member.member_id == "c0ffee"
    assert outcome.member.status is MemberStatus.SUBSCRIBED
    assert outcome.member.last_changed.isoformat() == "2026-11-22T12:00:00+00:00"
    assert outcome.member.merge_fields == {"FNAME": "Fred", "AGE": "38", "HEIGHT": "1.5"}
    assert outcome.member.interests == {"bowling": True}


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


def test_links_and_devices_in_the_archive_are_not_followed() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        link = tarfile.TarInfo("./a.json")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    assert list(parse_batch_archive(io.BytesIO(out.getvalue()))) == []
