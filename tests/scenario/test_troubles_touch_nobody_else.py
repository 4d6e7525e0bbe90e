"""When a service misbehaves nobody is touched of whom there is no news.

Each story begins with forty people in agreement and some news (`Town40`): dino signed up,
pebbles0 left, pebbles1 was removed. Whatever the trouble, the other thirty-eight stay as they are.
"""

import json
from contextlib import closing
from types import SimpleNamespace

import pytest

from mcsync.civicrm import reading
from mcsync.errors import (
    ConfigError,
    ExitCode,
    McsyncError,
    ProtocolError,
    RemoteRefused,
    RemoteUnavailable,
)
from mcsync.mailchimp import members
from mcsync.pipeline import batches
from mcsync.pipeline.batches import wait_for_batches
from mcsync.pipeline.fetch import Window
from mcsync.pipeline.sync import sync
from mcsync.sandbox.server import Fault, Request, Response
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.town40 import HTML, Town40

JSON = {"Content-Type": "application/json"}
EVERYTHING = Window(None)


def assert_the_others_stay(story: Town40) -> None:
    """Who has no news is subscribed and in the group, and nobody came into being twice."""
    statuses, group, _ = story.look()
    for number in range(2, len(story.contacts)):
        email = f"pebbles{number}@example.org"
        assert statuses[email] == "subscribed", email
        assert story.contacts[email] in group, email
    contacts = story.bedrock.town.civicrm.contacts(is_deleted=False)
    addresses = [email.email for contact in contacts for email in contact.emails]
    assert len(addresses) == len(set(addresses))


def fail(bedrock: Bedrock, error: type[McsyncError], words: str, code: ExitCode) -> None:
    """A run that fails in just this way."""
    with pytest.raises(error) as caught:
        bedrock.sync()
    assert words in f"{caught.value.message} {caught.value.hint}"
    assert caught.value.exit_code is code


# --- permissions lost between two runs ------------------------------------------------------------

LOST = {
    "to log in by key": ("authenticate with api key", "authenticate with api key"),
    "to use CiviCRM": ("access CiviCRM", "access CiviCRM"),
}


@pytest.mark.fact("civicrm: Permissions", "authenticate with api key", "access CiviCRM")
@pytest.mark.parametrize(("permission", "words"), LOST.values(), ids=LOST)
def test_a_permission_lost_between_two_runs_stops_the_run_at_its_start(
    bedrock: Bedrock, permission: str, words: str
):
    story = Town40(bedrock)
    before, window = story.look(), story.window()
    bedrock.town.civicrm.revoke(permission)
    fail(bedrock, RemoteRefused, words, ExitCode.REFUSED)
    assert story.look() == before
    assert story.window() == window
    bedrock.town.civicrm.grant(permission)
    bedrock.sync_until_quiet()
    story.assert_news_arrived()


@pytest.mark.fact("civicrm: Permissions", "edit all contacts", "add contacts")
@pytest.mark.parametrize("permission", ["edit all contacts", "add contacts"])
def test_a_permission_to_write_lost_between_two_runs_is_named_and_made_up_for(
    bedrock: Bedrock, permission: str
):
    story = Town40(bedrock)
    contacts = story.look()[2]
    bedrock.town.civicrm.grant("view all contacts")
    bedrock.town.civicrm.revoke(permission)
    fail(bedrock, RemoteRefused, permission, ExitCode.REFUSED)
    assert_the_others_stay(story)
    assert story.look()[2] in (contacts, contacts + 1)  # at most dino
    bedrock.town.civicrm.grant(permission)
    bedrock.sync_until_quiet()
    story.assert_news_arrived()
    assert story.look()[2] == contacts + 1


@pytest.mark.parametrize("deleted_contacts", ["hold", "unsubscribe", "recreate"])
def test_without_sight_of_trashed_contacts_nobody_living_is_touched(
    bedrock: Bedrock, deleted_contacts: str
):
    """(noperm-deleted-*) Without `access deleted contacts` all their rows vanish; that cannot be
    told from a purge, and says nothing about anybody who is not in the trash."""
    bedrock.options["deletedContacts"] = deleted_contacts
    story = Town40(bedrock)
    trashed = bedrock.add_contact("barney@example.org")
    bedrock.town.civicrm.trash(trashed)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    contacts = story.look()[2]
    bedrock.town.civicrm.revoke("access deleted contacts")
    bedrock.sync()
    bedrock.pass_time(hours=25)  # a full compare is due
    bedrock.sync_until_quiet()
    assert_the_others_stay(story)
    assert story.look()[2] == contacts
    bedrock.town.civicrm.grant("access deleted contacts")
    bedrock.sync_until_quiet()
    assert_the_others_stay(story)
    assert story.look()[2] == contacts


@pytest.mark.fact("civicrm: Permissions", "without access to deleted contacts their rows vanish")
def test_a_held_member_stays_subscribed_when_the_trash_goes_out_of_sight(bedrock: Bedrock):
    """(noperm-deleted-*) Nothing was said about a trashed contact who is to be held."""
    bedrock.options["deletedContacts"] = "hold"
    story = Town40(bedrock)
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.trash(story.contacts["pebbles2@example.org"])
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    bedrock.town.civicrm.revoke("access deleted contacts")
    bedrock.pass_time(hours=25)
    assert bedrock.sync() == 0
    assert bedrock.member_status("pebbles2@example.org") == "subscribed"
    bedrock.town.civicrm.grant("access deleted contacts")
    bedrock.town.civicrm.untrash(story.contacts["pebbles2@example.org"])
    bedrock.pass_time(hours=25)
    assert bedrock.sync() == 0
    assert bedrock.member_status("pebbles2@example.org") == "subscribed"


# --- a group deleted, and come back ---------------------------------------------------------------


def test_a_deleted_group_stops_the_audience_until_it_is_there_again(bedrock: Bedrock):
    story = Town40(bedrock)
    (statuses, _, contacts), window = story.look(), story.window()
    bedrock.town.civicrm.delete_group(GROUP)
    fail(bedrock, ConfigError, f"shows no group {GROUP}", ExitCode.CONFIG)
    assert (story.look()[0], story.look()[2]) == (statuses, contacts)
    assert story.window() == window
    bedrock.town.civicrm.add_group("Main audience subscribers", GROUP)  # from a backup
    for email, contact in story.contacts.items():
        status = "Removed" if email == "pebbles1@example.org" else "Added"
        bedrock.town.civicrm.sql_set_membership(contact, GROUP, status)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    story.assert_news_arrived()


# --- mid-paging -----------------------------------------------------------------------------------

READ_AS_A_WHOLE = {
    "group contacts": "GroupContact/get",
    "history": "SubscriptionHistory/get",
    "contacts": r"api4\?",
}


@pytest.mark.parametrize("path", READ_AS_A_WHOLE.values(), ids=READ_AS_A_WHOLE)
def test_a_page_of_html_in_the_midst_of_a_full_compare_is_not_the_end_of_the_list(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch, path: str
):
    """(error-unknown-entity and its like) 200 text/html, for the second page and ever after."""
    story = Town40(bedrock)
    before, window = story.look(), story.window()
    monkeypatch.setattr(reading, "PAGE_SIZE", 10)
    monkeypatch.setattr(reading, "IDS_PER_REQUEST", 10)
    bedrock.pass_time(hours=25)
    bedrock.town.civicrm_server.faults.append(Fault(path=path, answer=HTML, skip=1, times=None))
    fail(bedrock, RemoteUnavailable, "a page instead of data", ExitCode.UNAVAILABLE)
    assert story.look() == before
    assert story.window() == window
    bedrock.town.civicrm_server.faults.clear()
    bedrock.sync_until_quiet()
    story.assert_news_arrived()


def test_half_of_the_members_are_not_taken_for_all_of_them(bedrock: Bedrock):
    """`total_items` says 41, twenty come: the others have not vanished."""
    story = Town40(bedrock)
    before, window = story.look(), story.window()

    def halve(request: Request, response: Response) -> Response:
        body = json.loads(response.body)
        body["members"] = body["members"][: len(body["members"]) // 2]
        return Response(200, json.dumps(body).encode(), response.headers)

    bedrock.town.mailchimp_server.faults.append(Fault(path="/members", rewrite=halve, times=None))
    with pytest.raises(ProtocolError, match=r"received \d+ of 41 members") as caught:
        bedrock.sync(window=EVERYTHING)
    assert caught.value.exit_code is ExitCode.PROTOCOL
    assert story.look() == before
    assert story.window() == window
    bedrock.town.mailchimp_server.faults.clear()
    bedrock.sync_until_quiet()
    story.assert_news_arrived()
    assert_the_others_stay(story)


@pytest.mark.fact("mailchimp: Members", "rows move while we page")
def test_a_member_who_changes_between_two_pages_of_a_full_fetch_takes_nobody_along(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
):
    """A changed member moves to the end and the rows after slide up: nobody has vanished."""
    story = Town40(bedrock)
    monkeypatch.setattr(members, "PAGE_SIZE", 12)
    monkeypatch.setattr(members, "MIN_PAGE_SIZE", 4)
    monkeypatch.setattr(members, "OVERLAP", 3)
    changed: list[str] = []

    def somebody_changes(request: Request) -> None:
        offset = next((p for p in request.query.split("&") if p.startswith("offset=")), "offset=0")
        if "/members" in request.path and offset != "offset=0" and len(changed) < 6:
            changed.append(f"pebbles{2 + len(changed)}@example.org")
            bedrock.town.clock.advance(seconds=1)
            bedrock.town.mailchimp.edit_profile(LIST, changed[-1], first_name="Pearl")

    bedrock.town.mailchimp_server.before_request = somebody_changes
    bedrock.sync(window=EVERYTHING)
    assert len(changed) >= 4
    assert_the_others_stay(story)
    bedrock.sync_until_quiet()
    story.assert_news_arrived()
    assert_the_others_stay(story)


# --- Mailchimp says no ----------------------------------------------------------------------------


@pytest.mark.fact("mailchimp: Errors", "403 as HTML")
@pytest.mark.parametrize(
    ("answer", "error", "code"),
    [
        pytest.param(
            Response(403, b'{"title": "Forbidden", "status": 403}', JSON),
            RemoteRefused,
            ExitCode.REFUSED,
            id="403 as JSON",
        ),
        pytest.param(
            Response(403, b"<html>", {"Content-Type": "text/html"}),
            RemoteUnavailable,
            ExitCode.UNAVAILABLE,
            id="403 of the CDN",
        ),
        pytest.param(
            Response(429, b'{"title": "Too Many Requests", "status": 429}', JSON),
            RemoteUnavailable,
            ExitCode.UNAVAILABLE,
            id="429",
        ),
    ],
)
def test_a_batch_refused_for_good_touches_nobody_without_news(
    bedrock: Bedrock, answer: Response, error: type[McsyncError], code: ExitCode
):
    story = Town40(bedrock)
    statuses, _, contacts = story.look()
    fault = Fault(method="POST", path="/batches", answer=answer, times=None)
    bedrock.town.mailchimp_server.faults.append(fault)
    fail(bedrock, error, "", code)
    assert story.look()[0] == statuses
    assert story.look()[2] in (contacts, contacts + 1)  # dino at most, whose news came
    assert_the_others_stay(story)
    bedrock.town.mailchimp_server.faults.clear()
    bedrock.pass_time(minutes=10)
    bedrock.sync_until_quiet()
    story.assert_news_arrived()
    assert bedrock.confirmation_mails == []


def test_the_window_has_not_moved_when_the_batch_was_refused(bedrock: Bedrock):
    """Issue 3, "Done when": in none of the scenarios has the window moved (design, section 6: a
    failed run does not move the window)."""
    story = Town40(bedrock)
    window = story.window()
    answer = Response(403, b'{"title": "Forbidden", "status": 403}', JSON)
    fault = Fault(method="POST", path="/batches", answer=answer, times=None)
    bedrock.town.mailchimp_server.faults.append(fault)
    with pytest.raises(RemoteRefused):
        bedrock.sync()
    assert story.window() == window


def test_what_a_refused_batch_held_is_not_lost_although_its_news_are_never_told_again(
    bedrock: Bedrock,
):
    """Where a run fails after its fetch, what was fetched is kept: a window, moved or not, must
    never be what a decision depends on."""
    story = Town40(bedrock)
    answer = Response(403, b'{"title": "Forbidden", "status": 403}', JSON)
    fault = Fault(method="POST", path="/batches", answer=answer, times=None)
    bedrock.town.mailchimp_server.faults.append(fault)
    with pytest.raises(RemoteRefused):
        bedrock.sync()
    bedrock.town.mailchimp_server.faults.clear()
    bedrock.pass_time(hours=5)  # the overlap of the window is long over
    bedrock.sync_until_quiet()
    story.assert_news_arrived()


@pytest.mark.fact("mailchimp: Batches", "poll from 5 s, doubling, with a deadline")
def test_a_batch_is_asked_about_ever_more_seldom_and_not_for_ever(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
):
    """(Mailchimp, section 6, A/C) From 5 s, doubling to 60 s, with a deadline."""
    bedrock.add_contact("fred@example.org")
    bedrock.town.mailchimp.settings.batch_delay_polls = None  # it never runs
    pauses: list[float] = []
    monkeypatch.setattr(batches, "time", SimpleNamespace(monotonic=lambda: sum(pauses)))
    with closing(bedrock.open_store()) as store:
        run = bedrock.make_run(store)
        sync(run)
        assert wait_for_batches(run, 300, pauses.append) == 1
        assert pauses == [5, 10, 20, 40, 60, 60, 60]
        before = len(pauses)
        assert wait_for_batches(run, 4, pauses.append) == 1
    assert len(pauses) == before


# --- addresses, dates and drift -------------------------------------------------------------------


@pytest.mark.fact("civicrm: Reading", "addresses match loosely: case, accents, trailing spaces")
def test_whom_only_the_loose_search_finds_is_left_alone_and_nobody_is_created_twice(
    bedrock: Bedrock,
):
    """(email-get-accent-insensitive)"""
    stored = "ren\N{LATIN SMALL LETTER E WITH ACUTE}@example.org"
    other = bedrock.town.civicrm.add_contact("Rock", "Quarry", [stored])
    bedrock.add_member("rene@example.org")
    bedrock.sync_until_quiet()
    assert bedrock.group_status(other) is None
    [own] = [c for c in bedrock.town.civicrm.contacts() if c.id > other]
    assert [email.email for email in own.emails] == ["rene@example.org"]
    assert bedrock.group_status(own.id) == "Added"
    bedrock.pass_time(hours=25)
    assert bedrock.sync() == 0


@pytest.mark.fact("civicrm: Groups", "history may have gaps, the row is the truth")
def test_a_membership_changed_without_history_is_noticed_by_the_counts(bedrock: Bedrock):
    """(groupcontact-method-width-history) History may have gaps; the membership row is the
    truth."""
    story = Town40(bedrock)
    bedrock.sync_until_quiet()
    contact = story.contacts["pebbles2@example.org"]
    bedrock.town.civicrm.sql_set_membership(contact, GROUP, "Removed")
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("pebbles2@example.org") == "unsubscribed"


@pytest.mark.fact("civicrm: Groups", "history may have gaps, the row is the truth")
def test_two_changes_without_history_that_leave_the_counts_are_noticed_by_the_daily_compare(
    bedrock: Bedrock,
):
    story = Town40(bedrock)
    bedrock.sync_until_quiet()
    removed, added = story.contacts["pebbles2@example.org"], story.contacts["pebbles1@example.org"]
    bedrock.town.civicrm.sql_set_membership(removed, GROUP, "Removed")
    bedrock.town.civicrm.sql_set_membership(added, GROUP, "Added")
    bedrock.pass_time(hours=25)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("pebbles2@example.org") == "unsubscribed"
    assert bedrock.member_status("pebbles1@example.org") == "subscribed"


@pytest.mark.fact("civicrm: Groups", "merge can put people back")
def test_a_merge_that_puts_somebody_back_is_noticed(bedrock: Bedrock):
    """Second comparison: the loser is Added, the winner Removed; the winner becomes Added, without
    a history row of its own."""
    story = Town40(bedrock)
    bedrock.sync_until_quiet()
    winner = story.contacts["pebbles1@example.org"]  # was removed
    loser = story.contacts["pebbles2@example.org"]
    bedrock.town.civicrm.merge(winner, loser)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.group_status(winner) == "Added"
    assert bedrock.member_status("pebbles2@example.org") == "subscribed"


ODD = ["Pending", "Banana", ""]


@pytest.mark.fact("civicrm: Groups", "bad statuses are stored as they are")
@pytest.mark.parametrize("status", ODD)
def test_a_status_that_is_neither_added_nor_removed_signs_nobody_up(bedrock: Bedrock, status: str):
    """(groupcontact-create-bad-status) Bad statuses are stored as they are."""
    Town40(bedrock)
    bedrock.sync_until_quiet()
    contact = bedrock.add_contact("barney@example.org", group=False)
    bedrock.town.civicrm.sql_set_membership(contact, GROUP, status)
    bedrock.pass_time(minutes=1)
    assert bedrock.sync() == 0
    assert bedrock.member_status("barney@example.org") is None
    assert bedrock.group_status(contact) == status


@pytest.mark.fact("civicrm: Groups", "every write adds history, also when nothing changed")
def test_a_run_without_news_writes_no_history(bedrock: Bedrock):
    """(groupcontact-save-match-again, groupcontact-update-same-status) Each write adds a row of
    history, also one that changes nothing: so only real changes are sent."""
    Town40(bedrock)
    bedrock.sync_until_quiet()
    before = len(bedrock.town.civicrm.history())
    bedrock.pass_time(hours=25)
    assert bedrock.sync() == 0
    bedrock.sync(window=EVERYTHING)
    assert len(bedrock.town.civicrm.history()) == before


@pytest.mark.fact("civicrm: Time", "the text of a date changes at each switch")
@pytest.mark.parametrize("minutes", [(120, 60), (60, 120), (-180, -240)])
def test_the_text_of_every_date_changes_with_the_clocks_and_nobody_changes(
    bedrock: Bedrock, minutes: tuple[int, int]
):
    """(subscriptionhistory-date-summer-winter) The news of the day of the change arrive."""
    before, after = minutes
    bedrock.town.civicrm.set_utc_offset(before)
    story = Town40(bedrock)
    contacts = story.look()[2]
    bedrock.town.civicrm.set_utc_offset(after)
    bedrock.sync_until_quiet()
    story.assert_news_arrived()
    assert_the_others_stay(story)
    assert story.look()[2] == contacts + 1
    bedrock.pass_time(hours=25)
    assert bedrock.sync() == 0
