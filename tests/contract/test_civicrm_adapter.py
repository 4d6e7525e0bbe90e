"""The CiviCRM adapter against the simulator: what it asks, what it makes of the answers."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from civicrm_site import API, NOW, READS, TRACKING, Site, contacts_of, merged

from mcsync.civicrm import reading
from mcsync.civicrm.endpoint import call_url, url_templates
from mcsync.errors import RemoteRefused
from mcsync.model import (
    LONG_AGO,
    BulkMove,
    Contact,
    EmailWrite,
    GroupStatus,
    NewContact,
)

# --- addresses ------------------------------------------------------------------------------------

FORMS = {
    "https://x.org": f"https://x.org/{API}/Email/get",
    "https://x.org/": f"https://x.org/{API}/Email/get",
    "https://x.org/sub": f"https://x.org/sub/{API}/Email/get",
    "https://x.org/civicrm": f"https://x.org/{API}/Email/get",
    f"https://x.org/{API}": f"https://x.org/{API}/Email/get",
    f"https://x.org/{API}/": f"https://x.org/{API}/Email/get",
    f"https://x.org/{API}/Contact/get": f"https://x.org/{API}/Email/get",
    f"https://x.org/?civiwp=CiviCRM&q={API}": f"https://x.org/?civiwp=CiviCRM&q={API}/Email/get",
    "https://x.org/?civiwp=CiviCRM&q=civicrm%2Fajax%2Fapi4": (
        f"https://x.org/?civiwp=CiviCRM&q={API}/Email/get"
    ),
    "https://x.org/?civiwp=CiviCRM": f"https://x.org/?civiwp=CiviCRM&q={API}/Email/get",
    f"https://x.org/index.php?page=CiviCRM&q={API}": (
        f"https://x.org/index.php?page=CiviCRM&q={API}/Email/get"
    ),
    f"https://x.org/?q={API}": f"https://x.org/?q={API}/Email/get",
    "https://x.org/?q=": f"https://x.org/?q={API}/Email/get",
    f"https://x.org/index.php?option=com_civicrm&task={API}": (
        f"https://x.org/index.php?option=com_civicrm&task={API}/Email/get"
    ),
    f"https://x.org/?q={API}&civiwp=CiviCRM": f"https://x.org/?q={API}/Email/get&civiwp=CiviCRM",
}


@pytest.mark.fact("civicrm: Address", "clean URLs and the query forms")
@pytest.mark.parametrize(("url", "expected"), FORMS.items(), ids=FORMS)
def test_every_form_of_address(url: str, expected: str) -> None:
    assert call_url(url_templates(url)[0], "Email", "get") == expected


def test_only_a_base_address_has_a_second_form() -> None:
    assert len(url_templates("https://x.org")) == 2
    assert url_templates("https://x.org")[1] == "https://x.org/?civiwp=CiviCRM&q={route}"
    assert len(url_templates(f"https://x.org/{API}")) == 1


@pytest.mark.fact("civicrm: Address", "clean URLs and the query forms")
@pytest.mark.parametrize(
    "path", ["", "/", "/civicrm", f"/{API}", f"/?civiwp=CiviCRM&q={API}", f"/?page=CiviCRM&q={API}"]
)
def test_every_form_works_on_the_site(site: Site, path: str) -> None:
    snapshot = site.client(path).fetch_snapshot([site.group], 0)
    assert snapshot.groups.keys() == {site.group}
    assert len(site.server.requests) == 2


# --- the start of a run ---------------------------------------------------------------------------


@pytest.mark.fact("civicrm: Address", "authx/id says who we are")
def test_a_snapshot_costs_two_requests(site: Site) -> None:
    site.snapshot()
    assert [exchange.request.path for exchange in site.server.requests] == [
        "/civicrm/authx/id",
        "/civicrm/ajax/api4",
    ]


@pytest.mark.fact("civicrm: Reading", "aggregates")
@pytest.mark.fact("civicrm: Groups", "Group.get: active, smart, mailing")
def test_a_snapshot_tells_clock_groups_counts_and_history(site: Site) -> None:
    smart = site.sim.add_group(
        "All of them", mailing=False, smart_where=[["last_name", "=", "Flintstone"]]
    )
    off = site.sim.add_group("Old")
    site.sim.disable_group(off)
    fred, wilma, dino = site.add("Fred"), site.add("Wilma"), site.add("Dino")
    site.sim.add_to_group(fred, site.group, at=NOW - timedelta(days=200))
    site.sim.add_to_group(wilma, site.group, tracking="mcsync sync 7")
    site.sim.remove_from_group(wilma, site.group)
    site.sim.add_to_group(dino, site.group)
    site.sim.trash(dino)
    snapshot = site.port.fetch_snapshot([site.group, smart, off, 999], 0)
    assert snapshot.now == NOW
    assert snapshot.utc_offset_s == 3600
    assert set(snapshot.groups) == {site.group, smart, off}
    ours = snapshot.groups[site.group]
    assert (ours.title, ours.is_active, ours.is_smart, ours.is_mailing) == (
        "Newsletter",
        True,
        False,
        True,
    )
    assert snapshot.groups[smart].is_smart
    assert not snapshot.groups[smart].is_mailing
    assert not snapshot.groups[off].is_active
    assert snapshot.counts == {(site.group, "Added"): 2, (site.group, "Removed"): 1}
    told = [(row.contact_id, row.status, row.is_ours) for row in snapshot.history]
    assert told == [
        (fred, "Added", False),
        (wilma, "Added", True),
        (wilma, "Removed", False),
        (dino, "Added", False),
    ]
    assert snapshot.history[0].at == NOW - timedelta(days=200)
    assert not snapshot.has_more_history


def test_a_snapshot_tells_when_a_sample_was_created(site: Site) -> None:
    fred, dino, gone, betty = (site.add(name) for name in ("Fred", "Dino", "Gone", "Betty"))
    site.sim.update_contact(fred, created_date=NOW - timedelta(days=200))
    site.sim.trash(dino)
    site.sim.purge(gone)
    sample = [fred, dino, gone, 99999, fred]
    found = site.port.fetch_snapshot([site.group], 0, sample).created
    assert found == {fred: NOW - timedelta(days=200), dino: NOW}
    assert betty not in found
    assert len(site.server.requests) == 2
    assert site.snapshot().created == {}
    assert site.port.fetch_snapshot([site.group], 0, [1]).created == {1: LONG_AGO}


def test_a_sample_tells_of_a_backup_that_was_restored(site: Site) -> None:
    """The same ids, given again to other people."""
    site.add("Fred")
    backup = site.sim.backup()
    site.now += timedelta(hours=2)
    sample = site.add_many(3)
    before = site.port.fetch_snapshot([site.group], 0, sample).created
    site.sim.restore(backup)
    site.now += timedelta(hours=1)
    others = [site.add(f"Gravel{number}") for number in range(2)]
    after = site.port.fetch_snapshot([site.group], 0, sample).created
    assert others == sample[:2]
    assert before == dict.fromkeys(sample, NOW + timedelta(hours=2))
    assert after == dict.fromkeys(others, NOW + timedelta(hours=3))


@pytest.mark.fact("civicrm: Time", "created_date is a TIMESTAMP")
@pytest.mark.parametrize("minutes", [60, 120])
def test_a_change_of_the_clocks_makes_nobody_another_person(site: Site, minutes: int) -> None:
    fred = site.add("Fred", created_date=JULY)
    site.sim.set_utc_offset(minutes)
    assert site.port.fetch_snapshot([site.group], 0, [fred]).created == {fred: JULY}


@pytest.mark.fact("civicrm: Reading", "no default limit; paging by id")
def test_history_goes_on_after_the_cursor(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE_SIZE", 4)
    other = site.sim.add_group("Other")
    for contact_id in site.add_many(10):
        site.sim.add_to_group(contact_id, site.group)
        site.sim.add_to_group(contact_id, other)
    snapshot = site.snapshot()
    assert snapshot.has_more_history
    assert len(snapshot.history) == 4
    last = snapshot.history[-1].history_id
    pages = list(site.port.fetch_history([site.group], last))
    assert [len(page) for page in pages] == [4, 2]
    ids = [row.history_id for row in (*snapshot.history, *pages[0], *pages[1])]
    assert ids == sorted(set(ids))
    assert not site.snapshot(ids[-1]).history


@pytest.mark.fact("civicrm: Time", "current offset from NOW() and the Date header")
@pytest.mark.parametrize("minutes", [0, 60, 120, -210, 345, 765])
def test_the_offset_is_measured_to_the_quarter_of_an_hour(site: Site, minutes: int) -> None:
    site.sim.set_utc_offset(minutes)
    site.now = NOW + timedelta(seconds=37)
    snapshot = site.snapshot()
    assert snapshot.utc_offset_s == minutes * 60
    assert snapshot.now == site.now


@pytest.mark.fact("civicrm: Time", "dates have no zone and use today's offset")
def test_dates_of_the_other_half_of_the_year_are_read_with_the_present_offset(site: Site) -> None:
    fred = site.add("Fred")
    july = datetime(2026, 7, 1, 12, tzinfo=UTC)
    january = datetime(2026, 1, 15, 12, tzinfo=UTC)
    site.sim.add_to_group(fred, site.group, at=july)
    site.sim.add_to_group(fred, site.group, at=january)
    assert [row.at for row in site.snapshot().history] == [july, january]
    site.sim.set_utc_offset(120)  # the clocks go forward: every date reads an hour later
    assert [row.at for row in site.snapshot().history] == [july, january]
    (page,) = site.port.fetch_history([site.group], 0)
    assert [row.at for row in page] == [july, january]


# --- groups ---------------------------------------------------------------------------------------


@pytest.mark.fact("civicrm: Groups", "memberships of the trashed stay Added")
def test_group_contacts_of_every_status_trashed_ones_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_SIZE", 3)
    ids = site.add_many(8)
    for contact_id in ids:
        site.sim.add_to_group(contact_id, site.group)
    site.sim.remove_from_group(ids[0], site.group)
    site.sim.pend_in_group(ids[1], site.group)
    site.sim.trash(ids[2])
    pages = list(site.port.fetch_group_contacts([site.group]))
    assert [len(page) for page in pages] == [3, 3, 2]
    statuses = {row.contact_id: row.status for page in pages for row in page}
    assert statuses == dict.fromkeys(ids, "Added") | {ids[0]: "Removed", ids[1]: "Pending"}


@pytest.mark.fact("civicrm: Groups", "the cache of a smart group is stale until refresh")
def test_a_smart_group_is_refreshed_first(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PAGE_SIZE", 2)
    smart = site.sim.add_group("Pebbles", smart_where=[["first_name", "LIKE", "Pebbles%"]])
    site.sim.refresh_group(smart)
    ids = site.add_many(5)
    site.add("Fred")
    assert site.sim.resolved_members(smart) == set()  # the cache is stale
    pages = list(site.port.fetch_smart_group(smart))
    assert [len(page) for page in pages] == [2, 2, 1]
    assert {contact_id for page in pages for contact_id in page} == set(ids)


# --- contacts -------------------------------------------------------------------------------------


@pytest.mark.fact(
    "civicrm: Reading",
    "names come back decoded",
    "on_hold 0, 1, 2",
    "Contact.get hides the trash unless asked",
    "is_opt_out and do_not_email",
)
def test_contacts_with_flags_and_all_addresses(site: Site) -> None:
    fred = site.sim.add_contact(
        "Zoë 🐑",
        "O'Neil & Söhne <x>",
        ["fred@example.org", ("bulk@example.org", {"is_bulkmail": True})],
        is_opt_out=True,
    )
    held = site.add("Wilma", do_not_email=True)
    site.sim.update_email(site.sim.emails(held)[0].id, on_hold=2)
    gone = site.add("Dino", is_deceased=True)
    site.sim.trash(gone)
    (page,) = site.port.fetch_contacts([fred, held, gone, 99999, fred])
    contacts = {contact.contact_id: contact for contact in page.contacts}
    assert set(contacts) == {fred, held, gone}
    assert len(page.contacts) == 3
    assert contacts[fred].first_name == "Zoë 🐑"
    assert contacts[fred].last_name == "O'Neil & Söhne <x>"
    assert contacts[fred].is_opt_out
    assert contacts[held].do_not_email
    assert contacts[gone].is_deceased
    assert contacts[gone].is_deleted
    assert not contacts[fred].is_deleted
    assert contacts[fred].modified_at == NOW
    emails = {email.email: email for email in page.emails}
    assert set(emails) == {
        "fred@example.org",
        "bulk@example.org",
        "wilma@example.org",
        "dino@example.org",
    }
    assert emails["fred@example.org"].is_primary
    assert not emails["bulk@example.org"].is_primary
    assert emails["bulk@example.org"].is_bulkmail
    assert emails["wilma@example.org"].on_hold
    assert not emails["fred@example.org"].on_hold
    assert emails["fred@example.org"].contact_id == fred


JULY = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.fact("civicrm: Time", "created_date is a TIMESTAMP")
@pytest.mark.parametrize("offset", [60, 120, -210])
def test_contacts_tell_when_they_were_created(site: Site, offset: int) -> None:
    """In UTC, though the text moves with the site's present offset; contact 1 has no date."""
    site.sim.set_utc_offset(offset)
    fred = site.add("Fred", created_date=JULY)
    wilma = site.add("Wilma")
    for pages in (
        site.port.fetch_contacts([1, fred, wilma]),
        site.port.fetch_changed_contacts(NOW - timedelta(days=1)),
    ):
        found = contacts_of(pages)
        created = {contact_id: found[contact_id].created_at for contact_id in (1, fred, wilma)}
        assert created == {1: LONG_AGO, fred: JULY, wilma: NOW}


def test_many_contacts_come_in_chunks(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "IDS_PER_REQUEST", 10)
    ids = site.add_many(35)
    pages = list(site.port.fetch_contacts(ids))
    assert [len(page.contacts) for page in pages] == [10, 10, 10, 5]
    assert [len(page.emails) for page in pages] == [10, 10, 10, 5]
    assert set(contacts_of(iter(pages))) == set(ids)


@pytest.mark.fact("civicrm: Reading", "a missing email is null")
@pytest.mark.fact("civicrm: Writing", "an empty address leaves a row with null")
def test_an_address_row_without_an_address_is_left_out(site: Site) -> None:
    fred = site.add("Fred")
    site.sim.add_email(fred, "")
    (page,) = site.port.fetch_contacts([fred])
    assert [email.email for email in page.emails] == ["fred@example.org"]


@pytest.mark.fact("civicrm: Time", "a garbage date matches everything")
@pytest.mark.fact("civicrm: Reading", "Contact.get hides the trash unless asked")
def test_changed_contacts(site: Site) -> None:
    old, changed, moved, trashed = (site.add(name) for name in ("Old", "Fred", "Wilma", "Dino"))
    site.now += timedelta(days=1)
    site.sim.update_contact(changed, is_opt_out=True)
    site.sim.add_email(moved, "wilma.new@example.org")
    site.sim.trash(trashed)
    pages = list(site.port.fetch_changed_contacts(site.now))
    found = contacts_of(iter(pages))
    assert set(found) == {changed, moved, trashed}
    assert old not in found
    assert found[trashed].is_deleted
    assert found[changed].modified_at == site.now
    addresses = sorted(email.email for page in pages for email in page.emails)
    assert addresses == [
        "dino@example.org",
        "fred@example.org",
        "wilma.new@example.org",
        "wilma@example.org",
    ]


@pytest.mark.fact("civicrm: Time", "where on dates: only naive local text is exact")
@pytest.mark.parametrize("offset", [-600, 60, 765])
def test_changes_are_asked_for_in_the_sites_own_time(site: Site, offset: int) -> None:
    site.sim.set_utc_offset(offset)
    site.add("Old")
    site.now += timedelta(seconds=1)
    fred = site.add("Fred")
    assert set(contacts_of(site.port.fetch_changed_contacts(site.now))) == {fred}


@pytest.mark.fact("civicrm: Time", "where on dates: only naive local text is exact")
def test_changed_contacts_are_right_after_the_clocks_changed(site: Site) -> None:
    site.snapshot()
    site.sim.set_utc_offset(120)
    site.snapshot()  # each run measures anew
    site.add("Old")
    site.now += timedelta(minutes=30)
    fred = site.add("Fred")
    found = contacts_of(site.port.fetch_changed_contacts(site.now))
    assert list(found) == [fred]
    assert found[fred].modified_at == site.now


@pytest.mark.parametrize("size", [2, 3, 5, 7, 100])
def test_changed_contacts_come_in_pages_with_all_their_addresses(
    site: Site, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(reading, "PAGE_SIZE", size)
    expected: dict[int, set[str]] = {}
    for number in range(9):
        emails = [f"n{number}-{index}@example.org" for index in range(number % 3)]
        if size > 2 or len(emails) < 2:
            expected[site.sim.add_contact("Pebbles", "Rubble", emails)] = set(emails)
    seen: dict[int, set[str]] = {}
    for page in site.port.fetch_changed_contacts(NOW):
        for contact in page.contacts:
            assert contact.contact_id not in seen
            own = {e.email for e in page.emails if e.contact_id == contact.contact_id}
            seen[contact.contact_id] = own
    assert {key: seen.get(key) for key in expected} == expected


def test_long_ago_means_everybody(site: Site) -> None:
    old = site.add("Old", modified_date=datetime(1999, 1, 1, tzinfo=UTC))
    assert old in contacts_of(site.port.fetch_changed_contacts(LONG_AGO))
    assert old not in contacts_of(site.port.fetch_changed_contacts(NOW - timedelta(days=9000)))


@pytest.mark.fact(
    "civicrm: Reading",
    "implicit joins",
    "addresses match loosely: case, accents, trailing spaces",
    "several contacts may share an address",
)
def test_owners_are_compared_exactly_but_for_case_and_blanks(site: Site) -> None:
    ada = site.add("Ada", "ada@example.org")
    site.add("Accent", "àda@example.org")
    spaces = [site.add("Space", "ada@example.org "), site.add("Space", " ada@example.org")]
    twin = site.add("Twin", "other@example.org", "ada@example.org")
    trashed = site.add("Gone", "ada@example.org")
    site.sim.trash(trashed)
    (owners,) = site.port.fetch_owners(["ADA@Example.org", "nobody@example.org"])
    assert sorted(email.contact_id for email in owners) == [ada, *spaces, twin]
    assert {email.email for email in owners} == {"ada@example.org"}
    # The loose search did find the others:
    loose = site.sim.store.emails.matching("email", "ada@example.org")
    assert len(loose) > 3


@pytest.mark.fact("civicrm: Reading", "IN lists of 1,000 to 5,000 are safe")
def test_owners_of_many_addresses_come_in_chunks(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "EMAILS_PER_REQUEST", 10)
    site.add_many(25)
    chunks = list(
        site.port.fetch_owners([f"PEBBLES{number}@example.org" for number in range(25)] * 2)
    )
    assert [len(chunk) for chunk in chunks] == [10, 10, 5]


@pytest.mark.fact(
    "civicrm: Reading",
    "getMergedTo tells the winner",
    "getMergedTo of who was never merged is [[]]",
)
def test_merged_contacts_lead_to_the_last_survivor(site: Site) -> None:
    first, second, third, purged, trashed = site.add_many(5)
    site.sim.merge(second, first)
    site.sim.merge(third, second)
    site.sim.purge(purged)
    site.sim.trash(trashed)
    asked = [first, second, purged, trashed]
    assert site.port.fetch_merged_to(asked) == {first: third, second: third}
    assert site.port.fetch_merged_to([]) == {}


# --- writing --------------------------------------------------------------------------------------


@pytest.mark.fact(
    "civicrm: Writing",
    "save with match; the same pair twice is refused",
    "pages of 5,000 to 10,000 rows; 200 memberships, 50 contacts",
)
def test_group_contacts_are_added_and_removed(site: Site) -> None:
    ids = site.add_many(450)
    site.sim.remove_from_group(ids[7], site.group)
    results = site.save(ids)
    assert [len(result.done) for result in results] == [200, 200, 50]
    assert list(results[0].done) == ids[:200]
    assert site.sim.group_members(site.group) == set(ids)
    assert merged(site.save(ids[:3], GroupStatus.REMOVED)).done == {i: i for i in ids[:3]}
    assert site.sim.group_members(site.group) == set(ids[3:])


@pytest.mark.fact(
    "civicrm: Writing",
    "save with match; the same pair twice is refused",
    "save matches all before it writes any",
)
@pytest.mark.fact("civicrm: Groups", "our own history is known by tracking")
def test_our_writes_leave_history_that_is_known_as_ours(site: Site) -> None:
    (fred,) = site.add_many(1)
    site.save([fred, fred])  # twice: refused by CiviCRM in one call
    (row,) = site.snapshot().history
    assert row.is_ours
    assert (row.contact_id, row.status) == (fred, "Added")
    assert site.sim.history(fred)[0].method == "API"
    assert site.sim.history(fred)[0].tracking == TRACKING


def test_nothing_to_save_makes_no_request(site: Site) -> None:
    assert site.save([]) == []
    assert list(site.port.save_names([Contact(3, "", "")])) == []
    assert list(site.port.create_contacts([], "test")) == []
    assert site.server.requests == []


@pytest.mark.fact(
    "civicrm: Writing",
    "writes answer with a partial echo",
    "addresses are stored in lower case, not trimmed, not validated, cut",
    "contact and email in one call",
    "contact_type is not validated",
    "pages of 5,000 to 10,000 rows; 200 memberships, 50 contacts",
)
def test_new_contacts(site: Site) -> None:
    new = [NewContact(n, f"Gravel{n}@example.org", f"Gravel{n}", "Berry") for n in range(110)]
    new += [NewContact(500, "noname@example.org", "", "")]
    results = list(site.port.create_contacts(new, "mailchimpsync"))
    assert len(results[0].done) == 50
    assert max(len(result.done) for result in results) <= 100
    done = merged(results).done
    for wanted in new:
        contact = site.sim.contact(done[wanted.row_id])
        assert contact is not None
        assert (contact.first_name or "", contact.last_name or "") == (
            wanted.first_name,
            wanted.last_name,
        )
        assert [email.email for email in contact.emails] == [wanted.email.lower()]
        assert (contact.source, contact.contact_type) == ("mailchimpsync", "Individual")
    assert len(site.sim.contacts(source="mailchimpsync")) == 111


def test_names_that_are_not_empty_are_written(site: Site) -> None:
    fred, wilma = site.add("Fred"), site.add("Wilma")
    names = [Contact(fred, "Frederick", ""), Contact(wilma, "", "Slaghoople")]
    result = merged(site.port.save_names(names))
    assert result.done == {fred: fred, wilma: wilma}
    shown = [site.sim.contact(contact_id) for contact_id in (fred, wilma)]
    assert [(c.first_name, c.last_name) for c in shown if c] == [
        ("Frederick", "Flintstone"),
        ("Wilma", "Slaghoople"),
    ]


def test_a_bulk_address_is_added(site: Site) -> None:
    fred, wilma = site.add("Fred"), site.add("Wilma")
    new = [EmailWrite(fred, "fred.new@example.org"), EmailWrite(wilma, "WILMA@example.org")]
    result = merged(site.port.add_emails(new))
    assert result.done == {fred: fred, wilma: wilma}
    assert {(e.email, e.is_bulkmail, e.is_primary) for e in site.sim.emails(fred)} == {
        ("fred@example.org", False, True),
        ("fred.new@example.org", True, False),
    }
    assert len(site.sim.emails(wilma)) == 1  # she had it, but for case
    assert merged(site.port.add_emails(new)) == result
    assert len(site.sim.emails(fred)) == 2
    assert list(site.port.add_emails([])) == []


def bulk_of(site: Site, contact: int) -> set[str]:
    return {email.email for email in site.sim.emails(contact) if email.is_bulkmail}


def test_bulk_mail_goes_to_another_address(site: Site) -> None:
    """Whether the site takes the flag off the others by itself, or not; twice does no harm."""
    old, new = "OLD@example.org", "new@example.org"
    people = [site.add(name) for name in ("Fred", "Wilma", "Barney", "Betty")]
    for contact in people:
        site.sim.add_email(contact, old.lower())
        site.sim.add_email(contact, new, is_bulkmail=True)
    fred, wilma, barney, betty = people
    both = site.sim.emails(betty)[1].id
    site.sim.store.tables["Email"].rows[both]["is_bulkmail"] = True  # as some sites allow
    site.sim.update_email(site.sim.emails(barney)[1].id, on_hold=1)
    moves = [
        BulkMove(fred, old, new),
        BulkMove(wilma, None, new),
        BulkMove(barney, old, new),
        BulkMove(betty, old, new),
        BulkMove(99_999, old, new),
    ]
    for _ in range(2):
        result = merged(site.port.move_bulk_mail(moves))
        assert result.done == {fred: fred, wilma: wilma, betty: betty}
        assert set(result.failed) == {barney, 99_999}
        now = [bulk_of(site, contact) for contact in people]
        assert now == [{old.lower()}, set(), {new}, {old.lower()}]
    assert merged(site.port.move_bulk_mail([BulkMove(fred, new, "third@example.org")])).failed
    assert bulk_of(site, fred) == {old.lower()}
    assert list(site.port.move_bulk_mail([])) == []


@pytest.mark.fact("civicrm: Reading", "on_hold 0, 1, 2")
def test_addresses_are_put_on_hold(site: Site) -> None:
    fred, wilma = site.add("Fred"), site.add("Wilma")
    bounced, opted_out = site.sim.emails(fred)[0].id, site.sim.emails(wilma)[0].id
    site.sim.update_email(opted_out, on_hold=2)
    result = merged(site.port.hold_emails([bounced, opted_out, 99999, bounced]))
    assert result.done == {bounced: fred, opted_out: wilma}
    assert list(result.failed) == [99999]
    assert site.sim.emails(fred)[0].on_hold == 1
    assert site.sim.emails(wilma)[0].on_hold == 2
    assert list(site.port.hold_emails([])) == []


# --- what permissions are missing -----------------------------------------------------------------


@pytest.mark.fact("civicrm: Permissions", "a missing permission reads as emptiness")
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_missing_permission_is_an_error_and_never_an_empty_list(
    site: Site, read: Callable[[Site], object]
) -> None:
    site.sim.add_to_group(site.add("Fred"), site.group)
    site.sim.revoke("view all contacts")
    site.sim.revoke("edit all contacts")
    with pytest.raises(RemoteRefused) as caught:
        read(site)
    assert "view all contacts" in (caught.value.hint or "")


@pytest.mark.fact("civicrm: Permissions", "view all contacts, implied by edit all contacts")
def test_a_permission_lost_between_two_runs_is_noticed_by_the_next_snapshot(site: Site) -> None:
    site.snapshot()
    site.sim.revoke("view all contacts")
    site.sim.revoke("edit all contacts")
    with pytest.raises(RemoteRefused, match="every contact"):
        site.snapshot()


WRITES: dict[str, Callable[[Site], object]] = {
    "edit all contacts": lambda site: site.save([site.sim.user_contact_id]),
    "add contacts": lambda site: list(
        site.port.create_contacts([NewContact(1, "fred@example.org", "Fred", "")], "test")
    ),
}


@pytest.mark.fact(
    "civicrm: Permissions", "403 JSON for an action that is not permitted", "add contacts"
)
@pytest.mark.parametrize("permission", WRITES)
def test_a_write_without_permission_names_it(site: Site, permission: str) -> None:
    site.sim.grant("view all contacts")
    site.sim.revoke(permission)
    with pytest.raises(RemoteRefused) as caught:
        WRITES[permission](site)
    assert permission in (caught.value.hint or "")
    assert site.sim.writes == 0


@pytest.mark.fact("civicrm: Answers", "401 text/plain")
def test_a_wrong_key_is_refused_in_civicrms_words(site: Site) -> None:
    with pytest.raises(RemoteRefused, match="Invalid credential") as caught:
        site.client(key="feedface").fetch_snapshot([site.group], 0)
    assert "feedface" not in f"{caught.value.message}{caught.value.hint}"
    assert len(site.server.requests) == 1


@pytest.mark.fact("civicrm: Address", "the guard: permission or site key")
@pytest.mark.fact("civicrm: Permissions", "authenticate with api key")
def test_a_user_who_may_not_log_in_by_key_needs_the_site_key(site: Site) -> None:
    site.sim.revoke("authenticate with api key")
    with pytest.raises(RemoteRefused, match="Login not permitted") as caught:
        site.snapshot()
    assert "authenticate with api key" in (caught.value.hint or "")
    port = site.client(site_key=site.sim.site_key)
    assert port.fetch_snapshot([site.group], 0).groups.keys() == {site.group}
