"""Optional data never cost consent: what Mailchimp refuses because of them goes again without."""

import pytest

from mcsync.sandbox.mailchimp.problems import PROBLEMS, invalid_merge_fields
from mcsync.sandbox.mailchimp.wire import Problem
from tests.scenario.aftermath import assert_at_peace, fields_of, row_status
from tests.scenario.bedrock import LIST, VOLUNTEERS, Bedrock
from tests.scenario.telling import CommandLine

PAM, NICKNAME = "pam@example.org", "Pammy"
REFUSED = ("fail", "refused-by-mailchimp")
NAMED = invalid_merge_fields(("NICK", "Please choose one of the values"))
UNNAMED = Problem(400, "Invalid Resource", "Your merge fields were invalid.")


def add_pam(bedrock: Bedrock) -> int:
    """Pam, newly added to both groups, with a nickname."""
    pam = bedrock.add_contact(PAM, nick_name=NICKNAME)
    bedrock.town.civicrm.add_to_group(pam, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    return pam


NOT_VALIDATED = "The resource submitted could not be validated."
SCHEMA = "Data did not match any of the schemas described in anyOf."
WORDINGS = [
    pytest.param(
        Problem(
            400, "Invalid Resource", NOT_VALIDATED, errors=(("merge_fields.NICK.state", SCHEMA),)
        ),
        id="a part of a field",
    ),
    pytest.param(
        Problem(400, "Invalid Resource", NOT_VALIDATED, errors=(("merge_fields", SCHEMA),)),
        id="all fields",
    ),
    pytest.param(Problem(400, "Bad Request", "Something in there is wrong."), id="nothing known"),
]


@pytest.mark.parametrize("problem", WORDINGS)
def test_however_it_is_worded_a_refused_value_does_not_keep_her_out_c1(
    nicknames: Bedrock, mcsync: CommandLine, problem: Problem
):
    """In the very next run; and what was the matter is told."""
    add_pam(nicknames)
    nicknames.town.mailchimp.refuse(PAM, problem, times=None, body=NICKNAME)
    for _ in range(3):
        mcsync("sync", "--wait")
    assert nicknames.member_status(PAM) == "subscribed"
    assert nicknames.has_interest(PAM)
    told = [mcsync("sync", "--wait") for _ in range(4)]
    assert {each.code for each in told} == {0}
    nicknames.pass_time(days=3)
    for _ in range(6):
        mcsync("sync", "--wait")
        nicknames.pass_time(days=1)
    assert row_status(nicknames, PAM) == REFUSED
    assert_at_peace(nicknames)


@pytest.mark.parametrize("problem", [NAMED, UNNAMED], ids=["named", "unnamed"])
def test_a_refused_value_does_not_keep_her_out_c1(
    nicknames: Bedrock, mcsync: CommandLine, problem: Problem
):
    add_pam(nicknames)
    refusal = nicknames.town.mailchimp.refuse(PAM, problem, times=None, body=NICKNAME)
    told = [mcsync("sync", "--wait") for _ in range(6)]
    assert nicknames.member_status(PAM) == "subscribed"
    assert nicknames.has_interest(PAM)
    assert refusal.hits == 1
    assert NICKNAME not in str(fields_of(nicknames, PAM))
    assert {each.code for each in told} == {0}
    lines = [line for each in told for line in each.err.splitlines()]
    words = "does not accept 1 value for merge field NICK; everything else was sent"
    assert [words in line for line in lines].count(True) == 1
    assert len(lines) == (1 if problem is NAMED else 3)
    assert row_status(nicknames, PAM) == ("fail", "refused-by-mailchimp")
    assert_at_peace(nicknames)


def test_another_value_is_tried_c1(nicknames: Bedrock, mcsync: CommandLine):
    pam = add_pam(nicknames)
    nicknames.town.mailchimp.refuse(PAM, NAMED, times=None, body=NICKNAME)
    for _ in range(3):
        mcsync("sync", "--wait")
    nicknames.town.civicrm.update_contact(pam, nick_name="Pamelita")
    nicknames.pass_time(minutes=1)
    nicknames.sync_until_quiet()
    assert "Pamelita" in str(fields_of(nicknames, PAM))
    assert row_status(nicknames, PAM)[0] == "ok"
    assert_at_peace(nicknames)


@pytest.mark.parametrize("with_data", [None, False], ids=["with data", "without"])
def test_a_required_field_without_a_value_keeps_nobody_out_c1(
    nicknames: Bedrock, mcsync: CommandLine, with_data: bool | None
):
    """Somebody at Mailchimp makes a field required that CiviCRM knows nothing of."""
    nicknames.with_data = with_data
    quinn = nicknames.add_both("quinn@example.org")
    nicknames.sync_until_quiet()
    nicknames.town.mailchimp.add_merge_field(LIST, "SHOE", "Shoe size", required=True)
    add_pam(nicknames)
    nicknames.town.civicrm.add_to_group(quinn, VOLUNTEERS)
    nicknames.pass_time(minutes=1)
    told = [mcsync("sync", "--wait") for _ in range(4)]
    assert nicknames.member_status(PAM) == "subscribed"
    assert nicknames.has_interest(PAM)
    assert nicknames.has_interest("quinn@example.org")
    assert row_status(nicknames, PAM)[0] == "ok"
    assert {(each.code, each.err) for each in told} == {(0, "")}
    assert_at_peace(nicknames)


def test_who_left_comes_back_by_one_mail_where_a_field_is_required_c1(
    nicknames: Bedrock, mcsync: CommandLine
):
    """She left by herself, staff add her: asked to confirm once, whatever else is refused."""
    nicknames.town.mailchimp.import_member(LIST, PAM)
    nicknames.town.mailchimp.leave(LIST, PAM)
    nicknames.town.mailchimp.add_merge_field(LIST, "SHOE", "Shoe size", required=True)
    nicknames.pass_time(hours=1)
    add_pam(nicknames)
    for _ in range(6):
        mcsync("sync", "--wait")
    assert nicknames.member_status(PAM) == "pending"
    assert nicknames.confirmation_mails == [PAM]
    assert_at_peace(nicknames)


def test_a_refused_name_in_a_field_of_the_audience_s_own_keeps_nobody_out_c1(
    nicknames: Bedrock, mcsync: CommandLine
):
    nicknames.town.mailchimp.add_merge_field(LIST, "VORNAME", "Vorname")
    nicknames.options["nameFields"] = {"first": "VORNAME"}
    add_pam(nicknames)
    problem = invalid_merge_fields(("VORNAME", "Please choose one of the values"))
    refusal = nicknames.town.mailchimp.refuse(PAM, problem, times=None, body="VORNAME")
    for _ in range(4):
        mcsync("sync", "--wait")
    assert nicknames.member_status(PAM) == "subscribed"
    assert nicknames.has_interest(PAM)
    assert refusal.hits == 1
    assert "Flintstone" in str(fields_of(nicknames, PAM))
    assert NICKNAME in str(fields_of(nicknames, PAM))


@pytest.fixture
def seldom(nicknames: Bedrock, mcsync: CommandLine) -> Bedrock:
    """Data every six hours; Pam is in, and Mailchimp has refused her nickname for good."""
    nicknames.settings["data"] = {**nicknames.settings["data"], "everyHours": 6}  # type: ignore[dict-item]
    pam = nicknames.add_both(PAM)
    nicknames.sync_until_quiet()
    nicknames.pass_time(hours=7)
    nicknames.town.mailchimp.refuse(PAM, NAMED, times=None, body=NICKNAME)
    nicknames.town.civicrm.update_contact(pam, nick_name=NICKNAME)
    nicknames.pass_time(minutes=1)
    mcsync("sync", "--wait")
    return nicknames


def pam_of(bedrock: Bedrock) -> int:
    [pam] = bedrock.town.civicrm.contacts_by_email(PAM)
    return pam.id


def run_for_a_day(bedrock: Bedrock, mcsync: CommandLine) -> set[tuple[str, str]]:
    """How Pam's row stands after each run of a day."""
    found = set()
    for _ in range(9):
        told = mcsync("sync", "--wait")
        assert (told.code, told.err) == (0, "")
        found.add(row_status(bedrock, PAM))
        bedrock.pass_time(hours=3)
    return found


def test_a_refused_value_is_told_by_status_between_two_data_steps_as_well_b8(
    seldom: Bedrock, mcsync: CommandLine
):
    assert run_for_a_day(seldom, mcsync) == {REFUSED}
    assert "refused-by-mailchimp" in mcsync("status", "--json").out
    assert_at_peace(seldom)


@pytest.mark.parametrize("what", ["interest", "name", "profile", "sync-contact"])
def test_what_else_happens_between_two_data_steps_does_not_hide_it_b8(
    seldom: Bedrock, mcsync: CommandLine, what: str
):
    """The brothers: she is judged for another reason, and what that needs is done."""
    if what == "interest":
        seldom.town.civicrm.add_to_group(pam_of(seldom), VOLUNTEERS)
    elif what == "name":
        seldom.town.civicrm.update_contact(pam_of(seldom), first_name="Pamela")
    elif what == "profile":
        seldom.town.mailchimp.edit_profile(LIST, PAM, first_name="Pamela")
    seldom.pass_time(minutes=1)
    if what == "sync-contact":
        assert mcsync("sync-contact", "--email", PAM).code == 0
    else:
        mcsync("sync", "--wait")
        mcsync("sync", "--wait")
    assert row_status(seldom, PAM) == REFUSED
    assert {how for how in run_for_a_day(seldom, mcsync) if how[1] != "data-changed"} == {REFUSED}
    assert row_status(seldom, PAM) == REFUSED
    assert seldom.has_interest(PAM) is (what == "interest")
    assert_at_peace(seldom)


@pytest.mark.parametrize("value", ["", "Pamelita"])
def test_when_it_is_not_wished_any_more_nothing_is_refused_any_more_b8(
    seldom: Bedrock, mcsync: CommandLine, value: str
):
    seldom.town.civicrm.update_contact(pam_of(seldom), nick_name=value)
    seldom.pass_time(minutes=1)
    run_for_a_day(seldom, mcsync)
    assert row_status(seldom, PAM)[0] == "ok"
    assert run_for_a_day(seldom, mcsync) == {row_status(seldom, PAM)}
    assert_at_peace(seldom)


@pytest.mark.parametrize("hours", [None, 6])
def test_a_refused_tag_that_is_taken_off_again_is_refused_no_more_b8(
    seldom: Bedrock, mcsync: CommandLine, hours: int | None
):
    """The brother: nothing tells of a tag that was taken off but that it is not there."""
    seldom.settings["data"] = {**seldom.settings["data"], "everyHours": hours}  # type: ignore[dict-item]
    seldom.town.civicrm.update_contact(pam_of(seldom), nick_name="")
    bowling = seldom.town.civicrm.add_tag("Bowling")
    seldom.town.civicrm.tag(pam_of(seldom), bowling)
    problem = PROBLEMS["forgotten"](PAM)
    seldom.town.mailchimp.refuse(PAM, problem, times=None, body="Bowling")
    seldom.pass_time(hours=7)
    mcsync("sync", "--wait")
    mcsync("sync", "--wait")
    assert row_status(seldom, PAM)[0] == "fail"
    seldom.town.civicrm.untag(pam_of(seldom), bowling)
    seldom.pass_time(hours=7)
    run_for_a_day(seldom, mcsync)
    assert row_status(seldom, PAM)[0] == "ok"
    assert_at_peace(seldom)


def test_a_run_without_data_hides_it_until_the_next_one_with_b8(
    seldom: Bedrock, mcsync: CommandLine
):
    """The brother: a human says --no-data once."""
    mcsync("resync", PAM)
    seldom.pass_time(hours=7)
    mcsync("sync", "--wait")
    mcsync("sync", "--wait")
    seldom.town.civicrm.add_to_group(pam_of(seldom), VOLUNTEERS)
    seldom.pass_time(minutes=1)
    for _ in range(2):
        mcsync("sync", "--wait", "--no-data")
    assert seldom.has_interest(PAM)
    seldom.pass_time(hours=7)
    run_for_a_day(seldom, mcsync)
    assert row_status(seldom, PAM) == REFUSED


@pytest.fixture
def left(nicknames: Bedrock) -> Bedrock:
    """Pam left by herself; staff add her again."""
    nicknames.town.mailchimp.import_member(LIST, PAM)
    nicknames.town.mailchimp.leave(LIST, PAM)
    nicknames.pass_time(hours=1)
    add_pam(nicknames)
    return nicknames


def count_refused(bedrock: Bedrock, status: str) -> int:
    """How many operations with this status Mailchimp has refused for Pam."""
    bodies = [(o.status, o.body) for o in bedrock.town.mailchimp.operations]
    return sum(
        code == 400 and isinstance(body, dict) and body.get("status") == status
        for code, body in bodies
    )


def test_a_field_required_of_everybody_does_not_keep_her_from_being_asked_c1(
    left: Bedrock, mcsync: CommandLine
):
    """Both are in the way, her having left and the field: each is dealt with, in turn."""
    left.town.mailchimp.add_merge_field(LIST, "SHOE", "Shoe size", required=True)
    left.town.mailchimp.settings.demands_fields_always = True
    told = [mcsync("sync", "--wait") for _ in range(6)]
    assert left.member_status(PAM) == "pending"
    assert left.confirmation_mails == [PAM]
    assert count_refused(left, "pending") == 1
    assert {(each.code, each.err) for each in told} == {(0, "")}
    assert_at_peace(left)
    left.town.mailchimp.confirm(LIST, PAM)
    left.pass_time(minutes=1)
    left.sync_until_quiet()
    assert left.has_interest(PAM)
    assert left.confirmation_mails == [PAM]
    assert row_status(left, PAM)[0] == "ok"


@pytest.mark.parametrize("problem", [NAMED, UNNAMED], ids=["named", "unnamed"])
def test_a_refused_value_does_not_keep_her_from_being_asked_c1(
    left: Bedrock, mcsync: CommandLine, problem: Problem
):
    left.town.mailchimp.refuse(PAM, problem, times=None, body=NICKNAME)
    told = [mcsync("sync", "--wait") for _ in range(6)]
    assert left.member_status(PAM) == "pending"
    assert left.confirmation_mails == [PAM]
    assert {each.code for each in told} == {0}
    assert_at_peace(left)


def test_a_refusal_that_passes_does_not_keep_her_from_being_asked_b8(
    left: Bedrock, mcsync: CommandLine
):
    """The brother: the confirmation was surely not sent, so it is tried again after the pause."""
    problem = PROBLEMS["too-many-lists"](PAM)
    refusal = left.town.mailchimp.refuse(PAM, problem, times=1, body="pending")
    for _ in range(12):
        mcsync("sync", "--wait")
    assert refusal.hits == 1
    assert left.member_status(PAM) == "pending"
    assert left.confirmation_mails == [PAM]
    assert_at_peace(left)


def test_who_can_never_be_asked_is_given_up_b8(left: Bedrock, mcsync: CommandLine):
    """The brother: a required field is missing, whatever we say."""
    problem = invalid_merge_fields(("SHOE", "Please enter a value"))
    refusal = left.town.mailchimp.refuse(PAM, problem, times=None, body="pending")
    told = [mcsync("sync", "--wait") for _ in range(8)]
    assert refusal.hits == 2
    assert left.confirmation_mails == []
    assert len([line for each in told for line in each.err.splitlines()]) == 1
    assert row_status(left, PAM)[0] == "fail"
    assert_at_peace(left)
    assert refusal.hits == 2


def test_who_is_asked_first_is_asked_although_a_field_is_required_c1(
    nicknames: Bedrock, mcsync: CommandLine
):
    """`confirmNew`: nobody is asked twice, and nobody is forgotten."""
    nicknames.options["confirmNew"] = True
    nicknames.town.mailchimp.add_merge_field(LIST, "SHOE", "Shoe size", required=True)
    nicknames.town.mailchimp.refuse(PAM, NAMED, times=None, body=NICKNAME)
    add_pam(nicknames)
    for _ in range(6):
        mcsync("sync", "--wait")
    assert nicknames.member_status(PAM) == "pending"
    assert nicknames.has_interest(PAM)
    assert nicknames.confirmation_mails == [PAM]
    assert_at_peace(nicknames)
