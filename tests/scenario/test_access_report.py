"""`mcsync explain --json`: everything that is kept of somebody, which is what forgetting erases."""

import csv
from contextlib import closing
from typing import Any

import pytest

from mcsync.cache.creations import note_creations
from mcsync.cache.plans import add_to_plan
from mcsync.cache.traces import PARTS
from mcsync.cache.trail import Change, note_changes
from mcsync.cli import forget as command
from mcsync.decision import Decision, NameWrite, Reason
from mcsync.model import Side
from mcsync.sandbox.mailchimp.state import subscriber_hash
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.postal import Post
from tests.scenario.telling import CommandLine, Teller

WILMA = "Wilma.Slaghoople@example.org"
FIRST = "Wilhelmina"
SNAPSHOT = "Main-aaaaaaaaaa-mailchimp-2026-11-02T0202Z.csv"
KEYS = {"contact": ("contact_id",), "email": ("email_id",), "entity_tag": ("entity_tag_id",)}
KEYS |= {"told_contact": ("contact_id",), "creation": ("email_key",)}
KEYS |= {"group_contact": ("group_id", "contact_id"), "contact_data": ("kind", "contact_id")}


@pytest.fixture(autouse=True)
def _at_bedrock_time(bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "utc_now", bedrock.town.clock)


def keys_of(table: str) -> tuple[str, ...]:
    return KEYS.get(table, ("id",))


def load_all(bedrock: Bedrock) -> dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]:
    """By table and key, every row in which something of a person may stand."""
    found = {}
    with closing(bedrock.open_store()) as store:
        for table in PARTS:
            keys = keys_of(table)
            sql = f"SELECT {', '.join(keys)}, * FROM civicrm_mailchimpsync_{table}"  # noqa: S608
            rows = store.query(sql)
            found[table] = {row[: len(keys)]: row[len(keys) :] for row in rows.fetchall()}
    return found


def kept_of(tell: Teller, who: str) -> dict[str, Any]:
    """All that is kept of the one person who is meant."""
    [kept] = tell.json("explain", who)["kept"]
    assert isinstance(kept, dict)
    return kept


def entries_of(kept: dict[str, Any], table: str) -> list[dict[str, Any]]:
    for each in kept["tables"]:
        if each["table"] == f"civicrm_mailchimpsync_{table}":
            assert isinstance(each["entries"], list)
            return each["entries"]
    return []


def fill(bedrock: Bedrock, mcsync: CommandLine, post: Post) -> int:
    """Wilma, with something in every table; her contact."""
    civicrm = bedrock.town.civicrm
    contact = civicrm.add_contact(FIRST, "Slaghoople", [WILMA])
    civicrm.add_to_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    bedrock.sync_until_quiet()
    civicrm.update_contact(contact, nick_name="Yabbadabba")
    civicrm.tag(contact, civicrm.add_tag("Rock concert"))
    bedrock.pass_time(hours=24)
    bedrock.sync_until_quiet()
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, FIRST, "Flintstone")
    post.store()
    civicrm.remove_from_group(contact, GROUP)
    bedrock.pass_time(minutes=1)
    assert mcsync("fetch").code == 0
    assert mcsync("reconcile").code == 0
    write = NameWrite(contact, FIRST, None, bedrock.town.clock(), bedrock.town.clock())
    with closing(bedrock.open_store()) as store, store.atomic():
        add_to_plan(store, LIST, [(Decision((), name_writes=(write,)), frozenset())])
        store.query(
            "INSERT INTO civicrm_mailchimpsync_told_contact VALUES (?, ?, 1)", (contact, "x")
        )
        note_creations(store, [WILMA], bedrock.town.clock())
    return contact


def test_it_tells_just_what_forgetting_erases(
    nicknames: Bedrock, mcsync: CommandLine, tell: Teller, post: Post
):
    contact = fill(nicknames, mcsync, post)
    kept = kept_of(tell, WILMA)
    before = load_all(nicknames)
    assert mcsync("forget", WILMA, "--yes").code == 0
    after = load_all(nicknames)
    for table in PARTS:
        told = {
            tuple(entry["values"][key] for key in keys_of(table))
            for entry in entries_of(kept, table)
        }
        erased = {k for k, row in before[table].items() if after[table].get(k) != row}
        assert told == erased, table
        assert told, table
    assert kept["contacts"] == [contact]
    assert kept["addresses"] == [WILMA.lower()]


def test_where_since_when_and_until_when(
    nicknames: Bedrock, mcsync: CommandLine, tell: Teller, post: Post
):
    contact = fill(nicknames, mcsync, post)
    nicknames.settings["historyDays"] = 30
    kept = kept_of(tell, f"contact:{contact}")
    [row] = entries_of(kept, "cache")
    assert row["values"]["mailchimp_data"]["first_name"] == FIRST
    [place] = entries_of(kept, "group_contact")
    assert (place["values"]["group"], place["values"]["status"]) == (
        "Main audience subscribers",
        "Removed",
    )
    [tag] = entries_of(kept, "entity_tag")
    assert tag["values"]["tag"] == "Rock concert"
    change = entries_of(kept, "change")[0]
    assert (change["since"], change["until"]) == ("2026-11-22T06:04:00Z", "2026-12-22T06:04:00Z")
    rules = {
        each["table"].removeprefix("civicrm_mailchimpsync_"): each["kept"]
        for each in kept["tables"]
    }
    assert rules["change"] == "historyDays; 30"
    assert rules["contact"] == "while CiviCRM has them, in its trash too; then historyDays; 30"
    assert rules["entity_tag"] == rules["contact"]
    update = entries_of(kept, "update")[0]
    assert (update["since"][:10], update["until"][:10]) == ("2026-11-22", "2026-12-22")
    copy = kept["copies"][0]
    assert (copy["day"], copy["kept"]) == ("2026-11-23", "until there are backups newer ones; 2")


def test_a_batch_on_its_way_is_told(bedrock: Bedrock, mcsync: CommandLine, tell: Teller):
    bedrock.add_contact(WILMA)
    bedrock.town.mailchimp.settings.batch_delay_polls = None
    assert bedrock.sync(waits=False) > 0
    kept = kept_of(tell, WILMA)
    [batch] = entries_of(kept, "batch")
    [update] = entries_of(kept, "update")
    assert batch["values"]["response_processed"] < 2
    assert batch["since"] == "2026-11-22T06:01:00Z"
    assert update["values"]["mailchimpsync_batch_id"] == batch["values"]["id"]
    assert update["values"]["data"]["email"] == WILMA.lower()


def test_snapshots_are_looked_through(crowd: Bedrock, tell: Teller, mcsync: CommandLine):
    crowd.add_both(WILMA)
    assert mcsync("sync").code == 0
    folder = crowd.folder / "mcsync.db.snapshots"
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / SNAPSHOT
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(
            [
                ("Email Address", "Member ID"),
                (WILMA, subscriber_hash(WILMA.lower())),
                ("betty@example.org", "b"),
            ]
        )
    before = path.read_bytes()
    [found] = kept_of(tell, WILMA)["snapshots"]
    assert found["rows"] == [{"Email Address": WILMA, "Member ID": subscriber_hash(WILMA.lower())}]
    assert (found["path"], found["since"]) == (str(path), "2026-11-02T02:02:00Z")
    assert path.read_bytes() == before
    assert tell.json("explain", "gazoo1@example.org")["kept"][0]["snapshots"] == []
    path.unlink()
    path.symlink_to(crowd.folder / "config.json")
    told = tell("explain", WILMA, "--json")
    assert told.code == 0
    assert told.document["kept"][0]["snapshots"][0]["rows"] is None
    assert f"cannot look into {path}" in told.err


def test_of_somebody_forgotten_it_tells_that_hashes_are_kept(
    crowd: Bedrock, mcsync: CommandLine, tell: Teller
):
    crowd.add_both(WILMA)
    assert mcsync("sync").code == 0
    assert mcsync("forget", WILMA, "--yes").code == 0
    document = tell.json("explain", WILMA)
    assert document["people"] == []
    [kept] = document["kept"]
    [table] = kept["tables"]
    assert table["table"] == "civicrm_mailchimpsync_forgotten"
    [entry] = table["entries"]
    assert entry["since"][:10] == "2026-11-22"
    assert entry["values"]["hash_of"] == "email"
    assert entry["values"]["hashes_of_the_same_person"] >= 2
    told = tell("explain", WILMA)
    assert told.code == 0
    assert "since somebody was forgotten on 22 November 2026" in told.out
    assert tell("explain", "nobody@example.org").code == 2


def test_somebody_in_the_trail_alone_is_told_of(bedrock: Bedrock, tell: Teller):
    bedrock.add_both("wilma@example.org")
    bedrock.sync()
    change = Change(
        LIST, Side.MAILCHIMP, "subscription", None, "x", next(iter(Reason)), email=WILMA
    )
    with closing(bedrock.open_store()) as store, store.atomic():
        note_changes(store, [change], "r", bedrock.town.clock())
    document = tell.json("explain", WILMA)
    assert document["people"] == []
    assert [e["values"]["email"] for e in entries_of(document["kept"][0], "change")] == [WILMA]
    told = tell("explain", WILMA.upper())
    assert told.out.startswith(f"Nobody known as {WILMA.upper()} is in an audience or a group.")
    assert "change  1 row; kept: historyDays; 365" in told.out


def test_an_address_of_two_is_answered_for_each(crowd: Bedrock, mcsync: CommandLine, tell: Teller):
    family = "family@example.org"
    owners = [crowd.town.civicrm.add_contact(name, "Flintstone", [family]) for name in "ab"]
    for contact in owners:
        crowd.town.civicrm.add_to_group(contact, GROUP)
    crowd.add_member(family)
    crowd.pass_time(minutes=1)
    crowd.sync_until_quiet()
    both = tell.json("explain", family)["kept"]
    assert [kept["contacts"] for kept in both] == [[owner] for owner in owners]
    for kept, other in zip(both, reversed(owners), strict=True):
        assert kept["shared_addresses"] == {family: [other]}
        [member] = [e for e in entries_of(kept, "cache") if e["values"]["mailchimp_email"]]
        assert member["shared_with_contacts"] == [other]
        assert len(entries_of(kept, "contact")) == 1


def test_the_text_is_as_short_as_ever_but_for_v(bedrock: Bedrock, tell: Teller):
    bedrock.add_both(WILMA)
    bedrock.sync()
    assert "What is kept" not in tell("explain", WILMA).out
    out = tell("explain", WILMA, "-v").out
    assert "What is kept of them (all of it with --json):" in out
    assert "cache          1 row; kept: while the person is at either side" in out
