"""Cron at Bedrock: `mcsync sync` every five minutes, with what it says and leaves behind.

People are called by the part of their address before the @; all of them are at example.org.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from mcsync.cache.trail import Change, load_changes
from mcsync.errors import McsyncError
from mcsync.model import Side
from mcsync.pipeline.fetch import Window
from mcsync.pipeline.run import Report
from mcsync.pipeline.sync import sync
from mcsync.pipeline.sync_contact import sync_contact
from mcsync.pipeline.tell_troubles import note_troubles
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS, Bedrock

MAY = datetime(2026, 5, 12, 9, 30, tzinfo=UTC)
JUNE = datetime(2026, 6, 12, 9, 30, tzinfo=UTC)


class Stand(NamedTuple):
    """How somebody stands: at Mailchimp, in the group, and their row in the cache."""

    member: str | None
    group: str | None
    row: str | None


IN = Stand("subscribed", "Added", "ok")
OUT = Stand("unsubscribed", "Removed", "ok")


@dataclass(frozen=True)
class Ran:
    """How one run ended; `writes`: records in CiviCRM and operations at Mailchimp."""

    exit_code: int
    writes: int
    reports: Mapping[str, Report]
    changes: Sequence[Change]
    error: McsyncError | None

    @property
    def report(self) -> Report:
        """The main audience's."""
        return self.reports[LIST]

    @property
    def is_in_sync(self) -> bool:
        """Whether every audience was found in agreement."""
        return all(report.in_sync for report in self.reports.values())

    @property
    def held(self) -> str | None:
        """What the guards say of the main audience."""
        held = self.report.held
        return None if held is None else held.message


@dataclass
class Cron:
    """Runs as cron does: one look every five minutes, without waiting for results."""

    bedrock: Bedrock

    # --- people -------------------------------------------------------------------------------

    def add(
        self,
        name: str,
        member: str | None = "subscribed",
        group: str | None = "Added",
        *,
        at: datetime = MAY,
        left: bool = False,
        **flags: object,
    ) -> int:
        """Somebody who stands like that at both sides since May; their contact."""
        contact = self.bedrock.add_contact(mail(name), group=False, **flags)
        if member is not None:
            self.bedrock.add_member(mail(name), member, last_changed=at, left=left)
        if group is not None:
            self.bedrock.town.civicrm.add_to_group(contact, GROUP, at=at)
        if group == "Removed":
            self.bedrock.town.civicrm.remove_from_group(contact, GROUP, at=at)
        return contact

    def add_some(self, *names: str) -> dict[str, int]:
        """People in sync since May, after a first run that found nothing to do about them."""
        contacts = {name: self.add(name) for name in names}
        self.start()
        return contacts

    def start(self) -> None:
        """A first run, and one that has nothing to do any more; an hour passes."""
        assert self.run().exit_code == 0
        self.settle()
        self.bedrock.pass_time(hours=1)

    def contact(self, name: str) -> int:
        """The one contact that owns the address."""
        found = self.bedrock.town.civicrm.contacts_by_email(mail(name))
        [contact] = [contact for contact in found if not contact.is_deleted]
        return contact.id

    # --- what staff and people do -------------------------------------------------------------

    def join(self, name: str, group: int = GROUP) -> None:
        """Staff add somebody to a group; two minutes pass."""
        self.bedrock.town.civicrm.add_to_group(self.contact(name), group)
        self.bedrock.pass_time(minutes=2)

    def remove(self, name: str, group: int = GROUP) -> None:
        """Staff remove somebody from a group; two minutes pass."""
        self.bedrock.town.civicrm.remove_from_group(self.contact(name), group)
        self.bedrock.pass_time(minutes=2)

    def volunteer(self, *names: str) -> None:
        """Staff add people to the interest's group; two minutes pass."""
        for name in names:
            self.bedrock.town.civicrm.add_to_group(self.contact(name), VOLUNTEERS)
        self.bedrock.pass_time(minutes=2)

    def opt_out(self, name: str, *, is_out: bool = True) -> None:
        """Somebody opts out of bulk mail in CiviCRM, or in again; two minutes pass."""
        self.bedrock.town.civicrm.update_contact(self.contact(name), is_opt_out=is_out)
        self.bedrock.pass_time(minutes=2)

    def leave(self, name: str) -> None:
        """Somebody follows the link in a mail; two minutes pass."""
        self.bedrock.town.mailchimp.leave(LIST, mail(name))
        self.bedrock.pass_time(minutes=2)

    def sign_up(self, name: str) -> None:
        """Somebody fills in Mailchimp's form; two minutes pass."""
        self.bedrock.town.mailchimp.sign_up(LIST, mail(name))
        self.bedrock.pass_time(minutes=2)

    # --- running ------------------------------------------------------------------------------

    def run(
        self,
        *lists: str,
        trust: Mapping[str, Side] | None = None,
        window: Window | None = None,
        is_forced: bool = False,
        minutes: float = 5,
    ) -> Ran:
        """One `mcsync sync`, of all audiences or those named; then five minutes pass."""
        error, written = None, self._written()
        with closing(self.bedrock.open_store()) as store:
            run = self.bedrock.make_run(store, *lists, is_forced=is_forced)
            trusted = {task.list_id: trust for task in run.tasks} if trust else None
            try:
                try:
                    sync(run, window, trusted)
                except McsyncError as caught:
                    run.blame(caught)
                note_troubles(run)
                run.raise_troubles()
            except McsyncError as caught:
                error = caught
            changes = load_changes(store, run.newest_change)
        self.bedrock.pass_time(minutes=minutes)
        sent = sum(report.operations_submitted for report in run.reports.values())
        code = 0 if error is None else int(error.exit_code)
        return Ran(code, self._written() - written + sent, run.reports, changes, error)

    def sync_contact(self, name: str | None = None, contact: int | None = None) -> int:
        """One `mcsync sync-contact`, by address or contact id; its exit code, a minute passes."""
        code = 0
        with closing(self.bedrock.open_store()) as store:
            run = self.bedrock.make_run(store)
            try:
                sync_contact(run, email=mail(name) if name else None, contact_id=contact)
                run.raise_troubles()
            except McsyncError as error:
                code = int(error.exit_code)
        self.bedrock.pass_time(minutes=1)
        return code

    def _written(self) -> int:
        return self.bedrock.town.civicrm.writes

    def settle(self, most: int = 4) -> int:
        """Run until a run writes nothing, ends with 0 and finds both sides in agreement."""
        for count in range(most):
            ran = self.run()
            if not ran.writes and not ran.exit_code and ran.is_in_sync:
                return count
        raise AssertionError(
            f"not quiet after {most} runs: {ran.exit_code}, {ran.writes} writes,"
            f" in sync {ran.is_in_sync}, {list(ran.changes)}"
        )

    def stay_quiet(self) -> None:
        """Neither a plain run, nor a full compare, nor one that fetches all writes anything."""
        self.settle()
        for window in (None, Window()):
            self.bedrock.pass_time(hours=25)
            ran = self.run(window=window)
            assert (ran.exit_code, ran.writes) == (0, 0), list(ran.changes)
            assert ran.is_in_sync

    # --- looking ------------------------------------------------------------------------------

    def stand(self, name: str, list_id: str = LIST, group: int = GROUP) -> Stand:
        """How somebody stands, at both sides and in the cache."""
        member = self.bedrock.town.mailchimp.member(list_id, mail(name))
        return Stand(
            None if member is None else str(member["status"]),
            self.bedrock.group_status(self.contact(name), group),
            self.row(name, list_id)[0],
        )

    def row(self, name: str, list_id: str = LIST) -> tuple[str | None, str | None]:
        """sync_status and sync_reason of the row with that address, or of that contact."""
        rows = self.ask(
            "SELECT sync_status, sync_reason FROM civicrm_mailchimpsync_cache"
            " WHERE mailchimp_list_id = ? AND (email_key = ?"
            " OR (email_key IS NULL AND civicrm_contact_id = ?)) ORDER BY email_key IS NULL",
            list_id,
            mail(name),
            self.contact(name),
        )
        return rows[0] if rows else (None, None)

    def ask(self, sql: str, *values: object) -> list[tuple[object, ...]]:
        """Rows of the cache."""
        with closing(sqlite3.connect(self.bedrock.folder / "mcsync.db")) as db:
            return db.execute(sql, values).fetchall()

    def is_volunteer(self, name: str) -> tuple[bool, bool]:
        """Whether somebody has the interest at Mailchimp, and is in its group in CiviCRM."""
        place = self.bedrock.group_status(self.contact(name), VOLUNTEERS)
        return self.bedrock.has_interest(mail(name)), place == "Added"

    @property
    def mails(self) -> list[str]:
        """Who was sent a confirmation mail, oldest first."""
        return [email.partition("@")[0] for email in self.bedrock.confirmation_mails]


def mail(name: str) -> str:
    """Somebody's address."""
    return name if "@" in name else f"{name}@example.org"
