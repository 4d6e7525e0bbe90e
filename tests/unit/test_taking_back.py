"""Taking back, person by person: what is put back, and what is left, with the reason."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mcsync.decision import Decision, Person, Policy, Reason, SyncStatus, Undone
from mcsync.model import SUBSCRIPTION, GroupStatus, MemberStatus, Side
from mcsync.reconcile.enforce import decide
from mcsync.reconcile.left_alone import is_left_alone
from mcsync.reconcile.taking_back import LEFT, Done, Left, Taken, Undoing, take_back
from tests.unit.folk import (
    BOTH_WAYS,
    GROUP,
    IDS,
    PLAIN,
    PUSH_ONLY,
    TRUST_CIVICRM,
    UNSUBSCRIBE_DELETED,
    VOLUNTEERING,
    at,
    contact,
    full,
    member,
    person,
)

FRED = IDS["Fred"]
UNDOING = Undoing("0badcafe", at(12))
RUN, DONE_AT = 5, at(6)  # when the word was said that the run followed; when it was done
WITH_NAMES = replace(PLAIN, name_tags=frozenset(("FNAME", "LNAME")))
ONE_NAME = replace(PLAIN, name_tags=frozenset(("NAME",)))


def fred(*parts: object) -> Person:
    """The one person of whom all is about."""
    (found,) = person(*parts).each()  # type: ignore[arg-type]
    return found


def at_mailchimp(before: str | None, after: str | None, field: str = SUBSCRIPTION) -> Done:
    row = 1
    caused_at = None if field == "email" else at(RUN)
    return Done(Side.MAILCHIMP, field, before, after, DONE_AT, caused_at, row, FRED, full("fred@"))


def in_civicrm(before: str | None, after: str | None, field: str = SUBSCRIPTION) -> Done:
    return Done(Side.CIVICRM, field, before, after, DONE_AT, at(RUN), None, FRED, full("fred@"))


def take(who: Person, *dones: Done, policy: Policy = PLAIN, resumed: bool = False) -> Taken:
    row_ids = [row.row_id for row in who.rows]
    ours = [replace(done, row_id=done.row_id and row_ids[0]) for done in dones]
    return take_back(who, ours, policy, replace(UNDOING, is_resumed=resumed))


OUT = (contact("Fred", "fred@", removed=RUN), member("fred@", "unsubscribed", RUN))
UNSUBSCRIBED = at_mailchimp("subscribed", "unsubscribed")
ARCHIVED = at_mailchimp("subscribed", "archived")
SUBSCRIBED = at_mailchimp(None, "subscribed")
REMOVED, ADDED = in_civicrm("Added", "Removed"), in_civicrm(None, "Added")
IN = (contact("Fred", "fred@", added=RUN), member("fred@", "subscribed", RUN))

LEFT_ROWS = [
    ("they left since", UNSUBSCRIBED, Left.SPOKE, OUT[0], member("fred@", "left", 7)),
    (
        "staff removed them again",
        UNSUBSCRIBED,
        Left.SPOKE,
        contact("Fred", "fred@", removed=7),
        OUT[1],
    ),
    ("they are in again", UNSUBSCRIBED, Left.BACK, OUT[0], member("fred@", "subscribed", RUN)),
    ("a later run archived them", UNSUBSCRIBED, Left.SPOKE, OUT[0], member("fred@", "archived", 5)),
    (
        "they had left, and it is known",
        UNSUBSCRIBED,
        Left.CONFIRM,
        OUT[0],
        member("fred@", "left", RUN),
    ),
    (
        "opted out",
        UNSUBSCRIBED,
        Left.BARRED,
        contact("Fred", "fred@", removed=RUN, is_opt_out=True),
        OUT[1],
    ),
    (
        "deceased",
        UNSUBSCRIBED,
        Left.BARRED,
        contact("Fred", "fred@", removed=RUN, is_deceased=True),
        OUT[1],
    ),
    (
        "on hold, though another address is not",
        UNSUBSCRIBED,
        Left.BARRED,
        contact("Fred", "fred@ held", "fred2@", removed=RUN),
        OUT[1],
    ),
    (
        "the address is no longer theirs",
        UNSUBSCRIBED,
        Left.BARRED,
        contact("Fred", "fred2@", removed=RUN),
        member("fred@", "unsubscribed", RUN, of="Fred"),
    ),
    (
        "something is under way",
        UNSUBSCRIBED,
        Left.UNDER_WAY,
        OUT[0],
        member("fred@", "unsubscribed", RUN, under_way=True),
    ),
    ("vanished", UNSUBSCRIBED, Left.GONE, OUT[0], member("fred@", "vanished", RUN)),
    ("the contact is gone", UNSUBSCRIBED, Left.GONE, member("fred@", "unsubscribed", RUN)),
    ("pending before", at_mailchimp("pending", "unsubscribed"), Left.CONFIRM, *OUT),
    (
        "asked to confirm by the run",
        at_mailchimp(None, "pending"),
        Left.KEPT,
        IN[0],
        member("fred@", "pending", RUN),
    ),
    ("a shop's customer before", at_mailchimp("transactional", "subscribed"), Left.KEPT, *IN),
    ("tags", at_mailchimp("yes", "no", "tag Donor"), Left.KEPT, *IN),
    ("an interest no longer mapped", at_mailchimp("yes", "no", VOLUNTEERING), Left.KEPT, *IN),
    ("an address put on hold", in_civicrm("no", "yes", "on_hold"), Left.KEPT, *IN),
    ("a blank name", in_civicrm(None, "Fred", "first_name"), Left.KEPT, *IN),
    ("pending in the group before", in_civicrm("Pending", "Added"), Left.KEPT, *IN),
    (
        "not in the group at all, as somebody new",
        REMOVED,
        Left.SPOKE,
        contact("Fred", "fred@"),
        member("fred@", "unsubscribed", RUN),
    ),
]


@pytest.mark.parametrize(
    ("done", "why", "parts"),
    [pytest.param(row[1], row[2], row[3:], id=row[0]) for row in LEFT_ROWS],
)
def test_what_is_left_and_why(done: Done, why: Left, parts: tuple[object, ...]):
    taken = take(fred(*parts), done)
    assert [each for _, each in taken.left] == [why]
    assert taken.back == ()
    assert taken.decision.is_empty
    assert taken.decision.undone == {}
    assert why in LEFT


def test_an_unsubscribe_is_taken_back_and_says_nothing():
    taken = take(fred(*OUT), UNSUBSCRIBED)
    (planned,) = taken.decision.changes
    assert planned.change.status is MemberStatus.SUBSCRIBED
    assert planned.for_others == ("status",)
    assert planned.reason is Reason.UNDONE
    assert taken.decision.undone == {
        f"group/{GROUP}": Undone(at(RUN), UNDOING.run, UNDOING.at),
    }
    (verdict,) = taken.decision.verdicts
    assert (verdict.sync_status, verdict.due) == (SyncStatus.LIVE, -1)


@pytest.mark.parametrize(
    ("done", "status", "is_archiving"),
    [
        pytest.param(SUBSCRIBED, None, True, id="no member before"),
        pytest.param(at_mailchimp("archived", "subscribed"), None, True, id="archived before"),
        pytest.param(
            at_mailchimp("unsubscribed", "subscribed"),
            MemberStatus.UNSUBSCRIBED,
            False,
            id="unsubscribed before",
        ),
    ],
)
def test_whom_the_run_subscribed_is_out_again(
    done: Done, status: MemberStatus | None, is_archiving: bool
):
    interest = at_mailchimp(None, "yes", VOLUNTEERING)
    here = member("fred@", "subscribed", RUN, volunteer=RUN)
    taken = take(fred(IN[0], here), interest, done, policy=BOTH_WAYS)
    (planned,) = taken.decision.changes
    assert (planned.change.status, planned.change.is_archiving) == (status, is_archiving)
    assert planned.change.interests == {}
    assert taken.left == ()


def test_an_archived_one_is_subscribed_again():
    taken = take(fred(OUT[0], member("fred@", "archived", RUN)), ARCHIVED)
    (planned,) = taken.decision.changes
    assert planned.change.status is MemberStatus.SUBSCRIBED


@pytest.mark.parametrize(
    ("done", "parts", "status"),
    [
        pytest.param(REMOVED, OUT, GroupStatus.ADDED, id="removed"),
        pytest.param(ADDED, IN, GroupStatus.REMOVED, id="added"),
    ],
)
def test_a_place_is_put_back(done: Done, parts: tuple[object, ...], status: GroupStatus):
    (write,) = take(fred(*parts), done).decision.group_writes
    assert (write.contact_id, write.group_id, write.status) == (FRED, GROUP, status)
    assert write.reason is Reason.UNDONE


def test_a_place_of_somebody_who_got_the_id_later_is_not():
    here, there = OUT
    newer = here.contact._replace(created_at=DONE_AT + timedelta(hours=1))
    taken = take(fred(replace(here, contact=newer), there), REMOVED)
    assert [why for _, why in taken.left] == [Left.GONE]


def test_a_contact_that_the_run_created_stays_with_all_it_has():
    taken = take(fred(*IN), in_civicrm(None, "created", "contact"), ADDED)
    assert [why for _, why in taken.left] == [Left.CREATED] * 2
    assert taken.decision.is_empty


@pytest.mark.parametrize(
    ("policy", "fields"),
    [
        pytest.param(WITH_NAMES, {"FNAME": "Fred", "LNAME": ""}, id="two fields"),
        pytest.param(ONE_NAME, {"NAME": "Fred"}, id="one field"),
    ],
)
def test_names_are_put_back_in_the_fields_that_there_are(policy: Policy, fields: dict[str, str]):
    here = member("fred@", "subscribed", RUN, names=("Wrong", "Name"))
    dones = [
        at_mailchimp("Fred", "Wrong", "first_name"),
        at_mailchimp(None, "Name", "last_name"),
    ]
    (planned,) = take(fred(IN[0], here), *dones, policy=policy).decision.changes
    assert planned.change.merge_fields == fields


def test_of_an_undo_that_was_cut_off_what_is_back_is_marked():
    who = fred(OUT[0], member("fred@", "subscribed", RUN))
    assert take(who, UNSUBSCRIBED).decision.undone == {}
    assert take(who, UNSUBSCRIBED, resumed=True).decision.undone


def test_what_is_only_queued_is_withdrawn_and_marked():
    queued = replace(UNSUBSCRIBED, is_queued=True)
    taken = take(fred(OUT[0], member("fred@", "subscribed", 1)), queued)
    assert not taken.decision.changes
    assert not taken.decision.group_writes
    assert taken.decision.undone
    assert [becomes for _, becomes in taken.back] == ["subscribed"]


# --- left alone afterwards ------------------------------------------------------------------------


def undone(*parts: object, hour: int = RUN, value: str = "", group: int = GROUP) -> Person:
    """The person, with a mark that this hour's word is the newest that was known."""
    mark = {f"group/{group}": Undone(at(hour), "0badcafe", at(12), value)}
    who = fred(*parts)
    return replace(who, rows=tuple(replace(row, undone=mark) for row in who.rows))


DIFFERING = (contact("Fred", "fred@", removed=RUN), member("fred@", "subscribed", RUN, says="out"))


def verdict(decision: Decision) -> Reason:
    return decision.verdicts[0].reason


def test_who_was_put_back_is_left_alone():
    assert not decide(fred(*DIFFERING), PLAIN).is_empty
    decision = decide(undone(*DIFFERING), PLAIN)
    assert decision.is_empty
    assert verdict(decision) is Reason.UNDONE


@pytest.mark.parametrize(
    ("here", "policy"),
    [
        pytest.param(contact("Fred", "fred@", removed=7), PLAIN, id="staff said more"),
        pytest.param(DIFFERING[0], TRUST_CIVICRM, id="a side is trusted"),
        pytest.param(DIFFERING[0], replace(PLAIN, group_id=333), id="with another group"),
    ],
)
def test_until_somebody_says_more(here: object, policy: Policy):
    who = undone(here, DIFFERING[1])
    assert not is_left_alone(who, policy, SUBSCRIPTION)


def test_the_gate_holds_all_the_same():
    here = contact("Fred", "fred@", removed=RUN, closed=8, is_opt_out=True)
    decision = decide(undone(here, DIFFERING[1]), PLAIN)
    (planned,) = decision.changes
    assert (planned.change.status, planned.is_gate) == (MemberStatus.UNSUBSCRIBED, True)
    assert decision.group_writes == ()


def test_who_is_deleted_in_civicrm_since_is_left_alone_no_more():
    rows = member("fred@", "subscribed", RUN, lost=7)
    assert not decide(undone(rows), UNSUBSCRIBE_DELETED).is_empty
    assert decide(undone(rows, hour=8), UNSUBSCRIBE_DELETED).is_empty


def test_an_interest_that_civicrm_alone_decides_is_left_alone_until_its_place_changes():
    there = member("fred@", "subscribed", RUN, no_volunteer=0)
    added = contact("Fred", "fred@", added=RUN, is_volunteer=True)
    who = undone(added, there, value="in", group=222, hour=RUN)
    assert is_left_alone(who, PUSH_ONLY, VOLUNTEERING)
    gone = contact("Fred", "fred@", added=RUN, is_volunteer=False)
    who = undone(gone, there, value="in", group=222, hour=RUN)
    assert not is_left_alone(who, PUSH_ONLY, VOLUNTEERING)
