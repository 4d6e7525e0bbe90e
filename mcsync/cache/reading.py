"""The cache opened to be looked at: no lock, no migration, no write, while a run goes on or not."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote

from sqlite_utils import Database

from mcsync.cache.migrations import migrations
from mcsync.cache.store import Store, explain_trouble, refuse_foreign, refuse_other_formats
from mcsync.ownership import beside, refuse_strangers


class ReadOnlyStore(Store):
    """A cache that can be read as it was when it was opened, whatever a run does meanwhile."""

    def __init__(self, path: Path) -> None:
        """Open the file at `path`; CacheError if that cannot be done."""
        self.path = path
        try:
            refuse_strangers(*beside(path))
            refuse_other_formats(path)
            self.db = Database(_connect(path))
        except (sqlite3.Error, OSError) as error:
            raise explain_trouble(path, error) from error
        try:
            self.conn.isolation_level = None
            self.conn.execute("PRAGMA busy_timeout = 5000")
            refuse_foreign(self.db, path)
            self.conn.execute("BEGIN")  # one snapshot for all that is asked
        except sqlite3.Error as error:
            self.close()
            raise explain_trouble(path, error) from error
        except Exception:  # whatever it was, the file is closed before it goes on
            self.close()
            raise

    @property
    def has_tables(self) -> bool:
        """Whether anything was ever kept in it."""
        return bool(migrations.applied(self.db))


def open_to_look(path: Path) -> ReadOnlyStore | None:
    """The cache, or None when there is none yet; CacheError if it cannot be read."""
    try:
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
