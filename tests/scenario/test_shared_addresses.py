"""Two contacts with one address: one member, one operation, and nobody takes another's name."""

import pytest

from mcsync.model import Side
from mcsync.sandbox.mailchimp import PROBLEMS
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS
from tests.scenario.cron import Cron, mail
from tests.scenario.postal import Post

HOME = "home@example.org"


def add_owner(cron: Cron, first: str, *emails: str, group: bool = True) -> int:
    """A contact with these addresses, Added now unless told otherwise."""
    civicrm = cron.bedrock.town.civicrm
    contact = civicrm.add_contact(first, "Flintstone", emails)
    if group:
        civicrm.add_to_group(contact, GROUP)
    return contact


@pytest.fixture
def couple(cron: Cron) -> tuple[int, int]:
    """Ann and Ben, two contacts, one address, both newly Added."""
    cron.add_some("pam", "quinn")
    pair = add_owner(cron, "Ann", HOME), add_owner(cron, "Ben", HOME)
    cron.bedrock.pass_time(minutes=2)
    return pair


def name_of(cron: Cron, contact: int) -> str | None:
    view = cron.bedrock.town.civicrm.contact(contact)
    assert view is not None
    return view.first_name


def count_operations(cron: Cron, email: str = HOME) -> int:
    """How many operations were about this address since it was first seen."""
    return sum(
        isinstance(o.body, dict) and o.body.get("email_address") == email
        for o in cron.bedrock.town.mailchimp.operations
    )


def judge_again(cron: Cron, *contacts: int) -> None:
    """Staff edit the contacts, so that they are judged anew: nothing is to be written."""
    for contact in contacts:
        name = f"Slate{cron.bedrock.town.clock().timestamp():.0f}"
        cron.bedrock.town.civicrm.update_contact(contact, last_name=name)
    cron.bedrock.pass_time(minutes=2)
    assert cron.run().writes == 0
    cron.stay_quiet()


def rows(cron: Cron) -> list[tuple[object, ...]]:
    """The rows of those who own the address."""
    return cron.ask(
        "SELECT sync_status, email_key, civicrm_contact_id FROM civicrm_mailchimpsync_cache"
        " WHERE civicrm_contact_id IN (SELECT contact_id FROM civicrm_mailchimpsync_email"
        " WHERE email_key = ?) ORDER BY civicrm_contact_id",
        HOME,
    )


@pytest.mark.parametrize("with_data", [True, False], ids=["with-data", "without-data"])
def test_a_couple_with_one_address_is_one_member_a3(
    cron: Cron, couple: tuple[int, int], with_data: bool
):
    """Ann and Ben share an address, both newly Added; later Ann's contact changes."""
    ann, ben = couple
    cron.bedrock.with_data = with_data
    cron.settle()
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert count_operations(cron) == 1
    cron.bedrock.town.civicrm.update_contact(ann, last_name="Slate")
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    cron.bedrock.town.civicrm.update_contact(ben, last_name="Slate")
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert (name_of(cron, ann), name_of(cron, ben)) == ("Ann", "Ben")
    assert rows(cron) == [("ok", HOME, ann), ("ok", None, ben)]
    assert [cron.bedrock.group_status(c) for c in couple] == ["Added", "Added"]
    if not with_data:
        assert count_operations(cron) == 1


def test_a_couple_whose_linked_one_is_renamed_a3(cron: Cron, couple: tuple[int, int]):
    """With data on, staff rename Ann, then Ben: neither gets the other's name."""
    ann, ben = couple
    cron.bedrock.with_data = True
    cron.settle()
    cron.bedrock.town.civicrm.update_contact(ann, first_name="Anna")
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    cron.bedrock.town.civicrm.update_contact(ben, first_name="Benno")
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert (name_of(cron, ann), name_of(cron, ben)) == ("Anna", "Benno")


def test_a_couples_member_who_edits_the_name_renames_nobody_else_a3(
    cron: Cron, couple: tuple[int, int]
):
    """Somebody edits the shared member's name at Mailchimp: surely not Ben, who is not linked."""
    _, ben = couple
    cron.bedrock.with_data = True
    cron.settle()
    cron.bedrock.town.mailchimp.edit_profile(LIST, HOME, "Carl", "Rubble")
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert name_of(cron, ben) == "Ben"


def test_one_of_a_couple_is_removed_a3(cron: Cron, couple: tuple[int, int]):
    """Staff remove Ann, then Ben: the address stays until nobody stands for it."""
    ann, ben = couple
    cron.settle()
    for contact, expected in ((ann, "subscribed"), (ben, "unsubscribed")):
        cron.bedrock.town.civicrm.remove_from_group(contact, GROUP)
        cron.bedrock.pass_time(minutes=2)
        cron.stay_quiet()
        assert cron.bedrock.member_status(HOME) == expected
        assert cron.bedrock.group_status(contact) == "Removed"
    cron.bedrock.town.civicrm.add_to_group(ben, GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    judge_again(cron, ann, ben)
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert cron.bedrock.group_status(ann) == "Removed"
    cron.bedrock.town.civicrm.remove_from_group(ben, GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "unsubscribed"
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Removed", "Removed"]
    assert cron.mails == []


def test_the_other_one_of_a_couple_is_removed_a3(cron: Cron, couple: tuple[int, int]):
    """Staff remove Ben, who only shares the address, and then Ann."""
    ann, ben = couple
    cron.settle()
    for contact, expected in ((ben, "subscribed"), (ann, "unsubscribed")):
        cron.bedrock.town.civicrm.remove_from_group(contact, GROUP)
        cron.bedrock.pass_time(minutes=2)
        cron.stay_quiet()
        assert cron.bedrock.member_status(HOME) == expected
        assert cron.bedrock.group_status(contact) == "Removed"
    assert cron.mails == []


def test_a_couple_leaves_together_a3(cron: Cron, couple: tuple[int, int]):
    """The address is unsubscribed by the link: that speaks for both."""
    cron.settle()
    cron.bedrock.town.mailchimp.leave(LIST, HOME)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Removed", "Removed"]
    cron.bedrock.town.civicrm.add_to_group(couple[1], GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.mails == ["home"]
    assert cron.bedrock.group_status(couple[0]) == "Removed"


def test_one_of_a_couple_opts_out_a3(cron: Cron, couple: tuple[int, int]):
    """Ann opts out of mail, Ben does not, then Ben does: then nobody may be mailed there."""
    ann, ben = couple
    cron.settle()
    civicrm = cron.bedrock.town.civicrm
    for contact, expected in ((ann, "subscribed"), (ben, "unsubscribed")):
        civicrm.update_contact(contact, is_opt_out=True)
        cron.bedrock.pass_time(minutes=2)
        cron.stay_quiet()
        assert cron.bedrock.member_status(HOME) == expected
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Added", "Added"]
    civicrm.update_contact(ben, is_opt_out=False)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert cron.mails == []


def test_an_interest_of_one_of_a_couple_a3(cron: Cron, couple: tuple[int, int]):
    """Ben, who only shares the address, volunteers, newly Added with Ann in one run."""
    cron.bedrock.town.civicrm.add_to_group(couple[1], VOLUNTEERS)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert count_operations(cron) == 1
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert cron.bedrock.has_interest(HOME)
    judge_again(cron, *couple)
    assert cron.bedrock.group_status(couple[1], VOLUNTEERS) == "Added"
    assert cron.bedrock.group_status(couple[0], VOLUNTEERS) is None
    cron.bedrock.town.civicrm.remove_from_group(couple[1], VOLUNTEERS)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert not cron.bedrock.has_interest(HOME)
    assert cron.bedrock.member_status(HOME) == "subscribed"


def test_a_couple_by_sync_contact_a3(cron: Cron, couple: tuple[int, int]):
    """Both are synced by contact id, one after the other: one member, one operation."""
    ann, ben = couple
    cron.bedrock.with_data = True
    assert cron.sync_contact(contact=ben) == 0
    assert cron.sync_contact(contact=ann) == 0
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert count_operations(cron) == 1
    cron.stay_quiet()
    assert (name_of(cron, ann), name_of(cron, ben)) == ("Ann", "Ben")
    assert count_operations(cron) == 1


def test_a_couple_in_two_audiences_a3(cron: Cron, couple: tuple[int, int]):
    """Ann reads the newsletter only, Ben both."""
    town = cron.bedrock.town
    town.add_audience("bbbbbbbbbb", "Newsletter", 333, {})
    ann, ben = couple
    town.civicrm.add_to_group(ann, 333)
    town.civicrm.add_to_group(ben, 333)
    town.civicrm.remove_from_group(ann, GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert town.mailchimp.member("bbbbbbbbbb", HOME)["status"] == "subscribed"  # type: ignore[index]
    town.civicrm.remove_from_group(ben, 333)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert town.mailchimp.member("bbbbbbbbbb", HOME)["status"] == "subscribed"  # type: ignore[index]
    assert cron.bedrock.member_status(HOME) == "subscribed"


def test_one_of_a_couple_is_added_and_removed_while_a_batch_hangs_a3(
    cron: Cron, couple: tuple[int, int]
):
    """Both were removed; staff add Ben, and remove him again before Mailchimp has done it."""
    civicrm = cron.bedrock.town.civicrm
    cron.settle()
    for contact in couple:
        civicrm.remove_from_group(contact, GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.settle()
    assert cron.bedrock.member_status(HOME) == "unsubscribed"
    civicrm.add_to_group(couple[1], GROUP)
    cron.bedrock.pass_time(minutes=2)
    held = cron.bedrock.town.mailchimp.hold_next_batch()
    cron.run(minutes=2)
    civicrm.remove_from_group(couple[1], GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.run(minutes=2)
    held.finish()
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "unsubscribed"
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Removed", "Removed"]
    assert cron.mails == []


@pytest.mark.parametrize("with_data", [True, False], ids=["with-data", "without-data"])
@pytest.mark.parametrize("named", ["Ann", "Ben", "Carl"])
def test_a_couple_whose_member_is_there_before_us_a3(cron: Cron, with_data: bool, named: str):
    """The address is subscribed as Ann, Ben, or somebody else, before the first run."""
    cron.bedrock.with_data = with_data
    couple = add_owner(cron, "Ann", HOME), add_owner(cron, "Ben", HOME)
    cron.bedrock.add_member(HOME, first_name=named, last_name="Flintstone")
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    if not with_data or named != "Ann":  # whose new name would be sent
        judge_again(cron, *couple)
    assert [name_of(cron, contact) for contact in couple] == ["Ann", "Ben"]
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Added", "Added"]


def test_a_couple_whose_address_had_left_is_asked_once_a3(cron: Cron):
    """The address left by itself in May; Ann and Ben are both added on paper: one mail."""
    cron.add_some("pam")
    cron.bedrock.add_member(HOME, "unsubscribed", left=True)
    cron.bedrock.pass_time(minutes=2)
    cron.settle()
    couple = add_owner(cron, "Ann", HOME), add_owner(cron, "Ben", HOME)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.mails == ["home"]
    assert cron.bedrock.member_status(HOME) == "pending"
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Added", "Added"]
    cron.bedrock.town.mailchimp.confirm(LIST, HOME)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.mails == ["home"]


@pytest.mark.parametrize("which", [0, 1], ids=["the-linked-one", "the-other"])
@pytest.mark.parametrize("fate", ["trashed", "purged", "merged", "deceased"])
def test_one_of_a_couple_is_no_more_a3(cron: Cron, couple: tuple[int, int], fate: str, which: int):
    """One of the two is trashed, purged, merged into the other, or has died."""
    civicrm = cron.bedrock.town.civicrm
    cron.settle()
    gone, stays = couple[which], couple[1 - which]
    if fate == "trashed":
        civicrm.trash(gone)
    elif fate == "purged":
        civicrm.purge(gone)
    elif fate == "merged":
        civicrm.merge(stays, gone)
    else:
        civicrm.update_contact(gone, is_deceased=True)
    cron.bedrock.pass_time(hours=25)
    contacts = len(civicrm.contacts())
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert cron.bedrock.group_status(stays) == "Added"
    assert len(civicrm.contacts()) == contacts
    civicrm.remove_from_group(stays, GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.bedrock.group_status(stays) == "Removed"
    assert cron.bedrock.member_status(HOME) == "unsubscribed"
    assert len(civicrm.contacts()) == contacts


def test_three_with_one_address_a3(cron: Cron):
    """Ann, Ben and Carl share an address; they go one after the other, and one comes back."""
    civicrm = cron.bedrock.town.civicrm
    cron.add_some("pam")
    three = [add_owner(cron, name, HOME) for name in ("Ann", "Ben", "Carl")]
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert count_operations(cron) == 1
    for contact, expected in zip(three, ("subscribed", "subscribed", "unsubscribed"), strict=True):
        civicrm.remove_from_group(contact, GROUP)
        cron.bedrock.pass_time(minutes=2)
        cron.stay_quiet()
        assert cron.bedrock.member_status(HOME) == expected
    civicrm.add_to_group(three[1], GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    judge_again(cron, *three)
    assert cron.bedrock.member_status(HOME) == "subscribed"
    places = [cron.bedrock.group_status(contact) for contact in three]
    assert places == ["Removed", "Added", "Removed"]


def test_a_couple_of_whom_one_has_an_address_of_their_own_a3(cron: Cron):
    """Ben has ben@ for himself and, second, Ann's home@; each is removed and added again."""
    civicrm = cron.bedrock.town.civicrm
    cron.add_some("pam")
    ann, ben = add_owner(cron, "Ann", HOME), add_owner(cron, "Ben", "ben@example.org", HOME)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "subscribed"
    for contact in (ben, ann):
        civicrm.remove_from_group(contact, GROUP)
        cron.bedrock.pass_time(minutes=2)
        cron.stay_quiet()
        assert cron.bedrock.group_status(contact) == "Removed"
        civicrm.add_to_group(contact, GROUP)
        cron.bedrock.pass_time(minutes=2)
        cron.stay_quiet()
        judge_again(cron, ann, ben)
        assert [cron.bedrock.group_status(each) for each in (ann, ben)] == ["Added", "Added"]
        assert cron.bedrock.member_status(HOME) == "subscribed"
    assert cron.mails == []


@pytest.mark.parametrize("way", ["run", "webhook", "sync-contact"])
def test_a_couple_leaves_and_comes_back_a3(cron: Cron, couple: tuple[int, int], way: str):
    """The shared address leaves by the link, and later signs up again."""
    cron.settle()
    post = Post(cron.bedrock)

    def tell() -> None:
        cron.bedrock.pass_time(minutes=2)
        if way == "webhook":
            post.bring()
        elif way == "sync-contact":
            assert cron.sync_contact(HOME) == 0
        else:
            cron.run()

    mailchimp = cron.bedrock.town.mailchimp
    mailchimp.leave(LIST, HOME)
    tell()
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Removed", "Removed"]
    cron.stay_quiet()
    mailchimp.sign_up(LIST, HOME)
    tell()
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert cron.bedrock.group_status(couple[0]) == "Added"
    assert cron.mails == []


def test_a_couple_under_trust_a3(cron: Cron, couple: tuple[int, int]):
    """Ann was removed, Ben is in; trusting either side afterwards changes nothing."""
    cron.settle()
    cron.bedrock.town.civicrm.remove_from_group(couple[0], GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    ran = cron.run(trust={"subscription": Side.CIVICRM})
    assert (ran.exit_code, ran.writes) == (0, 0)
    cron.stay_quiet()
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Removed", "Added"]
    assert cron.bedrock.member_status(HOME) == "subscribed"


def test_a_second_one_joins_a_member_who_is_there_a3(cron: Cron):
    """Ann is in; a day later Ben, with the same address, is added: nothing is sent."""
    cron.add_some("pam")
    ann = add_owner(cron, "Ann", HOME)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    ben = add_owner(cron, "Ben", HOME)
    cron.bedrock.pass_time(minutes=2)
    assert cron.run().writes == 0
    cron.stay_quiet()
    assert cron.bedrock.group_status(ann) == "Added"
    cron.bedrock.town.civicrm.remove_from_group(ann, GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert cron.bedrock.group_status(ben) == "Added"
    assert count_operations(cron) == 1


# --- an address that changes at Mailchimp ---------------------------------------------------------

NEW = "new@example.org"


@pytest.fixture
def settled(cron: Cron, couple: tuple[int, int]) -> tuple[int, int]:
    """Ann and Ben share the address and are in sync; an hour passes."""
    cron.settle()
    cron.bedrock.pass_time(hours=1)
    return couple


def bulk_of(cron: Cron, contact: int) -> list[str]:
    return [email.email for email in cron.bedrock.town.civicrm.emails(contact) if email.is_bulkmail]


def change_address(cron: Cron, old: str = HOME, new: str = NEW) -> None:
    cron.bedrock.town.mailchimp.change_address(LIST, old, new)
    cron.bedrock.pass_time(minutes=2)


def check_moved(cron: Cron, couple: tuple[int, int], contacts: int) -> None:
    """Ann has the new address for bulk mail; the old one is still both's."""
    ann, ben = couple
    assert bulk_of(cron, ann) == [NEW]
    assert {email.email for email in cron.bedrock.town.civicrm.emails(ann)} == {HOME, NEW}
    assert {email.email for email in cron.bedrock.town.civicrm.emails(ben)} == {HOME}
    assert cron.bedrock.member_status(NEW) == "subscribed"
    assert cron.bedrock.group_status(ann) == "Added"
    assert len(cron.bedrock.town.civicrm.contacts()) == contacts
    assert cron.mails == []


@pytest.mark.parametrize("way", ["fetch", "webhook", "sync-contact", "full-fetch"])
def test_a_shared_address_that_changes_at_mailchimp_a22(
    cron: Cron, settled: tuple[int, int], way: str
):
    """The shared address changes at Mailchimp: the linked contact gets the new bulk address."""
    contacts = len(cron.bedrock.town.civicrm.contacts())
    post = Post(cron.bedrock)
    change_address(cron)
    if way == "webhook":
        post.bring()
        assert bulk_of(cron, settled[0]) == [NEW]
    elif way == "sync-contact":
        assert cron.sync_contact(contact=settled[0]) == 0
        assert bulk_of(cron, settled[0]) == [NEW]
    elif way == "full-fetch":
        cron.bedrock.pass_time(days=9)
    cron.stay_quiet()
    check_moved(cron, settled, contacts)
    # Ben, who shared the old address, has a member of his own there.
    assert cron.bedrock.group_status(settled[1]) == "Added"
    assert cron.bedrock.member_status(HOME) == "subscribed"


def test_an_unshared_address_that_changes_at_mailchimp_a22(cron: Cron):
    """Pam changes her address at Mailchimp: one contact, one member, a new bulk address."""
    cron.add_some("pam", "quinn")
    pam, contacts = cron.contact("pam"), len(cron.bedrock.town.civicrm.contacts())
    change_address(cron, mail("pam"), NEW)
    cron.stay_quiet()
    assert bulk_of(cron, pam) == [NEW]
    assert len(cron.bedrock.town.civicrm.contacts()) == contacts
    assert cron.stand("new")[:2] == ("subscribed", "Added")
    assert cron.bedrock.member_status(mail("pam")) is None


def test_a_shared_address_that_becomes_the_others_own_a22(cron: Cron, settled: tuple[int, int]):
    """The shared member changes to an address that Ben, the other one, has too."""
    ann, ben = settled
    cron.bedrock.town.civicrm.add_email(ben, NEW)
    cron.bedrock.pass_time(minutes=2)
    cron.settle()
    change_address(cron)
    cron.stay_quiet()
    assert cron.bedrock.member_status(NEW) == "subscribed"
    assert [cron.bedrock.group_status(contact) for contact in settled] == ["Added", "Added"]
    assert (name_of(cron, ann), name_of(cron, ben)) == ("Ann", "Ben")
    assert cron.mails == []


def test_a_shared_address_that_changes_and_then_leaves_a22(cron: Cron, settled: tuple[int, int]):
    """The shared member moves and leaves before any run: the linked contact is out."""
    ann, _ = settled
    change_address(cron)
    cron.bedrock.town.mailchimp.leave(LIST, NEW)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.bedrock.group_status(ann) == "Removed"
    assert cron.bedrock.member_status(NEW) == "unsubscribed"
    assert cron.mails == []


def test_a_couples_address_that_changes_in_civicrm_for_one_a22(
    cron: Cron, settled: tuple[int, int]
):
    """Staff give Ben another address instead: the member stays Ann's, Ben gets one."""
    _, ben = settled
    [email] = cron.bedrock.town.civicrm.emails(ben)
    cron.bedrock.town.civicrm.update_email(email.id, email="ben@example.org")
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert cron.bedrock.member_status("ben@example.org") == "subscribed"
    assert [cron.bedrock.group_status(contact) for contact in settled] == ["Added", "Added"]


@pytest.mark.parametrize("problem", ["internal-server-error", "too-many-lists"])
def test_one_of_a_couple_whose_subscription_is_refused_for_a_while_a3(
    cron: Cron, couple: tuple[int, int], problem: str
):
    """The address was archived by staff; Ben, who only shares it, is added again, and Mailchimp
    refuses for a moment."""
    cron.settle()
    mailchimp = cron.bedrock.town.mailchimp
    mailchimp.staff_archive(LIST, HOME)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Removed", "Removed"]
    cron.bedrock.town.civicrm.add_to_group(couple[1], GROUP)
    cron.bedrock.pass_time(minutes=2)
    mailchimp.refuse(HOME, PROBLEMS[problem](HOME))
    for _ in range(5):
        assert cron.run().exit_code == 0
    cron.stay_quiet()
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Removed", "Added"]


# --- what we write for one is no word of the other's ----------------------------------------------


@pytest.mark.parametrize("which", [0, 1], ids=["the-linked-one", "the-other"])
def test_one_of_a_couple_that_was_removed_is_added_again_a3(
    cron: Cron, couple: tuple[int, int], which: int
):
    """Staff remove both, and add one of them again: the other one stays Removed."""
    civicrm = cron.bedrock.town.civicrm
    cron.settle()
    for contact in couple:
        civicrm.remove_from_group(contact, GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    back, out = couple[which], couple[1 - which]
    civicrm.add_to_group(back, GROUP)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    judge_again(cron, *couple)
    assert cron.bedrock.member_status(HOME) == "subscribed"
    assert cron.bedrock.group_status(back) == "Added"
    assert cron.bedrock.group_status(out) == "Removed"
    cron.bedrock.town.mailchimp.leave(LIST, HOME)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    assert [cron.bedrock.group_status(contact) for contact in couple] == ["Removed", "Removed"]
    assert cron.mails == []


@pytest.mark.parametrize("which", [0, 1], ids=["the-linked-one", "the-other"])
def test_one_of_a_couple_volunteers_a3(cron: Cron, couple: tuple[int, int], which: int):
    """Staff have one of the two volunteer: the other one does not."""
    civicrm = cron.bedrock.town.civicrm
    cron.settle()
    eager, other = couple[which], couple[1 - which]
    civicrm.add_to_group(eager, VOLUNTEERS)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    judge_again(cron, *couple)
    assert cron.bedrock.has_interest(HOME)
    assert cron.bedrock.group_status(eager, VOLUNTEERS) == "Added"
    assert cron.bedrock.group_status(other, VOLUNTEERS) is None
    civicrm.remove_from_group(eager, VOLUNTEERS)
    cron.bedrock.pass_time(minutes=2)
    cron.stay_quiet()
    judge_again(cron, *couple)
    assert not cron.bedrock.has_interest(HOME)
    assert cron.bedrock.group_status(other, VOLUNTEERS) is None
