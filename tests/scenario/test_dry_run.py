"""A dry run shows what the real run then does, person by person, and leaves no trace."""

import csv
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcsync.cli.main import app
from mcsync.sandbox.cast import LIST, settle
from mcsync.sandbox.town import Town


@pytest.fixture
def demo_town() -> Iterator[Town]:
    with Town() as town:
        town.mailchimp.settings.batch_delay_polls = 0
        settle(town)
        yield town


@pytest.fixture
def config(demo_town: Town, tmp_path: Path) -> Path:
    folder = tmp_path / "office"
    folder.mkdir()
    return demo_town.write_config(folder)


def run(config: Path, *arguments: str) -> Result:
    result = CliRunner().invoke(app, [*arguments, "--config", str(config)])
    assert result.exit_code == 0, result.output
    return result


def as_set(changes: list[dict[str, str]]) -> set[tuple[str, ...]]:
    keys = ("email", "side", "field", "before", "after", "reason")
    return {tuple(str(change[key]) for key in keys) for change in changes}


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_plan_is_what_the_run_then_does(demo_town: Town, config: Path):
    before, writes = listing(config.parent), demo_town.writes
    plan = json.loads(run(config, "sync", "--dry-run", "--json").stdout)
    assert plan["dry_run"] is True
    assert demo_town.writes == writes
    assert listing(config.parent) == before
    done = json.loads(run(config, "sync", "--wait", "--print-changes", "--json").stdout)
    planned, made = as_set(plan["plan"]), as_set(done["changes"])
    # Who left by themselves is refused, and asked to confirm by the next run.
    refused = {line for line in planned - made if line[3:5] == ("unsubscribed", "subscribed")}
    assert len(refused) == 1
    assert planned - refused == made
    assert len(planned) > 40
    [forecast] = plan["forecast"]
    subscribed = sum(
        member["status"] in ("subscribed", "pending")
        for member in demo_town.mailchimp.members(LIST).values()
    )
    assert forecast["subscribed_then"] - len(refused) == subscribed
    pending = sum(
        member["status"] == "pending" for member in demo_town.mailchimp.members(LIST).values()
    )
    assert (forecast["pending_now"] > 0, forecast["pending_then"]) == (True, pending)


def test_a_dry_run_on_a_filled_cache_changes_no_byte_of_it(demo_town: Town, config: Path):
    run(config, "sync", "--wait")
    demo_town.civicrm.remove_from_group(_contact_in_group(demo_town), 111)
    demo_town.clock.advance(minutes=5)
    before, writes = listing(config.parent), demo_town.writes
    for stage in ("sync", "reconcile", "submit"):
        run(config, stage, "--dry-run")
    assert listing(config.parent) == before
    assert demo_town.writes == writes


def _contact_in_group(town: Town) -> int:
    return min(
        contact
        for contact in town.civicrm.group_members(111)
        for email in town.civicrm.emails(contact)
        if town.mailchimp.members(LIST).get(email.email, {}).get("status") == "subscribed"
    )


def test_the_table_names_everybody_and_counts_each_kind(config: Path):
    text = run(config, "sync", "--dry-run").stdout
    assert "mister.flintstone@example.org" in text
    assert "In total" in text
    assert "20 at CiviCRM: Added → Removed" in text
    assert re.search(r": [0-9]+ subscribed and [0-9]+ pending now, [0-9]+ subscribed", text)


def test_csv_has_a_row_for_each_change(config: Path):
    plan = json.loads(run(config, "sync", "--dry-run", "--json").stdout)["plan"]
    rows = list(csv.DictReader(io.StringIO(run(config, "sync", "--dry-run", "--csv").stdout)))
    assert len(rows) == len(plan)
    assert {row["email"] for row in rows} == {line["email"] for line in plan}


def test_a_plan_that_a_guard_would_hold_is_shown_with_the_reason(demo_town: Town, config: Path):
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "safety": {"maxUnsubscribes": 5}})
    )
    text = run(config, "sync", "--dry-run").stdout
    assert "a guard would hold this plan: would unsubscribe 10 of" in text


def test_changes_are_printed_one_line_each_and_only_when_there_are_any(config: Path):
    first = run(config, "sync", "--wait", "--print-changes").stdout.splitlines()
    assert "CiviCRM: mister.flintstone@example.org: contact created" in "\n".join(first)
    run(config, "sync", "--wait", "--print-changes")
    assert run(config, "sync", "--wait", "--print-changes").stdout == ""


def test_the_exit_code_tells_whether_anything_differs(config: Path):
    arguments = ["sync", "--exit-code", "--config", str(config)]
    assert CliRunner().invoke(app, [*arguments, "--dry-run"]).exit_code == 10
    assert CliRunner().invoke(app, [*arguments, "--wait"]).exit_code == 10
    run(config, "sync", "--wait")
    assert CliRunner().invoke(app, [*arguments, "--dry-run"]).exit_code == 0
    assert CliRunner().invoke(app, arguments).exit_code == 0
