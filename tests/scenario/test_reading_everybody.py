"""Where most of a site concerns us all its contacts are read in order, else by their ids."""

import pytest

from mcsync.civicrm import reading
from mcsync.civicrm.site import CivicrmClient
from mcsync.pipeline import fetch, fetch_civicrm
from tests.scenario.bedrock import GROUP, Bedrock
from tests.scenario.wire import Death

WAYS = pytest.mark.parametrize("many", [1, 20_000], ids=["everybody", "by-ids"])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, many: int) -> list[object]:
    """What is asked by addresses and by ids; pages are small."""
    asked: list[object] = []
    monkeypatch.setattr(fetch_civicrm, "_MANY", many)
    monkeypatch.setattr(reading, "PAGE_SIZE", 3)
    for name in ("fetch_owners", "fetch_contacts"):
        known = getattr(CivicrmClient, name)

        def note(self: object, what: list[object], name: str = name, known=known):  # type: ignore[no-untyped-def]
            asked.extend([name, *what])
            return known(self, what)

        monkeypatch.setattr(CivicrmClient, name, note)
    return asked


def settle(bedrock: Bedrock) -> dict[str, int]:
    """Pam and Quinn are in sync, Rita only in the group, Sue and her contact not in the group."""
    contacts = {name: bedrock.add_both(f"{name}@example.org") for name in ("pam", "quinn")}
    contacts["rita"] = bedrock.add_contact("rita@example.org")
    bedrock.add_member("sue@example.org")
    contacts["sue"] = bedrock.add_contact("sue@example.org", group=False)
    for number in range(4):
        bedrock.add_contact(f"gazoo{number}@example.org", group=False)
    bedrock.add_member("tess@example.org")
    bedrock.sync_until_quiet()
    return contacts


@WAYS
def test_both_ways_find_the_same_people(bedrock: Bedrock, asked: list[object], many: int):
    contacts = settle(bedrock)
    names = ("pam", "quinn", "rita", "sue", "tess")
    assert {bedrock.member_status(f"{name}@example.org") for name in names} == {"subscribed"}
    assert {bedrock.group_status(contact) for contact in contacts.values()} == {"Added"}
    store = bedrock.open_store()
    known = {row[0] for row in store.query("SELECT first_name FROM civicrm_mailchimpsync_contact")}
    store.close()
    assert {"Pam", "Quinn", "Rita", "Sue"} <= known
    assert not any(name.startswith("Gazoo") for name in known)
    assert ("sue@example.org" in asked) == (many > 1)


@WAYS
def test_both_ways_notice_who_was_deleted_for_good(
    bedrock: Bedrock, asked: list[object], many: int
):
    """The one with the highest id, and one in the middle, are purged; a day passes."""
    bedrock.options["deletedContacts"] = "unsubscribe"
    contacts = settle(bedrock)
    vera = bedrock.add_both("vera@example.org")
    bedrock.sync_until_quiet()
    for contact in (contacts["quinn"], vera):
        bedrock.town.civicrm.purge(contact)
    asked.clear()
    bedrock.pass_time(hours=25)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("quinn@example.org") == "unsubscribed"
    assert bedrock.member_status("vera@example.org") == "unsubscribed"
    assert bedrock.member_status("pam@example.org") == "subscribed"
    assert ("fetch_contacts" in asked) == (many > 1)


def die(*_: object) -> None:
    raise Death


@WAYS
def test_who_was_read_by_a_first_run_that_died_is_told_by_the_next(
    bedrock: Bedrock, asked: list[object], monkeypatch: pytest.MonkeyPatch, many: int
):
    """It died once all was read, before anybody was linked; meanwhile people change."""
    rita = bedrock.add_contact("rita@example.org")
    pam = bedrock.add_both("pam@example.org")
    bedrock.add_member("tess@example.org")
    with monkeypatch.context() as cut:
        cut.setattr(fetch, "link", die)
        with pytest.raises(Death):
            bedrock.sync()
    sue = bedrock.add_contact("sue@example.org")
    bedrock.town.civicrm.remove_from_group(pam, GROUP)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("rita@example.org") == "subscribed"
    assert bedrock.member_status("sue@example.org") == "subscribed"
    assert bedrock.member_status("pam@example.org") == "unsubscribed"
    [tess] = bedrock.town.civicrm.contacts_by_email("tess@example.org")
    assert {bedrock.group_status(who) for who in (rita, sue, tess.id)} == {"Added"}
