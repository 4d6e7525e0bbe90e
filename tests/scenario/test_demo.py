"""`mcsync demo` ends in agreement: everybody stands where the table says, at both services."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcsync.assemble import build_run
from mcsync.cache.store import Store
from mcsync.cli.main import app
from mcsync.config import load_config
from mcsync.pipeline.sync import sync
from mcsync.sandbox.cast import (
    CONTACT_STATES,
    GROUP,
    INTEREST,
    INTEREST_GROUP,
    LIST,
    MEMBER_STATES,
    Somebody,
    settle,
    stir,
)
from mcsync.sandbox.town import Town

# Where somebody stands after the first run: (at Mailchimp, in the group).
# Rows: what Mailchimp had. Columns: what CiviCRM had, and whether Mailchimp spoke later ("M")
# or CiviCRM did ("C"). "." stands for nobody at that side.
IN = ("subscribed", "Added")
OUT = ("unsubscribed", "Removed")
GATED = ("unsubscribed", "Added")

NOBODY_AT_MAILCHIMP = {
    "outside": (None, None),
    "imported": IN,
    "added": IN,
    "removed": (None, "Removed"),
    "pending": (None, "Pending"),
    "opted-out": (None, "Added"),
    "do-not-email": (None, "Added"),
    "deceased": (None, "Added"),
    "on-hold": (None, "Added"),
}
SUBSCRIBED_SPOKE_LATER = {
    "none": IN,  # a new contact
    "outside": IN,
    "imported": IN,
    "added": IN,
    "removed": IN,
    "pending": IN,
    "opted-out": ("subscribed", "Added"),  # signed up after opting out: left alone
    "do-not-email": ("subscribed", "Added"),
    "deceased": GATED,
    "on-hold": ("subscribed", "Added"),
}
SUBSCRIBED_SPOKE_EARLIER = {
    "added": IN,
    "removed": OUT,
    "pending": IN,  # Pending says nothing
    "opted-out": GATED,
    "do-not-email": GATED,
    "deceased": GATED,
    "on-hold": GATED,
}
OUT_SPOKE_LATER = {
    "none": None,
    "outside": None,
    "imported": "Removed",
    "added": "Removed",
    "removed": "Removed",
    "pending": "Pending",
    "opted-out": "Removed",
    "do-not-email": "Removed",
    "deceased": "Removed",
    "on-hold": "Removed",
}
MUTED = ("opted-out", "do-not-email", "deceased", "on-hold")
# Whoever was Added after they went: whether they can be had again depends on how they went.
ADDED_AFTER_GOING = {
    "left": "unsubscribed",  # refused as subscribed; asked to confirm in the second run
    "unsubscribed": "subscribed",
    "cleaned": "cleaned",
    "archived": "subscribed",
}


def expect(somebody: Somebody) -> tuple[str | None, str | None]:
    """Where somebody stands after the first run."""
    contact, later = somebody.contact, somebody.is_member_later
    if somebody.member == "none":
        return NOBODY_AT_MAILCHIMP[contact]
    if somebody.member in ("subscribed", "pending"):
        table = SUBSCRIBED_SPOKE_LATER if later else SUBSCRIBED_SPOKE_EARLIER
        status, place = table[contact]
        return (somebody.member if status == "subscribed" else status), place
    at_mailchimp = "unsubscribed" if somebody.member == "left" else somebody.member
    if later:
        if somebody.member == "unsubscribed" and contact in MUTED:
            return GATED  # by the API, before we saw them: that was us, before a cache was lost
        return at_mailchimp, OUT_SPOKE_LATER[contact]
    if contact == "added":
        return ADDED_AFTER_GOING[somebody.member], "Added"
    places = {"removed": "Removed", "pending": "Pending"}
    return at_mailchimp, places.get(contact, "Added")


def look(town: Town, somebody: Somebody) -> tuple[str | None, str | None]:
    """Where somebody really stands."""
    member = town.mailchimp.member(LIST, somebody.email)
    contacts = town.civicrm.contacts_by_email(somebody.email)
    assert len(contacts) <= 1, f"{somebody.email} has {len(contacts)} contacts"
    place = town.civicrm.group_status(contacts[0].id, GROUP) if contacts else None
    return (str(member["status"]) if member else None), place


@pytest.fixture
def demo_town() -> Iterator[Town]:
    with Town() as town:
        town.mailchimp.settings.batch_delay_polls = 0
        yield town


class Demo:
    """The demo's three runs, step by step."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town = town
        self.cast = settle(town)
        self.config = load_config(town.write_config(folder), {})

    def run(self) -> int:
        """One run; returns how many records were written."""
        before = self.town.writes
        store = Store(self.config.cache)
        try:
            run = build_run(self.config, self.config.audiences, store, clock=self.town.clock)
            sync(run, wait_s=60)
            run.raise_troubles()
        finally:
            store.close()
        self.town.clock.advance(minutes=5)
        return self.town.writes - before


def test_the_cast_has_every_combination(demo_town: Town):
    cast = settle(demo_town)
    seen = {(somebody.member, somebody.contact) for somebody in cast}
    assert len(seen) == len(MEMBER_STATES) * len(CONTACT_STATES) - 1  # nobody at both: no one
    assert 200 <= len(cast) <= 400


def test_after_each_run_everybody_stands_where_the_table_says(demo_town: Town, tmp_path: Path):
    demo = Demo(demo_town, tmp_path)
    assert demo.run() > 0
    wrong = {p: look(demo_town, p) for p in demo.cast if look(demo_town, p) != expect(p)}
    assert wrong == {}

    stir(demo_town, demo.cast)
    assert demo.run() > 0
    stirred = {
        "betty.boulder2@example.org": OUT,  # left
        "pebbles.boulder2@example.org": OUT,  # removed
        "gazoo.boulder2@example.org": ("cleaned", "Removed"),
        "mister.boulder2@example.org": GATED,  # opted out
        "dino.flintstone@example.org": IN,  # opt-out lifted
    }
    after = {}
    for somebody in demo.cast:
        expected = stirred.get(somebody.email, expect(somebody))
        if (somebody.member, somebody.contact, somebody.is_member_later) == (
            "left",
            "added",
            False,
        ):
            expected = ("pending", "Added")  # asked to confirm
        if look(demo_town, somebody) != expected:
            after[somebody] = look(demo_town, somebody)
    assert after == {}
    [hoppy] = demo_town.civicrm.contacts_by_email("hoppy.hopparoo@example.org")
    assert demo_town.civicrm.group_status(hoppy.id, GROUP) == "Added"
    [dino] = demo_town.civicrm.contacts_by_email("dino.boulder2@example.org")
    assert demo_town.civicrm.group_status(dino.id, INTEREST_GROUP) == "Added"
    bambam = demo_town.mailchimp.member(LIST, "bambam.boulder2@example.org")
    assert bambam is not None
    assert bambam["interests"] == {INTEREST: True}
    assert len(demo_town.mailchimp.confirmation_mails) == 1

    before = {somebody.email: look(demo_town, somebody) for somebody in demo.cast}
    assert demo.run() == 0
    assert {somebody.email: look(demo_town, somebody) for somebody in demo.cast} == before


def test_the_command_tells_three_runs_and_leaves_no_trace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 0, result.output
    assert "Third run" in result.stdout
    assert "Both sides agree; nothing was written." in result.stdout
    for command in ("mcsync sandbox", "mcsync sandbox act", "mcsync init"):
        assert f"\n  {command}  " in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_readme_shows_what_the_command_tells():
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```text\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    told = CliRunner().invoke(app, ["demo"], env={"COLUMNS": "100"}).stdout
    said, shown = ([line.rstrip(" ─") for line in text.splitlines()] for text in (told, block))
    first = said.index(shown[0])
    assert said[first : first + len(shown)] == shown


def test_the_command_as_json_is_one_document(tmp_path: Path):
    result = CliRunner().invoke(app, ["demo", "--json", "--keep", str(tmp_path / "kept")])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [run["writes"] > 0 for run in document["runs"]] == [True, True, False]
    assert document["outcome"]["only_subscribed"] == 0
    assert (tmp_path / "kept" / "mcsync.db").exists()
    assert (tmp_path / "kept" / "config.json").exists()
