"""The CiviCRM adapter against what was recorded from the live services."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cassettes import CASSETTES, CIVICRM, CIVICRM_URL, recorder
from vcr.errors import CannotOverwriteExistingCassetteException  # type: ignore[import-untyped]

from mcsync.civicrm.site import CivicrmClient
from mcsync.errors import McsyncError, ProtocolError, RemoteRefused, RemoteUnavailable
from mcsync.http import HttpClient
from mcsync.model import GroupStatus, NewContact
from mcsync.pipeline.ports import CivicrmPort


@contextmanager
def replay(name: str, *, repeats: bool = False) -> Iterator[CivicrmPort]:
    """The adapter with one cassette, all of which must be played."""
    http = HttpClient(max_connections=4, sleep=lambda seconds: None)
    with recorder().use_cassette(
        f"civicrm-{name}.json", allow_playback_repeats=repeats
    ) as cassette:
        yield CivicrmClient(CIVICRM_URL, "redacted", http=http)
        assert cassette.all_played


@pytest.mark.fact("civicrm: Time", "current offset from NOW() and the Date header")
@pytest.mark.fact("civicrm: Groups", "Group.get: active, smart, mailing")
def test_a_snapshot() -> None:
    with replay("snapshot") as port:
        snapshot = port.fetch_snapshot([2, 3, 4], 2)
    assert snapshot.utc_offset_s == 3600
    assert snapshot.now == datetime(2026, 11, 22, 4, 37, 33, tzinfo=UTC)
    assert snapshot.groups[2].title == "Newsletter"
    assert snapshot.groups[2].is_mailing
    assert not snapshot.groups[3].is_mailing
    assert [group_id for group_id, group in snapshot.groups.items() if group.is_smart] == [5]
    assert [(row.history_id, row.contact_id) for row in snapshot.history] == [
        (3, 14),
        (4, 6),
        (5, 7),
    ]
    assert snapshot.history[0].at == datetime(2026, 11, 22, 4, 53, 28, tzinfo=UTC)
    assert not any(row.is_ours for row in snapshot.history)


def test_history() -> None:
    with replay("history") as port:
        (page,) = port.fetch_history([2, 3, 4], 2)
    assert [row.history_id for row in page] == [3, 4, 5]
    assert {row.group_id for row in page} == {2}
    assert {row.status for row in page} == {"Added"}


def test_group_contacts() -> None:
    with replay("group-contacts") as port:
        ((row,),) = port.fetch_group_contacts([2])
    assert (row.group_id, row.contact_id, row.status) == (2, 6, "Added")


@pytest.mark.fact("civicrm: Groups", "the cache of a smart group is stale until refresh")
def test_a_smart_group() -> None:
    with replay("smart-group") as port:
        assert list(port.fetch_smart_group(5)) == [(8, 9, 10, 11)]


def test_contacts() -> None:
    with replay("contacts") as port:
        (page,) = port.fetch_contacts([6, 7])
    assert {contact.contact_id: contact.is_deleted for contact in page.contacts} == {
        6: True,
        7: False,
    }
    assert [(email.contact_id, email.email) for email in page.emails] == [(6, "four0@example.org")]


def test_owners_whatever_the_case() -> None:
    with replay("owners") as port:
        ((email,),) = port.fetch_owners(["SIX1@Example.ORG"])
    assert (email.contact_id, email.email) == (7, "six1@example.org")


@pytest.mark.fact("civicrm: Reading", "addresses match loosely: case, accents, trailing spaces")
def test_what_only_the_loose_search_finds_is_no_owner() -> None:
    with replay("owners") as port:
        assert list(port.fetch_owners(["sìx1@example.org"])) == [()]


@pytest.mark.fact("civicrm: Reading", "getMergedTo tells the winner")
def test_merged_contacts() -> None:
    with replay("merged") as port:
        assert port.fetch_merged_to([7, 8]) == {7: 6}


def test_saving_group_contacts() -> None:
    with replay("save-group-contacts") as port:
        (result,) = port.save_group_contacts(2, GroupStatus.ADDED, [6, 10, 11, 12], "sync run 4")
    assert result.done == {6: 6, 10: 10, 11: 11, 12: 12}
    assert result.failed == {}


@pytest.mark.fact("civicrm: Writing", "contact and email in one call")
def test_creating_contacts() -> None:
    with replay("create-contacts") as port:
        new = [NewContact(77 + n, f"c{n}@example.org", f"C{n}", "Bulk") for n in range(3)]
        (result,) = port.create_contacts(new, "mailchimpsync")
    assert result.done == {77: 10, 78: 11, 79: 12}


ERRORS: dict[str, tuple[type[McsyncError], str]] = {
    "wrong-key": (RemoteRefused, "HTTP 401 Invalid credential"),
    "guard": (RemoteRefused, "Must satisfy guard"),
    "no-permission": (RemoteRefused, "every contact"),
    "maintenance": (RemoteUnavailable, "maintenance mode"),
    "database-down": (RemoteUnavailable, "500"),
    "unknown-entity": (RemoteUnavailable, r"API \(Nonsense, getActions\) does not exist"),
    "hidden-error": (ProtocolError, "Error ID"),
    "plain-error": (ProtocolError, "."),
    "redirect": (ProtocolError, "redirect"),
    "redirect-to-login": (ProtocolError, "redirect"),
}


@pytest.mark.fact(
    "civicrm: Answers",
    "HTTP 200 is not success",
    "messages are hidden, the Error ID is shown",
    "unknown fields in where are a 500",
    "500 JSON, generic",
)
@pytest.mark.fact("civicrm: Address", "wp-admin is a redirect to the login page")
@pytest.mark.parametrize("name", ERRORS)
def test_errors(name: str) -> None:
    kind, words = ERRORS[name]
    with replay(name, repeats=True) as port, pytest.raises(kind, match=words) as caught:
        list(port.fetch_owners(["fred@example.org"]))
    assert "<" not in caught.value.message


@pytest.mark.fact("civicrm: Address", "Standalone: an unknown path is 200 text/html")
def test_a_page_that_is_not_civicrm_makes_us_try_the_other_form_of_address() -> None:
    with (
        replay("not-civicrm") as port,
        pytest.raises(CannotOverwriteExistingCassetteException, match="civiwp=CiviCRM&q="),
    ):
        list(port.fetch_owners(["fred@example.org"]))


@pytest.mark.fact("civicrm: Permissions", "403 JSON for an action that is not permitted")
def test_a_permission_denied() -> None:
    with (
        replay("permission-denied") as port,
        pytest.raises(RemoteRefused, match="Error ID") as caught,
    ):
        list(port.save_group_contacts(2, GroupStatus.ADDED, [6], "mcsync"))
    assert "edit all contacts" in (caught.value.hint or "")


def test_one_of_several_calls_failed() -> None:
    with (
        replay("one-of-several-failed", repeats=True) as port,
        pytest.raises(ProtocolError, match="3 answers to 2 calls"),
    ):
        list(port.fetch_contacts([6]))


@pytest.mark.fact("civicrm: Answers", "several calls: 500 only if all fail")
def test_all_of_several_calls_failed() -> None:
    with (
        replay("all-failed", repeats=True) as port,
        pytest.raises(ProtocolError, match=r"Contact\.get: .*Error ID: F6ag-Ti4k-4SS6"),
    ):
        list(port.fetch_contacts([6]))


def test_every_cassette_is_there() -> None:
    kept = {path.stem for path in CASSETTES.glob("civicrm-*.json")}
    assert kept == {f"civicrm-{name}" for name in CIVICRM}


@pytest.mark.parametrize("path", sorted(CASSETTES.glob("*.json")), ids=lambda path: path.stem)
def test_no_cassette_holds_a_key_or_a_real_address(path: Path) -> None:
    text = path.read_text()
    hosts = {host.lower() for host in re.findall(r"[\w.+-]+@([\w-]+\.[\w.-]*\w)", text)}
    assert hosts <= {"example.org", "crm.example.org"}
    assert not re.search(
        r"(?i)authorization|x-civi-auth|bearer|set-cookie|PHPSESSID|SESSCIVISO", text
    )
    assert not re.search(r"\b[0-9a-f]{32}-us\d+\b", text)
