"""What a story has come to: both services, the cache's rows, the mails, and quiet from then on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
from click.testing import CliRunner

from mcsync import assemble
from mcsync.cli.main import app
from mcsync.pipeline.fetch import Window
from tests.scenario.bedrock import LIST, Bedrock
from tests.scenario.telling import Told

_UNSETTLED = """
SELECT r.id, r.sync_status, count(u.id) FROM civicrm_mailchimpsync_cache r
LEFT JOIN civicrm_mailchimpsync_update u ON u.mailchimpsync_cache_id = r.id AND u.completed = 0
GROUP BY r.id HAVING count(u.id) OR r.sync_status NOT IN ('ok', 'fail')
"""
_ROWS = """
SELECT coalesce(mailchimp_email, ''), coalesce(civicrm_contact_id, 0), sync_status, sync_reason
FROM civicrm_mailchimpsync_cache WHERE mailchimp_list_id = ? ORDER BY 1, 2
"""

Row = tuple[str, int, str, str]


def load_rows(bedrock: Bedrock, list_id: str = LIST) -> list[Row]:
    """(address, contact id, sync_status, sync_reason) of each cache row, "" and 0 for none."""
    store = bedrock.open_store()
    try:
        return [tuple(row) for row in store.query(_ROWS, (list_id,)).fetchall()]
    finally:
        store.close()


def row_status(bedrock: Bedrock, email: str, list_id: str = LIST) -> tuple[str, str]:
    """(sync_status, sync_reason) of the one row with this address."""
    [found] = [row for row in load_rows(bedrock, list_id) if row[0] == email]
    return found[2], found[3]


def find_unsettled(bedrock: Bedrock) -> list[tuple[int, str, int]]:
    """(row id, sync_status, open updates) of rows that wait for anything."""
    store = bedrock.open_store()
    try:
        return [tuple(row) for row in store.query(_UNSETTLED).fetchall()]
    finally:
        store.close()


def look_at_both(bedrock: Bedrock) -> tuple[object, ...]:
    """Everything that mcsync could write to, as it stands at both services."""
    town = bedrock.town
    members = [
        {e: (m["status"], m["merge_fields"], m.get("interests")) for e, m in found.items()}
        for found in (town.mailchimp.members(list_id) for list_id in sorted(town.lists))
    ]
    groups = sorted(town.civicrm.store.groups.rows)
    places = {group: sorted(town.civicrm.group_members(group)) for group in groups}
    contacts = [(c.id, c.first_name, c.last_name) for c in town.civicrm.contacts()]
    return members, places, contacts, tuple(bedrock.confirmation_mails)


def assert_in_sync(bedrock: Bedrock) -> None:
    """The last run says of every audience that both sides agree."""
    assert bedrock.last_run is not None
    assert all(report.in_sync for report in bedrock.last_run.reports.values())


def assert_at_peace(bedrock: Bedrock) -> None:
    """Nothing waits, and no run from here on does anything: plain, daily compare, full fetch."""
    assert find_unsettled(bedrock) == []
    before = look_at_both(bedrock)
    assert bedrock.sync() == 0, "a plain run"
    assert_in_sync(bedrock)
    bedrock.pass_time(hours=25)
    assert bedrock.sync() == 0, "a daily compare"
    assert bedrock.sync(window=Window(None)) == 0, "everything fetched"
    assert look_at_both(bedrock) == before
    assert find_unsettled(bedrock) == []


@dataclass
class CommandLine:
    """Runs a command with Bedrock's config, in this process and at Bedrock's time."""

    bedrock: Bedrock

    def __call__(self, *args: str) -> Told:
        """One run, and a minute passes."""
        self.bedrock.load_config()
        config = str(self.bedrock.folder / "config.json")
        found = CliRunner().invoke(app, ["--config", config, *args], prog_name="mcsync")
        assert found.exception is None or isinstance(found.exception, SystemExit), found
        self.bedrock.pass_time(minutes=1)
        return Told(found.exit_code, found.stdout, found.stderr)


@pytest.fixture
def mcsync(bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Runs commands as cron does."""
    for name in ("MCSYNC_CONFIG", "JOURNAL_STREAM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    build_run: Callable[..., object] = assemble.build_run
    timed = partial(build_run, clock=bedrock.town.clock, sleep=bedrock.naps.append)
    monkeypatch.setattr(assemble, "build_run", timed)
    return CommandLine(bedrock)
