"""The Mailchimp adapter against what was recorded from the live service."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
from cassettes import CASSETTES, MAILCHIMP, MAILCHIMP_URL, recorder

from mcsync.errors import ProtocolError
from mcsync.http import HttpClient
from mcsync.mailchimp.client import MailchimpClient
from mcsync.model import MemberChange, MemberStatus, Operation, Outcome, Refusal
from mcsync.pipeline.ports import MailchimpPort

LIST = "a36b032126"
PERSON, PERSON_ID = "person9@example.org", "d4b4a87411fb7c133df69689567e31f2"
LEFT, LEFT_ID = "person5@example.org", "66894c396ea87db5a74bbd3f4732bb57"


@contextmanager
def replay(name: str, *, repeats: bool = False) -> Iterator[MailchimpPort]:
    """The adapter with one cassette, all of which must be played."""
    http = HttpClient(max_connections=6, sleep=lambda seconds: None)
    with recorder().use_cassette(
        f"mailchimp-{name}.json", allow_playback_repeats=repeats
    ) as cassette:
        yield MailchimpClient("redacted-us3", MAILCHIMP_URL, http=http)
        assert cassette.all_played


def change(name: str, wanted: MemberChange) -> Outcome:
    with replay(name) as port:
        return port.change_member(Operation("op", LIST, wanted))


@pytest.mark.fact("mailchimp: Members", "times are UTC; unknown ones are empty")
def test_members() -> None:
    with replay("members", repeats=True) as port:
        pages = list(port.fetch_members(LIST, None))
    members = [member for page in pages for member in page.members]
    assert [len(page.members) for page in pages] == [0, 10, 0]
    assert len({member.member_id for member in members}) == 10
    assert {member.status for member in members} == {MemberStatus.SUBSCRIBED}
    first = next(m for m in members if m.email == "person21@example.org")
    assert first.last_changed == datetime(2022, 2, 23, 16, 25, 57, tzinfo=UTC)
    assert first.merge_fields["FNAME"] == "Dorthy"
    assert first.merge_fields["LTV"] == "290.53"
    assert first.merge_fields["USERID"] == "10"
    assert first.merge_fields["ADDRESS"] == ""
    assert first.unique_contact == "53a728c901621a09feebb95e7b92ff1b"
    assert first.interests == {}
    assert pages[-1].served_at.year == 2022


@pytest.mark.fact("mailchimp: Members", "total_items counts what matches")
def test_four_of_ten_members_are_not_taken_for_all() -> None:
    with (
        replay("members-incomplete", repeats=True) as port,
        pytest.raises(ProtocolError, match="4 of 10 members"),
    ):
        list(port.fetch_members(LIST, None))


@pytest.mark.fact("mailchimp: Writing", "merge fields are read first")
def test_merge_fields() -> None:
    with replay("merge-fields") as port:
        fields = {found.tag: found for found in port.fetch_merge_fields(LIST)}
    assert len(fields) == 8
    assert fields["ADDRESS"].type == "address"
    assert fields["JOINED_AT"].date_format == "MM/DD/YYYY"
    assert not any(found.is_required for found in fields.values())


def test_a_member() -> None:
    with replay("member-there") as port:
        member = port.fetch_member(LIST, PERSON)
    assert member is not None
    assert (member.member_id, member.email) == (PERSON_ID, PERSON)
    assert member.merge_fields["LNAME"] == "Silveira"


@pytest.mark.fact("mailchimp: Members", "an archived member alone is 200")
def test_an_archived_member() -> None:
    with replay("member-archived") as port:
        member = port.fetch_member(LIST, "person20@example.org")
    assert member is not None
    assert member.status is MemberStatus.ARCHIVED
    assert member.merge_fields["LNAME"] == "Plumber"


@pytest.mark.fact("mailchimp: Errors", "404 Resource Not Found")
def test_nobody() -> None:
    with replay("member-missing") as port:
        assert port.fetch_member(LIST, "person6@example.org") is None


@pytest.mark.fact("mailchimp: Writing", "unsubscribed by the API may come back")
def test_subscribing_somebody_whom_the_api_unsubscribed() -> None:
    outcome = change("subscribe", MemberChange(PERSON, PERSON_ID, status=MemberStatus.SUBSCRIBED))
    assert outcome.is_success
    assert outcome.member is not None
    assert outcome.member.status is MemberStatus.SUBSCRIBED


@pytest.mark.fact("mailchimp: Errors", "400 Invalid Resource with errors")
def test_a_merge_field_of_the_wrong_kind() -> None:
    fields = {
        "email_address": PERSON, "FNAME": "sam", "LNAME": "Silveira", "PHONE": "000",
        "LTV": "AAAAA",
    }  # fmt: skip
    wanted = MemberChange(PERSON, PERSON_ID, status=MemberStatus.SUBSCRIBED, merge_fields=fields)
    outcome = change("bad-merge-field", wanted)
    assert outcome.refusal is Refusal.MERGE_FIELDS
    assert outcome.error == (
        "Invalid Resource. Your merge fields were invalid. LTV: Please enter a number"
    )


@pytest.mark.fact("mailchimp: Errors", "204 calls itself JSON and is empty")
def test_tags() -> None:
    wanted = MemberChange(PERSON, PERSON_ID, tags={"list one": True, "list two": True})
    outcome = change("tags", wanted)
    assert (outcome.is_success, outcome.http_status, outcome.member) == (True, 204, None)


@pytest.mark.fact("mailchimp: Writing", "tags: wrapped, 204, 404 of nobody")
def test_tags_of_nobody() -> None:
    names = ("list one", "list two", "list three", "list four")
    outcome = change(
        "tags-of-nobody", MemberChange(PERSON, PERSON_ID, tags=dict.fromkeys(names, False))
    )
    assert outcome.refusal is Refusal.NOT_FOUND


@pytest.mark.fact("mailchimp: Errors", "204 calls itself JSON and is empty")
@pytest.mark.fact("mailchimp: Writing", "DELETE archives and keeps everything")
def test_archiving() -> None:
    outcome = change("archive", MemberChange(LEFT, LEFT_ID, is_archiving=True))
    assert (outcome.is_success, outcome.http_status) == (True, 204)


@pytest.mark.fact("mailchimp: Errors", "405 cannot archive")
def test_archiving_somebody_archived_already_is_done() -> None:
    outcome = change("archive-again", MemberChange(LEFT, LEFT_ID, is_archiving=True))
    assert outcome.is_success
    assert outcome.member is not None
    assert outcome.member.status is MemberStatus.ARCHIVED


def test_every_cassette_is_there() -> None:
    kept = {path.stem for path in CASSETTES.glob("mailchimp-*.json")}
    assert kept == {f"mailchimp-{name}" for name in MAILCHIMP}
