"""What the manual says of how long things are kept is what the code knows."""

import re
from collections.abc import Iterator

from mcsync.cache.retention import COPIES, NOBODYS, SNAPSHOTS, TABLES, Retention
from mcsync.cache.store import Store
from mcsync.docs import read_topic


def rows_of_manual() -> Iterator[tuple[str, str, str]]:
    """(where, what, how long) of each line of the table."""
    text = read_topic("security").split("| table (")[1].split("\n\n")[0]
    for line in text.splitlines()[2:]:
        where, what, kept = (cell.strip() for cell in line.strip("|").split("|"))
        yield where, what, kept


def test_the_manual_says_what_is_kept_and_how_long():
    told: dict[str, tuple[str, str]] = {}
    for where, what, kept in rows_of_manual():
        names = re.findall(r"`(.+?)`", where)
        assert names, where
        told |= dict.fromkeys(names, (what, kept))
    known = {
        **TABLES,
        "mcsync.db.DATE.copy": COPIES,
        "mcsync.db.snapshots": SNAPSHOTS,
    }
    retention = Retention()
    assert told == {k: (each.what, retention.fill(each.kept)) for k, each in known.items()}


def test_every_table_is_somebodys_or_nobodys(store: Store):
    tables = store.column(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name LIKE 'civicrm_%'"
    )
    known = {f"civicrm_mailchimpsync_{name}" for name in (*TABLES, *NOBODYS)}
    assert set(tables) == known
    named = read_topic("security").split("\n\n`status`")[1].split("hold settings")[0]
    assert re.findall(r"`(\w+)`", f"`status`{named}") == list(NOBODYS)
