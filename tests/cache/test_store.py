"""The cache file: private, never anybody else's, written in transactions, with the documents'
tables."""

import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from mcsync.cache.audience_status import AudienceStatus, load_status, save_status
from mcsync.cache.store import Store
from mcsync.errors import CacheError

# Others may read these tables: columns are added, and none is renamed or taken away.
DOCUMENTED = {
    "civicrm_mailchimpsync_cache": {
        "id",
        "mailchimp_list_id",
        "mailchimp_member_id",
        "mailchimp_email",
        "mailchimp_status",
        "mailchimp_updated",
        "mailchimp_data",
        "civicrm_groups",
        "civicrm_data",
        "civicrm_contact_id",
        "sync_status",
    },
    "civicrm_mailchimpsync_update": {
        "id",
        "mailchimpsync_cache_id",
        "mailchimpsync_batch_id",
        "data",
        "completed",
        "error_response",
    },
    "civicrm_mailchimpsync_batch": {
        "id",
        "mailchimp_list_id",
        "mailchimp_batch_id",
        "status",
        "submitted_at",
        "completed_at",
        "finished_operations",
        "errored_operations",
        "total_operations",
        "response_processed",
    },
    "civicrm_mailchimpsync_status": {"list_id", "data"},
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mcsync.db"


def write_foreign(path: Path) -> None:
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE recipes (name TEXT)")
        other.execute("INSERT INTO recipes VALUES ('bronto burger')")
    other.close()


def write_newer(path: Path) -> None:
    Store(path).close()
    with sqlite3.connect(path) as other:
        other.execute(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES ('mcsync', 'm999_from_the_future', '2030-01-01')"
        )
    other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()


def write_text(path: Path) -> None:
    path.write_text("This is a letter to Betty, and no cache.\n" * 40)


# --- the file -------------------------------------------------------------------------------------


def test_a_new_cache_is_readable_by_its_owner_only(path: Path):
    mask = os.umask(0)
    try:
        Store(path).close()
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_stands_beside_an_open_cache_is_as_private(path: Path):
    mask = os.umask(0)
    try:
        store = Store(path)
        with store.atomic():
            store.set_state("fred", "flintstone")
        modes = {stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        store.close()
    finally:
        os.umask(mask)
    assert modes == {0o600}


def test_no_folder_is_made(tmp_path: Path):
    """A share that is not mounted would be taken for a first run."""
    with pytest.raises(CacheError):
        Store(tmp_path / "var" / "lib" / "mcsync.db")
    assert not (tmp_path / "var").exists()


def test_even_a_file_of_one_letter_is_left_as_it_is(path: Path):
    path.write_bytes(b"x")
    with pytest.raises(CacheError, match="not an mcsync cache"):
        Store(path)
    assert path.read_bytes() == b"x"


Use = Callable[[Store, str], object]
USES: dict[str, Use] = {
    "query": lambda store, sql: store.query(sql),
    "run_many": lambda store, sql: store.run_many(sql, [()]),
    "insert_many": lambda store, sql: store.insert_many(sql, [()]),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_trouble_with_the_file_is_a_cache_error_and_a_slip_of_ours_is_not(path: Path, use: Use):
    store = Store(path)
    with pytest.raises(CacheError), store.atomic():
        use(store, "INSERT INTO nowhere DEFAULT VALUES")
    with pytest.raises(sqlite3.ProgrammingError), store.atomic():
        use(store, "INSERT INTO civicrm_mailchimpsync_state VALUES (?, ?)")
    store.close()


@pytest.mark.parametrize("count", [0, 1, 24, 25, 26, 199, 200, 201, 450])
def test_all_rows_are_inserted_as_one_by_one_would(path: Path, count: int):
    """However many fit into one statement; a later row may meet an earlier one."""
    sql = (
        "INSERT INTO temp.met VALUES (?, nullif(?, 'none'))"
        " ON CONFLICT (id) DO UPDATE SET word = excluded.word"
    )
    rows = [(number % 150, "none" if number % 7 == 0 else f"({number})") for number in range(count)]
    store, found = Store(path), []
    for insert in (store.insert_many, store.run_many):
        store.query("CREATE TEMP TABLE met (id INTEGER PRIMARY KEY, word TEXT)")
        with store.scratch():
            insert(sql, iter(rows))
        found.append(store.query("SELECT id, word FROM met ORDER BY id").fetchall())
        store.query("DROP TABLE temp.met")
    store.close()
    assert found[0] == found[1]
    assert len(found[0]) == min(count, 150)


def test_where_one_row_cannot_be_inserted_none_is(path: Path):
    store = Store(path)
    rows = [(f"key {number}", None if number == 230 else "") for number in range(250)]
    with pytest.raises(sqlite3.IntegrityError), store.atomic():
        store.insert_many("INSERT INTO civicrm_mailchimpsync_state VALUES (?, ?)", rows)
    assert store.number("SELECT count(*) FROM civicrm_mailchimpsync_state") == 0
    store.close()


def test_a_folder_is_no_cache(tmp_path: Path):
    with pytest.raises(CacheError):
        Store(tmp_path)


REFUSED = [
    pytest.param(write_text, "not an mcsync cache", id="not SQLite"),
    pytest.param(write_foreign, "another program", id="SQLite of another program"),
    pytest.param(write_newer, "newer mcsync", id="of a newer mcsync"),
]


@pytest.mark.parametrize(("write", "words"), REFUSED)
def test_what_is_not_ours_is_refused_and_left_as_it_is(
    path: Path, write: Callable[[Path], None], words: str
):
    write(path)
    before = path.read_bytes()
    with pytest.raises(CacheError, match=words) as refusal:
        Store(path)
    assert refusal.value.hint
    assert path.read_bytes() == before


def test_an_empty_file_becomes_a_cache(path: Path):
    path.touch()
    store = Store(path)
    assert store.db.table_names()
    store.close()


# --- migrations -----------------------------------------------------------------------------------


def describe(store: Store) -> list[tuple[object, ...]]:
    return store.query("SELECT type, name, sql FROM sqlite_master ORDER BY name").fetchall()


def test_migrations_applied_twice_are_applied_once(path: Path):
    store = Store(path)
    with store.atomic():
        store.set_state("fred", "flintstone")
    first = describe(store)
    store.close()
    again = Store(path)
    applied = again.query("SELECT name FROM _sqlite_migrations").fetchall()
    assert describe(again) == first
    assert len(applied) == len(set(applied))
    assert again.get_state("fred") == "flintstone"
    again.close()


@pytest.mark.parametrize("table", DOCUMENTED)
def test_the_documents_tables_have_the_documents_columns(path: Path, table: str):
    store = Store(path)
    columns = {row[1] for row in store.query(f"PRAGMA table_xinfo({table})")}
    assert columns >= DOCUMENTED[table]
    store.close()


def test_every_table_of_ours_is_strict(path: Path):
    store = Store(path)
    tables = store.query(
        "SELECT name, strict FROM pragma_table_list WHERE name LIKE 'civicrm_mailchimpsync%'"
        " AND type = 'table'"
    ).fetchall()
    assert tables
    assert {name for name, is_strict in tables if not is_strict} == set()
    store.close()


# --- transactions ---------------------------------------------------------------------------------


def write_half(store: Store, trouble: BaseException) -> None:
    with store.atomic():
        store.set_state("fred", "flintstone")
        store.set_state("barney", "rubble")
        raise trouble


def test_a_transaction_that_fails_leaves_nothing(path: Path):
    store = Store(path)
    with pytest.raises(RuntimeError):
        write_half(store, RuntimeError())
    assert store.get_state("fred") is None
    assert store.get_state("barney") is None
    store.close()


def test_what_a_transaction_wrote_is_there_for_the_next_run(path: Path):
    store = Store(path)
    with store.atomic():
        store.set_state("fred", "flint")
        store.set_state("fred", "flintstone")
    store.close()
    again = Store(path)
    assert again.get_state("fred") == "flintstone"
    again.close()


def test_what_was_never_committed_is_not_there_for_the_next_run(path: Path):
    store = Store(path)
    with pytest.raises(KeyboardInterrupt):
        write_half(store, KeyboardInterrupt())
    store.close()
    again = Store(path)
    assert again.get_state("fred") is None
    again.close()


WRITES = {
    "insert": "INSERT INTO civicrm_mailchimpsync_state VALUES ('fred', 'flintstone')",
    "replace": "REPLACE INTO civicrm_mailchimpsync_state VALUES ('fred', 'flintstone')",
    "update": "UPDATE civicrm_mailchimpsync_state SET value = 'flintstone'",
    "delete": "DELETE FROM civicrm_mailchimpsync_state",
    "in other letters": "\n insert\nINTO civicrm_mailchimpsync_state VALUES ('fred', 'flintstone')",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
@pytest.mark.parametrize("sql", WRITES.values(), ids=WRITES)
def test_a_write_outside_a_transaction_is_refused(path: Path, sql: str, use: Use):
    store = Store(path)
    with store.atomic():
        store.set_state("barney", "rubble")
    with pytest.raises(AssertionError, match="outside a transaction"):
        use(store, sql)
    assert (store.get_state("fred"), store.get_state("barney")) == (None, "rubble")
    with store.atomic():
        use(store, sql)
    store.close()


def test_a_state_cannot_be_kept_outside_a_transaction(path: Path):
    store = Store(path)
    with pytest.raises(AssertionError):
        store.set_state("fred", "flintstone")
    store.close()


def test_temporary_tables_may_be_written_while_somebody_else_writes(path: Path):
    """Webhooks are stored without the lock of a run, and must not wait for our sums."""
    store = Store(path)
    other = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        with store.scratch():
            store.query("CREATE TEMP TABLE sums (n INTEGER)")
            store.query("INSERT INTO sums VALUES (1)")
            other.execute("BEGIN IMMEDIATE")
            other.execute("INSERT INTO civicrm_mailchimpsync_state VALUES ('fred', 'flintstone')")
            other.execute("COMMIT")
            store.query("INSERT INTO sums VALUES (2)")
        assert store.query("SELECT count(*) FROM sums").fetchone() == (2,)
        assert store.get_state("fred") == "flintstone"
    finally:
        other.close()
        store.close()


def add_up(store: Store) -> None:
    with store.scratch():
        store.query("INSERT INTO sums VALUES (1)")
        raise RuntimeError


def test_what_is_cut_short_leaves_nothing_in_temporary_tables(path: Path):
    store = Store(path)
    store.query("CREATE TEMP TABLE sums (n INTEGER)")
    with pytest.raises(RuntimeError):
        add_up(store)
    assert store.query("SELECT count(*) FROM sums").fetchone() == (0,)
    store.close()


def write_in_layers(store: Store) -> None:
    with store.atomic():
        with store.atomic():
            store.set_state("fred", "flintstone")
        with store.scratch():
            store.query("CREATE TEMP TABLE sums (n INTEGER)")
        raise RuntimeError


def test_transactions_within_a_transaction_are_part_of_it(path: Path):
    store = Store(path)
    with pytest.raises(RuntimeError):
        write_in_layers(store)
    assert store.get_state("fred") is None
    assert not store.conn.in_transaction
    store.close()


def test_trouble_with_the_file_in_a_transaction_is_a_cache_error(path: Path):
    store = Store(path)
    with pytest.raises(CacheError), store.atomic():
        store.query("INSERT INTO nowhere VALUES (1)")
    store.close()


# --- what belongs to an audience ------------------------------------------------------------------


def test_an_audience_never_fetched_has_a_new_status(path: Path):
    store = Store(path)
    status = load_status(store, "aaaaaaaaaa")
    assert (status.since, status.is_fetched, status.needs_full_scan) == (None, False, True)
    store.close()


def test_the_status_of_an_audience_is_its_own(path: Path):
    store = Store(path)
    mine = AudienceStatus(since="2026-11-22T09:00:00Z", spent_trust={"subscription": "civicrm"})
    with store.atomic():
        save_status(store, "aaaaaaaaaa", mine)
        save_status(store, "bbbbbbbbbb", AudienceStatus(fetch_no=7))
    assert load_status(store, "aaaaaaaaaa") == mine
    assert load_status(store, "bbbbbbbbbb").fetch_no == 7
    store.close()
