"""An undo that dies at any place, or is failed by a service, and is run again ends the same way.

A sample of the places runs always. All of them:

    python -m pytest tests/scenario/test_undo_cut_off.py -m matrix -n auto
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest

from mcsync.cache.undos import find_cut_undo, load_undone
from mcsync.errors import McsyncError
from mcsync.pipeline import undo as undoing
from mcsync.pipeline.undo import undo
from mcsync.sandbox.server import Request
from mcsync.sandbox.town import Town
from tests.scenario.aftermath import find_unsettled, look_at_both
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.faults import FAULTS, START
from tests.scenario.wire import Death, Mortal, direct_wire

EVERY, PARTS = 80, 6  # of the places, one in so many is in the sample
EVERY_WRITE = 3  # and of the requests that write
WAYS = ("directly", "by a batch")


@dataclass
class Accident:
    """A run that did something of every kind, at both sides, to people in agreement before."""

    bedrock: Bedrock
    before: object
    run_id: str


@contextmanager
def playing(way: str) -> Iterator[Accident]:
    """The world after the accident; `way` is how undo sends what it has queued."""
    few, undoing.FEW = undoing.FEW, undoing.FEW if way == "directly" else 0
    try:
        with TemporaryDirectory() as folder, Town(start=START) as town:
            bedrock = Bedrock(town, Path(folder), with_data=True)
            town.mailchimp.settings.batch_delay_polls = 0
            with direct_wire(town, Mortal()):
                yield _have_accident(bedrock)
    finally:
        undoing.FEW = few


def _have_accident(bedrock: Bedrock) -> Accident:
    civicrm, mailchimp = bedrock.town.civicrm, bedrock.town.mailchimp
    names = ("a", "b", "c", "d", "e", "f", "g", "h", "i", "k")
    people = {name: bedrock.add_both(f"{name}@example.org") for name in names}
    civicrm.add_email(people["k"], "news@example.org", is_bulkmail=True)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    for name in ("a", "b"):
        civicrm.remove_from_group(people[name], GROUP)
    for name in ("c", "d"):
        mailchimp.staff_unsubscribe(LIST, f"{name}@example.org")
    civicrm.update_contact(people["e"], first_name="Wrong")
    mailchimp.edit_profile(LIST, "f@example.org", "Wrong", "Name")
    civicrm.add_to_group(people["g"], VOLUNTEERS)
    mailchimp.edit_profile(LIST, "h@example.org", interests={VOLUNTEERING: True})
    [email] = civicrm.emails(people["i"])
    civicrm.update_email(email.id, email="wrong@example.org")
    mailchimp.change_address(LIST, "news@example.org", "k.new@example.org")
    bedrock.add_contact("j@example.org")
    bedrock.pass_time(minutes=1)
    before = look(bedrock)
    bedrock.sync()
    assert bedrock.last_run is not None
    run_id = bedrock.last_run.run_id
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    return Accident(bedrock, before, run_id)


def look(bedrock: Bedrock) -> tuple[object, ...]:
    """Both sides, with where each contact's bulk mail goes."""
    contacts = bedrock.town.civicrm.contacts()
    bulk = [[email.email for email in c.emails if email.is_bulkmail] for c in contacts]
    return (*look_at_both(bedrock), bulk)


def run_undo(accident: Accident, mortal: Mortal, wanted: str | None = None) -> None:
    bedrock = accident.bedrock
    with direct_wire(bedrock.town, mortal), closing(bedrock.open_store()) as store:
        run = bedrock.make_run(store)
        undo(run, wanted, None, may_exceed=True, approve=lambda *_: True, wait_s=0)
        run.raise_troubles()


def finish(accident: Accident) -> object:
    """How it ends: both sides, when all is quiet."""
    bedrock = accident.bedrock
    bedrock.pass_time(minutes=5)
    for _ in range(8):
        if bedrock.sync() == 0 and not find_unsettled(bedrock):
            break
    else:
        raise AssertionError(f"not quiet: {find_unsettled(bedrock)}")
    for hours in (1, 25, 25 * 7):
        bedrock.pass_time(hours=hours)
        assert bedrock.sync() == 0, f"after {hours} h"
    assert bedrock.confirmation_mails == []
    return look(bedrock)


class Undisturbed(NamedTuple):
    """Both sides before the accident was carried out, and at the end.

    `places` is how many there are to die at, `writes` which of the requests to each of the
    services (Mailchimp, CiviCRM) writes anything.
    """

    before: object
    end: object
    places: int
    writes: tuple[list[int], list[int]]


@cache
def play_undisturbed(way: str) -> Undisturbed:
    with playing(way) as accident:
        town, mortal = accident.bedrock.town, Mortal()
        servers = (town.mailchimp_server, town.civicrm_server)
        begins = [len(server.requests) for server in servers]
        run_undo(accident, mortal)
        asked = [s.requests[begin:] for s, begin in zip(servers, begins, strict=True)]
        writes = (
            [n for n, each in enumerate(asked[0]) if each.request.method != "GET"],
            [n for n, each in enumerate(asked[1]) if _is_writing(each.request)],
        )
        return Undisturbed(accident.before, finish(accident), mortal.passed, writes)


def _is_writing(request: Request) -> bool:
    return request.path.endswith("/save") or b"%22update%22" in request.body


def die_and_go_on(way: str, place: int, *, with_sync: bool) -> object:
    with playing(way) as accident:
        with suppress(Death):
            run_undo(accident, Mortal(place))
            raise AssertionError(f"it did not die at {place}")
        accident.bedrock.pass_time(minutes=1)
        with closing(accident.bedrock.open_store()) as store:
            has_ended = load_undone(store) and not find_cut_undo(store, accident.run_id)
        if with_sync:
            accident.bedrock.sync()
        if not has_ended:  # then to run it again would take it back
            run_undo(accident, Mortal(), accident.run_id if with_sync else None)
        return finish(accident)


@pytest.mark.parametrize("way", WAYS)
def test_everything_is_as_before_but_for_whom_the_run_subscribed(way: str):
    before, end, *_ = play_undisturbed(way)
    assert isinstance(before, tuple)
    assert isinstance(end, tuple)
    [members_then], [members] = before[0], end[0]
    assert members["j@example.org"][0] == "archived"
    assert {**members_then, "j@example.org": members["j@example.org"]} == members
    assert end[1:] == before[1:]


def find_differences(places: range, way: str) -> list[str]:
    end = play_undisturbed(way).end
    found = []
    for place in places:
        for with_sync in (False, True):
            try:
                if die_and_go_on(way, place, with_sync=with_sync) != end:
                    found.append(f"{way}: died at {place}, sync {with_sync}: another end")
            except AssertionError as error:
                found.append(f"{way}: died at {place}, sync {with_sync}: {error}")
    return found


@pytest.mark.parametrize("way", WAYS)
def test_it_may_die_at_any_place_of_the_sample(way: str):
    places = play_undisturbed(way).places
    assert find_differences(range(3, places + 1, EVERY), way) == []


@pytest.mark.matrix
@pytest.mark.usefixtures("_by_hand")
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("way", WAYS)
def test_it_may_die_anywhere(way: str, part: int):
    places = play_undisturbed(way).places
    assert find_differences(range(part + 1, places + 1, PARTS), way) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_service_may_fail_any_write_of_the_sample(way: str):
    assert find_failures(way, EVERY_WRITE) == []


@pytest.mark.matrix
@pytest.mark.usefixtures("_by_hand")
@pytest.mark.parametrize("way", WAYS)
def test_a_service_may_fail_any_write(way: str):
    assert find_failures(way, 1) == []


def find_failures(way: str, every: int) -> list[str]:
    """One kind of trouble after the other, once or from then on, at requests that write."""
    undisturbed = play_undisturbed(way)
    troubles = cycle((kind, times) for times in (1, None) for kind in FAULTS)
    found = []
    assert all(undisturbed.writes)
    for service, numbers in enumerate(undisturbed.writes):
        for number, (kind, times) in zip(numbers[::every], troubles, strict=False):
            with playing(way) as accident:
                town = accident.bedrock.town
                server = (town.mailchimp_server, town.civicrm_server)[service]
                server.faults.append(replace(FAULTS[kind], skip=number, times=times))
                with suppress(McsyncError):
                    run_undo(accident, Mortal(), accident.run_id)
                server.faults.clear()
                accident.bedrock.pass_time(minutes=5)  # nobody knows before whether it was done
                with closing(accident.bedrock.open_store()) as store:
                    has_ended = load_undone(store) and not find_cut_undo(store, accident.run_id)
                if not has_ended:
                    run_undo(accident, Mortal(), accident.run_id)
                if finish(accident) != undisturbed.end:
                    found.append(f"{way}: {kind} at request {number} of {service}, {times} times")
    return found
