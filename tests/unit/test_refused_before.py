"""What Mailchimp refused is left out part by part; nothing else waits for it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from mcsync.decision import (
    Decision,
    Person,
    PlannedChange,
    Reason,
    Refused,
    RowVerdict,
    RowView,
    SyncStatus,
)
from mcsync.model import MemberChange, MemberStatus
from mcsync.reconcile.refused_before import find_prints, find_times, leave_out_refused

EARLY, LATE = (datetime(2026, 11, 22, hour, tzinfo=UTC) for hour in (8, 9))
PAM = "pam@example.org"
BARE = MemberChange(PAM, "hash")
MOVE = replace(BARE, new_email="pamela@example.org")
LEAVE = replace(BARE, status=MemberStatus.UNSUBSCRIBED)
ARCHIVE = replace(BARE, is_archiving=True)
HELP = replace(BARE, interests={"help": True})


def plan(change: MemberChange, at: datetime = EARLY, **tags: bool) -> PlannedChange:
    """A change whose status and interests a human caused at a time."""
    caused_at = {f"interest-{interest}": at for interest in change.interests}
    if change.status is not None or change.is_archiving:
        caused_at["status"] = at
    return PlannedChange(1, 7, change, Reason.INTEREST, caused_at, tags=tags)


def refuse(planned: PlannedChange, reason: Reason = Reason.REFUSED) -> Refused:
    """That a change was refused as a whole."""
    change = planned.change
    times = find_times(change, planned.caused_at)
    return Refused(PAM, reason, times, find_prints(change, planned.tags))


def leave_out(planned: PlannedChange, *refusals: Refused) -> tuple[PlannedChange | None, str]:
    """What is left of a change, and how the row is marked."""
    row = RowView(1, contact_id=7, email=PAM, refusals=refusals)
    verdicts = (RowVerdict(1, SyncStatus.LIVE, Reason.INTEREST),)
    left = leave_out_refused(Decision(verdicts, changes=(planned,)), Person((row,)))
    return left.find_change(1), left.verdicts[0].sync_status.value


BOTH = replace(HELP, new_email=MOVE.new_email)
PARTS = [
    pytest.param(plan(HELP), plan(BOTH), plan(MOVE), id="an interest, then the address changes"),
    pytest.param(plan(MOVE), plan(BOTH), plan(HELP), id="an address, then an interest"),
    pytest.param(plan(BOTH), plan(BOTH), None, id="both"),
    pytest.param(plan(BOTH), plan(HELP), None, id="both, and one of them is wished still"),
    pytest.param(plan(HELP), plan(HELP, LATE), plan(HELP, LATE), id="an older wish"),
    pytest.param(plan(HELP, LATE), plan(HELP), None, id="a newer wish"),
    pytest.param(
        plan(HELP),
        plan(replace(BARE, interests={"help": True, "money": True})),
        plan(replace(BARE, interests={"money": True})),
        id="an interest of two",
    ),
    pytest.param(
        plan(MOVE),
        plan(replace(BARE, new_email="pam@example.com")),
        plan(replace(BARE, new_email="pam@example.com")),
        id="another address",
    ),
    pytest.param(plan(LEAVE), plan(LEAVE), None, id="to leave"),
    pytest.param(plan(LEAVE), plan(LEAVE, LATE), plan(LEAVE, LATE), id="to leave, said anew"),
    pytest.param(plan(LEAVE), plan(MOVE), plan(MOVE), id="to leave, and she stays"),
    pytest.param(plan(HELP), plan(LEAVE), plan(LEAVE), id="an interest, and she leaves"),
    pytest.param(plan(ARCHIVE), plan(ARCHIVE), None, id="to archive"),
    pytest.param(
        plan(replace(BARE, merge_fields={"DOG": "Dino"})),
        plan(replace(BARE, merge_fields={"DOG": "Dino", "CAT": "Baby Puss"}), vip=True),
        plan(replace(BARE, merge_fields={"CAT": "Baby Puss"}), vip=True),
        id="a field of two, and a tag",
    ),
    pytest.param(
        plan(replace(BARE, merge_fields={"DOG": "Dino"})),
        plan(replace(BARE, merge_fields={"DOG": "Hoppy"})),
        plan(replace(BARE, merge_fields={"DOG": "Hoppy"})),
        id="another value",
    ),
    pytest.param(plan(BARE, vip=True), plan(BARE, vip=True), None, id="a tag"),
    pytest.param(plan(BARE, vip=True), plan(BARE, vip=False), plan(BARE, vip=False), id="tag off"),
    pytest.param(plan(BARE, a=True), plan(BARE, a=True, b=True), plan(BARE, b=True), id="two tags"),
]


@pytest.mark.parametrize(("refused", "planned", "rest"), PARTS)
def test_only_what_was_refused_is_left_out(refused, planned, rest):
    left = leave_out(planned, refuse(refused))
    assert left == (rest, "fail" if rest is None else "live")


def test_what_is_only_put_off_stays_in_the_queue():
    paused = replace(refuse(plan(HELP)), is_paused=True)
    assert leave_out(plan(HELP), paused) == (None, "todo")
    assert leave_out(plan(BOTH), paused) == (plan(MOVE), "live")


def test_each_refusal_counts_for_itself():
    refusals = refuse(plan(HELP)), refuse(plan(MOVE))
    assert leave_out(plan(BOTH), *refusals) == (None, "fail")


def test_what_was_refused_of_another_address_says_nothing():
    elsewhere = replace(refuse(plan(HELP)), email="pamela@example.org")
    assert leave_out(plan(HELP), elsewhere) == (plan(HELP), "live")


def test_what_came_with_being_subscribed_is_tried_once_she_is_in():
    subscribe = replace(HELP, status=MemberStatus.SUBSCRIBED)
    refused = refuse(plan(subscribe), Reason.COMPLIANCE)
    assert leave_out(plan(HELP), refused) == (plan(HELP), "live")


def test_being_subscribed_does_not_wait_for_an_interest():
    subscribe = replace(HELP, status=MemberStatus.SUBSCRIBED)
    rest, status = leave_out(plan(subscribe), refuse(plan(HELP)))
    assert rest is not None
    assert (rest.change, status) == (replace(BARE, status=MemberStatus.SUBSCRIBED), "live")
    assert rest.caused_at == {"status": EARLY}


def test_plugins_do_not_take_what_was_left_out_for_done():
    kept = {"dogs": {"name": "Dino"}}
    whole = replace(plan(replace(BARE, merge_fields={"DOG": "Dino"}), vip=True), metadata=kept)
    rest, _ = leave_out(whole, refuse(plan(BARE, vip=True)))
    assert rest is not None
    assert rest.metadata == {}
    rest, _ = leave_out(replace(whole, change=BOTH), refuse(plan(HELP)))
    assert rest is not None
    assert rest.metadata == kept


def test_where_a_field_is_missing_all_goes_without_validation_but_archiving_which_has_none():
    lacking = replace(refuse(plan(LEAVE)), lacks_field=True)
    unsubscribed, _ = leave_out(plan(LEAVE), lacking)
    archived, _ = leave_out(plan(ARCHIVE), lacking)
    assert unsubscribed == plan(replace(LEAVE, skips_validation=True))
    assert archived == plan(ARCHIVE)
