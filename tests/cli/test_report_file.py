"""`mcsync report --html FILE`: whose file it is, whole or not there, never over anything else."""

import json
import os
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import LIST, Office, Said

NOTHING = Said(0, "", "")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def synced(office: Office) -> Office:
    """An office after its first sync, whoever is there."""
    assert office.run("sync", "--wait") == NOTHING
    return office


@pytest.mark.parametrize(("args", "mode"), [((), 0o640), (("--people",), 0o600)])
def test_a_page_that_names_people_is_for_its_owner(
    synced: Office, args: tuple[str, ...], mode: int
):
    page = synced.home / "report.html"
    old = os.umask(0o027)
    try:
        assert synced.run("report", "--html", str(page), *args) == NOTHING
    finally:
        os.umask(old)
    assert mode_of(page) == mode
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>\n")
    assert [path.name for path in synced.home.iterdir()] == ["report.html"]


def test_an_earlier_report_is_replaced_and_its_mode_with_it(synced: Office):
    page = synced.home / "report.html"
    assert synced.run("report", "--html", str(page)) == NOTHING
    page.chmod(0o666)
    before = page.stat().st_ino
    assert synced.run("report", "--html", str(page), "--people") == NOTHING
    assert mode_of(page) == 0o600
    assert page.stat().st_ino != before
    page.write_text("")  # as mktemp makes one
    assert synced.run("report", "--html", str(page)) == NOTHING


def test_nothing_else_is_overwritten(synced: Office):
    (synced.home / "folder").mkdir()
    (synced.home / "link").symlink_to(synced.cache)
    os.mkfifo(synced.home / "pipe")
    before = (synced.cache.read_bytes(), synced.config.read_bytes())
    for path in (synced.cache, synced.config, synced.home / "link", synced.home / "pipe"):
        said = synced.run("report", "--html", str(path))
        assert (said.code, said.out) == (2, "")
        assert (
            f"error: --html: {path} is not a report of mcsync, so it is left as it is" in said.err
        )
    said = synced.run("report", "--html", str(synced.home / "folder"))
    assert said.code == 2
    assert "is a directory" in said.err
    said = synced.run("report", "--html", str(synced.home / "nowhere" / "report.html"))
    assert said.code == 2
    assert "there is no folder" in said.err
    assert (synced.cache.read_bytes(), synced.config.read_bytes()) == before
    assert (synced.home / "link").is_symlink()


def test_a_disk_that_is_full_leaves_the_old_one(synced: Office, monkeypatch: pytest.MonkeyPatch):
    page = synced.home / "report.html"
    assert synced.run("report", "--html", str(page)) == NOTHING
    before = page.read_bytes()

    def fill_up(_number: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fill_up)
    said = synced.run("report", "--html", str(page))
    assert said.code == 74
    assert f"error: cannot write {page}: No space left on device" in said.err
    assert page.read_bytes() == before
    assert [path.name for path in synced.home.iterdir()] == ["report.html"]


def test_the_document_says_which_file(synced: Office):
    page = synced.home / "report.html"
    document = synced.run("report", "--html", str(page), "--json").document
    assert (document["html"], document["error"]) == (str(page), None)
    assert document["audiences"][0]["list_id"] == LIST
    assert page.exists()
    said = synced.run("report", "--html", "-", "--json")
    assert (said.code, json.loads(said.out)["error"]["kind"]) == (2, "usage-error")


def test_two_audiences_have_an_overview(synced: Office):
    synced.add_other_audience()
    out = synced.run("report", "--html", "-").out
    assert '<a href="#a2"><bdi>Other audience</bdi></a>' in out
    assert "All audiences" in out
    assert "All audiences" not in synced.run("report", "--html", "-", "--list", LIST).out
