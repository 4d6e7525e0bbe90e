"""A cache of 0.1.0, carried over: everything that it knew still means what it meant.

Each person's address says what they are there for; `released/make_010.py` tells their story.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pytest

from mcsync.assemble import build_run
from mcsync.cache import migrations as migrations_module
from mcsync.cache.audience_status import count_todo, count_unsettled, load_status
from mcsync.cache.mirror import load_mirror_state
from mcsync.cache.outbox import load_open_batches, load_queued
from mcsync.cache.persons import load_persons_of
from mcsync.cache.rows import StoredRefusal, decode_refusals, load_refusals
from mcsync.cache.store import Store
from mcsync.config import load_config
from mcsync.decision import Person, Policy, Reason, Statement
from mcsync.model import MemberStatus
from mcsync.pipeline.fetch import fetch
from mcsync.pipeline.run import Run
from mcsync.pipeline.sync import sync
from mcsync.reconcile.enforce import decide
from mcsync.sandbox.mailchimp.state import subscriber_hash
from mcsync.sandbox.town import Town
from tests.cache.released import build_cache, unpack

MAIN, TRUSTEES, GROUP = "aaaaaaaaaa", "bbbbbbbbbb", 111
POLICY = Policy(MAIN, GROUP, skips_duplicates=True, deleted_contacts="hold")
NOW = datetime(2026, 11, 25, 6, 19, tzinfo=UTC)
Row = Mapping[str, object]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return build_cache(tmp_path / "mcsync.db", "0.1.0")


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with closing(Store(path)) as opened:
        yield opened


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    """Of the file as it is."""
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def at(text: str) -> datetime:
    """A day and hour of November."""
    return datetime.fromisoformat(f"2026-11-{text.replace(' ', 'T')}:00+00:00")


def row(store: Store, who: str) -> dict[str, object]:
    cursor = store.query(
        "SELECT *, sync_status AS shown FROM civicrm_mailchimpsync_cache"
        " WHERE mailchimp_list_id = ? AND email_key = ?",
        (MAIN, f"{who}@example.org"),
    )
    found = cursor.fetchall()
    assert len(found) == 1, who
    return dict(zip([column[0] for column in cursor.description], found[0], strict=True))


def data(store: Store, who: str) -> dict[str, object]:
    return msgspec.json.decode(str(row(store, who)["mailchimp_data"]), type=dict[str, object])


def person(store: Store, who: str) -> Person:
    row_id = int(str(row(store, who)["id"]))
    people = load_persons_of(store, POLICY, [row_id], NOW)
    (found,) = (each for each in people if row_id in {r.row_id for r in each.rows})
    return found


def verdict(store: Store, who: str) -> tuple[object, ...]:
    """What the judge would say today: (status, reason), and nothing to be written."""
    decision = decide(person(store, who), POLICY)
    assert decision.is_empty, decision
    ours = int(str(row(store, who)["id"]))
    (found,) = (v for v in decision.verdicts if v.row_id == ours)
    return found.sync_status.value, found.reason.value


# --- what it meant --------------------------------------------------------------------------------


def test_who_was_muted_wants_to_be_in_and_is_muted(store: Store):
    found = data(store, "muted")
    assert (found["status"], found["status!"]) == ("unsubscribed", True)
    assert {"gated", "left"} & found.keys() == set()
    (member,) = person(store, "muted").members
    assert member.is_muted
    assert member.subscription == Statement(value=True, at=at("22 06:01"))
    assert verdict(store, "muted") == ("fail", "opt-out")


def test_who_left_has_left(store: Store):
    (member,) = person(store, "left").members
    assert (member.has_left, member.is_stranger, member.is_muted) == (True, False, False)
    assert member.subscription == Statement(value=False, at=at("23 06:03"))
    assert verdict(store, "left")[0] == "ok"


def test_nobody_is_a_stranger_whom_we_knew(store: Store):
    count = store.query(
        "SELECT count(*) FROM civicrm_mailchimpsync_cache"
        " WHERE json_extract(mailchimp_data, '$.met') IS NOT NULL"
    )
    assert count.fetchone() == (0,)


@pytest.mark.parametrize(
    ("who", "reason"),
    [("forgotten", "forgotten-email"), ("refused-for-ever", "refused-by-mailchimp")],
)
def test_what_was_refused_is_refused_of_that_address_for_that_wish(store, who, reason):
    row_id = int(str(row(store, who)["id"]))
    at = "2026-11-22T06:01:00Z"
    refusal = StoredRefusal(f"{who}@example.org", reason, {"subscribe": at})
    assert load_refusals(store, row_id) == [refusal]
    assert row(store, who)["shown"] == "fail"
    assert verdict(store, who) == ("fail", reason)


def test_who_was_asked_to_confirm_counts_as_asked(store: Store):
    found = row(store, "left-and-asked")
    assert (found["reconfirmed_at"], found["refusals"]) == ("2026-11-24T06:09:00Z", None)
    assert verdict(store, "left-and-asked")[0] == "ok"


def test_who_was_only_about_to_be_asked_was_not_asked_yet(store: Store):
    """0.1.0 noted it as it queued the confirmation; it is asked for once it is sent."""
    who = "left-and-to-be-asked"
    found = row(store, who)
    assert (found["reconfirmed_at"], found["mark"], found["due"]) == (None, "redo", 0)
    times = {"subscribe": "2026-11-25T06:13:00Z"}
    refusal = StoredRefusal(f"{who}@example.org", "compliance-state", times)
    assert load_refusals(store, int(str(found["id"]))) == [refusal]
    decision = decide(person(store, who), POLICY)
    assert [planned.change.status for planned in decision.changes] == [MemberStatus.PENDING]


@pytest.mark.parametrize(
    ("who", "lost", "lost_at"),
    [("contact-trashed", 15, "22 06:01"), ("contact-purged", 16, "22 06:01")],
)
def test_who_lost_the_contact_is_held_as_the_config_says(store, who, lost, lost_at):
    assert row(store, who)["lost_contact_id"] == lost
    assert person(store, who).rows[0].lost_at == at(lost_at)
    assert verdict(store, who) == ("ok", "contact-deleted")


def test_who_is_gone_says_out_since_that_was_noticed(store: Store):
    (member,) = person(store, "vanished").members
    assert (member.status, member.member_id) == (None, None)
    assert member.subscription == Statement(value=False, at=at("23 06:04"))


@pytest.mark.parametrize(
    ("who", "status", "reason"),
    [
        ("archived", "ok", "archived-at-mailchimp"),
        ("cleaned", "ok", "cleaned-at-mailchimp"),
        ("ambiguous", "fail", "ambiguous-contact"),
        ("signs-up-despite-opt-out", "ok", "signed-up-despite-opt-out"),
        ("unknown-and-out", "ok", "unknown-and-not-subscribed"),
        ("other-address-that-leaves", "ok", "other-address-subscribed"),
        ("trusted", "ok", "in-agreement"),
        ("without-history", "ok", "in-agreement"),
        ("shared-address", "ok", "in-agreement"),
        ("merged", "ok", "in-agreement"),
    ],
)
def test_who_was_as_the_rules_want_is_so_still(store, who, status, reason):
    assert verdict(store, who) == (status, reason)


def test_what_was_under_way_is_under_way(store: Store):
    for who in ("unsubscribe-under-way", "unsubscribe-claimed", "subscribe-queued"):
        assert (row(store, who)["shown"], row(store, who)["due"]) == ("live", 0)
    by_status = {batch.status: batch for batch in load_open_batches(store, [MAIN, TRUSTEES])}
    assert set(by_status) == {"pending", "claimed"}
    for batch in by_status.values():
        assert (batch.claimed_at, batch.is_overdue) == (batch.submitted_at, False)
    queued = [update.change.status for update in load_queued(store, MAIN)]
    assert queued == [MemberStatus.PENDING, MemberStatus.SUBSCRIBED]


def test_no_row_without_an_open_update_is_live_or_asked(store: Store):
    found = store.query(
        "SELECT count(*) FROM civicrm_mailchimpsync_cache r WHERE mark IN ('live', 'redo')"
        " AND NOT EXISTS (SELECT 1 FROM civicrm_mailchimpsync_update u"
        "  WHERE u.mailchimpsync_cache_id = r.id AND u.completed = 0)"
    )
    assert found.fetchone() == (0,)


def test_the_queue_is_who_was_to_do(path: Path):
    todo = "SELECT id FROM civicrm_mailchimpsync_cache WHERE sync_status = 'todo' ORDER BY id"
    before = ask(path, todo)
    others = (
        "SELECT id, sync_status, sync_reason FROM civicrm_mailchimpsync_cache"
        " WHERE sync_status <> 'todo' ORDER BY id"
    )
    as_they_were = ask(path, others)
    Store(path).close()
    assert ask(path, todo) == before
    assert len(before) == 1 + 12  # who moved, and the trustees of the plan that is held
    assert ask(path, others) == as_they_were
    queue = "SELECT id FROM civicrm_mailchimpsync_cache WHERE due > 0 ORDER BY id"
    assert ask(path, queue) == before


STAYS = {
    "words in the mirror": "SELECT * FROM civicrm_mailchimpsync_group_contact",
    "addresses": "SELECT * FROM civicrm_mailchimpsync_email",
    "contacts": "SELECT contact_id, first_name, last_name, is_deleted, is_opt_out, gate_closed_at,"
    " merged_to, is_dirty FROM civicrm_mailchimpsync_contact",
    "data that was sent": "SELECT id, civicrm_data FROM civicrm_mailchimpsync_cache",
    "names": "SELECT id, json_extract(mailchimp_data, '$.first_name'),"
    " json_extract(mailchimp_data, '$.\"first_name@\"') FROM civicrm_mailchimpsync_cache",
    "words at Mailchimp": "SELECT id, mailchimp_status, json_extract(mailchimp_data,"
    " '$.\"status@\"') FROM civicrm_mailchimpsync_cache",
    "updates": "SELECT * FROM civicrm_mailchimpsync_update",
    "webhooks": "SELECT kind, email FROM civicrm_mailchimpsync_webhook",
    "the trail": "SELECT id, at, run, list_id, cache_id, contact_id, email, side, field, before,"
    " after, reason FROM civicrm_mailchimpsync_change",
    "plans": "SELECT id, list_id, decision FROM civicrm_mailchimpsync_plan",
    "statuses": "SELECT list_id, replace(data, ',\"heldPlan\":{}', '')"
    " FROM civicrm_mailchimpsync_status",
    "places counted": "SELECT * FROM civicrm_mailchimpsync_place_count",
    "people, to look at": "SELECT row_id, email, contact_id, first_name, last_name,"
    " mailchimp_status, civicrm_groups, sync_status, reason FROM people",
    "audiences, to look at": "SELECT list_id, synced_at, fetched_at, held_because,"
    " held_since, people, subscribed, pending, todo, under_way, failed FROM audiences",
    "failed people, to look at": "SELECT row_id, reason FROM failed_people",
}


@pytest.mark.parametrize("sql", STAYS.values(), ids=STAYS)
def test_what_stays_as_it_was(path: Path, sql: str):
    before = ask(path, sql)
    Store(path).close()
    assert before
    assert ask(path, sql) == before


def test_each_group_has_the_cursor_that_served_for_all(store: Store):
    state = load_mirror_state(store)
    assert set(state.groups) == {111, 222, 333}
    assert {g.history_id for g in state.groups.values()} == {86}
    assert {g.compared_at for g in state.groups.values()} == {"2026-11-25T06:13:00Z"}
    assert state.modified_at == "2026-11-25T06:13:00Z"
    assert state.smart_group_ids == set()


def test_a_held_plan_is_held_since_it_was(store: Store):
    held = load_status(store, TRUSTEES).held_plan
    assert held is not None
    assert held.since == "2026-11-25T06:16:00Z"
    assert held.why.startswith("would unsubscribe 12")


# --- rows that this cache does not have -----------------------------------------------------------


def add_old_row(path: Path, **values: object) -> None:
    names = ["mailchimp_list_id", *values]
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            f"INSERT INTO civicrm_mailchimpsync_cache ({', '.join(names)})"  # noqa: S608
            f" VALUES ({', '.join('?' * len(names))})",
            (MAIN, *values.values()),
        )


def add_old_update(path: Path, status: str, wish: str, batch: int | None, completed: int) -> None:
    """Of the newest row."""
    with closing(sqlite3.connect(path)) as db, db:
        db.execute(
            "INSERT INTO civicrm_mailchimpsync_update (mailchimpsync_cache_id,"
            " mailchimpsync_batch_id, data, cause, created_at, completed)"
            " SELECT max(id), ?, json_object('email', 'x@example.org', 'status', ?),"
            "  json_object('reason', 'compliance-state', 'at', json_object('status', ?)), ?, ?"
            " FROM civicrm_mailchimpsync_cache",
            (batch, status, wish, wish, completed),
        )


def migrate(path: Path) -> dict[str, object]:
    """The row of x@ afterwards."""
    with closing(Store(path)) as store:
        return row(store, "x")


def as_data(**values: object) -> str:
    return msgspec.json.encode({"status@": "2026-11-22T06:01:00Z", **values}).decode()


def test_a_shops_customer_has_said_nothing_after_all(path: Path):
    add_old_row(
        path,
        email_key="x@example.org",
        mailchimp_status="transactional",
        mailchimp_data=as_data(status="transactional", first_name="X"),
        sync_status="ok",
    )
    found = msgspec.json.decode(str(migrate(path)["mailchimp_data"]), type=dict[str, object])
    assert found == {"status": "transactional", "first_name": "X"}


@pytest.mark.parametrize("status", ["live", "redo"])
def test_a_row_that_was_live_for_nothing_is_live_no_more(path: Path, status: str):
    add_old_row(path, email_key="x@example.org", sync_status=status)
    found = migrate(path)
    assert (found["mark"], found["due"]) == ("ok", 0)


def test_who_was_muted_and_is_to_be_judged_is_both(path: Path):
    add_old_row(
        path,
        email_key="x@example.org",
        mailchimp_status="unsubscribed",
        mailchimp_data=as_data(status="unsubscribed", gated=True),
        sync_status="todo",
    )
    found = migrate(path)
    assert (found["mark"], found["due"], found["shown"]) == ("ok", 1, "todo")
    kept = msgspec.json.decode(str(found["mailchimp_data"]), type=dict[str, object])
    assert (kept["status!"], "gated" in kept, "left" in kept) == (True, False, False)


def test_a_refusal_without_a_reason_is_mailchimps(path: Path):
    add_old_row(
        path,
        email_key="x@example.org",
        sync_status="fail",
        refused_at="2026-11-22T06:01:00Z",
    )
    times = {"subscribe": "2026-11-22T06:01:00Z"}
    assert decode_refusals(str(migrate(path)["refusals"])) == [
        StoredRefusal("x@example.org", "refused-by-mailchimp", times)
    ]


WISH, BEFORE = "2026-11-24T06:00:00Z", "2026-11-20T06:00:00Z"
QUEUED, SENT, ABORTED, DONE = (None, 0), (6, 0), (None, 1), (6, 1)
ASKED = [
    pytest.param([(WISH, *QUEUED)], None, True, id="queued, and not sent"),
    pytest.param([(WISH, *SENT)], WISH, True, id="sent"),
    pytest.param([(WISH, *DONE)], WISH, False, id="done"),
    pytest.param([(WISH, *ABORTED)], None, True, id="queued, and aborted"),
    pytest.param([(WISH, *ABORTED), (WISH, *DONE)], WISH, True, id="aborted once, and done"),
    pytest.param([(BEFORE, *DONE), (WISH, *QUEUED)], None, True, id="asked for another wish"),
    pytest.param([], WISH, False, id="so long ago that the update is gone"),
]


@pytest.mark.parametrize(("updates", "asked_at", "is_refused"), ASKED)
def test_who_counts_as_asked_to_confirm(path, updates, asked_at, is_refused):
    add_old_row(path, email_key="x@example.org", reconfirmed_at=WISH, sync_status="redo")
    for wish, batch, completed in updates:
        add_old_update(path, "pending", wish, batch, completed)
    found = migrate(path)
    assert found["reconfirmed_at"] == asked_at
    assert (found["refusals"] is not None) is is_refused


# --- the file -------------------------------------------------------------------------------------


def describe(path: Path) -> list[tuple[object, ...]]:
    """Everything in the file but when migrations were applied."""
    lines = ask(path, "SELECT type, name, sql FROM sqlite_master ORDER BY name")
    tables = [str(line[1]) for line in lines if line[0] == "table" and line[1] != MIGRATIONS]
    return lines + [
        (table, *each)
        for table in tables
        for each in ask(path, f'SELECT * FROM "{table}"')  # noqa: S608
    ]


MIGRATIONS = "_sqlite_migrations"


def test_an_old_cache_becomes_what_a_new_one_is(path: Path, tmp_path: Path):
    Store(path).close()
    Store(tmp_path / "new.db").close()
    schema = "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY 1, 2"
    assert ask(path, schema) == ask(tmp_path / "new.db", schema)


def test_an_old_cache_is_carried_over_once(path: Path):
    Store(path).close()
    first = describe(path)
    Store(path).close()
    assert describe(path) == first


def test_a_migration_that_is_cut_short_leaves_the_file_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
):
    before = describe(path)

    def die(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(migrations_module, "_give_each_group_a_cursor", die)
    with pytest.raises(KeyboardInterrupt):
        Store(path)
    assert describe(path) == before
    monkeypatch.undo()
    with closing(Store(path)) as store:
        assert load_mirror_state(store).groups


# --- the first run after the upgrade --------------------------------------------------------------

Step = Callable[[Run], object]


class Upgraded:
    """The town as 0.1.0 left it, and its cache; what a step asks of the services."""

    def __init__(self, town: Town, folder: Path) -> None:
        self.town = town
        self.config = unpack(town, folder, "0.1.0")

    def run(self, step: Step) -> Run:
        config = load_config(self.config, {})
        with closing(Store(config.cache)) as store:
            run = build_run(
                config, config.audiences, store, clock=self.town.clock, sleep=lambda _: None
            )
            step(run)
        self.town.clock.advance(minutes=1)
        return run

    def open(self) -> Store:
        return Store(load_config(self.config, {}).cache)

    def member_queries(self) -> list[str]:
        """From which time on members were asked for, "" for all of them."""
        asked = [exchange.request for exchange in self.town.mailchimp_server.requests]
        return [
            parse_qs(request.query).get("since_last_changed", [""])[0]
            for request in asked
            if request.path.endswith("/members")
        ]

    def civicrm_calls(self) -> set[str]:
        return {
            "/".join(exchange.request.path.rstrip("/").split("/")[-2:])
            for exchange in self.town.civicrm_server.requests
        }

    @property
    def confirmation_mails(self) -> list[str]:
        return [mail.email.partition("@")[0] for mail in self.town.mailchimp.confirmation_mails]


@pytest.fixture
def upgraded(town: Town, tmp_path: Path) -> Upgraded:
    return Upgraded(town, tmp_path)


def test_the_first_fetch_is_no_first_fetch(upgraded: Upgraded):
    """Nobody is read who did not change, and nobody is judged anew without a cause."""
    with closing(upgraded.open()) as store:
        before = {each: count_todo(store, each) for each in (MAIN, TRUSTEES)}
        full = {each: load_status(store, each).full_fetched_at for each in (MAIN, TRUSTEES)}
    run = upgraded.run(fetch)
    run.raise_troubles()
    queries = upgraded.member_queries()
    assert queries
    assert "" not in queries, "nothing was fetched in full"
    assert not {call for call in upgraded.civicrm_calls() if call.startswith("GroupContact/")}
    assert {key: report.civicrm_only_added for key, report in run.reports.items()} == {
        MAIN: 0,
        TRUSTEES: 0,
    }
    with closing(upgraded.open()) as store:
        # Two left, and changed their name, since; their webhooks tell of it, too.
        assert count_todo(store, MAIN) == before[MAIN] + 2
        assert count_todo(store, TRUSTEES) == before[TRUSTEES]
        assert {e: load_status(store, e).full_fetched_at for e in (MAIN, TRUSTEES)} == full


def test_a_full_fetch_after_the_upgrade_finds_nothing_that_was_not_known(upgraded: Upgraded):
    upgraded.town.mailchimp.run_batches()
    for _ in range(3):
        upgraded.run(lambda run: sync(run, wait_s=0))
    run = upgraded.run(lambda run: fetch(run, in_full=True))
    run.raise_troubles()
    assert "" in upgraded.member_queries()
    assert "GroupContact/get" in upgraded.civicrm_calls()
    with closing(upgraded.open()) as store:
        found = store.query(
            "SELECT email_key, mailchimp_data FROM civicrm_mailchimpsync_cache"
            " WHERE due > 0 AND mailchimp_list_id = ?",
            (MAIN,),
        ).fetchall()
    assert found == []


def test_whoever_was_about_to_be_asked_is_asked_once_also_when_judged_anew(upgraded: Upgraded):
    """She is named in resync before the first sync: what was queued is decided anew."""
    with closing(upgraded.open()) as store, store.atomic():
        store.query(
            "UPDATE civicrm_mailchimpsync_cache SET due = due + 1 WHERE email_key = ?",
            ("left-and-to-be-asked@example.org",),
        )
    assert upgraded.confirmation_mails == ["left-and-asked"]
    upgraded.town.mailchimp.run_batches()
    for _ in range(4):
        upgraded.run(lambda run: sync(run, wait_s=0))
    assert upgraded.confirmation_mails == ["left-and-asked", "left-and-to-be-asked"]


def test_in_the_end_both_sides_agree_and_know_it(upgraded: Upgraded):
    upgraded.town.mailchimp.run_batches()
    for _ in range(3):
        run = upgraded.run(lambda run: sync(run, wait_s=0))
    assert run.reports[MAIN].in_sync
    with closing(upgraded.open()) as store:
        assert count_unsettled(store, MAIN) == 0
        assert count_todo(store, TRUSTEES) == 12, "held"
    for who in ("unsubscribe-under-way", "unsubscribe-claimed"):
        member = upgraded.town.mailchimp.member(MAIN, f"{who}@example.org")
        assert member is not None
        assert member["status"] == "unsubscribed"
        assert member["id"] == subscriber_hash(f"{who}@example.org")


def test_the_cache_learns_whose_it_is(upgraded: Upgraded):
    upgraded.run(lambda run: sync(run, wait_s=0))
    with closing(upgraded.open()) as store:
        status = load_status(store, MAIN)
    assert status.account_id
    assert status.rules
    assert not status.is_strict


def test_reasons_that_0_1_0_gave_are_known(store: Store):
    codes = {str(r[0]) for r in store.query("SELECT DISTINCT reason FROM people") if r[0]}
    assert codes <= {reason.value for reason in Reason}
