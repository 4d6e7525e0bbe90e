"""Large queues: cost grows with the queue and not with its square, a page at a time.

Nothing here looks at a clock. Work is counted as SQLite's own steps and as requests, memory as
rows that come at once, and how long others wait as rows written in one transaction.
"""

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import pytest

from mcsync.cache import linking, mirror, persons, plain_people, plans, rows
from mcsync.cache.store import Store
from mcsync.civicrm import reading
from mcsync.mailchimp import members
from mcsync.model import EventKind, WebhookEvent
from mcsync.pipeline import fetch_civicrm as pipeline_mirror
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.handle_webhooks import handle_webhooks
from mcsync.pipeline.run import OutOfTime
from mcsync.pipeline.sync import sync
from mcsync.sandbox.server import Fault, Request, Response
from tests.scenario.aftermath import assert_at_peace
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.postal import Post

PAGE = 10_000  # rows of CiviCRM's that are asked for at once
TWICE = 2.6  # twice as many may cost that much more: some work is the same for any number


@dataclass
class Meter:
    """Counts what one store does: SQLite's steps in thousands, rows written per transaction."""

    store: Store
    steps: int = 0
    largest: int = 0
    _begun: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.store.conn.set_progress_handler(self._step, 1000)
        self.store.conn.set_trace_callback(self._trace)

    def _step(self) -> int:
        self.steps += 1
        return 0

    def _trace(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            self._begun = self.store.conn.total_changes
        elif statement.startswith("COMMIT"):
            self.largest = max(self.largest, self.store.conn.total_changes - self._begun)

    def stop(self) -> None:
        self.store.conn.set_progress_handler(None, 0)
        self.store.conn.set_trace_callback(None)


def populate(bedrock: Bedrock, people: int, name: str = "gazoo") -> list[str]:
    """People in agreement, in both services; nobody has looked at them yet."""
    emails = [f"{name}{number}@example.org" for number in range(people)]
    for email in emails:
        bedrock.add_both(email)
    bedrock.pass_time(minutes=1)
    return emails


# --- waiting webhooks -----------------------------------------------------------------------------


def fire(bedrock: Bedrock, post: Post, emails: list[str]) -> None:
    """One webhook about each of these people, who have edited their profile."""
    now = bedrock.town.clock()
    post.store(
        WebhookEvent(kind=EventKind.PROFILE, list_id=LIST, email=email, fired_at=now)
        for email in emails
    )


def handle_all(bedrock: Bedrock, by: str) -> tuple[int, int]:
    """Handle the whole queue; SQLite's steps in thousands and requests."""
    asked = bedrock.town.requests
    store = bedrock.open_store()
    meter = Meter(store)
    run = bedrock.make_run(store)
    if by == "sync":
        sync(run)
    else:
        while handle_webhooks(run):
            run = bedrock.make_run(store)
    meter.stop()
    store.close()
    return meter.steps, bedrock.town.requests - asked


@pytest.mark.parametrize("by", ["sync", "server"])
def test_waiting_webhooks_cost_as_much_as_there_are_b9(bedrock: Bedrock, by: str):
    post = Post(bedrock)
    emails = populate(bedrock, 800)
    bedrock.sync()
    costs = []
    for count in (400, 800):
        fire(bedrock, post, emails[:count])
        bedrock.pass_time(minutes=1)
        assert post.waiting() == count
        costs.append(handle_all(bedrock, by))
        assert post.waiting() == 0
    (steps, requests), (twice_steps, twice_requests) = costs
    assert twice_steps <= TWICE * max(steps, 10), costs
    assert twice_requests <= TWICE * requests, costs
    assert_at_peace(bedrock)


def test_many_webhooks_about_one_person_read_them_once_b9(bedrock: Bedrock):
    """The brother: the same person over and over again."""
    post = Post(bedrock)
    [email] = populate(bedrock, 1)
    bedrock.sync()
    for _ in range(400):
        fire(bedrock, post, [email])
        bedrock.pass_time(seconds=1)
    asked = len(bedrock.town.mailchimp_server.requests)
    handle_all(bedrock, "sync")
    assert post.waiting() == 0
    assert len(bedrock.town.mailchimp_server.requests) - asked <= 10


# --- history of other groups ----------------------------------------------------------------------


def count_rows(bedrock: Bedrock) -> Counter[str]:
    """From now on: most rows in one answer of CiviCRM, and all of them, by entity."""
    found: Counter[str] = Counter()

    def count(request: Request, response: Response) -> None:
        document = json.loads(response.body)
        calls = parse_qs(request.body.decode()).get("calls")
        if calls:
            named = json.loads(calls[0])
            entities = [call[0] for call in (named.values() if isinstance(named, dict) else named)]
            answers = list(document.values() if isinstance(document, dict) else document)
        else:
            entities, answers = [request.path.split("/")[-2]], [document]
        for entity, answer in zip(entities, answers, strict=True):
            rows = len(answer.get("values", ()))
            found[entity] += rows
            found[f"most {entity}"] = max(found[f"most {entity}"], rows)

    bedrock.town.civicrm_server.after_request = count
    return found


def test_history_of_other_groups_is_not_read_b9(bedrock: Bedrock):
    populate(bedrock, 12)
    other = bedrock.town.civicrm.add_group("Somebody else's")
    contacts = [c.id for c in bedrock.town.civicrm.contacts(last_name="Flintstone")]
    bedrock.sync()
    for number in range(3 * PAGE):
        contact = contacts[number % len(contacts)]
        bedrock.town.civicrm.store.write_history(contact, other, "Added", "Admin", None, None)
    bedrock.town.civicrm.remove_from_group(contacts[0], GROUP)
    bedrock.pass_time(minutes=1)
    found = count_rows(bedrock)
    bedrock.sync()
    assert bedrock.member_status("gazoo0@example.org") == "unsubscribed"
    assert found["SubscriptionHistory"] < 1000, found
    bedrock.pass_time(hours=25)
    bedrock.sync()
    assert found["SubscriptionHistory"] < 2000, found
    assert_at_peace(bedrock)


def test_history_of_our_own_group_comes_by_the_page_b9(bedrock: Bedrock):
    """The brother: an hour of imports into the audience's own group, and the first fetch."""
    populate(bedrock, 12)
    contacts = [c.id for c in bedrock.town.civicrm.contacts(last_name="Flintstone")]
    found = count_rows(bedrock)
    for is_first in (True, False):
        for number in range(PAGE + 2000):
            contact = contacts[number % len(contacts)]
            bedrock.town.civicrm.store.write_history(contact, GROUP, "Added", "Admin", None, None)
        bedrock.pass_time(minutes=1)
        found.clear()
        bedrock.sync()
        assert found["SubscriptionHistory"] >= PAGE + 2000, (is_first, found)
        assert found["most SubscriptionHistory"] <= PAGE, (is_first, found)
    assert_at_peace(bedrock)


# --- transactions ---------------------------------------------------------------------------------


def shrink(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pages and chunks be small, so that few people are many of them: a hundred rows."""
    for module, name in (
        (linking, "CHUNK"),
        (mirror, "_CHUNK"),
        (persons, "CHUNK"),
        (plain_people, "CHUNK"),
        (plans, "CHUNK"),
        (rows, "_MARK_CHUNK"),
        (pipeline_mirror, "_CONTACTS_AT_ONCE"),
        (pipeline_mirror, "_OWNERS_AT_ONCE"),
        (members, "PAGE_SIZE"),
        (reading, "PAGE_SIZE"),
    ):
        monkeypatch.setattr(module, name, 100)


Load = Callable[[Bedrock], None]


def first_fetch(bedrock: Bedrock) -> None:
    """Nobody is known yet."""


def everybody_changed(bedrock: Bedrock) -> None:
    """All contacts are edited in CiviCRM."""
    bedrock.sync()
    for contact in bedrock.town.civicrm.contacts(last_name="Flintstone"):
        bedrock.town.civicrm.update_contact(contact.id, last_name="Rubble")
    bedrock.pass_time(minutes=1)


def new_rules(bedrock: Bedrock) -> None:
    """An option is changed: everybody is judged anew."""
    bedrock.sync()
    bedrock.options["deletedContacts"] = "hold"


def daily_compare(bedrock: Bedrock) -> None:
    """Half of the places in the group were changed behind CiviCRM's back."""
    bedrock.sync()
    for contact in sorted(bedrock.town.civicrm.group_members(GROUP))[::2]:
        bedrock.town.civicrm.sql_set_membership(contact, GROUP, "Removed")
    bedrock.pass_time(hours=25)


LOADS = [first_fetch, everybody_changed, new_rules, daily_compare]


@pytest.mark.parametrize("load", LOADS, ids=lambda load: load.__name__.replace("_", " "))
def test_no_transaction_grows_with_the_audience_b9(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch, load: Load
):
    """Webhooks are stored meanwhile: others write the file between any two of them."""
    shrink(monkeypatch)
    populate(bedrock, 2000)
    load(bedrock)
    store = bedrock.open_store()
    meter = Meter(store)
    sync(bedrock.make_run(store))
    meter.stop()
    store.close()
    assert meter.largest <= 1500, meter.largest  # a hundred rows at once, of several tables
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    assert_at_peace(bedrock)


def test_a_webhook_can_be_stored_at_every_request_of_a_run_b9(bedrock: Bedrock):
    """The brother: no run holds the cache while it waits for an answer.

    The service waits with its answer until the webhook is stored; another page may be written
    just then, and is soon done.
    """
    post = Post(bedrock)
    emails = populate(bedrock, 300)
    waits: list[str] = []

    def store_one(_request: Request) -> None:
        other = bedrock.open_store()
        try:
            other.conn.execute("PRAGMA busy_timeout = 10000")
            other.conn.execute("BEGIN IMMEDIATE")
            other.conn.execute("ROLLBACK")
        except Exception as error:
            waits.append(repr(error))
        finally:
            other.close()

    for server in (bedrock.town.mailchimp_server, bedrock.town.civicrm_server):
        server.before_request = store_one
    bedrock.sync()
    for number in range(30):
        bedrock.town.mailchimp.leave(LIST, emails[number])
        bedrock.town.mailchimp.sign_up(LIST, f"dino{number}@example.org")
        bedrock.add_contact(f"betty{number}@example.org")
    bedrock.pass_time(minutes=1)
    bedrock.sync()
    post.bring()
    assert waits == []


# --- a time limit that ends in the look-up of owners ----------------------------------------------


def test_a_run_cut_in_the_look_up_of_owners_goes_on_there_b9(
    bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch
):
    shrink(monkeypatch)
    bedrock.add_both("fred@example.org")
    bedrock.sync()
    emails = [f"dino{number}@example.org" for number in range(450)]
    for email in emails:
        bedrock.town.mailchimp.sign_up(LIST, email)
    bedrock.pass_time(minutes=1)
    found = count_asked(bedrock)
    cuts = 0
    while True:
        store = bedrock.open_store()
        run = bedrock.make_run(store)
        fault = Fault(path=r"Email/get", act=lambda run=run: setattr(run, "deadline", 0.0))  # type: ignore[misc]
        bedrock.town.civicrm_server.faults[:] = [fault]
        try:
            fetch(run)
        except OutOfTime:
            cuts += 1
            assert cuts < 20, "never comes to an end"
        else:
            break
        finally:
            store.close()
            bedrock.pass_time(minutes=1)
    store.close()
    bedrock.town.civicrm_server.faults.clear()
    assert cuts >= 3
    assert set(found) == set(emails)
    assert max(found.values()) == 1, found.most_common(3)
    bedrock.sync()
    for email in emails:
        assert len(bedrock.town.civicrm.contacts_by_email(email)) == 1
    assert_at_peace(bedrock)


def count_asked(bedrock: Bedrock) -> Counter[str]:
    """From now on: how often CiviCRM is asked who owns each address."""
    found: Counter[str] = Counter()

    def count(request: Request) -> None:
        if "Email/get" in request.path:
            params = json.loads(parse_qs(request.body.decode())["params"][0])
            (_, [(_, _, emails), *_]), *_ = params["where"]  # these, or any with blanks before it
            found.update(emails)

    bedrock.town.civicrm_server.before_request = count
    return found
