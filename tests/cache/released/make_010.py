"""Makes `0.1.0.sql` and `0.1.0.json`: a cache as mcsync 0.1.0 wrote it, and the town it is about.

Run by hand, and only by that version: what a release wrote never changes, so neither do the files.
From the top of the repository, with its virtual environment:

    mkdir /tmp/released && git archive 0d8ffb0 | tar -x -C /tmp/released
    PYTHONPATH=/tmp/released .venv/bin/python tests/cache/released/make_010.py

It plays four days of two audiences on the simulated services with the real pipeline. Every kind of
row that 0.1.0 knows is there in the end, each for a person whose address says what it is about,
and things are under way: see `Story.last_day`.
"""

import contextlib
import itertools
import json
import logging
import secrets
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from town_state import describe_town, write_json

import mcsync
from mcsync.assemble import build_run
from mcsync.cache.migrations import migrations
from mcsync.cache.store import Store
from mcsync.cache.webhooks import save_events
from mcsync.config import load_config
from mcsync.model import EventKind, WebhookEvent
from mcsync.pipeline.batches import process_batches
from mcsync.pipeline.fetch import Window, fetch
from mcsync.pipeline.reconcile import reconcile
from mcsync.pipeline.run import Run
from mcsync.pipeline.submit import submit
from mcsync.pipeline.sync import sync
from mcsync.sandbox.server import Fault
from mcsync.sandbox.town import Town

HERE = Path(__file__).parent
START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)
API_URL = "http://127.0.0.1:8001/3.0"  # in place of the port that Mailchimp happened to get
MAIN, GROUP = "aaaaaaaaaa", 111
INTEREST, INTEREST_GROUP = "cccccccccc", 222
TRUSTEES, TRUSTEES_GROUP = "bbbbbbbbbb", 333
MIGRATIONS = ["m001_first_tables", "m002_views", "m003_data", "m004_webhooks", "m005_speed"]
SETTINGS: dict[str, Any] = {
    "safety": {"maxUnsubscribes": "10%", "maxRemovals": None},
    "data": {"sync": True, "fields": {"JOB": "job_title"}},
}
TRUST = {"subscription": "Mailchimp"}

# In the audience and in its group, and in agreement, when the story begins.
SETTLED = (
    *("in-sync", "in-sync-with-tag", "in-sync-with-job", "in-sync-with-interest"),
    *("muted", "left", "left-and-asked", "left-and-to-be-asked", "vanished", "archived", "cleaned"),
    *("contact-trashed", "contact-purged", "merged", "removed", "trusted", "other-address"),
    *("unsubscribe-under-way", "unsubscribe-claimed", "moved-at-mailchimp", "leaves-by-webhook"),
)


class Story:
    """The town, the folder with config and cache, and the people by what they are there for."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town, self.folder = town, folder
        self.contacts: dict[str, int] = {}
        town.mailchimp.settings.batch_delay_polls = 0
        town.mailchimp.settings.fake_addresses = {email("refused-for-ever")}
        town.add_audience(
            MAIN, "Main audience", GROUP, {INTEREST: (INTEREST_GROUP, "Volunteering")}
        )
        town.add_audience(TRUSTEES, "Trustees", TRUSTEES_GROUP, {})
        town.mailchimp.add_merge_field(MAIN, "JOB", "Job")
        town.lists[MAIN] |= {"duplicates": "skip", "deletedContacts": "hold"}
        town.clock.advance(minutes=1)

    # --- people ---------------------------------------------------------------------------------

    def add_contact(self, who: str, group: int | None = GROUP, **more: Any) -> int:
        """A contact named after what they are there for, Added to a group."""
        addresses = more.pop("emails", [email(who)])
        contact = self.town.civicrm.add_contact(who.title(), "Flintstone", addresses, **more)
        if group is not None:
            self.town.civicrm.add_to_group(contact, group)
        self.contacts[who] = contact
        return contact

    def add_member(self, who: str, list_id: str = MAIN, status: str = "subscribed") -> None:
        """A member, changed just now."""
        self.town.mailchimp.import_member(
            list_id, email(who), status, who.title(), "Flintstone", left=status == "unsubscribed"
        )

    # --- running --------------------------------------------------------------------------------

    @contextlib.contextmanager
    def run(self) -> Iterator[Run]:
        """A run as cron starts it; a minute passes afterwards."""
        path = self.folder / "config.json"
        path.write_text(json.dumps({**self.town.make_config(), **SETTINGS}), encoding="utf-8")
        path.chmod(0o600)
        config = load_config(path, {})
        store = Store(self.folder / "mcsync.db")
        try:
            yield build_run(
                config, config.audiences, store, clock=self.town.clock, sleep=lambda _: None
            )
        finally:
            store.close()
        self.town.clock.advance(minutes=1)

    def sync(self, window: Window | None = None) -> int:
        """One `mcsync sync --wait`; how much it wrote, or tried to."""
        written = self.town.civicrm.writes
        with self.run() as run:
            sync(run, window, wait_s=60)
            run.raise_troubles()
        sent = sum(report.operations_submitted for report in run.reports.values())
        return self.town.civicrm.writes - written + sent

    def settle(self) -> None:
        """Sync until there is nothing to do."""
        for _ in range(5):
            if not self.sync():
                return
        raise AssertionError("it never settles")

    def send(self) -> None:
        """Fetch, judge and send, and take nothing in."""
        with self.run() as run:
            fetch(run)
            reconcile(run)
            submit(run)

    # --- what happens ---------------------------------------------------------------------------

    def first_day(self) -> None:
        """Two filled lists meet."""
        mailchimp, civicrm = self.town.mailchimp, self.town.civicrm
        for who in SETTLED:
            self.add_member(who)
            self.add_contact(who)
        for number in range(30):
            who = f"trustee{number}"
            self.add_member(who, TRUSTEES)
            self.add_contact(who, TRUSTEES_GROUP)
        self.donor = civicrm.add_tag("Donor")
        civicrm.tag(self.contacts["in-sync-with-tag"], self.donor)
        civicrm.update_contact(self.contacts["in-sync-with-job"], job_title="Quarryman")
        who = "in-sync-with-interest"
        mailchimp.edit_profile(MAIN, email(who), interests={INTEREST: True})
        civicrm.add_to_group(self.contacts[who], INTEREST_GROUP)
        second = email("other-address-that-leaves")
        self.add_member("other-address-that-leaves")
        civicrm.add_email(self.contacts["other-address"], second)
        self.add_member("shared-address")
        for place in ("first", "second"):
            self.add_contact(f"shared-{place}", emails=[email("shared-address")])
        self.add_member("ambiguous")
        for place in ("first", "second"):
            self.add_contact(f"ambiguous-{place}", None, emails=[email("ambiguous")])
        self.add_member("without-history")
        contact = self.add_contact("without-history", None)
        civicrm.sql_set_membership(contact, GROUP, "Added")
        self.add_member("forgotten")
        mailchimp.staff_delete_permanently(MAIN, email("forgotten"))
        self.add_contact("forgotten")
        self.add_contact("refused-for-ever")
        self.add_contact("signs-up-despite-opt-out", is_opt_out=True)
        self.add_contact("held-address", emails=[(email("held-address"), {"on_hold": 1})])
        self.add_member("new-in-civicrm")
        self.add_contact("new-at-mailchimp")
        self.add_member("unknown-and-out", status="unsubscribed")
        self.settle()

    def second_day(self) -> None:
        """People and staff change their minds; two leave without a trace."""
        mailchimp, civicrm = self.town.mailchimp, self.town.civicrm
        civicrm.update_contact(self.contacts["muted"], is_opt_out=True)
        for who in ("left", "left-and-asked", "left-and-to-be-asked", "other-address-that-leaves"):
            mailchimp.leave(MAIN, email(who))
        mailchimp.staff_delete_permanently(MAIN, email("vanished"))
        mailchimp.staff_archive(MAIN, email("archived"))
        mailchimp.bounce(MAIN, email("cleaned"))
        mailchimp.sign_up(MAIN, email("signs-up-despite-opt-out"))
        civicrm.trash(self.contacts["contact-trashed"])
        civicrm.purge(self.contacts["contact-purged"])
        civicrm.merge(self.add_contact("merged-survivor", None), self.contacts["merged"])
        civicrm.remove_from_group(self.contacts["removed"], GROUP)
        self.town.clock.advance(minutes=1)
        self.sync(Window(None))  # only a full fetch notices who is deleted for good
        self.settle()

    def third_day(self) -> None:
        """Mailchimp is trusted once, and a confirmation is asked for."""
        civicrm = self.town.civicrm
        civicrm.remove_from_group(self.contacts["trusted"], GROUP)
        self.town.lists[MAIN]["trustOverride"] = TRUST
        self.town.clock.advance(minutes=1)
        self.settle()
        civicrm.add_to_group(self.contacts["left-and-asked"], GROUP)
        self.town.clock.advance(minutes=1)
        self.settle()

    def last_day(self) -> None:
        """Things get under way, and stay so.

        A refused subscribe makes a confirmation wait to be asked for; one batch is at Mailchimp,
        of another the answer was lost; an update waits to be sent, and a tag for the same person;
        Trustees' plan is held; somebody's new address was seen and not judged; two webhooks are
        stored.
        """
        mailchimp, civicrm = self.town.mailchimp, self.town.civicrm
        civicrm.add_to_group(self.contacts["left-and-to-be-asked"], GROUP)
        self.send()  # and Mailchimp is quick
        mailchimp.settings.batch_delay_polls = None
        civicrm.remove_from_group(self.contacts["unsubscribe-under-way"], GROUP)
        self.send()
        civicrm.remove_from_group(self.contacts["unsubscribe-claimed"], GROUP)
        answer_is_lost = Fault(method="POST", path="/batches", drop="after")
        self.town.mailchimp_server.faults.append(answer_is_lost)
        self.send()
        civicrm.tag(self.add_contact("subscribe-queued"), self.donor)
        for number in range(12):
            civicrm.remove_from_group(self.contacts[f"trustee{number}"], TRUSTEES_GROUP)
        with self.run() as run:
            process_batches(run)
            fetch(run)
            reconcile(run)
        mailchimp.change_address(MAIN, email("moved-at-mailchimp"), email("moved-to-here"))
        self.town.clock.advance(minutes=1)
        with self.run() as run:
            fetch(run)
            mailchimp.leave(MAIN, email("leaves-by-webhook"))
            mailchimp.edit_profile(MAIN, email("in-sync"), first_name="Pebbles")
            save_events(
                run.store,
                [
                    WebhookEvent(EventKind.UNSUBSCRIBE, MAIN, email("leaves-by-webhook")),
                    WebhookEvent(EventKind.PROFILE, MAIN, email("in-sync")),
                ],
                self.town.clock(),
            )


def email(who: str) -> str:
    """Their address."""
    return f"{who}@example.org"


def dump_cache(path: Path, api_url: str) -> str:
    """The file as SQL; what differs from one making to the next is made the same."""
    db = sqlite3.connect(path)
    with contextlib.closing(db), db:
        db.execute("UPDATE _sqlite_migrations SET applied_at = ?", (START.isoformat(),))
        lines = [line.replace(api_url, API_URL) for line in db.iterdump()]
    return "\n".join(lines) + "\n"


def make_ids_plain() -> None:
    """Have the ids of cache and runs count up, so that they are the same every time."""
    numbers = itertools.count(1)
    secrets.token_hex = lambda size: f"{next(numbers):0{2 * size}x}"  # type: ignore[assignment]


def main() -> None:
    """Play the story, and write both files beside this one."""
    found = [migration.name for migration in migrations.pending(_empty())]
    if mcsync.__version__ != "0.1.0" or found != MIGRATIONS:
        sys.exit(f"this is not mcsync 0.1.0 but {mcsync.__file__}; see the docstring")
    make_ids_plain()
    logging.getLogger("mcsync").setLevel(logging.CRITICAL)  # what is refused is meant to be
    with tempfile.TemporaryDirectory() as name, Town(START) as town:
        story = Story(town, Path(name))
        days = (story.first_day, story.second_day, story.third_day, story.last_day)
        for number, play in enumerate(days):
            if number:
                town.clock.advance(days=1)
            play()
        dump = dump_cache(story.folder / "mcsync.db", town.api_url)
        state = describe_town(town) | {"settings": SETTINGS}
    (HERE / "0.1.0.sql").write_text(dump, encoding="utf-8")
    (HERE / "0.1.0.json").write_text(write_json(state), encoding="utf-8")


def _empty() -> Any:
    from sqlite_utils import Database

    return Database(memory=True)


if __name__ == "__main__":
    main()
