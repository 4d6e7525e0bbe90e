"""Bedrock: one audience, its CiviCRM group, and the people of both; runs as cron would do them."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from mcsync.assemble import build_run
from mcsync.cache.store import Store
from mcsync.cache.trail import Change, load_changes
from mcsync.config import Config, load_config
from mcsync.model import Side
from mcsync.pipeline.fetch import Window
from mcsync.pipeline.run import Run
from mcsync.pipeline.sync import sync
from mcsync.pipeline.tell_troubles import note_troubles
from mcsync.sandbox.town import Town

LIST = "aaaaaaaaaa"
GROUP = 111
VOLUNTEERING = "cccccccccc"
VOLUNTEERS = 222
NO_LIMITS: dict[str, object] = dict.fromkeys(
    ("maxUnsubscribes", "maxRemovals", "maxAdditions", "maxNewContacts", "maxAddressChanges")
)


@dataclass
class Bedrock:
    """The town with one audience; `options` are those of the list in the config."""

    town: Town
    folder: Path
    options: dict[str, object] = field(default_factory=dict)
    safety: dict[str, object] = field(default_factory=lambda: dict(NO_LIMITS))
    changes: list[Change] = field(default_factory=list)
    with_data: bool | None = False
    settings: dict[str, object] = field(default_factory=dict)  # more of the config's top level
    last_run: Run | None = None
    naps: list[float] = field(default_factory=list)  # how long retries would have waited
    open_cache: Callable[[Path], Store] = Store
    _loaded: tuple[str, Config] | None = None

    def __post_init__(self) -> None:
        self.town.add_audience(
            LIST, "Main audience", GROUP, {VOLUNTEERING: (VOLUNTEERS, "Volunteering")}
        )
        self.pass_time(minutes=1)

    # --- people -------------------------------------------------------------------------------

    def add_contact(self, email: str, group: bool = True, **flags: object) -> int:
        """A contact named after their address; in the group unless told otherwise."""
        first = email.partition("@")[0].title()
        contact = self.town.civicrm.add_contact(first, "Flintstone", [email], **flags)
        if group:
            self.town.civicrm.add_to_group(contact, GROUP)
        return contact

    def add_member(self, email: str, status: str = "subscribed", **more: object) -> None:
        """A member at Mailchimp, changed now unless told otherwise."""
        self.town.mailchimp.import_member(LIST, email, status=status, **more)  # type: ignore[arg-type]

    def add_both(self, email: str) -> int:
        """A contact in the group who is subscribed, too."""
        self.add_member(email)
        return self.add_contact(email)

    def pass_time(self, **length: float) -> None:
        """Let time pass for both services and for us."""
        self.town.clock.advance(**length)

    # --- looking ------------------------------------------------------------------------------

    def member_status(self, email: str) -> str | None:
        """The member's status at Mailchimp, None if there is no such member."""
        member = self.town.mailchimp.member(LIST, email)
        return None if member is None else str(member["status"])

    def group_status(self, contact: int, group: int = GROUP) -> str | None:
        """The contact's status in the group."""
        return self.town.civicrm.group_status(contact, group)

    def has_interest(self, email: str) -> bool:
        """Whether the member is interested in volunteering."""
        member = self.town.mailchimp.member(LIST, email)
        assert member is not None
        interests = member["interests"]
        assert isinstance(interests, dict)
        return bool(interests[VOLUNTEERING])

    @property
    def confirmation_mails(self) -> list[str]:
        """Addresses that were sent a confirmation mail, oldest first."""
        return [mail.email for mail in self.town.mailchimp.confirmation_mails]

    # --- running ------------------------------------------------------------------------------

    def load_config(self) -> Config:
        """The config as it stands now."""
        self.town.lists[LIST].update(self.options)
        path = self.folder / "config.json"
        config = {**self.town.make_config(), "safety": self.safety, **self.settings}
        text = json.dumps(config)
        path.write_text(text)
        path.chmod(0o600)
        if self._loaded is None or self._loaded[0] != text:
            self._loaded = text, load_config(path, {})
        return self._loaded[1]

    def open_store(self) -> Store:
        """The cache."""
        return self.open_cache(self.folder / "mcsync.db")

    def make_run(self, store: Store, *lists: str, is_forced: bool = False) -> Run:
        """A run over all audiences, or those named, that may be given to any stage."""
        config = self.load_config()
        run = build_run(
            config,
            [a for a in config.audiences if not lists or a.list_id in lists],
            store,
            clock=self.town.clock,
            is_forced=is_forced,
            with_data=self.with_data,
            sleep=self.naps.append,
        )
        self.last_run = run
        return run

    def sync(
        self,
        *,
        trust: dict[str, Side] | None = None,
        window: Window | None = None,
        is_forced: bool = False,
        raises: bool = True,
        waits: bool = True,
    ) -> int:
        """One `mcsync sync --wait`, which asks once for the results; a minute passes.

        Returns how many writes it tried: records in CiviCRM and operations at Mailchimp.
        """
        written = self.town.civicrm.writes
        store = self.open_store()
        try:
            run = self.make_run(store, is_forced=is_forced)
            sync(run, window, {LIST: trust} if trust else None, wait_s=0 if waits else None)
            self.changes = load_changes(store, run.newest_change)
            note_troubles(run)
            if raises:
                run.raise_troubles()
        finally:
            store.close()
        self.pass_time(minutes=1)
        sent = sum(report.operations_submitted for report in run.reports.values())
        return self.town.civicrm.writes - written + sent

    def sync_until_quiet(self, most: int = 4) -> int:
        """Run until a run writes nothing; how many runs wrote something."""
        for runs in range(most):
            if self.sync() == 0:
                return runs
        raise AssertionError(f"still writing after {most} runs")
