"""Audiences with many mapped interests: as any other, whatever SQLite and CiviCRM take at once."""

import pytest

from tests.scenario.aftermath import assert_at_peace, assert_in_sync, row_status
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.telling import CommandLine, Told

FIRST_GROUP = 1000
PAM, QUINN = "pam@example.org", "quinn@example.org"


def interest_id(number: int) -> str:
    return f"{number:010x}"


@pytest.fixture(params=[62, 200])
def many(bedrock: Bedrock, request: pytest.FixtureRequest) -> int:
    """So many interests, each with a group of its own; Pam has the even ones, in both."""
    count = int(request.param)
    mapped = {}
    for number in range(count):
        bedrock.town.mailchimp.add_interest(LIST, "Many", interest_id(number), f"No {number}")
        group = bedrock.town.civicrm.add_group(f"Interest {number}", FIRST_GROUP + number)
        mapped[interest_id(number)] = str(group)
    bedrock.options["interests"] = mapped
    even = [interest_id(number) for number in range(0, count, 2)]
    bedrock.add_member(PAM, interests=even)
    pam = bedrock.add_contact(PAM)
    for number in range(0, count, 2):
        bedrock.town.civicrm.add_to_group(pam, FIRST_GROUP + number)
    bedrock.pass_time(minutes=1)
    return count


def interests_of(bedrock: Bedrock, email: str, count: int) -> list[int]:
    """The numbers of the interests that a member has."""
    member = bedrock.town.mailchimp.member(LIST, email)
    assert member is not None
    held = member["interests"]
    assert isinstance(held, dict)
    return [number for number in range(count) if held[interest_id(number)]]


def groups_of(bedrock: Bedrock, contact: int, count: int) -> list[int]:
    """The numbers of the interests in whose groups a contact is."""
    return [
        number
        for number in range(count)
        if bedrock.group_status(contact, FIRST_GROUP + number) == "Added"
    ]


def test_both_ways_and_quiet_b4(bedrock: Bedrock, mcsync: CommandLine, many: int):
    quinn = bedrock.add_contact(QUINN)
    odd = list(range(1, many, 2))
    for number in odd:
        bedrock.town.civicrm.add_to_group(quinn, FIRST_GROUP + number)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    assert interests_of(bedrock, QUINN, many) == odd
    bedrock.town.mailchimp.edit_profile(
        LIST, PAM, interests={interest_id(number): bool(number % 2) for number in range(many)}
    )
    bedrock.town.civicrm.remove_from_group(quinn, FIRST_GROUP + odd[-1])
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    [pam] = bedrock.town.civicrm.contacts_by_email(PAM)
    assert groups_of(bedrock, pam.id, many) == odd
    assert interests_of(bedrock, QUINN, many) == odd[:-1]
    assert row_status(bedrock, PAM)[0] == row_status(bedrock, QUINN)[0] == "ok"
    assert_at_peace(bedrock)


def test_one_person_at_once_b4(bedrock: Bedrock, mcsync: CommandLine, many: int):
    """The brother: sync-contact, status and explain."""
    assert mcsync("sync", "--wait").code == 0
    bedrock.town.mailchimp.edit_profile(LIST, PAM, interests={interest_id(many - 1): True})
    bedrock.pass_time(minutes=1)
    assert mcsync("sync-contact", "--email", PAM).code == 0
    [pam] = bedrock.town.civicrm.contacts_by_email(PAM)
    assert many - 1 in groups_of(bedrock, pam.id, many)
    assert mcsync("status", "--json").code == 0
    assert mcsync("explain", PAM).code == 0
    assert_at_peace(bedrock)


def test_somebody_new_with_all_of_them_b4(bedrock: Bedrock, many: int):
    """The brother: a sign-up with every interest there is."""
    bedrock.sync_until_quiet()
    everything = [interest_id(number) for number in range(many)]
    bedrock.town.mailchimp.sign_up(LIST, "dino@example.org", interests=everything)
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    assert_in_sync(bedrock)
    [dino] = bedrock.town.civicrm.contacts_by_email("dino@example.org")
    assert groups_of(bedrock, dino.id, many) == list(range(many))
    assert bedrock.group_status(dino.id, GROUP) == "Added"
    assert_at_peace(bedrock)


def test_many_people_of_many_kinds_b4(bedrock: Bedrock, mcsync: CommandLine, many: int):
    """The brother: everybody has another set of interests."""
    emails = [f"gazoo{number}@example.org" for number in range(30)]
    for place, email in enumerate(emails):
        bedrock.add_member(
            email, interests=[interest_id(n) for n in range(many) if n % 31 == place]
        )
        contact = bedrock.add_contact(email)
        for number in range(many):
            if number % 31 == place:
                bedrock.town.civicrm.add_to_group(contact, FIRST_GROUP + number)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync", "--wait") == Told(0, "", "")
    assert_at_peace(bedrock)


def test_with_data_b4(bedrock: Bedrock, many: int):
    """The brother: the plain people's condition has a term for each interest, and for names."""
    bedrock.with_data = True
    bedrock.add_both(QUINN)
    bedrock.sync_until_quiet()
    assert_at_peace(bedrock)
