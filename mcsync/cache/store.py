"""The cache file: open it safely, keep it private, write it in transactions."""

import os
import re
import secrets
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from functools import cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
from sqlite_utils import Database

from mcsync.cache.copy_names import text_of_restoring
from mcsync.cache.migrations import keep_reasons, known_migrations, migrations
from mcsync.errors import CacheError
from mcsync.lock import dry_copy_path, lock_path, remove_dry_copy
from mcsync.ownership import beside, find_fault, is_dangling, refuse_locked_out, refuse_strangers

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    # In WAL mode NORMAL may lose the last transactions with the power, but never half of one.
    # FULL is needed: a claim that was lost after its batch went out would be sent twice.
    "PRAGMA synchronous = FULL",
    # 64 MiB of log before it is moved into the file: a first fetch of a million members writes
    # the same pages of the indexes again and again.
    "PRAGMA wal_autocheckpoint = 16384",
    "PRAGMA temp_store = FILE",
    "PRAGMA cache_size = -32768",  # KiB, thus 32 MiB
    "PRAGMA foreign_keys = ON",
    # What is deleted is overwritten: many builds of SQLite do so anyway, but not all.
    "PRAGMA secure_delete = ON",
    "PRAGMA busy_timeout = 5000",
)

Parameters = Sequence[object] | Mapping[str, object]  # of a statement, by place or by name

_State = TypeVar("_State", bound=msgspec.Struct)

_WRITES = frozenset(("INSERT", "UPDATE", "DELETE", "REPLACE"))
_ANEW = "move the file away; the next run reads both services again"
_SHORTEST = 512  # bytes, SQLite's smallest page
_ROWS_AT_ONCE = 200  # more take no less time each
_STEP = 25  # rows; fewer at once take no less time than one by one, and statements are kept
_VALUES = re.compile(r"(?<=VALUES )\((?:[^()]|\([^()]*\))*\)")  # one row's, and what they hold


class Store:
    """One open cache file. All writing goes through `atomic`; no network inside it.

    What belongs together is written together, so a write outside a transaction is refused: of the
    cache's functions that write, those that do not begin one are called inside the caller's.
    """

    def __init__(self, path: Path) -> None:
        """Open, create or migrate the file at `path`; CacheError if that cannot be done."""
        self.path = path
        try:
            refuse_strangers(*beside(path))
            self.db = self._open()
        except (sqlite3.Error, OSError) as error:
            raise explain_trouble(path, error) from error
        try:
            self.conn.isolation_level = None
            self._prepare()
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise explain_trouble(path, error) from error
        except Exception:  # whatever it was, the file is closed before it goes on
            self.close()
            raise

    def _open(self) -> Database:
        refuse_locked_out(self.path, *beside(self.path))
        _refuse_emptied(self.path)
        _create_private(self.path)
        _refuse_other_formats(self.path)
        return Database(self.path)

    def _prepare(self) -> None:
        applied = self._refuse_foreign()
        for pragma in _PRAGMAS:
            self.conn.execute(pragma)
        if applied != known_migrations():
            migrations.apply(self.db)
        keep_reasons(self.db)

    def _refuse_foreign(self) -> set[str]:
        """Refuse a file of a newer mcsync, or of another program, before anything is changed.

        Returns the names of the migrations that it has had.
        """
        applied = {migration.name for migration in migrations.applied(self.db)}
        newest = max(applied, default="")
        if newest > max(known_migrations()):
            raise CacheError(
                f"{self.path} was written by a newer mcsync (it has {newest})",
                hint="upgrade mcsync, or name another file with --cache",
            )
        if not applied and set(self.db.table_names()) - {migrations.migrations_table}:
            raise CacheError(
                f"{self.path} is another program's SQLite file",
                hint="name another file with --cache or in the config; nothing was changed",
            )
        return applied

    @property
    def conn(self) -> sqlite3.Connection:
        """The connection, for set-based SQL."""
        return self.db.conn

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """One transaction: everything in it is written, or nothing.

        It begins as a writing one. Webhooks are stored without the lock of a run, and SQLite
        never lets a transaction write that has read before another's commit: it does not wait.
        """
        is_inner = self.conn.in_transaction
        begun = self.db.atomic() if is_inner else self._transaction("BEGIN IMMEDIATE")
        with self.explaining(), begun:
            yield

    @contextmanager
    def scratch(self) -> Iterator[None]:
        """A transaction on temporary tables only: nobody else waits for it."""
        is_inner = self.conn.in_transaction
        with self.explaining(), nullcontext() if is_inner else self._transaction("BEGIN"):
            yield

    @contextmanager
    def _transaction(self, begin: str) -> Iterator[None]:
        self.conn.execute(begin)
        try:
            yield
            self.conn.execute("COMMIT")
        except BaseException:
            self.db.rollback()
            raise

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Turn trouble with the file into CacheError; a mistake in our SQL stays what it is."""
        try:
            yield
        except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
            raise
        except sqlite3.DatabaseError as error:
            raise explain_trouble(self.path, error) from error

    def query(self, sql: str, parameters: Parameters = ()) -> sqlite3.Cursor:
        """Run one statement; one that writes needs a transaction, see `atomic`."""
        self._refuse_loose_write(sql)
        with self.explaining():
            return self.conn.execute(sql, parameters)

    def column(self, sql: str, parameters: Parameters = ()) -> list[Any]:
        """The first column of all that a statement finds."""
        return [row[0] for row in self.query(sql, parameters)]

    def value(self, sql: str, parameters: Parameters = ()) -> Any:
        """The first column of the first row that a statement finds, None if it finds none."""
        row = self.query(sql, parameters).fetchone()
        return None if row is None else row[0]

    def number(self, sql: str, parameters: Parameters = ()) -> int:
        """The one number that a statement finds; 0 for the largest of nothing."""
        return int(self.value(sql, parameters) or 0)

    def run_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Run one statement for each of the rows; one that writes needs a transaction.

        Of very many rows, None and bools cost much more than texts and numbers: for each of them
        sqlite3 looks for an adapter.
        """
        self._refuse_loose_write(sql)
        with self.explaining():
            self.conn.executemany(sql, rows)

    def insert_many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        """Insert rows, many by each statement, which takes a third less time than one by one.

        `sql` inserts one of them: `VALUES (...)`, with a bare `?` for each of a row's values.
        """
        rest = iter(rows)
        while some := list(islice(rest, _ROWS_AT_ONCE)):
            count = len(some) - len(some) % _STEP
            if count:
                self.query(_insert(sql, count), list(chain.from_iterable(some[:count])))
            if count < len(some):
                self.run_many(sql, some[count:])

    def _refuse_loose_write(self, sql: str) -> None:
        if sql.split(None, 1)[0].upper() in _WRITES and not self.conn.in_transaction:
            raise AssertionError(f"written outside a transaction: {sql.strip()[:60]}")

    def pages(self, sql: str, size: int, **where: object) -> Iterator[list[tuple[Any, ...]]]:
        """What a statement finds above the id `:after`, in pages of `:limit` rows.

        Its first column is that id, and the order. Rows may change between two pages.
        """
        where = {"after": 0, "limit": size, **where}
        while rows := self.query(sql, where).fetchall():
            where["after"] = rows[-1][0]
            yield rows

    def id_pages(self, sql: str, size: int, **where: object) -> Iterator[list[int]]:
        """The ids alone of `pages`."""
        for rows in self.pages(sql, size, **where):
            yield [row[0] for row in rows]

    def ranges(self, ids: str, size: int, **where: object) -> Iterator[tuple[int, int]]:
        """(above, up to) which id, for all that a SELECT has as `id`, so many of them at once."""
        above = f"SELECT id FROM ({ids}) WHERE id > :after ORDER BY id LIMIT :limit"
        find_end, after = f"SELECT max(id) FROM ({above})", -(2**62)
        while (last := self.value(find_end, {**where, "after": after, "limit": size})) is not None:
            yield after, last
            after = last

    def get_state(self, key: str) -> str | None:
        """A value that belongs to the whole cache."""
        value = self.value("SELECT value FROM civicrm_mailchimpsync_state WHERE key = ?", (key,))
        return None if value is None else str(value)

    def set_state(self, key: str, value: str) -> None:
        """Keep a value that belongs to the whole cache."""
        self.query(
            "INSERT INTO civicrm_mailchimpsync_state (key, value) VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )

    def load_state(self, key: str, kind: type[_State]) -> _State:
        """Several such values, kept together as JSON; what they are at first where none are."""
        text = self.get_state(key)
        return msgspec.json.decode(text, type=kind) if text else kind()

    def save_state(self, key: str, state: msgspec.Struct) -> None:
        """Keep several values together."""
        self.set_state(key, msgspec.json.encode(state).decode())

    def clean(self) -> None:
        """Have nothing of what was deleted in the files any more: no free page, no gap, no log.

        For a while it takes twice the room of the file. Raises: CacheError
        """
        with self.explaining():
            self.conn.execute("VACUUM")
            is_busy, *_ = self.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if is_busy:
            raise CacheError(
                f"another program reads {self.path}, so that its log cannot be emptied",
                hint="close whatever has the cache open",
            )

    def close(self) -> None:
        """Close the file."""
        self.conn.close()


@cache
def _insert(sql: str, count: int) -> str:
    """The statement that inserts so many rows, from the one for a single row."""
    return _VALUES.sub(lambda values: ", ".join([values.group()] * count), sql, count=1)


def _create_private(path: Path) -> None:
    if is_dangling(path):
        raise CacheError(f"{path} is a broken link", hint="correct or remove the link")
    if not path.exists():
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        return
    fault = find_fault(path, path.stat())
    if fault is not None:
        raise CacheError(f"{path} {fault.what}", hint=fault.mend)


def _refuse_emptied(path: Path) -> None:
    """Refuse an empty file where there are copies: whoever means to begin anew deletes the file."""
    if path.is_file() and path.stat().st_size == 0 and (hint := text_of_restoring(path)):
        raise CacheError(f"the cache {path} is empty, although it was kept before", hint=hint)


def _refuse_other_formats(path: Path) -> None:
    """Refuse what is too short for an SQLite file: SQLite would take it for empty, and overwrite.

    Any longer one it refuses itself. The file is not opened to look: POSIX drops all locks that
    this process's other connections hold on it as soon as we would close it again.
    """
    if 0 < path.stat().st_size < _SHORTEST:
        raise _not_a_cache(path)


def explain_trouble(path: Path, error: sqlite3.Error | OSError) -> CacheError:
    if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
        return _not_a_cache(path)
    words = str(error) if isinstance(error, sqlite3.Error) else (error.strerror or str(error))
    hint = "check the disk and the file's permissions"
    if "malformed" in words:
        hint = text_of_restoring(path) or _ANEW
    return CacheError(f"cannot use the cache {path}: {words}", hint=hint)


def _not_a_cache(path: Path) -> CacheError:
    return CacheError(
        f"{path} is not an mcsync cache",
        hint=text_of_restoring(path)
        or "name another file with --cache or in the config; nothing was changed",
    )


def json_list(values: Iterable[object]) -> str:
    """Values as a parameter for json_each: as many as there are, in one statement."""
    return msgspec.json.encode(list(values)).decode()


def json_object(values: Mapping[str, object]) -> str:
    """Values by their names, likewise."""
    return msgspec.json.encode(values).decode()


def has_table(store: Store, name: str) -> bool:
    """Whether there is a table of that name: a cache that is only looked at may lack a new one."""
    sql = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
    return bool(store.number(sql, (name,)))


def column_or_null(store: Store, table: str, name: str) -> str:
    """The name of a column, or, where the table does not have it yet, what stands for nothing."""
    sql = "SELECT 1 FROM pragma_table_info(?) WHERE name = ?"
    return name if store.number(sql, (table, name)) else f"NULL AS {name}"


def make_uid() -> str:
    """A short random id, for this cache or for one run."""
    return secrets.token_hex(4)


# --- the cache to be looked at --------------------------------------------------------------------


class ReadOnlyStore(Store):
    """A cache that can be read as it was when it was opened, whatever a run does meanwhile."""

    has_tables: bool  # whether anything was ever kept in it

    def _open(self) -> Database:
        refuse_locked_out(self.path, *beside(self.path), mode=os.R_OK)
        _refuse_other_formats(self.path)
        return Database(_connect(self.path))

    def _prepare(self) -> None:
        self.conn.execute("PRAGMA busy_timeout = 5000")
        self.has_tables = bool(self._refuse_foreign())
        self.conn.execute("BEGIN")  # one snapshot for all that is asked


def open_to_look(path: Path) -> ReadOnlyStore | None:
    """The cache, or None when there is none yet; CacheError if it cannot be read."""
    try:
        _refuse_emptied(path)
        if path.stat().st_size == 0:
            return None
    except FileNotFoundError:
        return None
    except OSError as error:
        raise explain_trouble(path, error) from error
    store = ReadOnlyStore(path)
    if store.has_tables:
        return store
    store.close()
    return None


def check_whole(path: Path) -> None:
    """Look the cache through, if there is one; it takes about a second for each gigabyte.

    Raises: CacheError for one that cannot be read, or is damaged.
    """
    store = open_to_look(path)
    if store is None:
        return
    with closing(store):
        (found,) = store.query("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise CacheError(
            f"the cache {path} is damaged: {found.splitlines()[-1]}",
            hint=text_of_restoring(path) or _ANEW,
        )


def _connect(path: Path) -> sqlite3.Connection:
    uri = f"file:{quote(os.fspath(path.absolute()))}?mode=ro"
    connection = sqlite3.connect(uri, uri=True)
    try:
        connection.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        # In WAL mode SQLite wants files beside the cache. Where it may not make them, and there
        # are none, nobody is writing.
        connection.close()
        if path.with_name(path.name + "-wal").exists():
            raise
        connection = sqlite3.connect(uri + "&immutable=1", uri=True)
    return connection


# --- the cache that a run works on ----------------------------------------------------------------

_TRIES = 20


@contextmanager
def open_cache(path: Path, *, is_dry_run: bool) -> Iterator[Store]:
    """The cache at `path`, or a temporary copy of it; closed at the end."""
    if not is_dry_run:
        with closing(Store(path)) as store:
            yield store
        return
    copy = dry_copy_path(path)
    try:
        _prepare_copy(path, copy)
        with closing(Store(copy)) as store:
            yield store
    finally:
        with suppress(OSError):  # a disk that is gone; the next one tries again
            remove_dry_copy(path)
    if not path.exists():
        # Nobody has ever worked here: the lock file would be all that is left of this run.
        lock_path(path).unlink(missing_ok=True)


def _prepare_copy(path: Path, copy: Path) -> None:
    """Make the copy, if there is anything to copy. Raises: CacheError"""
    try:
        if path.exists():
            _copy(path, copy)
    except OSError as error:
        raise explain_trouble(path, error) from error


def _copy(path: Path, copy: Path) -> None:
    """Copy the file as it lies there, until nobody wrote while we did.

    We hold the lock of a run, but webhooks are stored without it.
    """
    log = path.with_name(f"{path.name}-wal")
    for _ in range(_TRIES):
        before = _size_and_time(path), _size_and_time(log)
        _copy_file(path, copy)
        copied_log = copy.with_name(f"{copy.name}-wal")
        try:  # what is committed, and not yet moved into the file
            _copy_file(log, copied_log)
        except FileNotFoundError:
            copied_log.unlink(missing_ok=True)
        if before == (_size_and_time(path), _size_and_time(log)):
            return
    raise CacheError(
        f"{path} is written to all the time, so it could not be copied",
        hint="try again when fewer webhooks come in",
    )


def _copy_file(path: Path, copy: Path) -> None:
    """Copy one file, for nobody but us to read."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    shutil.copyfile(path, copy)


def _size_and_time(path: Path) -> tuple[int, int] | None:
    """Size and time of the last write (ns), None if there is no such file."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns
