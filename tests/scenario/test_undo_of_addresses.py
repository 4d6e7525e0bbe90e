"""Undo of what a run did to a contact whose member had moved: the bulk mail goes back.

The run gave the contact the member's new address, as the one for bulk mail. The contact keeps it.
"""

from collections.abc import Callable
from contextlib import closing

import pytest

from mcsync.cache.looks import find_row
from mcsync.cache.trail import load_changes
from mcsync.errors import GuardTripped
from mcsync.pipeline.undo import Offer, find_target, foresee
from mcsync.reconcile.taking_back import Left
from tests.scenario.bedrock import LIST, VOLUNTEERS, Bedrock
from tests.scenario.cron import Cron
from tests.scenario.test_one_group_for_two_audiences import NEWSLETTER, READERS, add_newsletter
from tests.scenario.test_undo import last_run, stay_quiet, take_back

PRIMARY, NEWS, NEW = "wilma@example.org", "news@example.org", "wilma@example.com"
STOOD = pytest.mark.parametrize("was", [NEWS, None], ids=["another one", "none"])


def move(bedrock: Bedrock, was: str | None) -> int:
    """Wilma, whose bulk mail went to an address or to none, moves at Mailchimp, and is followed."""
    wilma = bedrock.add_both(PRIMARY)
    if was is not None:
        bedrock.town.civicrm.add_email(wilma, was, is_bulkmail=True)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.change_address(LIST, was or PRIMARY, NEW)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    bedrock.pass_time(minutes=1)
    assert find_bulk(bedrock, wilma) == NEW
    return wilma


def find_bulk(bedrock: Bedrock, wilma: int) -> str | None:
    """Where her bulk mail goes, if to any address of its own."""
    found = [email.email for email in bedrock.town.civicrm.emails(wilma) if email.is_bulkmail]
    assert len(found) < 2
    return found[0] if found else None


def id_of(bedrock: Bedrock, wilma: int, address: str) -> int:
    emails = bedrock.town.civicrm.emails(wilma)
    return next(email.id for email in emails if email.email == address)


def members(bedrock: Bedrock) -> set[str]:
    return set(bedrock.town.mailchimp.members(LIST))


def reasons(offer: Offer) -> dict[str, str]:
    return {line.field: line.reason for line in offer.left}


@STOOD
def test_the_bulk_mail_goes_back_and_the_member_stays(bedrock: Bedrock, was: str | None):
    wilma = move(bedrock, was)
    offer = take_back(bedrock)
    assert [(line.side, line.field, line.before, line.after) for line in offer.back] == [
        ("civicrm", "bulk_email", NEW, was)
    ]
    assert reasons(offer) == {"email": Left.ADDED}
    assert find_bulk(bedrock, wilma) == was
    assert NEW in {email.email for email in bedrock.town.civicrm.emails(wilma)}
    with closing(bedrock.open_store()) as store:
        last = load_changes(store)[-1]
    assert (last.field, last.before, last.after, last.contact_id) == ("bulk_email", NEW, was, wilma)
    bedrock.town.civicrm.update_contact(wilma, last_name="Slate")  # she is judged
    stay_quiet(bedrock)
    assert (find_bulk(bedrock, wilma), members(bedrock)) == (was, {NEW})


@STOOD
def test_the_undo_is_undone(bedrock: Bedrock, was: str | None):
    wilma = move(bedrock, was)
    take_back(bedrock)
    take_back(bedrock, last_run(bedrock))
    assert (find_bulk(bedrock, wilma), members(bedrock)) == (NEW, {NEW})
    again = last_run(bedrock)
    stay_quiet(bedrock)
    take_back(bedrock, again)
    assert (find_bulk(bedrock, wilma), members(bedrock)) == (was, {NEW})
    stay_quiet(bedrock)


def test_a_dry_run_shows_it_and_writes_nothing(bedrock: Bedrock):
    wilma = move(bedrock, NEWS)
    with closing(bedrock.open_store()) as store:
        run = bedrock.make_run(store)
        (task,) = run.tasks
        target = find_target(store, [LIST], "", run.clock(), None, None)
        offer = foresee(store, task.policy, task.name, task.safety, target, run.clock())
    assert [(line.field, line.before, line.after) for line in offer.back] == [
        ("bulk_email", NEW, NEWS)
    ]
    assert reasons(offer) == {"email": Left.ADDED}
    assert find_bulk(bedrock, wilma) == NEW


def test_too_many_are_held(bedrock: Bedrock):
    people = [bedrock.add_both(f"p{n}@example.org") for n in range(10)]
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    for number in range(10):
        bedrock.town.mailchimp.change_address(LIST, f"p{number}@example.org", f"n{number}@x.org")
    bedrock.safety = {"maxAddressChanges": None}
    bedrock.sync()
    bedrock.safety = {"maxAddressChanges": "50%"}
    with pytest.raises(GuardTripped, match="change the addresses of 10 of 10"):
        take_back(bedrock, may_exceed=False)
    assert None not in {find_bulk(bedrock, contact) for contact in people}
    take_back(bedrock)
    assert {find_bulk(bedrock, contact) for contact in people} == {None}


# --- what was said since --------------------------------------------------------------------------


def choose_another(bedrock: Bedrock, wilma: int) -> None:
    bedrock.town.civicrm.add_email(wilma, "third@example.org", is_bulkmail=True)


def choose_none(bedrock: Bedrock, wilma: int) -> None:
    bedrock.town.civicrm.update_email(id_of(bedrock, wilma, NEW), is_bulkmail=False)


def lose_the_old_one(bedrock: Bedrock, wilma: int) -> None:
    bedrock.town.civicrm.remove_email(id_of(bedrock, wilma, NEWS))


def lose_the_new_one(bedrock: Bedrock, wilma: int) -> None:
    bedrock.town.civicrm.remove_email(id_of(bedrock, wilma, NEW))


def move_on(bedrock: Bedrock, wilma: int) -> None:
    """To an address that the contact has, so that nothing is written in CiviCRM."""
    assert wilma
    bedrock.town.mailchimp.change_address(LIST, NEW, PRIMARY)


def bounce(bedrock: Bedrock, wilma: int) -> None:
    bedrock.town.civicrm.update_email(id_of(bedrock, wilma, NEWS), on_hold=1)


def choose_it_themselves(bedrock: Bedrock, wilma: int) -> None:
    bedrock.town.civicrm.update_email(id_of(bedrock, wilma, NEWS), is_bulkmail=True)


@pytest.mark.parametrize(
    ("act", "why"),
    [
        (choose_another, Left.SPOKE),
        (choose_none, Left.SPOKE),
        (lose_the_old_one, Left.SPOKE),
        (lose_the_new_one, Left.SPOKE),
        (move_on, Left.SPOKE),
        (bounce, Left.BARRED),
        (choose_it_themselves, Left.BACK),
    ],
)
def test_a_newer_word_stands(bedrock: Bedrock, act: Callable[[Bedrock, int], None], why: Left):
    wilma = move(bedrock, NEWS)
    act(bedrock, wilma)
    bedrock.pass_time(minutes=1)
    stood = find_bulk(bedrock, wilma)
    offer = take_back(bedrock)
    assert (offer.back, reasons(offer)["bulk_email"]) == ([], why)
    assert find_bulk(bedrock, wilma) == stood


def choose_twice(bedrock: Bedrock, wilma: int) -> None:
    bedrock.town.civicrm.update_email(id_of(bedrock, wilma, NEW), is_bulkmail=True)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    choose_it_themselves(bedrock, wilma)


@pytest.mark.parametrize(
    ("act", "now"),
    [
        (choose_another, "third@example.org"),
        (choose_twice, NEWS),
        (lose_the_new_one, NEWS),
    ],
)
def test_who_was_put_back_is_heard_again(
    bedrock: Bedrock, act: Callable[[Bedrock, int], None], now: str
):
    wilma = move(bedrock, NEWS)
    take_back(bedrock)
    act(bedrock, wilma)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert members(bedrock) == {now}


def test_no_other_audience_moves_its_member_for_it(cron: Cron):
    """It is undone in one audience only."""
    bedrock = cron.bedrock
    add_newsletter(cron, VOLUNTEERS)
    wilma = bedrock.add_both(PRIMARY)
    bedrock.town.civicrm.add_email(wilma, NEWS, is_bulkmail=True)
    bedrock.town.civicrm.add_to_group(wilma, READERS)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.change_address(LIST, NEWS, NEW)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    run = last_run(bedrock)
    bedrock.sync_until_quiet()
    assert set(bedrock.town.mailchimp.members(NEWSLETTER)) == {NEW}
    with closing(bedrock.open_store()) as store:
        row_id = find_row(store, LIST, NEW)
    assert row_id is not None
    take_back(bedrock, run, row_id)
    assert find_bulk(bedrock, wilma) == NEWS
    bedrock.town.civicrm.update_contact(wilma, last_name="Slate")  # she is judged everywhere
    stay_quiet(bedrock)
    assert set(bedrock.town.mailchimp.members(NEWSLETTER)) == {NEW}
