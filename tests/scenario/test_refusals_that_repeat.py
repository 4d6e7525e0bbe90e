"""Changes that Mailchimp refuses again and again: pauses, then an end, told once."""

from collections.abc import Callable, Iterator

import pytest

from mcsync.sandbox.mailchimp.problems import PROBLEMS
from mcsync.sandbox.mailchimp.troubles import Refusal
from tests.scenario.aftermath import assert_at_peace, row_status
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS, Bedrock
from tests.scenario.telling import CommandLine, Told

PAM = "pam@example.org"
TRIES = 5  # at once, and after 5 minutes, 1 hour, 6 hours, a day
PASSING = ["too-many-lists", "internal-server-error", "forbidden", "too-many-requests"]


def refuse(bedrock: Bedrock, kind: str, times: int | None = None) -> Refusal:
    """Have whatever is written about Pam refused."""
    return bedrock.town.mailchimp.refuse(PAM, PROBLEMS[kind](PAM), times=times)


def run_for_two_days(bedrock: Bedrock, mcsync: CommandLine) -> Iterator[Told]:
    """Cron, ever more seldom: what is due in between is done a little late."""
    for minutes in (*[4] * 3, *[34] * 3, *[239] * 3, *[719] * 4):
        yield mcsync("sync", "--wait")
        bedrock.pass_time(minutes=minutes)


def find_error(bedrock: Bedrock) -> str:
    """What is kept of Mailchimp's answer to the newest update."""
    store = bedrock.open_store()
    try:
        row = store.query(
            "SELECT error_response FROM civicrm_mailchimpsync_update ORDER BY id DESC LIMIT 1"
        ).fetchone()
    finally:
        store.close()
    return str(row[0])


def words_of(refusal: Refusal) -> str:
    """What Mailchimp says, but for the address."""
    return refusal.problem.detail.replace(f"{PAM} ", "").rstrip(".")


def assert_given_up(bedrock: Bedrock, mcsync: CommandLine, refusal: Refusal) -> None:
    """Five tries in two days, one warning with Mailchimp's words, nothing but 0 as exit code."""
    told = list(run_for_two_days(bedrock, mcsync))
    assert {each.code for each in told} == {0}
    assert refusal.hits == TRIES
    [words] = [line for each in told for line in each.err.splitlines()]
    assert words_of(refusal) in words
    assert PAM not in words
    assert words_of(refusal) in find_error(bedrock)
    assert row_status(bedrock, PAM) == ("fail", "refused-by-mailchimp")
    assert_at_peace(bedrock)
    assert refusal.hits == TRIES


@pytest.mark.parametrize("kind", PASSING)
def test_a_subscribe_that_is_always_refused_is_given_up_b8(
    bedrock: Bedrock, mcsync: CommandLine, kind: str
):
    bedrock.add_both("fred@example.org")
    bedrock.sync()
    refusal = refuse(bedrock, kind)
    pam = bedrock.add_contact(PAM)
    bedrock.pass_time(minutes=1)
    assert_given_up(bedrock, mcsync, refusal)
    assert bedrock.member_status(PAM) is None
    assert bedrock.group_status(pam) == "Added"


def test_an_unsubscribe_that_is_always_refused_is_given_up_b8(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: staff removed her."""
    pam = bedrock.add_both(PAM)
    bedrock.sync()
    refusal = refuse(bedrock, "internal-server-error")
    bedrock.town.civicrm.remove_from_group(pam, GROUP)
    bedrock.pass_time(minutes=1)
    assert_given_up(bedrock, mcsync, refusal)
    assert bedrock.member_status(PAM) == "subscribed"
    assert bedrock.group_status(pam) == "Removed"


def test_an_interest_that_is_always_refused_is_given_up_b8(bedrock: Bedrock, mcsync: CommandLine):
    """The brother: an interest of somebody who is in."""
    pam = bedrock.add_both(PAM)
    bedrock.sync()
    refusal = refuse(bedrock, "internal-server-error")
    bedrock.town.civicrm.add_to_group(pam, VOLUNTEERS)
    bedrock.pass_time(minutes=1)
    assert_given_up(bedrock, mcsync, refusal)
    assert not bedrock.has_interest(PAM)


def change_name(bedrock: Bedrock, contact: int) -> None:
    bedrock.town.civicrm.update_contact(contact, first_name="Pamela")


def give_tag(bedrock: Bedrock, contact: int) -> None:
    bedrock.town.civicrm.tag(contact, bedrock.town.civicrm.add_tag("Bowling"))


def change_field(bedrock: Bedrock, contact: int) -> None:
    bedrock.town.civicrm.update_contact(contact, nick_name="Pammy")


DATA = [
    pytest.param(change_name, id="name"),
    pytest.param(give_tag, id="tag"),
    pytest.param(change_field, id="field"),
]


@pytest.mark.parametrize("change", DATA)
@pytest.mark.parametrize("hours", [None, 6], ids=["every run", "every six hours"])
def test_data_that_are_always_refused_are_given_up_b8(
    nicknames: Bedrock,
    mcsync: CommandLine,
    change: Callable[[Bedrock, int], None],
    hours: int | None,
):
    """The brothers: nothing but data is refused; pauses may be longer where data are seldom."""
    nicknames.settings["data"] = {**nicknames.settings["data"], "everyHours": hours}  # type: ignore[dict-item]
    pam = nicknames.add_both(PAM)
    nicknames.sync_until_quiet()
    refusal = refuse(nicknames, "internal-server-error")
    change(nicknames, pam)
    nicknames.pass_time(hours=hours or 0, minutes=1)
    told = list(run_for_two_days(nicknames, mcsync))
    assert {each.code for each in told} == {0}
    assert 4 <= refusal.hits <= TRIES
    nicknames.pass_time(days=2)
    told += list(run_for_two_days(nicknames, mcsync))
    assert refusal.hits == TRIES
    assert len([line for each in told for line in each.err.splitlines()]) == 1
    assert nicknames.member_status(PAM) == "subscribed"
    assert nicknames.group_status(pam) == "Added"


@pytest.mark.parametrize("change", DATA)
@pytest.mark.parametrize("hours", [None, 6], ids=["every run", "every six hours"])
def test_data_that_pass_after_a_while_are_sent_b8(
    nicknames: Bedrock,
    mcsync: CommandLine,
    change: Callable[[Bedrock, int], None],
    hours: int | None,
):
    nicknames.settings["data"] = {**nicknames.settings["data"], "everyHours": hours}  # type: ignore[dict-item]
    pam = nicknames.add_both(PAM)
    nicknames.sync_until_quiet()
    refusal = refuse(nicknames, "internal-server-error", 2)
    change(nicknames, pam)
    nicknames.pass_time(hours=hours or 0, minutes=1)
    told = list(run_for_two_days(nicknames, mcsync))
    assert {(each.code, each.err) for each in told} == {(0, "")}
    assert refusal.hits == 2
    member = nicknames.town.mailchimp.member(LIST, PAM)
    assert member is not None
    shown = f"{member['merge_fields']} {member['tags']}"
    assert any(word in shown for word in ("Pamela", "Bowling", "Pammy")), shown
    assert row_status(nicknames, PAM)[0] == "ok"
    assert_at_peace(nicknames)


def test_other_data_do_not_wait_for_what_is_always_refused_b8(
    nicknames: Bedrock, mcsync: CommandLine
):
    """Mailchimp never takes Pam's nickname; what comes later is sent, and the rest stays told."""
    pam = nicknames.add_both(PAM)
    nicknames.sync_until_quiet()
    nickname = nicknames.town.mailchimp.refuse(
        PAM, PROBLEMS["bad-request"](PAM), times=None, body="Pammy"
    )
    change_field(nicknames, pam)
    list(run_for_two_days(nicknames, mcsync))
    assert nickname.hits == TRIES
    give_tag(nicknames, pam)
    change_name(nicknames, pam)
    list(run_for_two_days(nicknames, mcsync))
    member = nicknames.town.mailchimp.member(LIST, PAM)
    assert member is not None
    assert ("Pamela" in str(member["merge_fields"]), "Bowling" in str(member["tags"])) == (
        True,
        True,
    )
    assert nickname.hits == TRIES
    assert row_status(nicknames, PAM) == ("fail", "refused-by-mailchimp")


@pytest.mark.parametrize("times", [1, 3, 4])
def test_what_passes_after_a_while_is_done_b8(bedrock: Bedrock, mcsync: CommandLine, times: int):
    pam = bedrock.add_contact(PAM)
    refusal = refuse(bedrock, "too-many-lists", times)
    told = list(run_for_two_days(bedrock, mcsync))
    assert {each.code for each in told} == {0}
    assert {each.err for each in told} == {""}
    assert refusal.hits == times
    assert bedrock.member_status(PAM) == "subscribed"
    assert bedrock.group_status(pam) == "Added"
    assert row_status(bedrock, PAM)[0] == "ok"
    assert_at_peace(bedrock)


@pytest.mark.parametrize("kind", ["fake", "forgotten"])
def test_what_never_passes_is_tried_once_b8(bedrock: Bedrock, mcsync: CommandLine, kind: str):
    """The brother: no pauses, for nothing is to be hoped for."""
    bedrock.add_contact(PAM)
    refusal = refuse(bedrock, kind)
    told = list(run_for_two_days(bedrock, mcsync))
    assert {each.code for each in told} == {0}
    assert refusal.hits == 1
    assert len([line for each in told for line in each.err.splitlines()]) == 1
    assert row_status(bedrock, PAM)[0] == "fail"
    assert_at_peace(bedrock)


def test_others_are_not_kept_waiting_b8(bedrock: Bedrock, mcsync: CommandLine):
    """The brother: in the same batch, and while the pause lasts."""
    refuse(bedrock, "too-many-lists")
    bedrock.add_contact(PAM)
    bedrock.add_contact("fred@example.org")
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    assert bedrock.member_status("fred@example.org") == "subscribed"
    bedrock.add_contact("barney@example.org")
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    assert bedrock.member_status("barney@example.org") == "subscribed"


def test_who_is_removed_during_a_pause_is_tried_no_more_b8(bedrock: Bedrock, mcsync: CommandLine):
    """The brother: the wish is taken back."""
    refusal = refuse(bedrock, "too-many-lists")
    pam = bedrock.add_contact(PAM)
    bedrock.pass_time(minutes=1)
    mcsync("sync", "--wait")
    bedrock.town.civicrm.remove_from_group(pam, GROUP)
    bedrock.pass_time(minutes=1)
    list(run_for_two_days(bedrock, mcsync))
    assert refusal.hits == 1
    assert bedrock.member_status(PAM) is None
    assert bedrock.group_status(pam) == "Removed"
    assert_at_peace(bedrock)


@pytest.mark.parametrize("what", ["staff", "resync"])
def test_a_newer_act_tries_once_more_after_it_was_given_up_b8(
    bedrock: Bedrock, mcsync: CommandLine, what: str
):
    refusal = refuse(bedrock, "too-many-lists")
    pam = bedrock.add_contact(PAM)
    bedrock.pass_time(minutes=1)
    assert_given_up(bedrock, mcsync, refusal)
    refusal.stop()
    if what == "staff":
        bedrock.town.civicrm.add_to_group(pam, GROUP)
    else:
        assert mcsync("resync", PAM).code == 0
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    assert bedrock.member_status(PAM) == "subscribed"
    assert row_status(bedrock, PAM)[0] == "ok"
    assert_at_peace(bedrock)


def test_who_signs_up_herself_during_a_pause_is_in_b8(bedrock: Bedrock, mcsync: CommandLine):
    """The brother: nothing is left to be tried."""
    refusal = refuse(bedrock, "too-many-lists")
    bedrock.add_contact(PAM)
    bedrock.pass_time(minutes=1)
    mcsync("sync", "--wait")
    bedrock.town.mailchimp.sign_up(LIST, PAM)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    assert refusal.hits == 1
    assert row_status(bedrock, PAM)[0] == "ok"
    assert_at_peace(bedrock)


def test_who_is_always_refused_by_civicrm_is_given_up_b8(bedrock: Bedrock, mcsync: CommandLine):
    """The brother: five tries in two days, one warning with CiviCRM's words, no exit code."""
    pam = bedrock.add_both(PAM)
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.leave(LIST, PAM)
    bedrock.town.civicrm.bad_contacts.add(pam)
    bedrock.pass_time(minutes=1)
    told = list(run_for_two_days(bedrock, mcsync))
    assert {each.code for each in told} == {0}
    [line] = [line for each in told for line in each.err.splitlines()]
    assert "CiviCRM refused what row" in line
    assert row_status(bedrock, PAM) == ("fail", "refused-by-civicrm")
    assert PAM not in line
    bedrock.town.civicrm.bad_contacts.clear()
    assert mcsync("resync", PAM).code == 0
    bedrock.sync_until_quiet()
    assert row_status(bedrock, PAM)[0] == "ok"
    assert bedrock.group_status(pam) == "Removed"
    assert_at_peace(bedrock)


def test_what_civicrm_refuses_holds_back_nothing_at_mailchimp_b8(
    nicknames: Bedrock, mcsync: CommandLine
):
    """The brother: a name that CiviCRM does not take; an interest is given all the same."""
    pam = nicknames.add_both(PAM)
    nicknames.sync_until_quiet()
    nicknames.town.mailchimp.edit_profile(LIST, PAM, first_name="Pam \N{DROMEDARY CAMEL}")
    nicknames.town.civicrm.bad_contacts.add(pam)
    nicknames.town.civicrm.add_to_group(pam, VOLUNTEERS)
    nicknames.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    assert nicknames.has_interest(PAM)
    told = list(run_for_two_days(nicknames, mcsync))
    assert {each.code for each in told} == {0}
    [line] = [line for each in told for line in each.err.splitlines()]
    assert "CiviCRM refused what row" in line
    assert row_status(nicknames, PAM) == ("fail", "refused-by-civicrm")
    nicknames.town.civicrm.bad_contacts.clear()
    assert mcsync("resync", PAM).code == 0
    nicknames.sync_until_quiet()
    assert row_status(nicknames, PAM)[0] == "ok"
    assert nicknames.town.civicrm.contact(pam).first_name == "Pam \N{DROMEDARY CAMEL}"
    assert_at_peace(nicknames)


def test_who_may_not_be_mailed_is_not_whatever_civicrm_refuses_b8(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: she moves to another address, which CiviCRM does not take, and opts out."""
    pam, new = bedrock.add_both(PAM), "pamela@example.org"
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.change_address(LIST, PAM, new)
    bedrock.town.civicrm.update_contact(pam, is_opt_out=True)
    bedrock.town.civicrm.bad_contacts.add(pam)
    bedrock.pass_time(minutes=1)
    mcsync("sync", "--wait")
    assert bedrock.member_status(new) == "unsubscribed"
    bedrock.town.civicrm.bad_contacts.clear()
    list(run_for_two_days(bedrock, mcsync))
    assert bedrock.group_status(pam) == "Added"
    assert_at_peace(bedrock)


def test_after_it_was_given_up_a_newer_act_starts_anew_and_nothing_else_is_told_b8(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: CiviCRM's refusals have their pauses again, and one more warning."""
    pam = bedrock.add_both(PAM)
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.leave(LIST, PAM)
    bedrock.town.civicrm.bad_contacts.add(pam)
    bedrock.pass_time(minutes=1)
    list(run_for_two_days(bedrock, mcsync))
    for address in ("one@example.org", "two@example.org"):  # nothing that concerns what is refused
        bedrock.town.civicrm.add_email(pam, address)
        bedrock.pass_time(minutes=1)
        assert mcsync("sync", "--wait") == Told(0, "", "")
    bedrock.town.mailchimp.sign_up(LIST, PAM)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    bedrock.town.mailchimp.leave(LIST, PAM)
    bedrock.pass_time(minutes=1)
    told = list(run_for_two_days(bedrock, mcsync))
    assert len([line for each in told for line in each.err.splitlines()]) == 1
    assert told[0].err == told[-5].err == ""
    assert row_status(bedrock, PAM) == ("fail", "refused-by-civicrm")
    bedrock.town.civicrm.bad_contacts.clear()
    assert mcsync("resync", PAM).code == 0
    bedrock.sync_until_quiet()
    assert bedrock.group_status(pam) == "Removed"
    assert_at_peace(bedrock)


def test_a_contact_that_civicrm_does_not_create_is_given_up_b8(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: somebody new; the pauses are kept, and others are created."""
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.bad_names.add("Pam")
    bedrock.town.mailchimp.sign_up(LIST, PAM, "Pam")
    bedrock.town.mailchimp.sign_up(LIST, "fred@example.org", "Fred")
    bedrock.pass_time(minutes=1)
    told = [mcsync("sync", "--wait") for _ in range(4)]  # within the first pause
    assert {(each.code, each.err) for each in told} == {(0, "")}
    [fred] = bedrock.town.civicrm.contacts_by_email("fred@example.org")
    assert bedrock.group_status(fred.id) == "Added"
    told = list(run_for_two_days(bedrock, mcsync))
    assert len([line for each in told for line in each.err.splitlines()]) == 1
    assert told[0].err == told[3].err == ""
    assert row_status(bedrock, PAM) == ("fail", "refused-by-civicrm")
    assert bedrock.member_status(PAM) == "subscribed"
    assert_at_peace(bedrock)
    bedrock.town.civicrm.bad_names.clear()
    assert mcsync("resync", PAM).code == 0
    bedrock.sync_until_quiet()
    assert row_status(bedrock, PAM)[0] == "ok"
    assert_at_peace(bedrock)


def test_what_else_she_does_neither_shortens_a_pause_nor_ends_one_b8(
    bedrock: Bedrock, mcsync: CommandLine
):
    """The brother: she is judged in each run, and CiviCRM is not asked in each."""
    pam = bedrock.add_both(PAM)
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.leave(LIST, PAM)
    bedrock.town.civicrm.bad_contacts.add(pam)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    for number in range(8):
        bedrock.town.civicrm.add_email(pam, f"pam{number}@example.org")
        bedrock.pass_time(minutes=7)
        assert mcsync("sync", "--wait") == Told(0, "", "")
    bedrock.town.civicrm.bad_contacts.clear()
    for hours in (2, 7, 25):
        bedrock.pass_time(hours=hours)
        mcsync("sync", "--wait")
    assert bedrock.group_status(pam) == "Removed"
    assert_at_peace(bedrock)
