"""Many audiences at once: what is asked side by side, how often, and whose trouble stops whom."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from mcsync.assemble import build_run
from mcsync.cache.audience_status import load_status, save_status
from mcsync.cache.store import Store
from mcsync.cache.times import from_text, to_text
from mcsync.config import load_config
from mcsync.errors import McsyncError
from mcsync.mailchimp import members
from mcsync.pipeline import ahead
from mcsync.pipeline.run import OutOfTime, Run
from mcsync.pipeline.sync import sync
from mcsync.pipeline.tell_troubles import note_troubles
from mcsync.sandbox.mailchimp.simulator import read_key
from mcsync.sandbox.server import Fault, Request, Response
from mcsync.sandbox.town import API_KEY, OTHER_API_KEY, Town

PATIENCE_S = 30.0  # only where something is wrong is it waited for so long
MOST = 6  # connections of an account
RUN = "from mcsync.cli.main import main; main()"


def name_list(number: int) -> str:
    return f"{number:010x}"


@dataclass
class Gate:
    """Holds requests about some paths until so many audiences are being asked at the same time.

    `most` is how many requests of an account were under way at once, by key; `has_met` whether
    so many audiences were. When they do not come nobody is held any longer.
    """

    needed: int = 0
    path: str = "/members"
    pause_s: float = 0.0  # how long each request takes in any case
    under_way: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    waiting: set[str] = field(default_factory=set)
    is_open: bool = False
    has_met: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def __call__(self, request: Request) -> None:
        key = read_key(request.headers["authorization"])
        with self._changed:
            self.under_way[key] += 1
            self.most[key] = max(self.most[key], self.under_way[key])
            if self.path in request.path:
                self.waiting.add(request.path)
                if len(self.waiting) >= self.needed:
                    self.is_open = self.has_met = True
                self._changed.notify_all()
                if not self._changed.wait_for(lambda: self.is_open, PATIENCE_S):
                    self.is_open = True
                self.waiting.discard(request.path)
        time.sleep(self.pause_s)
        with self._changed:
            self.under_way[key] -= 1

    def wait(self, needed: int) -> None:
        """Until so many are held."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.waiting) >= needed, PATIENCE_S)

    def wait_until_met(self) -> None:
        """Until so many audiences were being asked at once, or nobody waits for them any longer."""
        with self._changed:
            self._changed.wait_for(lambda: self.is_open, PATIENCE_S)

    def open(self) -> None:
        """Hold nobody any longer."""
        with self._changed:
            self.is_open = True
            self._changed.notify_all()


@dataclass
class Street:
    """A town with several audiences, two people in each who are in agreement."""

    town: Town
    folder: Path
    lists: list[str] = field(default_factory=list)
    with_data: bool = False
    last_run: Run | None = None

    def add(self, number: int, api_key: str = API_KEY) -> str:
        list_id, group = name_list(number), 1000 + 2 * number
        interest = f"c{number:09x}"
        self.town.add_audience(
            list_id,
            f"Choir {number}",
            group,
            {interest: (group + 1, f"Bass {number}")},
            api_key=api_key,
        )
        for name in ("fred", "wilma"):
            email = f"{name}{number}@example.org"
            self.town.mailchimp.import_member(list_id, email)
            contact = self.town.civicrm.add_contact(name.title(), "Flintstone", [email])
            self.town.civicrm.add_to_group(contact, group)
        self.lists.append(list_id)
        return list_id

    @contextmanager
    def running(self, *lists: str, deadline: float | None = None) -> Iterator[Run]:
        config = load_config(self.town.write_config(self.folder), {})
        chosen = [a for a in config.audiences if not lists or a.list_id in lists]
        with closing(Store(self.folder / "mcsync.db")) as store:
            self.last_run = build_run(
                config,
                chosen,
                store,
                clock=self.town.clock,
                with_data=self.with_data,
                sleep=lambda _seconds: None,
                deadline=deadline,
            )
            yield self.last_run

    def sync(self, *lists: str) -> dict[str, McsyncError | None]:
        """One run; the troubles by list id."""
        with self.running(*lists) as run:
            sync(run, wait_s=0)
            note_troubles(run)
        self.town.clock.advance(minutes=1)
        return {key: report.error for key, report in run.reports.items()}

    def sync_well(self) -> None:
        assert set(self.sync().values()) == {None}
        assert self.last_run is not None
        assert all(report.in_sync for report in self.last_run.reports.values())

    def forget_requests(self) -> None:
        self.town.mailchimp_server.requests.clear()
        self.town.civicrm_server.requests.clear()

    def requests(self) -> list[Request]:
        return [each.request for each in self.town.mailchimp_server.requests]

    def hold(self, gate: Gate) -> Gate:
        self.town.mailchimp.before_answer = gate
        return gate

    def in_group(self, number: int) -> Collection[int]:
        civicrm, group = self.town.civicrm, 1000 + 2 * number
        contacts = civicrm.contacts(is_deleted=False)
        return [c.id for c in contacts if civicrm.group_status(c.id, group) == "Added"]


@pytest.fixture
def street(tmp_path: Path) -> Iterator[Street]:
    with Town() as town:
        town.mailchimp.settings.batch_delay_polls = 0
        yield Street(town, tmp_path)


def settle(street: Street, count: int, *, is_synced: bool = True) -> Street:
    for number in range(count):
        street.add(number)
    street.town.clock.advance(hours=1)
    if is_synced:
        street.sync_well()
        street.town.clock.advance(hours=1)
        street.sync_well()
        street.forget_requests()
    return street


# --- side by side ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_first", [True, False], ids=["the first sync", "a quiet one"])
def test_as_many_audiences_as_connections_are_asked_at_once(street: Street, is_first: bool):
    settle(street, 8, is_synced=not is_first)
    gate = street.hold(Gate(MOST))
    street.sync_well()
    assert gate.has_met
    assert gate.most[API_KEY] == MOST


def test_pages_and_audiences_share_the_connections(street: Street, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(members, "PAGE_SIZE", 20)
    monkeypatch.setattr(members, "MIN_PAGE_SIZE", 20)
    settle(street, 8, is_synced=False)
    for number in (0, 4):
        for who in range(100):
            email = f"singer{number}.{who}@example.org"
            street.town.mailchimp.import_member(name_list(number), email)
    street.town.clock.advance(hours=1)
    gate = street.hold(Gate(MOST, pause_s=0.01))
    assert set(street.sync().values()) == {None}
    assert gate.has_met
    assert gate.most[API_KEY] == MOST
    street.town.mailchimp.before_answer = None
    street.sync_well()
    assert [len(street.in_group(number)) for number in range(8)] == [102, 2, 2, 2, 102, 2, 2, 2]


def test_an_account_that_takes_long_holds_no_other_up(street: Street):
    """The first account answers only when all audiences of the second have been asked about."""
    for number in range(12):
        street.add(number, API_KEY if number < 8 else OTHER_API_KEY)
    street.town.clock.advance(hours=1)
    asked: set[str] = set()
    changed, gave_up = threading.Condition(), threading.Event()

    def hold(request: Request) -> None:
        if "/members" not in request.path:
            return
        with changed:
            if read_key(request.headers["authorization"]) == OTHER_API_KEY:
                asked.add(request.path)
                changed.notify_all()
            elif not (gave_up.is_set() or changed.wait_for(lambda: len(asked) == 4, PATIENCE_S)):
                gave_up.set()

    street.town.mailchimp.before_answer = hold
    street.sync_well()
    assert not gave_up.is_set()


def test_a_large_account_holds_no_other_up(street: Street, monkeypatch: pytest.MonkeyPatch):
    """In the midst of its only audience it waits until all of the other account is taken in."""
    monkeypatch.setattr(members, "PAGE_SIZE", 20)
    monkeypatch.setattr(members, "MIN_PAGE_SIZE", 20)
    monkeypatch.setattr(ahead, "MOST_WAITING", 20)
    street.add(0)
    for number in range(1, 5):
        street.add(number, OTHER_API_KEY)
        for who in range(60):
            email = f"singer{number}.{who}@example.org"
            street.town.mailchimp.import_member(name_list(number), email)
    street.town.clock.advance(hours=1)
    is_done, gave_up = threading.Event(), threading.Event()

    def hold(request: Request) -> None:
        if f"/{name_list(0)}/members" in request.path and not is_done.wait(PATIENCE_S):
            gave_up.set()

    def tell(audience: str, what: str, count: int, _of: int = 0) -> None:
        if (audience, what, count) == ("Choir 4", "members fetched", 62):
            is_done.set()

    street.town.mailchimp.before_answer = hold
    with street.running() as run:
        run.progress = tell
        sync(run, wait_s=0)
        run.raise_troubles()
    assert not gave_up.is_set()
    assert [len(street.in_group(number)) for number in range(5)] == [2, 62, 62, 62, 62]


def test_when_the_time_is_over_each_account_goes_on_from_where_it_came(
    street: Street, monkeypatch: pytest.MonkeyPatch
):
    """Both are in the midst of an audience; of a third one nothing was taken yet."""
    monkeypatch.setattr(members, "PAGE_SIZE", 20)
    monkeypatch.setattr(members, "MIN_PAGE_SIZE", 20)
    for number, key in enumerate((API_KEY, OTHER_API_KEY, OTHER_API_KEY)):
        list_id = street.add(number, key)
        for who in range(200):
            street.town.mailchimp.import_member(
                list_id,
                f"singer{number}.{who}@example.org",
                last_changed=street.town.clock() - timedelta(days=30, minutes=-who),
            )
    street.town.clock.advance(hours=1)
    taken: set[str] = set()

    with street.running(deadline=time.monotonic() + 3600) as run:

        def end(audience: str, _what: str, count: int, _of: int = 0) -> None:
            taken.update([audience] if count >= 20 else [])
            if len(taken) == 2:
                run.deadline = 0.0

        run.progress = end
        with pytest.raises(OutOfTime):
            sync(run)
        cuts = [load_status(run.store, list_id).cut for list_id in street.lists]
    assert taken == {"Choir 0", "Choir 1"}
    assert [cut is not None for cut in cuts] == [True, True, False]
    street.forget_requests()
    street.sync()
    begun = [each for each in street.requests() if each.query.endswith("offset=0")]
    for number, list_id in enumerate(street.lists):
        mine = [each.query for each in begun if each.path == f"/3.0/lists/{list_id}/members"]
        assert all("since_last_changed" in each for each in mine) is (number < 2)
    street.sync_well()
    assert [len(street.in_group(number)) for number in range(3)] == [202, 202, 202]


def test_what_accounts_are_is_asked_at_once(street: Street):
    street.add(0)
    street.add(1, OTHER_API_KEY)
    street.add(2, "00112233445566778899aabbccddeeff-us3")
    street.town.clock.advance(hours=1)
    keys: set[str] = set()
    met = threading.Barrier(3)

    def hold(request: Request) -> None:
        if request.path == "/3.0/":
            keys.add(read_key(request.headers["authorization"]))
            met.wait(PATIENCE_S)

    street.town.mailchimp.before_answer = hold
    street.sync_well()
    assert len(keys) == 3


@pytest.mark.parametrize("path", ["/batches/", "/interest-categories", "/merge-fields"])
def test_all_else_that_is_asked_about_audiences_is_asked_at_once(street: Street, path: str):
    settle(street, 7)
    street.with_data = True
    street.town.mailchimp.settings.batch_delay_polls = 1
    for number in range(7):
        contact = street.town.civicrm.add_contact("Dino", "Rubble", [f"dino{number}@example.org"])
        street.town.civicrm.add_to_group(contact, 1000 + 2 * number)
    street.town.clock.advance(minutes=1)
    gate = street.hold(Gate(MOST, path))
    for _ in range(3):  # it is queued, sent, and done
        street.sync()
    assert gate.has_met
    street.town.mailchimp.before_answer = None
    street.sync_well()
    for number in range(7):
        member = street.town.mailchimp.member(name_list(number), f"dino{number}@example.org")
        assert member is not None
        assert member["status"] == "subscribed"


def test_archives_are_fetched_at_once(street: Street):
    settle(street, 7)
    for number in range(7):
        contact = street.town.civicrm.add_contact("Dino", "Rubble", [f"dino{number}@example.org"])
        street.town.civicrm.add_to_group(contact, 1000 + 2 * number)
    street.town.clock.advance(minutes=1)
    asked: set[str] = set()
    changed, gave_up = threading.Condition(), threading.Event()

    def hold(request: Request) -> None:
        if request.path.startswith("/batch-results/") and not gave_up.is_set():
            with changed:
                asked.add(request.query)
                changed.notify_all()
                if not changed.wait_for(lambda: len(asked) >= MOST, PATIENCE_S):
                    gave_up.set()

    street.town.mailchimp_server.before_request = hold
    street.sync()
    assert len(asked) == 7
    assert not gave_up.is_set()


# --- how much is asked ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 10])
def test_a_quiet_run_makes_two_requests_an_audience_and_three(street: Street, count: int):
    settle(street, count)
    street.sync_well()
    asked = [f"{each.path}?{each.query}" for each in street.requests()]
    assert Counter(each.partition("?")[0] for each in asked) == {
        f"/3.0/lists/{list_id}/members": 2 for list_id in street.lists
    }
    assert len(set(asked)) == len(asked)
    assert len(street.town.civicrm_server.requests) == 3


def test_a_run_with_data_asks_nothing_twice(street: Street):
    settle(street, 3)
    street.with_data = True
    street.sync_well()
    street.forget_requests()
    for number in range(3):
        street.town.mailchimp.edit_profile(
            name_list(number), f"fred{number}@example.org", first_name="Frederick"
        )
    street.sync()
    asked = Counter(f"{each.path}?{each.query}" for each in street.requests())
    assert set(asked.values()) == {1}
    assert sum("/merge-fields" in each for each in asked) == 3


def test_an_audience_that_is_not_meant_is_not_asked_about(street: Street):
    settle(street, 5)
    chosen = street.lists[1:3]
    assert street.sync(*chosen) == dict.fromkeys(chosen)
    assert {each.path for each in street.requests()} == {
        f"/3.0/lists/{list_id}/members" for list_id in chosen
    }


def test_mailchimp_is_asked_while_civicrm_is(street: Street):
    """CiviCRM does not answer before Mailchimp has all connections' questions."""
    settle(street, 8)
    gate = street.hold(Gate(MOST))
    handle = street.town.civicrm.handle

    def wait_for_mailchimp(request: Request) -> Response:
        gate.wait_until_met()
        return handle(request)

    street.town.civicrm.handle = wait_for_mailchimp  # type: ignore[method-assign]
    street.sync_well()
    assert gate.has_met


def test_who_changed_in_civicrm_is_asked_when_all_members_have_come(street: Street):
    """What staff do while members come, which may take hours, is known before anybody is judged:
    who opts out is not subscribed, who is renamed keeps the name.
    """
    settle(street, 3)
    handle = street.town.civicrm.handle
    come: list[int] = []

    def note(request: Request) -> Response:
        if b"modified_date" in request.body:
            come.append(len(street.requests()))
        return handle(request)

    street.town.civicrm.handle = note  # type: ignore[method-assign]
    street.sync_well()
    assert come == [2 * 3]


def test_who_opts_out_while_members_come_is_not_subscribed(street: Street):
    """Fred was removed once and has just been Added again."""
    settle(street, 2)
    civicrm, mailchimp, choir = street.town.civicrm, street.town.mailchimp, street.lists[0]
    [fred] = civicrm.contacts_by_email("fred0@example.org")
    civicrm.remove_from_group(fred.id, 1000)
    street.town.clock.advance(minutes=1)
    street.sync_well()
    civicrm.add_to_group(fred.id, 1000)
    street.town.clock.advance(minutes=1)

    def opt_out(request: Request) -> None:
        if choir in request.path:
            street.town.clock.advance(minutes=1)
            civicrm.update_contact(fred.id, is_opt_out=True)

    mailchimp.before_answer = opt_out
    street.sync_well()
    assert mailchimp.members(choir)["fred0@example.org"]["status"] == "unsubscribed"


def test_of_an_audience_that_civicrm_stops_nothing_is_taken_in(street: Street):
    """The first time its pages may be there already; then it is not asked about."""
    settle(street, 5)
    street.town.civicrm.disable_group(1002)
    street.town.mailchimp.sign_up(street.lists[1], "dino1@example.org")
    street.town.clock.advance(minutes=1)
    for _ in range(2):
        street.forget_requests()
        troubles = street.sync()
        assert [key for key, error in troubles.items() if error] == [street.lists[1]]
    assert not any(street.lists[1] in each.path for each in street.requests())
    with closing(Store(street.folder / "mcsync.db")) as store:
        emails = store.column("SELECT email_key FROM civicrm_mailchimpsync_cache")
    assert "wilma1@example.org" in emails
    assert "dino1@example.org" not in emails
    street.town.civicrm.enable_group(1002)
    street.sync_well()
    assert len(street.in_group(1)) == 3


def test_who_cannot_be_fetched_in_full_does_not_keep_others_from_it(street: Street):
    """CiviCRM stops the audience that has waited the longest; it is the next one's turn."""
    settle(street, 4)
    with closing(Store(street.folder / "mcsync.db")) as store, store.atomic():
        for number, days in ((2, 7.8), (1, 7.5)):
            status = load_status(store, street.lists[number])
            status.full_fetched_at = to_text(street.town.clock() - timedelta(days=days))
            save_status(store, street.lists[number], status)
    street.town.civicrm.disable_group(1004)
    street.forget_requests()
    street.sync()
    with closing(Store(street.folder / "mcsync.db")) as store:
        at = from_text(load_status(store, street.lists[1]).full_fetched_at)
    assert street.town.clock() - at < timedelta(hours=1)


# --- trouble --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "status"),
    [(0, 500), (3, 404), (7, 500)],
    ids=["the first", "one amid", "the last"],
)
def test_the_trouble_of_an_audience_is_its_own(street: Street, number: int, status: int):
    settle(street, 8)
    bad = street.lists[number]
    for each in range(8):
        street.town.mailchimp.sign_up(name_list(each), f"dino{each}@example.org")
    answer = Response(status, b"{}", {"Content-Type": "application/json"})
    fault = Fault("GET", f"/lists/{bad}/members", answer=answer, times=None)
    street.town.mailchimp_server.faults.append(fault)
    street.town.clock.advance(minutes=1)
    troubles = street.sync()
    assert [key for key, error in troubles.items() if error] == [bad]
    assert [len(street.in_group(each)) for each in range(8) if each != number] == [3] * 7
    assert len(street.in_group(number)) == 2
    street.town.mailchimp_server.faults.clear()
    street.sync_well()
    assert len(street.in_group(number)) == 3


def test_a_key_of_another_account_is_refused_before_anything_is_asked(street: Street):
    settle(street, 3)
    street.town.mailchimp.add_account(OTHER_API_KEY)
    for list_id in street.lists:
        street.town.lists[list_id]["apiKey"] = OTHER_API_KEY
    troubles = street.sync()
    for error in troubles.values():
        assert error is not None
        assert "a different Mailchimp account" in error.message
    assert {each.path for each in street.requests()} == {"/3.0/"}


def test_when_the_time_is_over_the_rest_stays_as_it_was_and_comes_next_time(street: Street):
    settle(street, 8)
    for each in range(8):
        street.town.mailchimp.sign_up(name_list(each), f"dino{each}@example.org")
    street.town.clock.advance(minutes=1)
    with street.running(deadline=time.monotonic() + 3600) as run:
        run.progress = _end_at(run, "Choir 2")
        with pytest.raises(OutOfTime):
            sync(run)
        statuses = [load_status(run.store, list_id) for list_id in street.lists]
    assert [status.cut is not None for status in statuses] == [number == 2 for number in range(8)]
    assert [status.is_fetched for status in statuses] == [number > 2 for number in range(8)]
    street.sync_well()
    assert [len(street.in_group(each)) for each in range(8)] == [3] * 8


def test_who_acts_after_their_page_was_read_ahead_is_found_the_next_time(street: Street):
    """It is read long before its turn: the next window begins when it was read."""
    settle(street, 2)
    town, other = street.town, street.lists[1]
    answers: list[str] = []
    is_read, has_acted = threading.Event(), threading.Event()

    def note(request: Request, _response: Response) -> None:
        if other in request.path:
            answers.append(request.query)
            if len(answers) == 2:
                is_read.set()

    def act(name: str, what: str, _count: int, _of: int = 0) -> None:
        if (name, what) == ("Choir 0", "members fetched") and not has_acted.is_set():
            assert is_read.wait(PATIENCE_S)
            has_acted.set()
            town.clock.advance(minutes=30)
            town.mailchimp.leave(other, "fred1@example.org")
            town.clock.advance(minutes=30)

    town.mailchimp_server.after_request = note
    with street.running() as run:
        run.progress = act
        sync(run, wait_s=0)
        run.raise_troubles()
    assert len(street.in_group(1)) == 2
    town.clock.advance(minutes=1)
    street.sync_well()
    assert len(street.in_group(1)) == 1


def _end_at(run: Run, audience: str) -> Callable[..., None]:
    """Tell of progress to what ends the run's time at an audience."""

    def progress(name: str, _what: str, count: int, _of: int = 0) -> None:
        if name == audience and count:
            run.deadline = 0.0

    return progress


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)], ids=["TERM", "INT"]
)
def test_a_signal_ends_it_while_all_connections_wait(
    street: Street, number: signal.Signals, code: int
):
    settle(street, 8, is_synced=False)
    gate = street.hold(Gate(9))
    config = str(street.town.write_config(street.folder))
    command = [sys.executable, "-c", RUN, "sync", "--json", "--config", config]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        gate.wait(MOST)
        process.send_signal(number)
        out, _ = process.communicate(timeout=PATIENCE_S / 2)  # the answers are held for longer
    finally:
        process.kill()
        gate.open()
    assert process.returncode == json.loads(out)["exit_code"] == code
    street.town.mailchimp.before_answer = None
    street.sync_well()
    assert [len(street.in_group(each)) for each in range(8)] == [2] * 8


def test_one_connection_alone_does_the_same(street: Street, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ahead, "AT_ONCE", 1)
    settle(street, 3)
    gate = street.hold(Gate())
    street.sync_well()
    assert gate.most[API_KEY] == 1
