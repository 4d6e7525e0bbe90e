"""The stages one by one end where `sync` ends, in whatever order and however often they run."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import product
from math import inf
from pathlib import Path
from unittest.mock import patch

import pytest

from mcsync.pipeline import identity
from mcsync.sandbox.town import Town
from tests.cli.conftest import GROUP, INTEREST, INTEREST_GROUP, LIST, Office, Said
from tests.scenario.bedrock import NO_LIMITS

CHAIN = (("fetch",), ("reconcile",), ("submit",), ("process-batches", "--wait"))

MEMBERS = {  # how somebody stands at Mailchimp: status, and whether they left by themselves
    "absent": None,
    "subscribed": ("subscribed", False),
    "unsubscribed": ("unsubscribed", False),
    "left": ("unsubscribed", True),
    "cleaned": ("cleaned", False),
    "pending": ("pending", False),
    "archived": ("archived", False),
    "transactional": ("transactional", False),
}
CONTACTS = ("absent", "outside", "added", "removed", "optout", "imported")
PEOPLE = [pair for pair in product(MEMBERS, CONTACTS) if pair != ("absent", "absent")]


def address(member: str, contact: str) -> str:
    """Everybody's address tells how they stand at both sides."""
    return f"{member}.{contact}@bedrock.example"


def populate(office: Office) -> None:
    """One person for each way to stand at both sides; a third of them like volunteering."""
    town = office.town
    town.clock.advance(days=-9)
    for number, (member, contact) in enumerate(PEOPLE):
        town.clock.advance(minutes=7)
        sides = [_enter_mailchimp, _enter_civicrm]
        for enter in sides if number % 2 else reversed(sides):
            town.clock.advance(minutes=3)
            enter(office, number, member, contact)
    town.clock.advance(days=9, minutes=-13 * len(PEOPLE))


def _enter_mailchimp(office: Office, number: int, member: str, contact: str) -> None:
    state = MEMBERS[member]
    if state is None:
        return
    status, left = state
    office.town.mailchimp.import_member(
        LIST,
        address(member, contact),
        status=status,
        left=left,
        first_name=member.title(),
        last_name=contact.title(),
        interests=[INTEREST] if number % 3 == 0 else [],
    )


def _enter_civicrm(office: Office, number: int, member: str, contact: str) -> None:
    civicrm = office.town.civicrm
    if contact == "absent":
        return
    new = civicrm.add_contact(
        member.title(), contact.title(), [address(member, contact)], is_opt_out=contact == "optout"
    )
    if contact in ("added", "optout", "removed"):
        civicrm.add_to_group(new, GROUP)
    if contact == "imported":
        civicrm.add_to_group(new, GROUP, history=False)
    if contact == "removed":
        office.town.clock.advance(minutes=1)
        civicrm.remove_from_group(new, GROUP)
        office.town.clock.advance(minutes=-1)
    if number % 4 == 0:
        civicrm.add_to_group(new, INTEREST_GROUP)


def live_on(office: Office) -> None:
    """What people do after the first sync, at both sides; every seventh does something."""
    mailchimp, civicrm = office.town.mailchimp, office.town.civicrm
    office.town.clock.advance(hours=3)
    statuses = office.statuses()
    for number, pair in enumerate(PEOPLE):
        email = address(*pair)
        owners = civicrm.contacts_by_email(email)
        if number % 7 == 0 and statuses.get(email) == "subscribed":
            mailchimp.leave(LIST, email)
        elif number % 7 == 1 and owners:
            civicrm.add_to_group(owners[0].id, GROUP)
        elif number % 7 == 2 and owners:
            civicrm.remove_from_group(owners[0].id, GROUP)
        elif number % 7 == 3 and statuses.get(email) == "subscribed":
            mailchimp.edit_profile(LIST, email, "Edited", interests={INTEREST: number % 2 == 0})
        elif number % 7 == 4 and owners:
            civicrm.add_to_group(owners[0].id, INTEREST_GROUP)
        elif number % 7 == 5 and statuses.get(email) == "unsubscribed":
            mailchimp.sign_up(LIST, email)
    mailchimp.sign_up(LIST, "newcomer@bedrock.example", "New", "Comer", [INTEREST])
    office.town.clock.advance(minutes=5)


def picture(office: Office) -> dict[str, object]:
    """Both sides, person by person, without ids and times."""
    mailchimp, civicrm = office.town.mailchimp, office.town.civicrm
    found: dict[str, object] = {}
    for email, member in mailchimp.members(LIST).items():
        found[f"mailchimp {email}"] = {
            name: member[name] for name in ("status", "merge_fields", "interests")
        }
    for contact in civicrm.contacts():
        name = (contact.first_name, contact.last_name)
        found.setdefault(f"civicrm {contact.email}", [])
        found[f"civicrm {contact.email}"] += [  # type: ignore[operator]
            (
                name,
                contact.source,
                *(civicrm.group_status(contact.id, group) for group in (GROUP, INTEREST_GROUP)),
                [row.status for row in civicrm.history(contact.id, GROUP)],
            )
        ]
    found["mails"] = [mail.email for mail in mailchimp.confirmation_mails]
    return found


@pytest.fixture
def settle(tmp_path: Path, plain_world: None) -> Iterator[Callable[[str], Office]]:
    """Makes towns that are alike, at one and the same moment."""
    now = datetime.now(UTC).replace(microsecond=0)
    towns = []

    def settle_one(name: str) -> Office:
        town = Town(now)
        town.__enter__()
        towns.append(town)
        town.mailchimp.settings.batch_delay_polls = 0
        town.clock.advance(days=-10)
        town.add_audience(LIST, "Main audience", GROUP, {INTEREST: (INTEREST_GROUP, "Volunteers")})
        town.clock.advance(days=10)
        folder = tmp_path / name
        folder.mkdir()
        office = Office(town, folder, tmp_path / "home")
        office.write_config(safety=NO_LIMITS)
        populate(office)
        return office

    yield settle_one
    for town in towns:
        town.__exit__(None, None, None)


def run_all(office: Office, commands: tuple[tuple[str, ...], ...]) -> None:
    """Run these one after the other; each must succeed and say nothing."""
    with patch.object(identity, "_MOST_SKEW_S", inf):  # days go by in the town, but not here
        for command in commands:
            assert office.run(*command) == Said(0, "", ""), command


def test_the_town_has_about_forty_people_in_all_combinations():
    assert len(PEOPLE) == 47


def test_the_chain_of_stages_ends_where_sync_ends_person_by_person(
    settle: Callable[[str], Office],
):
    chained, synced = settle("chained"), settle("synced")
    assert picture(chained) == picture(synced)
    for _day in range(2):
        run_all(chained, CHAIN)
        run_all(synced, (("sync", "--wait"),))
        assert picture(chained) == picture(synced)
        live_on(chained)
        live_on(synced)
    for _day in range(3):
        run_all(chained, CHAIN)
        run_all(synced, (("sync", "--wait"),))
    assert picture(chained) == picture(synced)
    before = chained.town.writes, synced.town.writes
    run_all(chained, CHAIN)
    run_all(synced, (("sync", "--wait"),))
    assert (chained.town.writes, synced.town.writes) == before


def test_the_end_is_the_right_one(settle: Callable[[str], Office]):
    """A few people whose end nobody could argue about, so that two wrongs make no right."""
    office = settle("alone")
    run_all(office, (*CHAIN, *CHAIN))
    statuses, civicrm = office.statuses(), office.town.civicrm

    def group_status(member: str, contact: str) -> str | None:
        (owner,) = civicrm.contacts_by_email(address(member, contact))
        return civicrm.group_status(owner.id, GROUP)

    assert statuses[address("absent", "added")] == "subscribed"
    assert statuses[address("absent", "imported")] == "subscribed"
    assert address("absent", "outside") not in statuses
    assert address("absent", "optout") not in statuses
    assert address("absent", "removed") not in statuses
    assert group_status("subscribed", "absent") == "Added"
    assert group_status("subscribed", "outside") == "Added"
    assert group_status("subscribed", "added") == "Added"
    assert group_status("left", "imported") == "Removed"
    assert civicrm.contacts_by_email(address("left", "absent")) == []
    assert statuses[address("cleaned", "added")] == "cleaned"
    assert statuses[address("subscribed", "added")] == "subscribed"


@pytest.mark.parametrize(
    "detour",
    [
        ("submit", "process-batches", "fetch", "submit", "reconcile", "process-batches"),
        ("fetch", "fetch", "reconcile", "reconcile", "submit", "submit"),
        ("fetch", "reconcile", "fetch", "reconcile", "submit", "fetch", "process-batches"),
        ("sync", "fetch", "submit", "sync"),
        ("process-batches", "submit", "fetch", "process-batches", "reconcile", "fetch", "submit"),
    ],
    ids=" ".join,
)
def test_stages_in_any_order_and_twice_are_harmless(
    settle: Callable[[str], Office], detour: tuple[str, ...]
):
    straight, wandering = settle("straight"), settle("wandering")
    for _day in range(2):
        run_all(straight, (("sync", "--wait"), ("sync", "--wait"), ("sync", "--wait")))
        run_all(wandering, tuple((command,) for command in detour))
        run_all(wandering, (*CHAIN, *CHAIN, *CHAIN))
        assert picture(wandering) == picture(straight)
        live_on(straight)
        live_on(wandering)


def test_reconcile_before_any_fetch_writes_nothing_and_says_what_to_do(office: Office):
    before = office.everything()
    said = office.run("reconcile")
    assert said.code in (0, 3)
    if said.code:
        assert 'run "mcsync fetch" first' in said.err
    assert office.everything() == before


def test_fetch_and_process_batches_never_write_to_a_service(office: Office):
    before = office.everything()
    run_all(office, (("fetch",), ("fetch", "--since", "ever"), ("process-batches",)))
    assert office.everything() == before


def test_a_chain_stops_where_a_stage_fails(office: Office, no_pauses: list[float]):
    """`fetch && reconcile && submit`: after a fetch that broke off nobody is judged by half."""
    run_all(office, (("sync", "--wait"),))
    wilma = office.town.civicrm.contacts_by_email("wilma@bedrock.example")[0].id
    office.town.clock.advance(minutes=1)
    office.town.civicrm.remove_from_group(wilma, GROUP)
    office.town.mailchimp_server.stop()
    before = office.everything()
    assert office.run("fetch").code == 69
    said = office.run("reconcile")
    assert said.code == 3
    assert "has not been fetched completely" in said.err
    assert office.run("submit") == Said(0, "", "")
    assert office.everything() == before


@pytest.mark.parametrize(
    ("side", "status", "place"),
    [("mailchimp", "subscribed", "Added"), ("civicrm", "unsubscribed", "Removed")],
)
def test_trust_makes_one_side_right_about_everybody(
    office: Office, side: str, status: str, place: str
):
    run_all(office, (("sync", "--wait"),))
    fred = office.town.civicrm.contacts_by_email("fred@bedrock.example")[0].id
    office.town.clock.advance(minutes=1)
    office.town.civicrm.remove_from_group(fred, GROUP)
    office.town.clock.advance(minutes=1)
    run_all(office, (("reconcile", "--trust", side.title()), ("submit",), ("process-batches",)))
    assert office.statuses()["fred@bedrock.example"] == status
    assert office.town.civicrm.group_status(fred, GROUP) == place


def test_since_looks_back_as_far_as_it_is_told(office: Office):
    run_all(office, (("sync", "--wait"),))

    def fetched(*args: str) -> int:
        (audience,) = office.run("fetch", "--json", *args).document["audiences"]
        return int(audience["members_fetched"])

    everybody = len(office.statuses())
    week_ago = (office.town.clock().date().replace(year=2020)).isoformat()
    assert fetched("--since", "ever") == everybody
    assert fetched("--since", week_ago) == everybody
    assert fetched("--since", "2099-01-01") == 0
    assert fetched() == 1  # Betty, whom we have just subscribed
