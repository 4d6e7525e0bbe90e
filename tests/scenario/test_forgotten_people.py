"""People who are forgotten: nothing is left of them, and nobody brings them back but they do."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner

from mcsync.cache.store import Store
from mcsync.cache.trail import load_changes
from mcsync.cli import forget as command
from mcsync.cli import show_forget
from mcsync.cli.main import app
from mcsync.errors import CacheError, ExitCode
from mcsync.pipeline.fetch import Window
from mcsync.sandbox.mailchimp.state import subscriber_hash
from mcsync.sandbox.server import Fault, Response
from tests.scenario.aftermath import assert_at_peace, load_rows, look_at_both
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.postal import Post
from tests.scenario.telling import CommandLine

EVERYTHING = Window(None)
WILMA = "Wilma.Slaghoople@example.org"
FIRST, LAST = "Wilhelmina", "Slaghoople-Flintstone"


@pytest.fixture(autouse=True)
def _at_bedrock_time(bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "utc_now", bedrock.town.clock)


def needles(email: str = WILMA) -> list[bytes]:
    """What would show that somebody is still known, in lower case."""
    key = email.lower()
    return [key.encode(), subscriber_hash(key).encode(), FIRST.lower().encode()]


def find_in_files(folder: Path, wanted: Sequence[bytes]) -> dict[str, list[bytes]]:
    """Which of these words stand in which files of mcsync's, in any case."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file() and path.name != "config.json":
            content = path.read_bytes().lower()
            if here := [word for word in wanted if word in content]:
                found[path.name] = here
    return found


def settle_wilma(bedrock: Bedrock, mcsync: CommandLine) -> int:
    """Wilma, in agreement at both ends, with a past: she came, left, and came again."""
    contact = bedrock.town.civicrm.add_contact(FIRST, LAST, [WILMA])
    bedrock.town.civicrm.add_to_group(contact, GROUP)
    bedrock.add_member(WILMA, first_name=FIRST, last_name=LAST)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    bedrock.town.mailchimp.leave(LIST, WILMA)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    bedrock.pass_time(hours=24)
    bedrock.town.mailchimp.sign_up(LIST, WILMA, FIRST, LAST)
    bedrock.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    assert bedrock.group_status(contact) == "Added"
    return contact


def rows_of(bedrock: Bedrock, email: str = WILMA) -> int:
    return sum(row[0].lower() == email.lower() for row in load_rows(bedrock))


# --- nothing is left ------------------------------------------------------------------------------


def test_no_file_has_anything_of_whom_was_forgotten(
    crowd: Bedrock, mcsync: CommandLine, post: Post
):
    contact = settle_wilma(crowd, mcsync)
    crowd.town.mailchimp.edit_profile(LIST, WILMA, FIRST, LAST)
    post.store()  # nobody has handled it yet
    names = find_in_files(crowd.folder, needles())
    assert names.keys() >= {"mcsync.db"}, "the test sees what is there"
    assert any(name.endswith(".copy") for name in names)

    told = mcsync("forget", WILMA, "--yes")

    assert told.code == 0, told
    assert find_in_files(crowd.folder, [*needles(), LAST.lower().encode()]) == {}
    assert any(path.name.endswith(".copy") for path in crowd.folder.iterdir()), "a new one"
    assert f"CiviCRM still has contact {contact}" in told.out
    assert "Mailchimp still has a member in Main audience" in told.out
    assert WILMA.lower() not in (told.out + told.err).lower()


def test_a_trouble_that_is_over_tells_nobodys_name(crowd: Bedrock, mcsync: CommandLine):
    """CiviCRM's own words are kept for a day, should the trouble come back."""
    settle_wilma(crowd, mcsync)
    words = f'{{"error_message": "{FIRST} {LAST} is locked", "status": 500}}'
    answer = Response(500, words.encode(), {"Content-Type": "application/json"})
    crowd.town.civicrm_server.faults.append(Fault(path="/api4", answer=answer, times=None))
    assert mcsync("sync").code != 0
    crowd.town.civicrm_server.faults.clear()
    crowd.pass_time(minutes=5)
    assert mcsync("sync").code == 0
    status = (crowd.folder / "mcsync.db").read_bytes().lower()
    assert b"is locked" in status, "it is remembered"
    assert mcsync("forget", WILMA, "--yes").code == 0
    assert find_in_files(crowd.folder, [*needles(), LAST.lower().encode()]) == {}


AS_IT_WAS = json.dumps({"Email Address": f"=cmd {WILMA}, {WILMA}"}).replace("@", "\\u0040")
SNAPSHOTS = {
    "mailchimp": [
        ("Email Address", "First Name", "Member ID", "Contact ID in CiviCRM", "As It Was"),
        (WILMA, FIRST, subscriber_hash(WILMA.lower()), "901", ""),
        ("betty@example.org", "Betty, née McBricker", "b", "902", ""),
        ("", FIRST, "", "", AS_IT_WAS),
    ],
    "civicrm": [
        ("Contact ID", "First Name", "Primary Address", "Other Addresses", "As It Was"),
        ("902", "Betty", "betty@example.org", "", ""),
        ("903", FIRST, "slate@example.org", f"home@example.org, {WILMA}", ""),
    ],
}


def snapshot_name(side: str) -> str:
    """A name as snapshots have it, of a time when there was none."""
    return f"Main-aaaaaaaaaa-{side}-2020-02-02T0202Z.csv"


def test_snapshots_beside_the_cache_lose_their_rows(crowd: Bedrock, mcsync: CommandLine):
    contact = settle_wilma(crowd, mcsync)
    folder = crowd.folder / "mcsync.db.snapshots"
    folder.mkdir(mode=0o700, exist_ok=True)
    for side, rows in SNAPSHOTS.items():
        with (folder / snapshot_name(side)).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([*rows, ("", "", "", str(contact), "")])
            if side == "civicrm":
                csv.writer(file).writerow((str(contact), FIRST, "", "", ""))
    (folder / f"{snapshot_name('civicrm')}.part").write_text(WILMA)
    assert mcsync("forget", WILMA, "--yes").code == 0
    assert find_in_files(crowd.folder, needles()) == {}
    for side, rows in SNAPSHOTS.items():
        path = folder / snapshot_name(side)
        with path.open(encoding="utf-8", newline="") as file:
            left = [tuple(row) for row in csv.reader(file) if any(row)]
        assert left[0] == rows[0]
        assert "Betty" in left[1][1]
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(left) == 3, "a place in another column than a contact's is no contact"


def test_whom_only_a_snapshot_has_can_be_forgotten_too(crowd: Bedrock, mcsync: CommandLine):
    """They are at neither side any more, and the cache does not know them."""
    settle_wilma(crowd, mcsync)
    folder = crowd.folder / "mcsync.db.snapshots"
    old = "dino@example.org"
    path = folder / snapshot_name("mailchimp")
    columns, *_ = SNAPSHOTS["mailchimp"]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([columns, ("Dino@Example.org", "Dino", "d", "", "")])
    explained = mcsync("explain", old)
    assert (explained.code, "snapshot" in explained.out) == (0, True)
    assert mcsync("forget", old, "--yes").code == 0
    assert find_in_files(crowd.folder, [old.encode()]) == {}
    assert rows_of(crowd) == 1
    assert mcsync("forget", "hoppy@example.org", "--yes").code == ExitCode.USAGE


def test_a_snapshot_that_cannot_be_cleaned_stops_it(crowd: Bedrock, mcsync: CommandLine):
    settle_wilma(crowd, mcsync)
    folder = crowd.folder / "mcsync.db.snapshots"
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / snapshot_name("civicrm")).symlink_to(crowd.folder / "config.json")
    told = mcsync("forget", WILMA, "--yes")
    assert told.code == ExitCode.CACHE
    assert "nothing was erased from the cache" in told.err
    assert rows_of(crowd) == 1


def test_the_others_are_as_they_were(crowd: Bedrock, mcsync: CommandLine):
    before = load_rows(crowd)
    settle_wilma(crowd, mcsync)
    assert mcsync("forget", WILMA, "--yes").code == 0
    assert load_rows(crowd) == before
    assert_at_peace(crowd)


def test_what_the_data_step_knew_of_them_goes_too(nicknames: Bedrock, mcsync: CommandLine):
    contact = settle_wilma(nicknames, mcsync)
    nicknames.town.civicrm.update_contact(contact, nick_name="Yabbadabba")
    nicknames.town.civicrm.tag(contact, nicknames.town.civicrm.add_tag("Rock concert"))
    nicknames.pass_time(minutes=1)
    nicknames.sync_until_quiet()
    assert find_in_files(nicknames.folder, [b"yabbadabba"])
    assert mcsync("forget", f"contact:{contact}", "--yes").code == 0
    assert find_in_files(nicknames.folder, [*needles(), b"yabbadabba"]) == {}
    nicknames.sync_until_quiet()
    assert find_in_files(nicknames.folder, [*needles(), b"yabbadabba"]) == {}


def test_when_the_file_cannot_be_written_anew_it_is_told_and_made_up_for(
    crowd: Bedrock, mcsync: CommandLine, monkeypatch: pytest.MonkeyPatch
):
    contact = settle_wilma(crowd, mcsync)

    def fail(_: Store) -> None:
        raise CacheError("the disk is full", hint="free some space")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "clean", fail)
        told = mcsync("forget", f"contact:{contact}", "--yes")
    assert told.code == ExitCode.CACHE
    assert "they are erased, but" in told.err
    assert "free some space, then run the same command again" in told.err
    assert rows_of(crowd) == 0
    told = mcsync("forget", f"contact:{contact}", "--yes")
    assert told.code == 0, told
    assert find_in_files(crowd.folder, needles()) == {}
    assert mcsync("forget", f"contact:{contact}", "--yes").code == ExitCode.USAGE


def test_it_is_noted_without_who(crowd: Bedrock, mcsync: CommandLine):
    settle_wilma(crowd, mcsync)
    assert mcsync("forget", WILMA, "gazoo1@example.org", "--yes").code == 0
    store = crowd.open_store()
    try:
        noted = store.query("SELECT * FROM civicrm_mailchimpsync_forgetting").fetchall()
        changes = load_changes(store)
    finally:
        store.close()
    [(_, at, run, people, is_at_mailchimp)] = noted
    assert (at[:10], bool(run), people, is_at_mailchimp) == ("2026-11-23", True, 2, 0)
    assert [c for c in changes if c.email in (WILMA, "gazoo1@example.org")] == []


# --- nobody brings them back ----------------------------------------------------------------------


def test_neither_syncs_nor_webhooks_nor_full_fetches_bring_them_back(
    crowd: Bedrock, mcsync: CommandLine, post: Post
):
    contact = settle_wilma(crowd, mcsync)
    assert mcsync("forget", WILMA, "--yes").code == 0
    before = look_at_both(crowd)
    for _ in range(3):
        told = mcsync("sync")
        assert (told.code, told.out, told.err) == (0, "", "")
    crowd.town.mailchimp.staff_unsubscribe(LIST, WILMA)
    post.bring()
    assert crowd.sync(window=EVERYTHING) == 0
    crowd.pass_time(hours=25)
    assert crowd.sync() == 0, "a daily compare"
    assert rows_of(crowd) == 0
    assert crowd.group_status(contact) == "Added", "nothing is decided about her"
    assert look_at_both(crowd)[1:] == before[1:]
    assert mcsync("sync-contact", "--email", WILMA).code == 0
    assert mcsync("sync-contact", "--contact-id", str(contact)).code == 0
    assert rows_of(crowd) == 0
    assert find_in_files(crowd.folder, [FIRST.lower().encode()]) == {}


def test_staff_who_enter_them_anew_do_not_bring_them_back(crowd: Bedrock, mcsync: CommandLine):
    contact = settle_wilma(crowd, mcsync)
    assert mcsync("forget", WILMA, "--yes", "--at-mailchimp").code == 0
    crowd.town.civicrm.purge(contact)
    crowd.pass_time(minutes=1)
    crowd.town.civicrm.add_to_group(crowd.town.civicrm.add_contact(FIRST, LAST, [WILMA]), GROUP)
    crowd.pass_time(minutes=1)
    assert crowd.sync_until_quiet() == 0
    assert crowd.member_status(WILMA) is None
    assert rows_of(crowd) == 0


def test_the_full_compare_is_quiet_from_the_second_time_on(crowd: Bedrock, mcsync: CommandLine):
    settle_wilma(crowd, mcsync)
    assert mcsync("forget", WILMA, "--yes").code == 0
    crowd.sync()
    asked = crowd.town.requests
    crowd.sync()
    quiet = crowd.town.requests - asked
    crowd.sync()
    assert crowd.town.requests - asked == 2 * quiet
    assert quiet <= 6


# --- they come themselves -------------------------------------------------------------------------


def test_who_signs_up_again_is_a_new_contact_as_anybody(crowd: Bedrock, mcsync: CommandLine):
    contact = settle_wilma(crowd, mcsync)
    assert mcsync("forget", WILMA, "--yes", "--at-mailchimp").code == 0
    assert crowd.member_status(WILMA) is None
    crowd.town.civicrm.purge(contact)
    crowd.pass_time(minutes=5)
    assert mcsync("sync").code == 0
    crowd.town.mailchimp.sign_up(LIST, WILMA, FIRST, LAST)
    crowd.pass_time(minutes=1)
    told = mcsync("sync")
    assert (told.code, told.out, told.err) == (0, "", "")
    [found] = crowd.town.civicrm.contacts_by_email(WILMA)
    assert found.id != contact
    assert crowd.group_status(found.id) == "Added"
    assert_at_peace(crowd)


def test_who_signs_up_again_while_civicrm_has_them_is_that_contact(
    crowd: Bedrock, mcsync: CommandLine
):
    contact = settle_wilma(crowd, mcsync)
    crowd.town.mailchimp.leave(LIST, WILMA)
    crowd.pass_time(minutes=1)
    assert mcsync("forget", str(contact), "--yes").code == 0
    assert mcsync("sync").code == 0
    crowd.pass_time(hours=25)
    assert mcsync("sync").code == 0
    assert rows_of(crowd) == 0
    crowd.town.mailchimp.sign_up(LIST, WILMA, FIRST, LAST)
    crowd.pass_time(minutes=1)
    assert mcsync("sync").code == 0
    assert rows_of(crowd) == 1
    assert [c.id for c in crowd.town.civicrm.contacts_by_email(WILMA)] == [contact]
    assert_at_peace(crowd)


# --- what is under way ----------------------------------------------------------------------------


def test_what_is_queued_is_dropped(crowd: Bedrock, mcsync: CommandLine):
    contact = crowd.town.civicrm.add_contact(FIRST, LAST, [WILMA])
    crowd.town.civicrm.add_to_group(contact, GROUP)
    assert mcsync("fetch").code == 0
    assert mcsync("reconcile").code == 0
    assert mcsync("forget", WILMA, "--yes").code == 0
    assert mcsync("submit").code == 0
    assert mcsync("sync").code == 0
    assert crowd.member_status(WILMA) is None


def test_the_result_of_what_was_sent_brings_nobody_back(crowd: Bedrock, mcsync: CommandLine):
    crowd.town.mailchimp.settings.batch_delay_polls = 2
    contact = crowd.town.civicrm.add_contact(FIRST, LAST, [WILMA])
    crowd.town.civicrm.add_to_group(contact, GROUP)
    crowd.add_contact("betty@example.org")
    assert crowd.sync(waits=False) > 0
    told = mcsync("forget", WILMA, "--yes")
    assert told.code == 0, told
    for _ in range(4):
        told = mcsync("sync")
        assert (told.code, told.out, told.err) == (0, "", "")
    assert crowd.member_status(WILMA) == "subscribed", "Mailchimp had it already"
    assert crowd.sync(window=EVERYTHING) == 0
    assert rows_of(crowd) == 0
    assert rows_of(crowd, "betty@example.org") == 1
    assert find_in_files(crowd.folder, needles()) == {}


# --- at Mailchimp ---------------------------------------------------------------------------------


def test_at_mailchimp_they_are_found_where_they_are_by_now(crowd: Bedrock, mcsync: CommandLine):
    settle_wilma(crowd, mcsync)
    crowd.town.mailchimp.change_address(LIST, WILMA, "slate@example.org")
    told = mcsync("forget", WILMA, "--yes", "--at-mailchimp")
    assert told.code == 0, told
    assert crowd.member_status(WILMA) is None
    assert crowd.member_status("slate@example.org") is None
    assert "Mailchimp" not in told.out
    assert crowd.sync(window=EVERYTHING) == 0
    assert find_in_files(crowd.folder, needles("slate@example.org")) == {}


def test_who_came_to_the_address_they_left_is_not_deleted(crowd: Bedrock, mcsync: CommandLine):
    contact = settle_wilma(crowd, mcsync)
    crowd.town.mailchimp.change_address(LIST, WILMA, "slate@example.org")
    crowd.town.mailchimp.sign_up(LIST, WILMA, "Pebbles", "Rubble")
    crowd.pass_time(minutes=1)
    told = mcsync("forget", f"contact:{contact}", "--yes", "--at-mailchimp")
    assert told.code == 0, told
    assert crowd.member_status("slate@example.org") is None
    assert crowd.member_status(WILMA) == "subscribed"
    crowd.town.civicrm.purge(contact)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    assert rows_of(crowd) == 1


def test_when_mailchimp_refuses_nothing_is_erased(crowd: Bedrock, mcsync: CommandLine):
    settle_wilma(crowd, mcsync)
    before = load_rows(crowd)
    problem = {"status": 405, "title": "Method Not Allowed", "detail": "Not this one"}
    headers = {"Content-Type": "application/problem+json"}
    refusal = Response(405, json.dumps(problem).encode(), headers)
    faults = crowd.town.mailchimp_server.faults
    faults.append(Fault(method="POST", path="delete-permanent", answer=refusal))
    told = mcsync("forget", WILMA, "--yes", "--at-mailchimp")
    assert told.code == ExitCode.REFUSED
    assert "Not this one" in told.err
    assert "nothing was erased from the cache" in told.err
    assert "leave out --at-mailchimp" in told.err
    assert load_rows(crowd) == before
    assert mcsync("forget", WILMA, "--yes", "--at-mailchimp").code == 0
    assert crowd.member_status(WILMA) is None


# --- who is meant ---------------------------------------------------------------------------------


def test_an_address_of_two_is_nobodys_alone(crowd: Bedrock, mcsync: CommandLine):
    family = "family@example.org"
    wilma = crowd.town.civicrm.add_contact(FIRST, LAST, [family])
    fred = crowd.town.civicrm.add_contact("Fred", "Flintstone", [family])
    for contact in (wilma, fred):
        crowd.town.civicrm.add_to_group(contact, GROUP)
    crowd.add_member(family)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    told = mcsync("forget", family, "--yes")
    assert told.code == ExitCode.USAGE
    assert f"contact:{wilma}, contact:{fred}" in told.err

    told = mcsync("forget", f"contact:{wilma}", "--yes")
    assert told.code == 0, told
    assert f"it is also that of contact {fred}" in told.out
    assert find_in_files(crowd.folder, [FIRST.lower().encode()]) == {}
    crowd.sync_until_quiet()
    assert crowd.member_status(family) == "subscribed"
    assert [row[1] for row in load_rows(crowd) if row[0] == family] == [fred]
    assert_at_peace(crowd)

    assert mcsync("forget", f"contact:{fred}", family, "--yes").code == 0
    assert find_in_files(crowd.folder, [family.encode()]) == {}
    assert crowd.sync(window=EVERYTHING) == 0
    assert rows_of(crowd, family) == 0


def test_nobody_and_nowhere(crowd: Bedrock, mcsync: CommandLine):
    told = mcsync("forget", "nobody@example.org", "--yes")
    assert (told.code, told.out) == (ExitCode.USAGE, "")
    assert mcsync("forget", "gazoo1@example.org", "--list", LIST, "--yes").code == ExitCode.USAGE


def test_nobody_is_forgotten_unasked(crowd: Bedrock, mcsync: CommandLine):
    told = mcsync("forget", "gazoo1@example.org")
    assert told.code == ExitCode.USAGE
    assert "--yes" in told.err
    told = mcsync("forget", "gazoo1@example.org", "--dry-run")
    assert told.code == 0
    assert "Found 1 row of the cache, 1 contact, 1 address." in told.out
    assert rows_of(crowd, "gazoo1@example.org") == 1


@pytest.mark.parametrize(("answer", "rows"), [("n\n", 1), ("\n", 1), ("y\n", 0)])
def test_on_a_terminal_they_are_forgotten_when_somebody_says_so(
    crowd: Bedrock, monkeypatch: pytest.MonkeyPatch, answer: str, rows: int
):
    monkeypatch.setattr(show_forget, "can_ask", lambda: True)
    crowd.load_config()
    config = str(crowd.folder / "config.json")
    asked = ["--config", config, "forget", "gazoo1@example.org"]
    found = CliRunner().invoke(app, asked, input=answer, prog_name="mcsync")
    assert found.exit_code == 0, found
    assert "Erase 1 person from everything mcsync keeps? [y/N]" in found.stderr
    assert "CiviCRM still has contact" in found.stdout
    assert rows_of(crowd, "gazoo1@example.org") == rows


def test_once_more_is_no_harm(crowd: Bedrock, mcsync: CommandLine):
    settle_wilma(crowd, mcsync)
    assert mcsync("forget", WILMA, "--yes").code == 0
    told = mcsync("forget", WILMA, "--yes", "--at-mailchimp")
    assert told.code == 0, told
    assert crowd.member_status(WILMA) is None
