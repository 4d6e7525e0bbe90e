"""Undo: an accident that was carried out is taken back, and nobody is mailed for it.

What somebody has said since stands; whoever was put back is left alone until somebody says more.
"""

from contextlib import closing

import pytest

from mcsync.cache.trail import load_changes
from mcsync.cache.undos import begin_undo
from mcsync.cli.session import watch
from mcsync.decision import Reason
from mcsync.errors import GuardTripped, UsageError
from mcsync.model import Side
from mcsync.pipeline.fetch import Window, fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.resync import resync_rows
from mcsync.pipeline.sync_contact import sync_contact
from mcsync.pipeline.undo import Offer, undo
from mcsync.reconcile.taking_back import Left
from mcsync.sandbox.mailchimp.problems import PROBLEMS
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.cron import Cron, mail
from tests.scenario.postal import Post
from tests.scenario.test_one_group_for_two_audiences import READERS, add_newsletter, has_theirs

SUBSCRIBED, UNSUBSCRIBED = "subscribed", "unsubscribed"


def take_back(
    bedrock: Bedrock,
    run_id: str | None = None,
    *whom: int,
    may_exceed: bool = True,
    is_approved: bool = True,
    raises: bool = True,
) -> Offer:
    """One `mcsync undo`; a minute passes, as after a sync."""
    with closing(bedrock.open_store()) as store:
        run = bedrock.make_run(store)
        _, offers = undo(
            run,
            run_id,
            {LIST: whom} if whom else None,
            may_exceed=may_exceed,
            approve=lambda _target, _offers: is_approved,
            wait_s=0,
        )
        if raises:
            run.raise_troubles()
    bedrock.pass_time(minutes=1)
    return offers[0] if offers else Offer(LIST, "")


def last_run(bedrock: Bedrock) -> str:
    assert bedrock.last_run is not None
    return bedrock.last_run.run_id


def reasons(offer: Offer) -> dict[str, str]:
    """Why somebody's subscription at Mailchimp was left, by address."""
    return {line.email or "": line.reason for line in offer.left if line.side == "mailchimp"}


def stay_quiet(bedrock: Bedrock, runs: int = 4) -> None:
    """Nothing is written for two days at least, full compares among them."""
    for number in range(runs):
        bedrock.pass_time(hours=max(1, 52 // runs))
        assert bedrock.sync() == 0, f"run {number} wrote something"


def settle(bedrock: Bedrock, count: int) -> dict[str, int]:
    """So many people in agreement, by address."""
    people = {f"p{n}@example.org": 0 for n in range(count)}
    for email in people:
        people[email] = bedrock.add_both(email)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    return people


def slip(bedrock: Bedrock, people: dict[str, int]) -> str:
    """Staff remove everybody from the group by a slip, and it is carried out."""
    for contact in people.values():
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.sync()
    run = last_run(bedrock)
    bedrock.sync_until_quiet()
    assert {bedrock.member_status(email) for email in people} <= {UNSUBSCRIBED, "archived"}
    bedrock.pass_time(minutes=1)
    return run


@pytest.mark.parametrize("removal", ["unsubscribe", "archive"])
@pytest.mark.parametrize(
    "count",
    [
        pytest.param(8, id="directly"),
        pytest.param(60, id="by a batch"),
        pytest.param(2000, id="two thousand", marks=pytest.mark.matrix),
    ],
)
def test_the_accident_is_taken_back(
    request: pytest.FixtureRequest, bedrock: Bedrock, count: int, removal: str
):
    if count == 2000 and "matrix" not in request.config.getoption("markexpr"):
        pytest.skip("takes minutes; run by hand with -m matrix")
    bedrock.options["removal"] = removal
    people = settle(bedrock, count)
    slip(bedrock, people)
    left, removed, added, deleted, barred, *others = people
    civicrm, mailchimp = bedrock.town.civicrm, bedrock.town.mailchimp
    if removal == "unsubscribe":
        mailchimp.leave(LIST, left)
    else:
        civicrm.add_to_group(people[left], GROUP)
        civicrm.remove_from_group(people[left], GROUP)
    civicrm.add_to_group(people[removed], GROUP)
    civicrm.remove_from_group(people[removed], GROUP)
    civicrm.add_to_group(people[added], GROUP)
    civicrm.trash(people[deleted])
    civicrm.update_contact(people[barred], is_opt_out=True)
    bedrock.pass_time(minutes=1)
    offer = take_back(bedrock)
    assert reasons(offer) == {
        left: Left.SPOKE,
        removed: Left.SPOKE,
        added: Left.SPOKE,
        deleted: Left.GONE,
        barred: Left.BARRED,
    }
    assert len(offer.back) == len(others)
    bedrock.sync()
    bedrock.sync_until_quiet()
    assert {bedrock.member_status(email) for email in others} == {SUBSCRIBED}
    assert {bedrock.group_status(people[email]) for email in others} == {"Removed"}
    for email in (left, removed, deleted, barred):
        assert bedrock.member_status(email) in (UNSUBSCRIBED, "archived")
    assert bedrock.member_status(added) == SUBSCRIBED
    assert bedrock.confirmation_mails == []
    stay_quiet(bedrock, 3 if count == 60 else 50)
    assert {bedrock.member_status(email) for email in others} == {SUBSCRIBED}


def test_who_was_put_back_is_heard_again(bedrock: Bedrock):
    people = settle(bedrock, 5)
    slip(bedrock, people)
    take_back(bedrock)
    bedrock.sync_until_quiet()
    added, left, removed, barred, _still = people
    civicrm = bedrock.town.civicrm
    civicrm.add_to_group(people[added], GROUP)
    bedrock.town.mailchimp.leave(LIST, left)
    civicrm.add_to_group(people[removed], GROUP)
    civicrm.remove_from_group(people[removed], GROUP)
    civicrm.update_contact(people[barred], is_deceased=True)
    bedrock.sync_until_quiet()
    bedrock.sync()
    found = {email: bedrock.member_status(email) for email in people}
    assert [*found.values()] == [
        SUBSCRIBED,
        UNSUBSCRIBED,
        UNSUBSCRIBED,
        UNSUBSCRIBED,
        SUBSCRIBED,
    ]
    assert bedrock.group_status(people[added]) == "Added"
    stay_quiet(bedrock, 3)


def test_it_holds_whatever_is_looked_at(bedrock: Bedrock):
    """Everything fetched, every rule changed, one person asked for, a webhook: all the same."""
    people = settle(bedrock, 4)
    post = Post(bedrock)
    slip(bedrock, people)
    take_back(bedrock)
    before = dict.fromkeys(people, SUBSCRIBED)
    bedrock.sync_until_quiet()
    assert bedrock.sync(window=Window(None)) == 0
    bedrock.options["reconfirm"] = "never"  # rules that change have everybody judged anew
    assert bedrock.sync() == 0
    bedrock.options["duplicates"] = "skip"
    assert bedrock.sync() == 0
    bedrock.pass_time(days=8)
    assert bedrock.sync() == 0
    for email, contact in people.items():
        bedrock.town.civicrm.update_contact(contact, last_name="Slate")
        with closing(bedrock.open_store()) as store:
            sync_contact(bedrock.make_run(store), email=email)
    bedrock.town.mailchimp.edit_profile(LIST, "p0@example.org", "Some", "Name")
    post.bring()
    bedrock.sync_until_quiet()
    assert {email: bedrock.member_status(email) for email in people} == before
    assert {bedrock.group_status(contact) for contact in people.values()} == {"Removed"}
    with closing(bedrock.open_store()) as store:
        told = store.column("SELECT DISTINCT sync_reason FROM civicrm_mailchimpsync_cache")
    assert told == ["undone"]


def test_a_wrong_trust_is_taken_back(bedrock: Bedrock):
    people = settle(bedrock, 6)
    for number, contact in enumerate(people.values()):  # staff add them again, Mailchimp is wrong
        if number % 2:
            bedrock.town.mailchimp.staff_unsubscribe(LIST, f"p{number}@example.org")
            bedrock.pass_time(minutes=1)
            bedrock.town.civicrm.remove_from_group(contact, GROUP)
            bedrock.pass_time(minutes=1)
            bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    before = {contact: bedrock.group_status(contact) for contact in people.values()}
    assert set(before.values()) == {"Added"}
    bedrock.sync(trust={"subscription": Side.MAILCHIMP})
    run = last_run(bedrock)
    assert (
        sorted(bedrock.group_status(each) or "" for each in before)
        == ["Added"] * 3 + ["Removed"] * 3
    )
    bedrock.sync_until_quiet()
    offer = take_back(bedrock, run)
    assert len(offer.back) == 3
    assert offer.left == []
    assert {each: bedrock.group_status(each) for each in before} == before
    stay_quiet(bedrock, 50)
    assert {each: bedrock.group_status(each) for each in before} == before
    assert bedrock.confirmation_mails == []
    left = next(contact for email, contact in people.items() if email == "p1@example.org")
    bedrock.town.civicrm.remove_from_group(left, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.add_to_group(left, GROUP)
    bedrock.sync()
    assert bedrock.member_status("p1@example.org") == SUBSCRIBED


def names_at_mailchimp(bedrock: Bedrock, email: str) -> tuple[str, str]:
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    fields = member["merge_fields"]
    assert isinstance(fields, dict)
    return fields["FNAME"], fields["LNAME"]


@pytest.mark.parametrize("side", list(Side))
def test_a_wrong_names_sync_is_taken_back(data: Bedrock, side: Side):
    """Somebody imported the wrong names at one side, and they came to the other."""
    bedrock = data
    people = settle(bedrock, 4)
    civicrm, mailchimp = bedrock.town.civicrm, bedrock.town.mailchimp
    before = {email: names_at_mailchimp(bedrock, email) for email in people}
    for email, contact in people.items():
        if side is Side.CIVICRM:
            civicrm.update_contact(contact, first_name="Wrong", last_name="Name")
        else:
            mailchimp.edit_profile(LIST, email, "Wrong", "Name")
    bedrock.sync()
    run = last_run(bedrock)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    spoke, *others = people
    civicrm.update_contact(people[spoke], first_name="Right")
    bedrock.pass_time(minutes=1)
    take_back(bedrock, run)
    bedrock.sync_until_quiet()
    for email in others:
        seen = civicrm.contact(people[email])
        assert seen is not None
        kept = {Side.MAILCHIMP: names_at_mailchimp(bedrock, email)}
        kept[Side.CIVICRM] = (seen.first_name, seen.last_name)
        other = Side.MAILCHIMP if side is Side.CIVICRM else Side.CIVICRM
        assert kept[other] == before[email]
        assert kept[side] == ("Wrong", "Name")
    assert names_at_mailchimp(bedrock, spoke) == ("Right", "Name")
    stay_quiet(bedrock, 50)
    civicrm.update_contact(people[others[0]], first_name="Newer")
    bedrock.sync()
    assert names_at_mailchimp(bedrock, others[0])[0] == "Newer"


def test_interests_are_taken_back_while_they_are_in(bedrock: Bedrock):
    people = settle(bedrock, 3)
    for contact in people.values():
        bedrock.town.civicrm.add_to_group(contact, VOLUNTEERS)
    bedrock.sync()
    run = last_run(bedrock)
    out = next(iter(people))
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.leave(LIST, out)
    bedrock.sync_until_quiet()
    offer = take_back(bedrock, run)
    assert [line.reason for line in offer.left] == [Left.KEPT]
    bedrock.sync_until_quiet()
    assert [bedrock.has_interest(email) for email in people] == [True, False, False]
    stay_quiet(bedrock)
    again = list(people)[1]
    bedrock.town.mailchimp.edit_profile(LIST, again, interests={"cccccccccc": True})
    bedrock.sync()
    assert bedrock.has_interest(again)


def test_the_undo_is_undone(bedrock: Bedrock):
    people = settle(bedrock, 5)
    slip(bedrock, people)
    take_back(bedrock)
    undo_run = last_run(bedrock)
    bedrock.sync_until_quiet()
    with pytest.raises(UsageError, match="was itself an undo"):
        take_back(bedrock)  # once more, to be sure: the accident does not come back
    offer = take_back(bedrock, undo_run)
    again = last_run(bedrock)
    assert len(offer.back) == 5
    assert {bedrock.member_status(email) for email in people} == {UNSUBSCRIBED}
    with closing(bedrock.open_store()) as store:
        changes = load_changes(store)
    assert {change.reason for change in changes if change.run == undo_run} == {Reason.UNDONE}
    stay_quiet(bedrock, 50)
    take_back(bedrock, again)  # and that, too
    assert {bedrock.member_status(email) for email in people} == {SUBSCRIBED}
    stay_quiet(bedrock)


def test_an_address_that_was_changed_is_taken_back(bedrock: Bedrock):
    contact = bedrock.add_both("wilma@example.org")
    bedrock.sync_until_quiet()
    (email,) = bedrock.town.civicrm.emails(contact)
    bedrock.town.civicrm.update_email(email.id, email="wrong@example.com")
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wrong@example.com") == SUBSCRIBED
    take_back(bedrock)
    assert bedrock.member_status("wilma@example.org") == SUBSCRIBED
    bedrock.town.civicrm.update_contact(contact, last_name="Slate")  # she is judged
    stay_quiet(bedrock)
    bedrock.town.civicrm.update_email(email.id, email="new@example.com")
    bedrock.sync_until_quiet()
    assert bedrock.member_status("new@example.com") == SUBSCRIBED


def test_whom_the_run_subscribed_is_archived_and_their_contact_stays(bedrock: Bedrock):
    """A contact the run created is told, not deleted."""
    bedrock.add_both("wilma@example.org")
    bedrock.sync_until_quiet()
    betty = bedrock.add_contact("betty@example.org")
    bedrock.add_member("barney@example.org")
    bedrock.sync()
    run = last_run(bedrock)
    bedrock.sync_until_quiet()
    offer = take_back(bedrock, run)
    assert bedrock.member_status("betty@example.org") == "archived"
    assert bedrock.group_status(betty) == "Added"
    assert bedrock.member_status("barney@example.org") == SUBSCRIBED
    assert {line.reason for line in offer.left} == {Left.CREATED}
    stay_quiet(bedrock)


def test_what_is_only_queued_is_withdrawn(bedrock: Bedrock):
    people = settle(bedrock, 4)
    for contact in people.values():
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    with closing(bedrock.open_store()) as store:
        run = bedrock.make_run(store)
        fetch(run)
        reconcile(run)
    sent = len(bedrock.town.mailchimp.operations)
    offer = take_back(bedrock)
    assert len(offer.back) == 4
    stay_quiet(bedrock)
    assert len(bedrock.town.mailchimp.operations) == sent
    assert {bedrock.member_status(email) for email in people} == {SUBSCRIBED}


def test_what_has_no_result_yet_is_left_until_it_has(bedrock: Bedrock):
    people = settle(bedrock, 4)
    bedrock.town.mailchimp.settings.batch_delay_polls = 3
    for contact in people.values():
        bedrock.town.civicrm.remove_from_group(contact, GROUP)
    bedrock.sync(waits=False)
    run = last_run(bedrock)
    offer = take_back(bedrock)
    assert {line.reason for line in offer.left} == {Left.UNDER_WAY}
    bedrock.town.mailchimp.settings.batch_delay_polls = 0
    bedrock.sync_until_quiet()
    assert {bedrock.member_status(email) for email in people} == {UNSUBSCRIBED}
    take_back(bedrock)  # it goes on with the run that it has begun to undo
    assert last_run(bedrock) != run
    assert {bedrock.member_status(email) for email in people} == {SUBSCRIBED}
    stay_quiet(bedrock)


@pytest.mark.parametrize("count", [3, 20], ids=["directly", "by a batch"])
def test_nobody_is_asked_to_confirm(bedrock: Bedrock, count: int):
    """Mailchimp takes an unsubscribe by the API for final, as it is said to do of late."""
    people = settle(bedrock, count)
    slip(bedrock, people)
    stubborn = next(iter(people))
    bedrock.town.mailchimp.refuse(
        stubborn, PROBLEMS["compliance-state"](stubborn), times=99, list_id=LIST, body="subscribed"
    )
    bedrock.town.mailchimp.settings.batch_delay_polls = 0
    offer = take_back(bedrock)
    assert reasons(offer) == {stubborn: Left.CONFIRM}
    assert len(offer.back) == count - 1
    bedrock.sync_until_quiet()
    assert bedrock.confirmation_mails == []
    assert bedrock.member_status(stubborn) == UNSUBSCRIBED
    assert {bedrock.member_status(each) for each in people if each != stubborn} == {SUBSCRIBED}
    stay_quiet(bedrock)
    assert bedrock.confirmation_mails == []


def test_too_much_at_once_is_held_before_anything_is_written(bedrock: Bedrock):
    people = settle(bedrock, 30)
    run = slip(bedrock, people)
    bedrock.safety = {"maxAdditions": "50%"}
    written = len(bedrock.town.mailchimp.operations)
    with pytest.raises(GuardTripped, match="subscribe 30 people in addition to 0") as caught:
        take_back(bedrock, may_exceed=False)
    assert f"--run {run}" in str(caught.value.hint)
    assert len(bedrock.town.mailchimp.operations) == written
    assert bedrock.sync() == 0
    offer = take_back(bedrock)
    assert len(offer.back) == 30
    bedrock.sync()
    assert {bedrock.member_status(email) for email in people} == {SUBSCRIBED}


def test_under_new_rules_it_is_held_as_any_plan(bedrock: Bedrock):
    people = settle(bedrock, 30)
    slip(bedrock, people)
    bedrock.safety = {"maxAdditions": None}
    bedrock.options["removal"] = "archive"
    with pytest.raises(GuardTripped, match="subscribe 30 people in addition to 0"):
        take_back(bedrock, may_exceed=False)
    assert {bedrock.member_status(email) for email in people} == {UNSUBSCRIBED}


def test_what_was_not_approved_is_not_done(bedrock: Bedrock):
    people = settle(bedrock, 3)
    slip(bedrock, people)
    take_back(bedrock, is_approved=False)
    assert {bedrock.member_status(email) for email in people} == {UNSUBSCRIBED}
    assert bedrock.sync() == 0


def test_only_those_who_are_named(bedrock: Bedrock):
    people = settle(bedrock, 3)
    slip(bedrock, people)
    with closing(bedrock.open_store()) as store:
        (row,) = store.query(
            "SELECT id FROM civicrm_mailchimpsync_cache WHERE email_key = 'p1@example.org'"
        ).fetchone()
    take_back(bedrock, None, row)
    assert [bedrock.member_status(email) for email in people] == [
        UNSUBSCRIBED,
        SUBSCRIBED,
        UNSUBSCRIBED,
    ]


def test_an_undo_of_some_that_was_cut_off_is_gone_on_with_for_these(bedrock: Bedrock):
    people = settle(bedrock, 3)
    run = slip(bedrock, people)
    with closing(bedrock.open_store()) as store, store.atomic():
        begin_undo(store, "0badcafe", run, [1], bedrock.town.clock())
    take_back(bedrock)
    assert last_run(bedrock) == "0badcafe"
    with closing(bedrock.open_store()) as store:
        (email,) = store.query(
            "SELECT mailchimp_email FROM civicrm_mailchimpsync_cache WHERE id = 1"
        ).fetchone()
    assert {each for each in people if bedrock.member_status(each) == SUBSCRIBED} == {email}
    offer = take_back(bedrock, run)
    assert len(offer.back) == 2
    assert {bedrock.member_status(each) for each in people} == {SUBSCRIBED}


def test_resync_ends_it(bedrock: Bedrock):
    people = settle(bedrock, 2)
    slip(bedrock, people)
    take_back(bedrock)
    bedrock.sync_until_quiet()
    with closing(bedrock.open_store()) as store:
        (watched,) = watch(bedrock.load_config().audiences)
        resync_rows(store, watched.policy, watched.name, [1])
    bedrock.sync_until_quiet()
    assert sorted(bedrock.member_status(email) or "" for email in people) == [
        SUBSCRIBED,
        UNSUBSCRIBED,
    ]


def test_there_must_be_a_run(bedrock: Bedrock):
    with pytest.raises(UsageError, match="there is no run to undo"):
        take_back(bedrock)
    people = settle(bedrock, 2)
    slip(bedrock, people)
    with pytest.raises(UsageError, match="knows no run"):
        take_back(bedrock, "0badcafe")


def test_one_group_for_two_audiences(cron: Cron):
    """What is put back in a group is left alone in every audience that is about it."""
    bedrock = cron.bedrock
    add_newsletter(cron, VOLUNTEERS)
    contact = bedrock.add_contact(mail("pam"))
    bedrock.town.civicrm.add_to_group(contact, READERS)
    cron.start()
    cron.volunteer("pam")
    cron.settle()
    assert (cron.is_volunteer("pam"), has_theirs(cron, "pam")) == ((True, True), True)
    bedrock.pass_time(hours=1)
    bedrock.town.mailchimp.edit_profile(LIST, mail("pam"), interests={VOLUNTEERING: False})
    bedrock.pass_time(minutes=2)
    bedrock.sync()
    run = last_run(bedrock)
    bedrock.sync_until_quiet()
    assert (cron.is_volunteer("pam"), has_theirs(cron, "pam")) == ((False, False), False)
    take_back(bedrock, run)
    bedrock.town.civicrm.update_contact(contact, last_name="Slate")  # she is judged everywhere
    stay_quiet(bedrock)
    assert bedrock.group_status(contact, VOLUNTEERS) == "Added"
    # What the newsletter made of it was another run's doing.
    assert (bedrock.has_interest(mail("pam")), has_theirs(cron, "pam")) == (False, False)


def test_who_was_merged_since_is_gone(bedrock: Bedrock):
    """Whoever was merged since is told to be gone, and the survivor is left in peace."""
    people = settle(bedrock, 3)
    for email in people:
        bedrock.town.mailchimp.staff_unsubscribe(LIST, email)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    run = last_run(bedrock)
    bedrock.sync_until_quiet()
    survivor, loser, _other = people.values()
    bedrock.town.civicrm.merge(survivor, loser)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    offer = take_back(bedrock, run)
    assert [(line.contact_id, line.reason) for line in offer.left] == [(loser, Left.GONE)]
    stay_quiet(bedrock, 30)
    assert bedrock.group_status(survivor) == "Added"


def test_an_id_that_means_somebody_else_now_is_not_touched(bedrock: Bedrock):
    people = settle(bedrock, 20)
    for email in people:
        bedrock.town.mailchimp.staff_unsubscribe(LIST, email)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    run = last_run(bedrock)
    bedrock.sync_until_quiet()
    stranger, other, *_ = people.values()
    bedrock.town.civicrm.replace_person(stranger, "Gazoo", "Great", ["gazoo@example.org"])
    bedrock.town.civicrm.add_to_group(stranger, GROUP)
    bedrock.town.civicrm.remove_from_group(stranger, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    offer = take_back(bedrock, run)
    assert [(line.email, line.reason) for line in offer.left] == [("p0@example.org", Left.GONE)]
    assert bedrock.group_status(other) == "Added"
    assert bedrock.group_status(stranger) == "Removed"
