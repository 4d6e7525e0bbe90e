"""What must never happen when a service misbehaves: nobody removed, unsubscribed or created.

Each story: a healthy run, trouble together with real news, a run in trouble, and a healthy run
that puts all right.
"""

import sqlite3
from collections.abc import Callable
from contextlib import closing

import pytest

from mcsync.cache.copy_names import find_copies
from mcsync.errors import (
    ConfigError,
    GuardTripped,
    McsyncError,
    ProtocolError,
    RemoteRefused,
    RemoteUnavailable,
)
from mcsync.pipeline.fetch import Window
from mcsync.sandbox.server import Fault, Request, Response
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.town40 import HTML, Town40

Trouble = Callable[[Bedrock], Callable[[], None]]


def lose_sight(bedrock: Bedrock) -> Callable[[], None]:
    """The API user may no longer see contacts; to edit them all would imply it."""
    permissions = ("view all contacts", "edit all contacts")
    for permission in permissions:
        bedrock.town.civicrm.revoke(permission)

    def end() -> None:
        for permission in permissions:
            bedrock.town.civicrm.grant(permission)

    return end


def disable_group(bedrock: Bedrock) -> Callable[[], None]:
    """Somebody disables the group."""
    bedrock.town.civicrm.disable_group(GROUP)
    return lambda: bedrock.town.civicrm.enable_group(GROUP)


def refuse_key(bedrock: Bedrock) -> Callable[[], None]:
    """Mailchimp refuses the key."""
    body = b'{"title": "API Key Invalid", "status": 401, "detail": "Your API key may be invalid"}'
    answer = Response(401, body, {"Content-Type": "application/problem+json"})
    fault = Fault(answer=answer, times=None)
    bedrock.town.mailchimp_server.faults.append(fault)
    return bedrock.town.mailchimp_server.faults.clear


def html_from_civicrm(bedrock: Bedrock) -> Callable[[], None]:
    """CiviCRM answers 200 with a page, in the middle of the run."""
    bedrock.town.civicrm_server.faults.append(
        Fault(path="ajax/api4", body="modified_date", answer=HTML, times=None)
    )
    return bedrock.town.civicrm_server.faults.clear


def half_the_members(bedrock: Bedrock) -> Callable[[], None]:
    """Mailchimp counts more members than it returns."""

    def shorten(_request: Request, response: Response) -> Response:
        text = response.body.decode()
        start = text.index('"total_items":') + len('"total_items":')
        end = start
        while end < len(text) and (text[end].isdigit() or text[end] == " "):
            end += 1
        body = f"{text[:start]}4000{text[end:]}".encode()
        return Response(response.status, body, response.headers)

    bedrock.town.mailchimp_server.faults.append(Fault(path="/members", rewrite=shorten, times=None))
    return bedrock.town.mailchimp_server.faults.clear


def unreachable(server: str) -> Trouble:
    """A service drops every connection."""

    def begin(bedrock: Bedrock) -> Callable[[], None]:
        faults = getattr(bedrock.town, f"{server}_server").faults
        faults.append(Fault(drop="before", times=None))
        return faults.clear  # type: ignore[no-any-return]

    return begin


def maintenance(bedrock: Bedrock) -> Callable[[], None]:
    """CiviCRM is in maintenance mode."""
    bedrock.town.civicrm.maintenance = True

    def end() -> None:
        bedrock.town.civicrm.maintenance = False

    return end


TROUBLES = [
    pytest.param(lose_sight, RemoteRefused, "view all contacts", id="permission lost"),
    pytest.param(disable_group, GuardTripped, "is disabled", id="group disabled"),
    pytest.param(refuse_key, RemoteRefused, "API Key Invalid", id="Mailchimp refuses the key"),
    pytest.param(html_from_civicrm, RemoteUnavailable, "", id="200 with HTML in mid-paging"),
    pytest.param(half_the_members, ProtocolError, "4,000", id="total_items more than received"),
    pytest.param(unreachable("mailchimp"), RemoteUnavailable, "", id="Mailchimp unreachable"),
    pytest.param(unreachable("civicrm"), RemoteUnavailable, "", id="CiviCRM unreachable"),
    pytest.param(maintenance, RemoteUnavailable, "maintenance", id="CiviCRM in maintenance"),
]


@pytest.mark.fact("civicrm: Permissions", "a missing permission reads as emptiness")
@pytest.mark.parametrize(("trouble", "error", "words"), TROUBLES)
def test_in_trouble_nothing_is_written_and_the_next_healthy_run_puts_all_right(
    bedrock: Bedrock, trouble: Trouble, error: type[McsyncError], words: str
):
    story = Town40(bedrock)
    before, window = story.look(), story.window()
    end_trouble = trouble(bedrock)
    with pytest.raises(error) as caught:
        bedrock.sync()
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert story.look() == before
    assert story.window() == window
    end_trouble()
    bedrock.sync_until_quiet()
    story.assert_news_arrived()


def test_a_deleted_group_stops_the_audience(bedrock: Bedrock):
    story = Town40(bedrock)
    bedrock.town.civicrm.delete_group(GROUP)
    statuses, _, contacts = story.look()
    with pytest.raises(ConfigError, match="no group 111"):
        bedrock.sync()
    assert story.look()[0] == statuses
    assert story.look()[2] == contacts


def test_a_group_emptied_from_our_sight_stops_the_audience(bedrock: Bedrock):
    story = Town40(bedrock)
    for contact in story.contacts.values():
        bedrock.town.civicrm.sql_set_membership(contact, GROUP, None)
    before = story.look()
    with pytest.raises(GuardTripped, match="suddenly empty"):
        bedrock.sync()
    assert story.look() == before


def test_an_audience_that_returns_nobody_is_not_believed(bedrock: Bedrock):
    story = Town40(bedrock)
    before = story.look()
    bedrock.town.mailchimp_server.faults.append(
        Fault(
            path="/members",
            answer=Response(
                200, b'{"members": [], "total_items": 0}', {"Content-Type": "application/json"}
            ),
            times=None,
        )
    )
    with pytest.raises(GuardTripped, match="no members at all"):
        bedrock.sync(window=Window(None))
    assert story.look() == before
    bedrock.town.mailchimp_server.faults.clear()
    bedrock.sync_until_quiet()
    story.assert_news_arrived()


@pytest.mark.fact("mailchimp: Limits", "Retry-After: honour it, never need it")
def test_three_429_with_retry_after_are_waited_for(bedrock: Bedrock):
    story = Town40(bedrock)
    answer = Response(429, b"", {"Retry-After": "7", "Content-Type": "text/html"})
    bedrock.town.mailchimp_server.faults.append(
        Fault(method="GET", path="/members", answer=answer, times=3)
    )
    bedrock.sync()
    assert bedrock.naps.count(7.0) == 3
    bedrock.sync_until_quiet()
    story.assert_news_arrived()


def test_a_batch_refused_for_good_is_told_and_sent_when_mailchimp_is_well_again(bedrock: Bedrock):
    story = Town40(bedrock)
    refusal = Response(
        403,
        b'{"title": "Forbidden", "status": 403, "detail": "You may not do this"}',
        {"Content-Type": "application/problem+json"},
    )
    bedrock.town.mailchimp_server.faults.append(
        Fault(method="POST", path="/batches", answer=refusal, times=None)
    )
    with pytest.raises(RemoteRefused, match="Forbidden"):
        bedrock.sync()
    assert bedrock.member_status("pebbles1@example.org") == "subscribed"
    posts = [e for e in bedrock.town.mailchimp_server.requests if e.request.method == "POST"]
    assert len(posts) == 1  # never repeated by itself
    bedrock.town.mailchimp_server.faults.clear()
    bedrock.sync_until_quiet()
    story.assert_news_arrived()


@pytest.mark.fact("civicrm: Time", "the text of a date changes at each switch")
def test_a_site_that_went_from_summer_to_winter_changes_nobody(bedrock: Bedrock):
    bedrock.town.civicrm.set_utc_offset(120)
    contacts = [bedrock.add_both(f"fred{number}@example.org") for number in range(12)]
    bedrock.sync()
    for contact in contacts[:6]:
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    bedrock.pass_time(hours=30)  # a full compare is due, too
    bedrock.town.civicrm.set_utc_offset(60)
    assert bedrock.sync() == 0
    # Added in the hour that the site's clock shows twice, against a word of that very hour.
    bedrock.town.mailchimp.leave(LIST, "fred10@example.org")
    bedrock.pass_time(minutes=20)
    bedrock.town.civicrm.remove_from_group(contacts[10], GROUP)
    bedrock.pass_time(minutes=20)
    bedrock.town.civicrm.add_to_group(contacts[10], GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(contacts[10]) == "Added"
    assert bedrock.member_status("fred10@example.org") == "pending"


def test_an_address_that_only_a_loose_search_finds_is_nobodys(bedrock: Bedrock):
    """CiviCRM's search ignores accents; rene@ and rené@ are two people."""
    bedrock.add_contact("rene@example.org", group=False)
    bedrock.add_member("ren\N{LATIN SMALL LETTER E WITH ACUTE}@example.org")
    bedrock.sync()
    everybody = bedrock.town.civicrm.contacts_by_email("rene@example.org")
    exact = [c for c in bedrock.town.civicrm.contacts() if c.id > everybody[0].id]
    assert bedrock.group_status(everybody[0].id) is None
    assert len(exact) == 1  # a contact of their own
    assert bedrock.group_status(exact[0].id) == "Added"


def test_a_member_who_changes_between_two_pages_is_not_missed(bedrock: Bedrock):
    """A changed member moves to the end, and the one after takes their place."""
    for number in range(1500):
        bedrock.add_member(f"gazoo{number}@example.org", last_changed=bedrock.town.clock())
        if number % 50 == 0:
            bedrock.town.clock.advance(seconds=1)
    pages = 0

    def somebody_changes(request: Request) -> None:
        nonlocal pages
        if "/members" in request.path and "since" not in request.query:
            pages += 1
            if pages == 2:
                bedrock.town.mailchimp.edit_profile(LIST, "gazoo3@example.org", first_name="G")

    bedrock.town.mailchimp_server.before_request = somebody_changes
    bedrock.sync()
    assert pages >= 2
    store = bedrock.open_store()
    [count] = store.query("SELECT count(*) FROM civicrm_mailchimpsync_cache").fetchone()
    store.close()
    assert count == 1500


def test_one_bad_contact_fails_alone_and_is_put_right_later(bedrock: Bedrock):
    story = Town40(bedrock)
    for email in ("pebbles5@example.org", "pebbles6@example.org"):
        bedrock.town.mailchimp.leave(LIST, email)
    bad = story.contacts["pebbles5@example.org"]
    bedrock.town.civicrm.bad_contacts.add(bad)
    bedrock.sync()
    assert bedrock.group_status(story.contacts["pebbles6@example.org"]) == "Removed"
    assert bedrock.group_status(bad) == "Added"
    bedrock.town.civicrm.bad_contacts.clear()
    bedrock.pass_time(minutes=5)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(bad) == "Removed"


def test_the_cache_is_copied_before_anything_is_decided(bedrock: Bedrock):
    cache = bedrock.folder / "mcsync.db"
    wilma = bedrock.add_both("wilma@example.org")
    bedrock.sync()
    assert find_copies(cache) == []  # a first run had nothing that could be lost
    bedrock.town.civicrm.remove_from_group(wilma, GROUP)
    bedrock.pass_time(minutes=5)
    bedrock.sync()
    [copy] = find_copies(cache)
    rows = "SELECT mailchimp_email, (SELECT count(*) FROM civicrm_mailchimpsync_update)"
    for path, updates in ((copy, 0), (cache, 1)):
        with closing(sqlite3.connect(path)) as kept:
            found = kept.execute(f"{rows} FROM civicrm_mailchimpsync_cache").fetchall()
        assert found == [("wilma@example.org", updates)]
