"""The simulated CiviCRM site's people: contacts, addresses, trash, merge.

Names in brackets are the recorded exchanges that a test restates; what has none was
measured later, or is what a human does.
"""

from typing import Any

import pytest
from civicrm_served import Site, serve

from mcsync.sandbox.civicrm.users import DELETE

site = pytest.fixture(serve)


@pytest.fixture
def loser(site: Site, wilma: int) -> int:
    return site.sim.add_contact("Vilma", "Flintstone", ["vilma@example.org"])


def found(site: Site, *where: list[Any]) -> list[int]:
    rows = site.values("Contact", select=["id"], where=list(where))
    return [row["id"] for row in rows]


def statuses(site: Site, person: int, group: int) -> list[str]:
    return [entry.status for entry in site.sim.history(person, group)]


# Creating


@pytest.mark.fact("civicrm: Writing", "contact and email in one call")
def test_contact_and_email_in_one_call(site: Site) -> None:
    """(contact-create-with-email-primary, contact-save-bulk)"""
    values = {"first_name": "Pebbles", "last_name": "F.", "email_primary.email": "P@Example.org"}
    (echo,) = site.values("Contact", "create", values=values)
    made = site.sim.contact(echo["id"])
    assert made is not None
    assert (made.display_name, made.email) == ("Pebbles F.", "p@example.org")
    assert made.emails[0].is_primary
    assert echo["email_primary.email"] == "P@Example.org"


def test_chained_email_and_membership(site: Site, group: int) -> None:
    """(contact-create-with-chain-email, contact-save-chain-groupcontact)"""
    gc = {"values": {"contact_id": "$id", "group_id": group}, "tracking": "mcsync"}
    chain = {
        "mail": ["Email", "create", {"values": {"contact_id": "$id", "email": "b@example.org"}}],
        "gc": ["GroupContact", "create", gc],
    }
    records = [{"first_name": "Betty"}, {"first_name": "Barney"}]
    made = site.values("Contact", "save", records=records, chain=chain)
    assert site.sim.group_members(group) == {row["id"] for row in made}
    assert [row["mail"][0]["email"] for row in made] == ["b@example.org"] * 2
    assert {h.tracking for h in site.sim.history(group_id=group)} == {"mcsync"}


def test_a_failing_chain_keeps_the_contact(site: Site) -> None:
    """(contact-create-chain-failure, -after)"""
    chain = {"gc": ["GroupContact", "create", {"values": {"contact_id": "$id", "group_id": 99}}]}
    refused = site.refusal("Contact", "create", values={"first_name": "Orphan"}, chain=chain)
    assert refused == (500, "DB Error: constraint violation")
    assert len(site.sim.contacts(first_name="Orphan")) == 1


@pytest.mark.fact("civicrm: Writing", "no check for duplicates on create")
def test_nobody_checks_for_duplicates_unless_asked(site: Site, wilma: int) -> None:
    """(contact-create-duplicate-email, contact-create-duplicate-match)"""
    record = {
        "first_name": "Wilma",
        "last_name": "Flintstone",
        "email_primary.email": "wilma@example.org",
    }
    match = list(record)
    saved = site.call("Contact", "save", records=[record], match=match)
    assert (saved["values"][0]["id"], saved["countMatched"]) == (wilma, 1)
    site.values("Contact", "create", values=record)
    assert len(site.sim.contacts_by_email("wilma@example.org")) == 2


def test_external_identifier_is_unique(site: Site) -> None:
    """(contact-create-external-identifier-again)"""
    values = {"first_name": "Dino", "external_identifier": "mc-1"}
    site.values("Contact", "create", values=values)
    refused = site.refusal("Contact", "create", values=values)
    assert refused == (500, "DB Error: already exists")


@pytest.mark.fact("civicrm: Reading", "names come back decoded")
def test_names(site: Site) -> None:
    """(contact-create-unicode-markup, contact-create-organization)"""
    add = site.sim.add_contact
    both = site.sim.contact(add("Zoë 🐑", "O'Neil & Söhne <x>"))
    mail = site.sim.contact(add(emails=["noname@example.org"]))
    long = site.sim.contact(
        site.values("Contact", "create", values={"first_name": "B" * 70})[0]["id"]
    )
    assert both is not None
    assert mail is not None
    assert long is not None
    assert both.display_name == "Zoë 🐑 O'Neil & Söhne <x>"
    assert mail.display_name == "noname@example.org"
    assert long.first_name == "B" * 61 + "..."
    assert found(site, ["last_name", "=", "o'neil & sohne <x>"]) == [both.id]


@pytest.mark.fact("civicrm: Writing", "writes answer with a partial echo")
def test_reload_gives_the_stored_row_and_not_the_echo(site: Site, wilma: int) -> None:
    """(contact-save-bulk-reload, email-update-on-hold-1)"""
    where = [["contact_id", "=", wilma]]
    (echo,) = site.values("Email", "update", where=where, values={"on_hold": 1})
    assert (echo["hold_date"], echo["reset_date"]) == ("20261122130000", "null")
    reload = ["hold_date", "reset_date"]
    (row,) = site.values("Email", "update", where=where, values={"on_hold": 1}, reload=reload)
    assert (row["hold_date"], row["reset_date"]) == ("2026-11-22 13:00:00", None)


@pytest.mark.fact("civicrm: Answers", "unknown fields in values are ignored")
def test_unknown_values_are_ignored(site: Site, wilma: int) -> None:
    """(error-unknown-field-values)"""
    where = [["id", "=", wilma]]
    values = {"nonsense": 1, "source": "x"}
    (echo,) = site.values("Contact", "update", where=where, values=values)
    assert (echo["nonsense"], echo["source"]) == (None, "x")


# Addresses


@pytest.mark.fact(
    "civicrm: Writing", "addresses are stored in lower case, not trimmed, not validated, cut"
)
@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("  Fred.ROCK@Example.ORG ", "  fred.rock@example.org "),
        ("not an address", "not an address"),
        ("a" * 250 + "@example.org", "a" * 250 + "@..."),
    ],
    ids=["case", "invalid", "long"],
)
def test_addresses_are_lower_cased_and_no_more(
    site: Site, wilma: int, given: str, stored: str
) -> None:
    """(email-create-case-space, email-create-invalid, email-create-too-long)"""
    site.values("Email", "create", values={"contact_id": wilma, "email": given})
    assert site.sim.emails(wilma)[1].email == stored


@pytest.mark.fact("civicrm: Writing", "an extra address is not primary")
def test_the_first_address_is_primary_and_the_flag_moves(site: Site, wilma: int) -> None:
    """(email-create-second, email-get-primary-moved, email-delete)"""
    second = site.sim.add_email(wilma, "w@example.org")
    assert [e.is_primary for e in site.sim.emails(wilma)] == [True, False]
    where = [["id", "=", second]]
    site.values("Email", "update", where=where, values={"is_primary": True})
    assert [e.is_primary for e in site.sim.emails(wilma)] == [False, True]
    assert site.values("Email", "delete", where=where) == [{"id": str(second)}]
    assert [e.is_primary for e in site.sim.emails(wilma)] == [True]


@pytest.mark.fact("civicrm: Writing", "an extra address is not primary")
def test_bulk_mail_goes_to_one_address(site: Site) -> None:
    """(email-update-is-bulkmail)"""
    emails = [("w@example.org", {"is_bulkmail": True}), {"email": "x@example.org", "on_hold": 1}]
    wilma = site.sim.add_contact("Wilma", emails=emails)
    first, second = site.sim.emails(wilma)
    assert (first.is_bulkmail, second.on_hold, second.is_bulkmail) == (True, 1, False)
    site.sim.update_email(second.id, is_bulkmail=True)
    assert [e.is_bulkmail for e in site.sim.emails(wilma)] == [False, True]


@pytest.mark.fact("civicrm: Reading", "on_hold 0, 1, 2")
def test_holding_and_releasing(site: Site, wilma: int) -> None:
    """(email-get-on-hold, email-get-on-hold-2-direct, -2-after-1, email-get-on-hold-reset)"""
    email = site.sim.emails(wilma)[0].id
    site.sim.update_email(email, on_hold=2)
    assert site.sim.emails(wilma)[0].hold_date == "2026-11-22 13:00:00"
    site.wait(minutes=1)
    site.sim.update_email(email, on_hold=1)
    assert site.sim.emails(wilma)[0].hold_date == "2026-11-22 13:00:00"
    site.sim.update_email(email, on_hold=0)
    held = site.sim.emails(wilma)[0]
    assert (held.hold_date, held.reset_date) == (None, "2026-11-22 13:01:00")


@pytest.mark.fact("civicrm: Reading", "a missing email is null")
def test_the_primary_address_is_edited_in_place(site: Site, wilma: int) -> None:
    """(contact-update-email-primary); an empty address leaves a row with none."""
    before = site.sim.emails(wilma)[0].id
    where = [["id", "=", wilma]]
    for address, stored in (("new@example.org", "new@example.org"), ("", None)):
        values = {"email_primary.email": address}
        site.values("Contact", "update", where=where, values=values)
        (email,) = site.sim.emails(wilma)
        assert (email.id, email.email) == (before, stored)


@pytest.mark.fact("civicrm: Reading", "several contacts may share an address")
def test_several_contacts_may_share_an_address(site: Site, wilma: int) -> None:
    fred = site.sim.add_contact("Fred", emails=["WILMA@example.org"])
    assert [c.id for c in site.sim.contacts_by_email("Wilma@example.org")] == [wilma, fred]
    assert site.sim.contacts_by_email("wílma@example.org") == []


# Trash


@pytest.mark.fact("civicrm: Reading", "Contact.get hides the trash unless asked")
def test_trashed_contacts_are_hidden_unless_named(site: Site, wilma: int) -> None:
    """(contact-get-trashed-*, contact-update-trashed-by-email)"""
    site.sim.trash(wilma)
    hidden: list[list[Any]] = [
        ["last_name", "=", "Flintstone"],
        ["id", ">", 3],
        ["email_primary.email", "=", "wilma@example.org"],
    ]
    for clause in hidden:
        assert found(site, clause) == []
        values, where = {"source": "x"}, [clause]
        assert site.values("Contact", "update", where=where, values=values) == []
    for clause in (["id", "=", wilma], ["id", "IN", [wilma]], ["is_deleted", "=", True]):
        assert found(site, clause) == [wilma]
    assert found(site, ["last_name", "=", "Flintstone"], ["is_deleted", "IN", [0, 1]]) == [wilma]


@pytest.mark.fact("civicrm: Groups", "memberships of the trashed stay Added")
def test_trash_keeps_memberships_and_comes_back(site: Site, group: int, wilma: int) -> None:
    """(contact-delete-trash, contact-untrash, groupcontact-update-trashed-contact)"""
    site.sim.grant(DELETE)
    site.sim.add_to_group(wilma, group)
    where = [["id", "=", wilma]]
    assert site.values("Contact", "delete", where=where) == [{"id": wilma}]
    assert site.sim.group_status(wilma, group) == "Added"
    pair = [["contact_id", "=", wilma]]
    site.values("GroupContact", "update", where=pair, values={"status": "Removed"})
    assert statuses(site, wilma, group) == ["Added", "Removed"]
    site.values("Contact", "update", where=where, values={"is_deleted": False})
    assert found(site, ["first_name", "=", "Wilma"]) == [wilma]


@pytest.mark.fact("civicrm: Groups", "a deletion for good leaves no trace")
def test_purging_leaves_no_trace(site: Site, group: int, wilma: int) -> None:
    """(contact-delete-permanent, -after-email, -after-groupcontact, -after-history)"""
    site.sim.grant(DELETE)
    site.sim.add_to_group(wilma, group)
    where = [["id", "=", wilma]]
    site.values("Contact", "delete", where=where, useTrash=False)
    for entity in ("Email", "GroupContact", "SubscriptionHistory"):
        assert site.values(entity, where=[["contact_id", "=", wilma]]) == []
    assert site.sim.contact(wilma) is None
    assert site.values("Contact", "delete", where=where) == []  # (contact-delete-nonexistent)


def test_trash_and_purge_by_hand(site: Site, wilma: int, loser: int) -> None:
    site.sim.trash(wilma)
    trashed = site.sim.contact(wilma)
    assert trashed is not None
    assert trashed.is_deleted
    site.sim.untrash(wilma)
    assert set(found(site, ["id", ">", 3])) == {wilma, loser}
    site.sim.purge(loser)
    assert site.sim.contacts_by_email("vilma@example.org") == []


# Merge


@pytest.mark.fact("civicrm: Groups", "merge: rows move with their old ids")
def test_merge_moves_memberships_and_history_with_their_ids(
    site: Site, group: int, wilma: int, loser: int
) -> None:
    """(contact-merge, contact-merge-after-groupcontact, -after-history, -after-email)"""
    other = site.sim.add_group("Other")
    for person, where in ((wilma, group), (loser, group), (loser, other)):
        site.sim.add_to_group(person, where)
    before = [h.id for h in site.sim.history()]
    merge = {"contactId": wilma, "duplicateId": loser}
    site.values("Contact", "mergeDuplicates", site.sim.admin_api_key, **merge)
    assert [(h.id, h.contact_id) for h in site.sim.history()] == [(i, wilma) for i in before]
    rows = site.values("GroupContact", where=[["contact_id", "=", wilma]])
    assert {(row["id"], row["group_id"]) for row in rows} == {(1, group), (3, other)}
    kept = site.sim.contact(loser)
    assert kept is not None
    assert (kept.is_deleted, kept.email) == (True, "vilma@example.org")


@pytest.mark.fact("civicrm: Groups", "merge can put people back")
def test_merge_can_put_people_back(site: Site, group: int, wilma: int, loser: int) -> None:
    site.sim.add_to_group(wilma, group)
    site.sim.remove_from_group(wilma, group)
    site.sim.add_to_group(loser, group)
    count = len(site.sim.history())
    site.sim.merge(wilma, loser)
    assert site.sim.group_status(wilma, group) == "Added"
    assert len(site.sim.history()) == count


@pytest.mark.fact("civicrm: Groups", "merge can put people back")
def test_merge_can_lose_history(site: Site, group: int, wilma: int, loser: int) -> None:
    site.sim.add_to_group(wilma, group)
    site.sim.add_to_group(loser, group)
    site.sim.remove_from_group(loser, group)
    site.sim.merge(wilma, loser)
    assert site.sim.group_status(wilma, group) == "Added"
    assert statuses(site, wilma, group) == ["Added"]
    assert statuses(site, loser, group) == []


@pytest.mark.fact("civicrm: Reading", "getMergedTo of who was never merged is [[]]")
def test_who_the_loser_became(site: Site, wilma: int, loser: int) -> None:
    """(contact-get-merged-to-sync); one who was never merged: an empty list in a list."""
    last = site.sim.add_contact("Wilhelmina")
    assert site.values("Contact", "getMergedTo", contactId=loser) == [[]]
    site.sim.merge(wilma, loser)
    site.sim.merge(last, wilma)
    assert site.values("Contact", "getMergedTo", contactId=loser) == [{"id": last}]


def test_merge_fills_blanks(site: Site, wilma: int) -> None:
    bare = site.sim.add_contact("Wilma")
    site.sim.merge(bare, wilma)
    merged = site.sim.contact(bare)
    assert merged is not None
    assert (merged.last_name, merged.email) == ("Flintstone", "wilma@example.org")
