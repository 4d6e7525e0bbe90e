"""Both sides as CSV: by `mcsync snapshot`, and by itself before the first change of an audience."""

import csv
import json
import logging
import os
import stat
from datetime import timedelta
from pathlib import Path

import pytest

from mcsync.cache.snapshots import forget_snapshots, list_snapshots, snapshot_folder
from mcsync.pipeline.sync_contact import sync_contact
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.postal import Post
from tests.scenario.telling import CommandLine, Teller
from tests.scenario.test_data_sync import give_tag

WILMA = "wilma@example.org"
Rows = list[dict[str, str]]


def beside(bedrock: Bedrock) -> list[Path]:
    """The snapshots that runs made."""
    return list_snapshots(snapshot_folder(bedrock.folder / "mcsync.db"))


def read(path: Path) -> Rows:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_both(folder: Path) -> tuple[Rows, Rows]:
    """The one audience's two files: CiviCRM's, Mailchimp's."""
    civicrm, mailchimp = list_snapshots(folder)
    return read(civicrm), read(mailchimp)


# --- mcsync snapshot ------------------------------------------------------------------------------


def test_both_sides_with_all_that_is_needed_to_go_back(bedrock: Bedrock, tell: Teller):
    bedrock.with_data = True
    wilma = bedrock.add_both(WILMA)
    bedrock.town.mailchimp.edit_profile(
        LIST, WILMA, "Wilma", "Flintstone", interests={VOLUNTEERING: True}
    )
    give_tag(bedrock, wilma, "Donor")
    bedrock.add_member("fred@example.org", status="unsubscribed")
    betty = bedrock.add_contact("betty@example.org", group=False, do_not_email=True)
    bedrock.town.civicrm.add_to_group(betty, VOLUNTEERS)
    bedrock.sync_until_quiet()
    folder = bedrock.folder / "kept"
    told = tell("snapshot", str(folder))
    assert told.code == 0
    assert told.out.splitlines() == [
        f"{path}: {count}"
        for path, count in zip(list_snapshots(folder)[::-1], ("2 people", "2 people"), strict=True)
    ]
    civicrm, mailchimp = read_both(folder)
    seen = {row["Email Address"]: row for row in mailchimp}
    assert list(mailchimp[0])[:3] == ["Email Address", "First Name", "Last Name"]
    assert seen["fred@example.org"]["Status"] == "unsubscribed"
    row = seen[WILMA]
    member = bedrock.town.mailchimp.member(LIST, WILMA)
    assert member is not None
    assert row == {
        "Email Address": WILMA,
        "First Name": "Wilma",
        "Last Name": "Flintstone",
        f"Interest Topics: Volunteering ({VOLUNTEERING})": "yes",
        "Tags": "CiviCRM: Donor",
        "Status": "subscribed",
        "Last Changed": row["Last Changed"],
        "Member ID": member["id"],
        "Contact ID in CiviCRM": str(wilma),
        "As It Was": "",
    }
    assert row["Last Changed"].startswith("2026-11-")
    by_id = {row["Contact ID"]: row for row in civicrm}
    assert by_id.keys() == {str(wilma), str(betty)}
    topic = f"Topics: Volunteering ({VOLUNTEERING})"
    row = by_id[str(betty)]
    assert row["Primary Address"] == "betty@example.org"
    assert (row["Do Not Email"], row["Opted Out"], row["Deceased"]) == ("yes", "no", "no")
    assert row[f"Group {VOLUNTEERS} Status: {topic}"] == "Added"
    assert row[f"Group {GROUP} Status: subscription"] == ""
    row = by_id[str(wilma)]
    assert row[f"Group {GROUP} Status: subscription"] == "Added"
    assert row[f"Group {GROUP} Since: subscription"].startswith("2026-11-")


def test_the_document_names_the_files(bedrock: Bedrock, tell: Teller):
    bedrock.add_both(WILMA)
    bedrock.sync()
    folder = bedrock.folder / "kept"
    found = tell.json("snapshot", str(folder))["snapshots"]
    assert [(each["list_id"], each["side"], each["people"]) for each in found] == [
        (LIST, "mailchimp", 1),
        (LIST, "civicrm", 1),
    ]
    assert {Path(each["path"]) for each in found} == set(list_snapshots(folder))
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_no_cell_is_a_formula_and_each_can_be_had_as_it_was(bedrock: Bedrock, tell: Teller):
    bedrock.with_data = True
    bedrock.add_member("+fred@example.org", first_name="=1+1", last_name="a\nb;=2")
    bedrock.add_member("=x@example.org")
    bedrock.sync()
    folder = bedrock.folder / "kept"
    tell("snapshot", str(folder))
    text = "".join(path.read_text() for path in list_snapshots(folder))
    cells = [cell for line in csv.reader(text.splitlines()) for cell in line]
    assert not [cell for cell in cells if cell.strip()[:1] in tuple("=+-@")]
    assert ";=" not in text
    _, mailchimp = read_both(folder)
    exact = [json.loads(row["As It Was"]) for row in mailchimp]
    assert sorted(exact, key=len, reverse=True) == [
        {"Email Address": "+fred@example.org", "First Name": "=1+1", "Last Name": "a\nb;=2"},
        {"Email Address": "=x@example.org"},
    ]
    assert [row["Email Address"] for row in mailchimp] == ["", ""], "not somebody else's"


def test_any_name_of_an_audience_makes_a_file(bedrock: Bedrock, tell: Teller):
    bedrock.add_both(WILMA)
    bedrock.sync()
    for number, (name, begins) in enumerate(
        {
            "../../etc/Zoë & Söhne": "etc-Zoe-Sohne-",
            "Новости": "",
            "x" * 300: "x" * 60 + "-",
        }.items()
    ):
        bedrock.town.mailchimp.audiences[LIST].name = name
        folder = bedrock.folder / f"kept{number}"
        assert tell("snapshot", str(folder)).code == 0
        for path in folder.iterdir():
            assert path.name.startswith(f"{begins}{LIST}-")


def test_an_audience_that_was_never_fetched_is_told(bedrock: Bedrock, tell: Teller):
    bedrock.add_both(WILMA)
    told = tell("snapshot", str(bedrock.folder / "kept"))
    assert (told.code, told.out) == (3, "")
    assert 'run "mcsync fetch" first' in told.err
    assert not (bedrock.folder / "kept").exists()


@pytest.mark.skipif(os.name == "nt", reason="modes are POSIX's")
def test_a_place_that_will_not_do(bedrock: Bedrock, tell: Teller):
    bedrock.add_both(WILMA)
    bedrock.sync()
    taken = bedrock.folder / "taken"
    taken.write_text("mine")
    told = tell("snapshot", str(taken))
    assert told.code == 74
    assert "cannot write a snapshot to" in told.err
    assert taken.read_text() == "mine"
    opened = bedrock.folder / "open"
    opened.mkdir()
    opened.chmod(0o777)
    told = tell("snapshot", str(opened))
    assert told.code == 74
    assert "can be written by everybody" in told.err
    assert list(opened.iterdir()) == []


def test_a_full_disk_leaves_nothing(
    bedrock: Bedrock, tell: Teller, monkeypatch: pytest.MonkeyPatch
):
    bedrock.add_both(WILMA)
    bedrock.sync()
    folder = bedrock.folder / "kept"
    fill_disk(monkeypatch)
    told = tell("snapshot", str(folder))
    assert told.code == 74
    assert "No space left on device" in told.err
    assert f"free some space in {folder}" in told.err
    assert list(folder.iterdir()) == []


def fill_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is room for the first file only."""
    synced = []

    def sync_to_disk(_number: int) -> None:
        synced.append(1)
        if len(synced) == 2:
            raise OSError(28, os.strerror(28))

    monkeypatch.setattr(os, "fsync", sync_to_disk)


# --- before the first change ----------------------------------------------------------------------


def test_before_its_first_change_an_audience_is_kept_as_it_was(
    bedrock: Bedrock, caplog: pytest.LogCaptureFixture
):
    caplog.set_level(logging.INFO)
    bedrock.add_both(WILMA)
    bedrock.sync()
    assert beside(bedrock) == [], "nothing was changed"
    fred = bedrock.add_both("fred@example.org")
    bedrock.sync()
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.remove_from_group(fred, GROUP)
    bedrock.add_member("barney@example.org")
    bedrock.sync()
    civicrm, mailchimp = read_both(snapshot_folder(bedrock.folder / "mcsync.db"))
    assert {row["Email Address"]: row["Status"] for row in mailchimp} == {
        WILMA: "subscribed",
        "fred@example.org": "subscribed",
        "barney@example.org": "subscribed",
    }
    assert len(civicrm) == 2, "Barney is no contact yet"
    told = [r for r in caplog.records if "kept both sides" in r.message]
    assert [record.levelno for record in told] == [logging.INFO]
    for path in beside(bedrock):
        assert str(path) in told[0].message
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(beside(bedrock)[0].parent.stat().st_mode) == 0o700


def test_it_is_made_once(bedrock: Bedrock):
    bedrock.add_member(WILMA)
    bedrock.sync()
    first = beside(bedrock)
    assert len(first) == 2
    bedrock.add_member("fred@example.org")
    bedrock.sync()
    assert beside(bedrock) == first


def test_a_dry_run_keeps_nothing(bedrock: Bedrock, mcsync: CommandLine):
    bedrock.add_member(WILMA)
    mcsync("sync", "--dry-run")
    assert list(bedrock.folder.rglob("*.csv*")) == []


def test_without_it_the_audience_is_left_alone(
    bedrock: Bedrock, mcsync: CommandLine, monkeypatch: pytest.MonkeyPatch
):
    bedrock.add_member(WILMA)
    contact = bedrock.add_contact("fred@example.org")
    writes = bedrock.town.writes
    with monkeypatch.context() as patch:
        fill_disk(patch)
        told = mcsync("sync")
    assert told.code == 74
    assert "nothing is changed before there is one" in told.err
    assert "free some space in" in told.err
    assert bedrock.town.writes == writes
    assert beside(bedrock) == []
    assert mcsync("sync").code == 0
    assert len(beside(bedrock)) == 2
    assert bedrock.town.writes > writes
    assert bedrock.group_status(contact) == "Added"


@pytest.mark.skipif(os.name == "nt", reason="modes and links are POSIX's")
@pytest.mark.parametrize("is_link", [False, True], ids=["open to others", "a link"])
def test_a_folder_that_is_not_ours_is_refused(bedrock: Bedrock, mcsync: CommandLine, is_link: bool):
    bedrock.add_member(WILMA)
    elsewhere = bedrock.folder / "elsewhere"
    elsewhere.mkdir()
    folder = snapshot_folder(bedrock.folder / "mcsync.db")
    if is_link:
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
        folder.chmod(0o777)
    told = mcsync("sync")
    assert told.code == 74
    assert ("is a link" if is_link else "can be written by others") in told.err
    assert [*elsewhere.iterdir(), *folder.iterdir()] == []


def test_whoever_changes_something_first_keeps_it(bedrock: Bedrock):
    wilma = bedrock.add_both(WILMA)
    bedrock.sync()
    bedrock.pass_time(minutes=1)
    bedrock.town.civicrm.remove_from_group(wilma, GROUP)
    store = bedrock.open_store()
    try:
        sync_contact(bedrock.make_run(store), contact_id=wilma)
    finally:
        store.close()
    assert bedrock.member_status(WILMA) == "unsubscribed"
    _, mailchimp = read_both(snapshot_folder(bedrock.folder / "mcsync.db"))
    assert mailchimp[0]["Status"] == "subscribed"


def test_so_does_a_webhook(bedrock: Bedrock):
    bedrock.add_both(WILMA)
    bedrock.sync()
    post = Post(bedrock)
    bedrock.town.mailchimp.bounce(LIST, WILMA)
    post.bring()
    assert len(beside(bedrock)) == 2


def test_they_go_with_the_history(bedrock: Bedrock):
    bedrock.add_member(WILMA)
    bedrock.sync()
    kept = beside(bedrock)
    other = kept[0].parent / "notes.csv"
    other.write_text("mine")
    cache = bedrock.folder / "mcsync.db"
    assert forget_snapshots(cache, bedrock.town.clock() - timedelta(days=1)) == 0
    bedrock.pass_time(days=366)
    bedrock.sync()
    assert beside(bedrock) == []
    assert other.exists()


def test_what_a_killed_run_left_is_known_and_replaced(bedrock: Bedrock):
    bedrock.add_member(WILMA)
    bedrock.sync()
    folder = snapshot_folder(bedrock.folder / "mcsync.db")
    part = folder / f"x-{LIST}-civicrm-2026-11-26T0600Z.csv.part"
    part.write_text("half")
    assert part in list_snapshots(folder)
    assert list_snapshots(folder / "none") == []
