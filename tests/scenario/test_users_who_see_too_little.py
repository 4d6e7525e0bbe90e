"""An API user who does not see everybody: refused before anything, and nobody is made twice."""

import pytest

from mcsync.pipeline.fetch import Window
from mcsync.sandbox.server import Fault
from tests.scenario.aftermath import assert_at_peace, find_unsettled, look_at_both, settle
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS, Bedrock
from tests.scenario.telling import CommandLine

DINO = "dino@example.org"
PERMISSION = "view all contacts"
SAVE_CONTACT = r"Contact/save"
SAVE_PLACE = r"GroupContact/save"


@pytest.fixture
def crowd(bedrock: Bedrock) -> list[int]:
    """A dozen people in agreement; their contacts."""
    return settle(bedrock, 12)


def limit(bedrock: Bedrock) -> None:
    """From now on the user sees and edits who is in the group, and may still add contacts."""
    bedrock.town.civicrm.limit_to_group(GROUP)


def limit_before(bedrock: Bedrock, path: str) -> None:
    """The limit is set in the middle of a run, just before CiviCRM answers that call."""
    fault = Fault(path=path, act=lambda: limit(bedrock))
    bedrock.town.civicrm_server.faults.append(fault)


def count_contacts(bedrock: Bedrock) -> int:
    return len(bedrock.town.civicrm.contacts())


# --- who may add contacts, and not see them -------------------------------------------------------


@pytest.mark.parametrize("is_first", [True, False], ids=["first run", "later run"])
def test_a_limited_user_is_refused_before_anything_e1(
    bedrock: Bedrock, mcsync: CommandLine, is_first: bool
):
    if not is_first:
        bedrock.add_both("fred@example.org")
        bedrock.sync_until_quiet()
    for number in range(3):
        bedrock.town.mailchimp.sign_up(LIST, f"dino{number}@example.org")
    bedrock.add_contact("betty@example.org")
    bedrock.pass_time(minutes=1)
    limit(bedrock)
    before = look_at_both(bedrock)
    for hours in (0, 1, 25):
        bedrock.pass_time(hours=hours)
        told = mcsync("sync", "--wait", "-v")
        assert told.code == 77
        assert PERMISSION in told.err
        assert look_at_both(bedrock) == before
    bedrock.town.civicrm.lift_limits()
    assert mcsync("sync", "--wait").code == 0
    for number in range(3):
        [dino] = bedrock.town.civicrm.contacts_by_email(f"dino{number}@example.org")
        assert bedrock.group_status(dino.id) == "Added"
    assert bedrock.member_status("betty@example.org") == "subscribed"
    assert_at_peace(bedrock)


@pytest.mark.parametrize(
    "command",
    [
        ("fetch",),
        ("sync", "--dry-run"),
        ("sync", "--force"),
        ("sync", "--trust", "civicrm"),
        ("sync", "--since", "ever"),
        ("sync-contact", "--email", DINO),
    ],
    ids=" ".join,
)
def test_no_command_lets_a_limited_user_pass_e1(
    bedrock: Bedrock, mcsync: CommandLine, crowd: list[int], command: tuple[str, ...]
):
    """The brothers: every way in."""
    bedrock.town.mailchimp.sign_up(LIST, DINO)
    bedrock.pass_time(minutes=1)
    limit(bedrock)
    before = look_at_both(bedrock)
    told = mcsync(*command)
    assert told.code == 77
    assert PERMISSION in told.err
    assert look_at_both(bedrock) == before
    bedrock.town.civicrm.lift_limits()
    bedrock.sync_until_quiet()
    assert_at_peace(bedrock)


def test_who_is_made_and_not_seen_is_made_once_e1(
    bedrock: Bedrock, mcsync: CommandLine, crowd: list[int]
):
    """The limit comes between the look at the organisation and the new contacts."""
    for number in range(3):
        bedrock.town.mailchimp.sign_up(LIST, f"dino{number}@example.org")
    bedrock.pass_time(minutes=1)
    limit_before(bedrock, SAVE_CONTACT)
    before = count_contacts(bedrock)
    told = mcsync("sync", "--wait")
    assert told.code == 77
    assert "all contacts" in told.err
    assert count_contacts(bedrock) == before + 3
    for hours in (0, 1, 25):
        bedrock.pass_time(hours=hours)
        told = mcsync("sync", "--wait", "-v")
        assert told.code == 77
        assert PERMISSION in told.err
        assert count_contacts(bedrock) == before + 3
    bedrock.town.civicrm.lift_limits()
    assert mcsync("sync", "--wait").code == 0
    assert count_contacts(bedrock) == before + 3
    for number in range(3):
        [dino] = bedrock.town.civicrm.contacts_by_email(f"dino{number}@example.org")
        assert bedrock.group_status(dino.id) == "Added"
    assert_at_peace(bedrock)


def test_when_it_comes_before_the_group_is_written_nobody_is_made_twice_e1(
    bedrock: Bedrock, mcsync: CommandLine, crowd: list[int]
):
    """The brother: the contact was seen, her place in the group is refused."""
    bedrock.town.mailchimp.sign_up(LIST, DINO)
    bedrock.pass_time(minutes=1)
    limit_before(bedrock, SAVE_PLACE)
    before = count_contacts(bedrock)
    assert mcsync("sync", "--wait").code != 0
    assert mcsync("sync", "--wait").code == 77
    assert count_contacts(bedrock) == before + 1
    bedrock.town.civicrm.lift_limits()
    assert mcsync("sync", "--wait").code == 0
    [dino] = bedrock.town.civicrm.contacts_by_email(DINO)
    assert bedrock.group_status(dino.id) == "Added"
    assert_at_peace(bedrock)


def test_one_person_at_once_is_not_made_twice_e1(
    bedrock: Bedrock, mcsync: CommandLine, crowd: list[int]
):
    """The brother: sync-contact."""
    bedrock.town.mailchimp.sign_up(LIST, DINO)
    bedrock.pass_time(minutes=1)
    limit_before(bedrock, SAVE_CONTACT)
    assert mcsync("sync-contact", "--email", DINO).code == 77
    assert mcsync("sync-contact", "--email", DINO).code == 77
    bedrock.town.civicrm.lift_limits()
    assert mcsync("sync-contact", "--email", DINO).code == 0
    [dino] = bedrock.town.civicrm.contacts_by_email(DINO)
    assert bedrock.group_status(dino.id) == "Added"
    bedrock.sync_until_quiet()
    assert_at_peace(bedrock)


# --- who does not see whom staff remove -----------------------------------------------------------


def test_who_becomes_invisible_by_being_removed_is_not_taken_for_deleted_e2(
    bedrock: Bedrock, mcsync: CommandLine, crowd: list[int]
):
    limit(bedrock)
    bedrock.town.civicrm.remove_from_group(crowd[0], GROUP)
    bedrock.town.mailchimp.leave(LIST, "gazoo1@example.org")
    bedrock.pass_time(minutes=1)
    before = look_at_both(bedrock)
    for hours in (0, 1, 25):
        bedrock.pass_time(hours=hours)
        told = mcsync("sync", "--wait", "-v")
        assert told.code == 77
        assert PERMISSION in told.err
        assert look_at_both(bedrock) == before
    bedrock.town.civicrm.lift_limits()
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("gazoo0@example.org") == "unsubscribed"
    assert bedrock.group_status(crowd[0]) == "Removed"
    assert bedrock.group_status(crowd[1]) == "Removed"
    assert bedrock.confirmation_mails == []
    assert_at_peace(bedrock)


def test_a_user_limited_to_some_contacts_is_refused_e2(
    bedrock: Bedrock, mcsync: CommandLine, crowd: list[int]
):
    """The brother: all groups are shown, and half of the people in them."""
    bedrock.town.civicrm.limit_to_contacts(crowd[:6])
    before = look_at_both(bedrock)
    for hours in (0, 25):
        bedrock.pass_time(hours=hours)
        assert mcsync("sync", "--wait").code == 77
        assert look_at_both(bedrock) == before
    bedrock.town.civicrm.lift_limits()
    bedrock.sync_until_quiet()
    assert look_at_both(bedrock) == before
    assert_at_peace(bedrock)


def test_when_the_limit_comes_in_the_middle_of_a_compare_nobody_is_taken_for_deleted_e2(
    bedrock: Bedrock, crowd: list[int]
):
    """The brother: the organisation was seen, and then eleven of twelve are out of sight."""
    bedrock.safety = {"maxRemovals": "10%"}
    bedrock.pass_time(minutes=1)
    seen = [*crowd[:1], 1]
    fault = Fault(
        path=r"ajax/api4",
        body="modified_date",
        act=lambda: bedrock.town.civicrm.limit_to_contacts(seen),
    )
    bedrock.town.civicrm_server.faults.append(fault)
    before = look_at_both(bedrock)
    bedrock.sync(window=Window(None), raises=False)
    assert look_at_both(bedrock) == before
    assert bedrock.last_run is not None
    assert "no longer shows 11" in str(bedrock.last_run.reports[LIST].held)
    bedrock.town.civicrm_server.faults.clear()
    bedrock.sync(raises=False)
    assert look_at_both(bedrock) == before
    bedrock.town.civicrm.lift_limits()
    bedrock.sync_until_quiet()
    assert look_at_both(bedrock) == before
    assert find_unsettled(bedrock) == []
    assert_at_peace(bedrock)


def test_without_the_permission_at_all_the_run_is_refused_e2(
    bedrock: Bedrock, mcsync: CommandLine, crowd: list[int]
):
    """The brother: CiviCRM then answers with empty lists."""
    for permission in (PERMISSION, "edit all contacts"):
        bedrock.town.civicrm.revoke(permission)
    bedrock.town.civicrm.remove_from_group(crowd[0], VOLUNTEERS)
    before = look_at_both(bedrock)
    told = mcsync("sync", "--wait")
    assert told.code == 77
    assert PERMISSION in told.err
    assert look_at_both(bedrock) == before
