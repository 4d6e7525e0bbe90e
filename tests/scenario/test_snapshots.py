"""Both sides as CSV, by `mcsync snapshot`."""

import csv
import json
import os
import stat
from pathlib import Path

import pytest

from mcsync.cache import snapshots
from mcsync.cache.snapshots import list_snapshots
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.telling import Teller
from tests.scenario.test_data_sync import give_tag

WILMA = "wilma@example.org"
Rows = list[dict[str, str]]


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

    monkeypatch.setattr(snapshots.os, "fsync", sync_to_disk)
