"""A dry run shows what the real run then does, person by person, and leaves no trace."""

import csv
import io
import json
import re
import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mcsync.cache.store import Store
from mcsync.cache.trail import Asked, Change, find_changes, note_changes
from mcsync.cli.main import app
from mcsync.cli.state import State
from mcsync.decision import Reason
from mcsync.model import SUBSCRIPTION, Side
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
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


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


def test_the_first_line_says_what_would_be_done_and_the_last_what_comes_of_it(config: Path):
    shown = run(config, "sync", "--dry-run").stdout.splitlines()
    assert shown[0] == (
        "Main audience: 12 would be unsubscribed (may be final), 5 subscribed,"
        " 20 removed from the group, 10 added to the group, 2 created in CiviCRM;"
        " nothing would be held"
    )
    assert re.fullmatch(
        r"Main audience: \d+ subscribed and \d+ pending now, \d+ subscribed.* then", shown[-2]
    )
    assert re.fullmatch(
        r"Main audience: counted for Mailchimp's bill .*: \d+ now, \d+ then", shown[-1]
    )


def test_people_of_one_kind_stand_together_and_the_first_few_are_named(config: Path):
    plan = json.loads(run(config, "sync", "--dry-run", "--json").stdout)["plan"]
    removed = [line for line in plan if line["reason"] == "left-at-mailchimp"]
    named = ", ".join(line["email"] for line in removed[:3])
    text = run(config, "sync", "--dry-run").stdout
    why = f"{len(removed)}  {removed[0]['why']}"
    assert f"{why}: {named} and {len(removed) - 3} more\n" in text
    assert removed[3]["email"] not in text


def test_in_full_everybody_has_a_line(config: Path):
    plan = json.loads(run(config, "sync", "--dry-run", "--json").stdout)["plan"]
    text = run(config, "sync", "--dry-run", "--full").stdout
    assert text.startswith(run(config, "sync", "--dry-run").stdout)
    lines = text.splitlines()[-len(plan) :]
    assert [line.split(": ")[1] for line in lines] == [line["email"] for line in plan]


def test_who_counts_for_the_bill(demo_town: Town, config: Path):
    """Unsubscribed members do, archived and cleaned ones do not, nor do those who are asked."""

    def forecast() -> dict[str, int]:
        document = json.loads(run(config, "sync", "--dry-run", "--json").stdout)
        found: dict[str, int] = document["forecast"][0]
        return found

    def count() -> int:
        billed = ("subscribed", "unsubscribed", "transactional")
        members = demo_town.mailchimp.members(LIST).values()
        return sum(member["status"] in billed for member in members)

    before = forecast()
    assert before["billed_now"] == count()
    run(config, "sync", "--wait")
    assert before["billed_then"] == count()
    blob = json.loads(config.read_text())
    blob["lists"][LIST]["removal"] = "archive"
    config.write_text(json.dumps(blob))
    demo_town.civicrm.remove_from_group(_contact_in_group(demo_town), 111)
    demo_town.clock.advance(minutes=5)
    before = forecast()
    assert before["billed_then"] < before["billed_now"]
    run(config, "sync", "--wait")
    assert before["billed_then"] == count()


def test_lines_are_read_one_by_one_however_many_there_are(tmp_path: Path):
    store = Store(tmp_path / "mcsync.db")
    change = Change(LIST, Side.CIVICRM, SUBSCRIPTION, "Added", "Removed", Reason.MAILCHIMP_LEFT)
    changes = (replace(change, email=f"worker{n}@example.org") for n in range(20_000))
    with store.atomic():
        note_changes(store, changes, "run", datetime(2026, 11, 22, tzinfo=UTC))
    state = State()
    tracemalloc.start()
    try:
        rows = find_changes(store, Asked(list_ids=[LIST], run="run"))
        assert state.keep("plan", ({"email": row.email} for row in rows)) == 20_000
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        store.close()
    assert peak < 3 << 20
    assert len(json.loads(state.long_lists["plan"].read())) == 20_000


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
    first = text.splitlines()[0]
    assert re.search(
        r"; would be held: unsubscribe 10 of \d+ members because they .* \(limit: 5\)$", first
    )
    assert text.endswith(" then if nothing is held\n")


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
