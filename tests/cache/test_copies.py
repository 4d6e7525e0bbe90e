"""A copy of the cache a day: whole, private, few, and never in the way of a run."""

import errno
import gc
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mcsync.cache import copies
from mcsync.cache.copies import keep_copies
from mcsync.cache.copy_names import find_copies, find_newest_copy
from mcsync.cache.store import Store, open_to_look
from mcsync.cache.webhooks import save_events
from mcsync.errors import CacheError
from mcsync.model import EventKind, WebhookEvent

NOW = datetime(2026, 11, 26, 6, 0, tzinfo=UTC)
TODAY = "mcsync.db.2026-11-26.copy"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "mcsync.db")
    with opened.atomic():
        opened.set_state("fred", "flintstone")
    yield opened
    opened.close()


def names(store: Store) -> list[str]:
    """What lies beside the cache, without what SQLite puts there."""
    own = {f"mcsync.db{suffix}" for suffix in ("", "-wal", "-shm")}
    return sorted(set(os.listdir(store.path.parent)) - own)


def lay(store: Store, *days: str) -> None:
    """Copies of other days, as far as their names tell."""
    for day in days:
        store.path.with_name(f"mcsync.db.{day}.copy").write_bytes(b"a copy")


def days(store: Store) -> list[str]:
    return [name.removeprefix("mcsync.db.").removesuffix(".copy") for name in names(store)]


# --- one a day ------------------------------------------------------------------------------------


def test_a_copy_is_named_after_the_cache_and_the_day_and_holds_what_is_committed(store: Store):
    keep_copies(store, NOW, 2)
    assert names(store) == [TODAY]
    with closing(Store(store.path.with_name(TODAY))) as copy:
        assert copy.get_state("fred") == "flintstone"
        assert copy.query("PRAGMA integrity_check").fetchone() == ("ok",)


def test_the_day_is_that_of_utc(store: Store):
    keep_copies(store, datetime.fromisoformat("2026-11-27T00:30:00+02:00"), 2)
    assert names(store) == [TODAY]


def test_it_is_private_from_its_first_byte(store: Store, monkeypatch: pytest.MonkeyPatch):
    modes = []

    def look(path: Path) -> None:
        modes.append({stat.S_IMODE(os.stat(path.parent / name).st_mode) for name in names(store)})

    monkeypatch.setattr(copies, "_check_whole", look)
    mask = os.umask(0)
    try:
        keep_copies(store, NOW, 2)
    finally:
        os.umask(mask)
    assert modes == [{0o600}]
    assert stat.S_IMODE(store.path.with_name(TODAY).stat().st_mode) == 0o600


def test_a_second_run_of_the_day_leaves_it_as_it_is(store: Store):
    keep_copies(store, NOW, 2)
    before = store.path.with_name(TODAY).stat()
    with store.atomic():
        store.set_state("fred", "rubble")
    keep_copies(store, NOW + timedelta(hours=17), 2)
    after = store.path.with_name(TODAY).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_the_oldest_goes_when_there_are_enough(store: Store):
    for day in range(4):
        keep_copies(store, NOW + timedelta(days=day), 2)
    assert days(store) == ["2026-11-28", "2026-11-29"]


@pytest.mark.parametrize(("most", "kept"), [(1, 1), (2, 2), (3, 3), (14, 4)])
def test_at_most_as_many_as_the_config_says(store: Store, most: int, kept: int):
    lay(store, "2026-10-01", "2026-11-24", "2026-11-25")
    keep_copies(store, NOW, most)
    assert days(store) == ["2026-10-01", "2026-11-24", "2026-11-25", "2026-11-26"][4 - kept :]


def test_none_are_made_and_none_deleted_where_none_are_wanted(store: Store):
    lay(store, "2026-11-24", "2026-11-25")
    keep_copies(store, NOW, 0)
    assert days(store) == ["2026-11-24", "2026-11-25"]


def test_what_is_not_a_copy_of_this_cache_is_left_alone(store: Store):
    others = [
        *("mcsync.db.2026-11-01.copy.gz", "mcsync.db.2026-13-01.copy", "mcsync.db.copy"),
        *("mcsync.db.2025-11-01", "other.db.2025-11-01.copy", "xmcsync.db.2025-11-01.copy"),
    ]
    for name in others:
        store.path.with_name(name).write_text("not ours")
    keep_copies(store, NOW, 1)
    assert names(store) == sorted([*others, TODAY])


def test_what_sqlite_put_beside_an_old_copy_goes_with_it(store: Store):
    lay(store, "2026-11-25")
    for suffix in ("-wal", "-shm"):
        store.path.with_name(f"mcsync.db.2026-11-25.copy{suffix}").write_bytes(b"")
    keep_copies(store, NOW, 1)
    assert names(store) == [TODAY]


# --- clocks that were wrong -----------------------------------------------------------------------


def test_a_copy_of_the_future_neither_stands_for_today_nor_pushes_others_out(store: Store):
    lay(store, "2026-11-24", "2026-11-25", "2027-12-31")
    keep_copies(store, NOW, 2)
    assert days(store) == ["2026-11-25", "2026-11-26", "2027-12-31"]
    keep_copies(store, NOW + timedelta(days=1), 2)
    assert days(store) == ["2026-11-26", "2026-11-27", "2027-12-31"]


# --- a run that was killed ------------------------------------------------------------------------


@pytest.mark.parametrize("most", [0, 2])
def test_what_a_killed_run_left_is_removed(store: Store, most: int):
    for name in (f"{TODAY}.part", "mcsync.db.2026-11-20.copy.part", f"{TODAY}.part-journal"):
        store.path.with_name(name).write_bytes(b"half a copy")
    keep_copies(store, NOW, most)
    assert names(store) == ([TODAY] if most else [])


def test_stopped_by_ctrl_c_nothing_is_left(store: Store, monkeypatch: pytest.MonkeyPatch):
    def interrupt(path: Path) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copies, "_check_whole", interrupt)
    with pytest.raises(KeyboardInterrupt):
        keep_copies(store, NOW, 2)
    assert names(store) == []
    with store.atomic():
        store.set_state("fred", "rubble")


# --- while others write ---------------------------------------------------------------------------

EVENT = WebhookEvent(EventKind.PROFILE, "aaaaaaaaaa", "wilma@example.org")


def test_webhooks_are_stored_while_it_copies_and_it_still_comes_to_its_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
):
    with store.atomic():
        store.set_state("barney", "rubble " * 100_000)
    monkeypatch.setattr(copies, "_PAGES", 1)  # the others get their turn after every page
    stored = []

    def store_webhook(*_: int) -> None:
        with closing(Store(store.path)) as other:  # as the process of a web server does
            other.query("PRAGMA busy_timeout = 0")
            save_events(other, [EVENT], NOW)
        stored.append(1)

    monkeypatch.setattr(copies, "_notice_signals", store_webhook)
    keep_copies(store, NOW, 2)
    assert len(stored) > 100, "each was stored at once"
    with closing(sqlite3.connect(store.path.with_name(TODAY))) as copy:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        told = copy.execute("SELECT count(*) FROM civicrm_mailchimpsync_webhook").fetchone()
    assert told == (0,), "it is the cache as it was when the copy began"


def test_another_process_has_its_turn_too(store: Store, monkeypatch: pytest.MonkeyPatch):
    """With threads, as two processes are to SQLite: each has a connection of its own."""
    done = threading.Event()

    def write() -> None:
        with closing(Store(store.path)) as other:
            save_events(other, [EVENT], NOW)
        done.set()

    writer = threading.Thread(target=write)

    def start(_path: Path) -> None:
        writer.start()
        assert done.wait(10), "the copy is in its way"

    monkeypatch.setattr(copies, "_check_whole", start)
    keep_copies(store, NOW, 2)
    writer.join()
    assert names(store) == [TODAY]


# --- what goes wrong ------------------------------------------------------------------------------


def told(caplog: pytest.LogCaptureFixture) -> str:
    """The one warning that was given."""
    (record,) = [each for each in caplog.records if each.levelname == "WARNING"]
    assert record.name == "mcsync"
    return record.getMessage()


def fail(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    def raise_it(*_: object) -> None:
        raise error

    monkeypatch.setattr(copies, name, raise_it)


TROUBLES = {
    "disk full, SQLite": (
        sqlite3.OperationalError("database or disk is full"),
        "free some space",
    ),
    "disk full": (OSError(errno.ENOSPC, "No space left on device"), "free some space"),
    "quota": (OSError(errno.EDQUOT, "Disk quota exceeded"), "free some space"),
    "folder": (PermissionError(errno.EACCES, "Permission denied"), "write to"),
    "read-only": (OSError(errno.EROFS, "Read-only file system"), "write to"),
    "disk": (sqlite3.OperationalError("disk I/O error"), "check the disk"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_trouble_is_one_warning_that_says_what_to_do(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, name: str
):
    lay(store, "2026-11-24", "2026-11-25")
    error, words = TROUBLES[name]
    fail(monkeypatch, "_copy", error)
    keep_copies(store, NOW, 2)
    assert "the cache could not be copied" in told(caplog)
    assert words in told(caplog)
    assert days(store) == ["2026-11-24", "2026-11-25"], "nothing half, and the others are kept"


def test_it_is_told_once_a_day_and_tried_in_every_run(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    with monkeypatch.context() as broken:
        fail(broken, "_copy", OSError(errno.ENOSPC, "No space left on device"))
        for run in range(100):
            keep_copies(store, NOW + timedelta(minutes=5 * run), 2)
        assert told(caplog)
        keep_copies(store, NOW + timedelta(days=1), 2)
        assert len(caplog.records) == 2
    keep_copies(store, NOW + timedelta(days=1, minutes=5), 2)
    assert days(store) == ["2026-11-27"]
    assert len(caplog.records) == 2


def test_a_disk_that_has_no_room_is_not_filled_to_find_out(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    usage = shutil.disk_usage(store.path.parent)._replace(free=4096)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    fail(monkeypatch, "_copy", AssertionError("tried all the same"))
    keep_copies(store, NOW, 2)
    assert "free some space" in told(caplog)


def test_a_folder_in_the_place_of_a_copy_stops_nothing(
    store: Store, caplog: pytest.LogCaptureFixture
):
    store.path.with_name("mcsync.db.2026-11-24.copy").mkdir()
    keep_copies(store, NOW, 1)
    assert names(store) == ["mcsync.db.2026-11-24.copy", TODAY]
    assert caplog.records == []


def test_an_old_copy_that_cannot_be_deleted_is_told(
    store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
):
    lay(store, "2026-11-25")
    fail(monkeypatch, "_delete", PermissionError(errno.EPERM, "Operation not permitted"))
    keep_copies(store, NOW, 1)
    assert "mcsync.db.2026-11-25.copy" in told(caplog)
    assert days(store) == ["2026-11-25", "2026-11-26"]


def damage(store: Store) -> None:
    """Turn pages in the midst of the file into rubbish."""
    with store.atomic():
        for number in range(2000):
            store.set_state(f"state {number}", "x" * 100)
    store.query("PRAGMA wal_checkpoint(TRUNCATE)")
    with open(store.path, "r+b") as file:
        file.seek(store.path.stat().st_size - 5 * 4096)
        file.write(b"\xa5" * 3 * 4096)


def test_a_damaged_cache_pushes_no_good_copy_out(store: Store, caplog: pytest.LogCaptureFixture):
    keep_copies(store, NOW - timedelta(days=1), 1)
    damage(store)
    keep_copies(store, NOW, 1)
    assert days(store) == ["2026-11-25"]
    assert "is damaged" in told(caplog)
    assert f"cp -p {store.path.with_name('mcsync.db.2026-11-25.copy')} {store.path}" in told(caplog)


# --- a cache that cannot be used any more ---------------------------------------------------------

RUINS = {
    "random bytes": lambda content: random.Random(7).randbytes(len(content)),
    "cut short": lambda content: content[: len(content) // 3],
    "cut to a few bytes": lambda content: content[:100],
    "cut to nothing": lambda content: b"",
    "zeros in the midst": lambda content: content[:4096] + bytes(len(content) - 4096),
}
OPENINGS: dict[str, Callable[[Path], object]] = {"to work": Store, "to look": open_to_look}


def ruin(path: Path, kind: str) -> None:
    """Fill the cache, make a copy of it yesterday, and ruin it as a crash of the machine may."""
    with closing(Store(path)) as store:
        with store.atomic():
            for number in range(2000):
                store.set_state(f"state {number}", "x" * 100)
            store.set_state("fred", "flintstone")
        keep_copies(store, NOW - timedelta(days=2), 9)
        keep_copies(store, NOW - timedelta(days=1), 9)
        store.query("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        with store.atomic():
            store.set_state("fred", "of today")
        log = path.with_name(f"{path.name}-wal").read_bytes()
    path.write_bytes(RUINS[kind](path.read_bytes()))
    path.with_name(f"{path.name}-wal").write_bytes(log)


def use(path: Path, opening: str) -> None:
    """Open the cache, and look at it."""
    store = OPENINGS[opening](path)
    assert isinstance(store, Store)
    with closing(store), store.explaining():
        store.query("SELECT count(*) FROM civicrm_mailchimpsync_state").fetchone()


def hint_for(path: Path, opening: str) -> str:
    """What is told to be done about the cache at its first use."""
    with pytest.raises(CacheError) as caught:
        use(path, opening)
    hint = str(caught.value.hint)
    del caught
    gc.collect()  # an error keeps its connection open; of a command that has ended none is
    return hint


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize("kind", RUINS)
def test_the_hint_for_a_ruined_cache_restores_the_newest_copy(
    tmp_path: Path, kind: str, opening: str
):
    path = tmp_path / "it's mine.db"  # which a shell would misread
    ruin(path, kind)
    hint = hint_for(path, opening)
    assert str(path.with_name("it's mine.db.2026-11-25.copy")) in hint
    assert "the next run fetches again what has changed since" in hint
    command = hint[hint.index("rm -f ") :]
    subprocess.run(["/bin/sh", "-c", command], check=True)  # noqa: S603
    with closing(Store(path)) as restored:
        assert restored.get_state("fred") == "flintstone", "and not what the old log says"
        assert restored.query("PRAGMA integrity_check").fetchone() == ("ok",)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("opening", OPENINGS)
@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("random bytes", "name another file with --cache"),
        ("cut to a few bytes", "name another file with --cache"),
        ("zeros in the midst", "move the file away; the next run reads both services again"),
    ],
)
def test_without_a_copy_the_hint_is_what_it_was(
    tmp_path: Path, kind: str, words: str, opening: str
):
    path = tmp_path / "mcsync.db"
    ruin(path, kind)
    for copy in find_copies(path):
        copy.unlink()
    assert words in hint_for(path, opening)


def test_a_file_of_somebody_else_gets_no_hint_of_copies(store: Store):
    keep_copies(store, NOW, 2)
    letter = store.path.with_name("letter.txt")
    letter.write_text("This is a letter to Betty, and no cache.\n" * 40)
    assert "cp -p" not in hint_for(letter, "to work")


@pytest.mark.parametrize("opening", OPENINGS)
def test_a_cache_that_was_deleted_begins_anew_although_there_are_copies(store: Store, opening: str):
    keep_copies(store, NOW, 2)
    store.close()
    store.path.unlink()
    found = OPENINGS[opening](store.path)
    assert (found is None) == (opening == "to look")
    if isinstance(found, Store):
        found.close()


# --- which is the newest --------------------------------------------------------------------------


def test_the_newest_is_the_latest_day_up_to_now(store: Store):
    assert find_newest_copy(store.path) is None
    tomorrow = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}"
    lay(store, tomorrow)
    newest = find_newest_copy(store.path)
    assert newest is not None, "better than none"
    lay(store, "2020-11-24", "2020-02-25", "2019-12-31")
    assert find_newest_copy(store.path) == store.path.with_name("mcsync.db.2020-11-24.copy")
    assert [path.name for path in find_copies(store.path)] == [
        f"mcsync.db.{day}.copy" for day in (tomorrow, "2020-11-24", "2020-02-25", "2019-12-31")
    ]


def test_where_there_is_no_folder_there_is_no_copy(tmp_path: Path):
    assert find_newest_copy(tmp_path / "nowhere" / "mcsync.db") is None
