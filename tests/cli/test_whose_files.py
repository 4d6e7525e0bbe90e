"""Files that somebody else could write are refused, and nothing is left where others look."""

import errno
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcsync import config as config_module
from mcsync.cache.copy_names import find_copies
from mcsync.cache.store import ReadOnlyStore, Store, open_cache
from mcsync.config import find_config, load_config
from mcsync.errors import CacheError, ConfigError, ExitCode
from mcsync.lock import dry_copy_path, hold_lock, lock_path, read_holder
from mcsync.ownership import find_fault, is_dangling
from tests.cli.conftest import COMMANDS, Office
from tests.cli.test_lock import held_at

STRANGER = 54_321


def give_away(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a file belong to somebody else: really where we may, else by being another ourselves."""
    if os.geteuid() == 0:
        os.chown(path, STRANGER, -1, follow_symlinks=False)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: STRANGER)


WRITING = [*COMMANDS, "status", "check", "history", "explain x@example.org", "resync 1"]


@pytest.mark.parametrize("command", WRITING)
def test_a_strangers_config_gets_no_key_d9(
    office: Office, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_away(office.config, monkeypatch)
    said = office.run(*command.split())
    assert said.code == ExitCode.CONFIG
    assert "belongs to user 54321" in said.err or "who runs mcsync" in said.err
    assert "chown" in said.err
    assert office.town.requests == 0


@pytest.mark.parametrize("mode", [0o666, 0o622, 0o606, 0o602])
def test_a_config_that_others_may_write_is_refused_d9(office: Office, mode: int) -> None:
    office.config.chmod(mode)
    said = office.run("sync")
    assert said.code == ExitCode.CONFIG
    assert f"mode {mode:04o}" in said.err
    assert f'run "chmod go-w {office.config}"' in said.err
    assert office.town.requests == 0


def test_the_group_may_write_where_it_is_the_owners_own_d9(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.touch()
    path.chmod(0o660)
    found = path.stat()
    import grp
    import pwd

    owner = pwd.getpwuid(found.st_uid)
    for name, members, is_right in (
        (owner.pw_name, [], True),
        (owner.pw_name, [owner.pw_name], True),
        (owner.pw_name, ["wilma"], False),
        ("staff", [], False),
    ):
        group = grp.struct_group((name, "x", found.st_gid, members))
        monkeypatch.setattr(grp, "getgrgid", lambda _, group=group: group)
        assert (find_fault(path, found) is None) == (is_right and owner.pw_gid == found.st_gid)


def test_a_config_in_the_current_folder_is_refused_and_not_passed_over_d9(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = office.home / "config.json"
    here.write_bytes(office.config.read_bytes())
    give_away(here, monkeypatch)
    said = office.run("check", env={"MCSYNC_CONFIG": None})
    assert said.code == ExitCode.CONFIG
    here.unlink()
    here.symlink_to(office.home / "nowhere.json")
    said = office.run("check", env={"MCSYNC_CONFIG": None})
    assert said.code == ExitCode.CONFIG
    assert "is a broken link" in said.err
    assert office.town.requests == 0


def test_a_strangers_link_to_a_config_is_refused_d9(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = office.folder / "link.json"
    link.symlink_to(office.config)
    assert office.run("fetch", "--config", str(link)).code == 0
    give_away(link, monkeypatch)
    assert office.run("fetch", "--config", str(link)).code == ExitCode.CONFIG


def test_the_config_of_the_current_folder_is_named_to_who_watches_d9(office: Office) -> None:
    here = office.home / "config.json"
    here.write_bytes(office.config.read_bytes())
    here.chmod(0o600)
    env: dict[str, str | None] = {"MCSYNC_CONFIG": None}
    assert (
        f"using the config {here}, found in the current folder"
        in office.run("status", "-v", env=env).err
    )
    assert office.run("status", env=env).err == ""
    assert "found in the current folder" not in office.run("status", "-v").err


# --- the cache, its lock, and what lies beside it -------------------------------------------------


@pytest.mark.parametrize("ending", ["", ".lock", "-wal", "-shm", "-journal"])
@pytest.mark.parametrize("how", ["owner", "mode"])
def test_a_cache_or_lock_of_a_stranger_is_refused_d13(
    office: Office, ending: str, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert office.run("sync").code == 0
    asked = office.town.requests
    path = office.cache.with_name(office.cache.name + ending)
    path.touch()
    if how == "owner" and os.geteuid() == 0:
        give_away(path, monkeypatch)
    else:
        path.chmod(0o666)
    for command in ("sync", "sync --dry-run", "status", "resync 1", "fetch"):
        said = office.run(*command.split())
        assert said.code == ExitCode.CACHE, said
        assert str(path) in said.err
        assert "chown" in said.err or "chmod go-w" in said.err
    assert office.town.requests == asked


@pytest.mark.parametrize("ending", ["", ".lock", "-wal"])
def test_a_link_that_leads_nowhere_makes_no_file_there_d13(office: Office, ending: str) -> None:
    target = office.home / "made-by-whom"
    office.cache.with_name(office.cache.name + ending).symlink_to(target)
    for command in ("sync", "sync --dry-run", "fetch"):
        said = office.run(*command.split())
        assert said.code == ExitCode.CACHE, said
        assert "link" in said.err
    assert not target.exists()
    assert office.town.requests == 0


def test_a_webhook_is_not_stored_in_a_strangers_cache_d13(tmp_path: Path) -> None:
    path = tmp_path / "mcsync.db"
    Store(path).close()
    path.chmod(0o666)
    with pytest.raises(CacheError, match="can be written by others"):
        Store(path)
    assert not is_dangling(path)


@pytest.mark.parametrize("ending", ["-wal", "-shm", "-journal"])
def test_a_strangers_log_is_not_taken_into_the_cache_d13(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "mcsync.db"
    Store(path).close()
    log = tmp_path / f"mcsync.db{ending}"
    log.touch(0o600)
    log.chmod(0o666)
    for kind in (Store, ReadOnlyStore):
        with pytest.raises(CacheError, match="can be written by others"):
            kind(path)
    log.unlink()
    log.symlink_to(tmp_path / "elsewhere")
    for kind in (Store, ReadOnlyStore):
        with pytest.raises(CacheError, match="is a link"):
            kind(path)


@pytest.mark.parametrize(("mode", "is_right"), [(0o777, False), (0o1777, True), (0o775, True)])
def test_a_folder_that_everybody_may_write_is_refused_d9_d13(
    office: Office, mode: int, is_right: bool
) -> None:
    # There an old copy of ours can be given the name of the cache, or of the config.
    shared = office.home / "shared"
    shared.mkdir()
    shared.chmod(mode)
    config = shared / "config.json"
    config.write_bytes(office.config.read_bytes())
    config.chmod(0o600)
    said = office.run("fetch", "--config", str(config), "--cache", str(office.cache))
    assert said.code == (0 if is_right else ExitCode.CONFIG), said
    link = office.folder / "link.json"
    link.symlink_to(config)
    said = office.run("fetch", "--config", str(link), "--cache", str(office.cache))
    assert said.code == (0 if is_right else ExitCode.CONFIG), said
    asked = office.town.requests
    for command in ("fetch", "sync --dry-run", "status"):
        said = office.run(*command.split(), "--cache", str(shared / "mcsync.db"))
        assert said.code == (0 if is_right else ExitCode.CACHE), said
        assert is_right or f'run "chmod o-w {shared}"' in said.err
    assert is_right or office.town.requests == asked


@pytest.mark.parametrize("ending", ["", ".lock", "-wal", "-journal"])
def test_a_pipe_is_no_cache_and_nobody_waits_for_it_d13(office: Office, ending: str) -> None:
    os.mkfifo(office.cache.with_name(office.cache.name + ending), 0o600)
    for command in ("sync", "sync --dry-run", "status"):
        said = office.run(*command.split())
        assert said.code == ExitCode.CACHE, said
        assert "not a regular file" in said.err
    assert office.town.requests == 0


def test_what_a_stranger_says_about_the_holder_of_the_lock_is_not_read_d13(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "mcsync.db"
    note = tmp_path / "mcsync.db.run"
    with hold_lock(cache):
        assert read_holder(cache)["pid"] == os.getpid()
        note.chmod(0o666)
        assert read_holder(cache) == {}
        note.unlink()
        os.mkfifo(note)
        assert read_holder(cache) == {}
        note.unlink()
        note.write_text('{"pid": ' + " " * 10_000 + "1}")
        assert read_holder(cache) == {}
    target = tmp_path / "target"
    note.symlink_to(target)
    monkeypatch.setattr(Path, "unlink", lambda *_args, **_more: None)  # it is there again at once
    with hold_lock(cache):
        assert read_holder(cache) == {}
    assert not target.exists()


# --- who may not even look ------------------------------------------------------------------------


def close(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a folder be somebody else's, into which nobody else may look."""
    give_away(folder, monkeypatch)
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder and asked(path, mode))


def test_who_may_not_look_into_the_systems_folder_is_told_so_d9(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A monitor's user was told that there is no config."""
    folder = tmp_path / "etc"
    folder.mkdir(mode=0o700)
    monkeypatch.setattr(config_module, "SYSTEM_CONFIG", folder / "config.json")
    close(folder, monkeypatch)
    with pytest.raises(ConfigError) as caught:
        find_config(None, {"HOME": str(tmp_path)}, tmp_path)
    assert caught.value.message.endswith(f"but may not look into {folder}")
    if os.geteuid() == 0:
        assert caught.value.hint == f"it belongs to user {STRANGER}: run mcsync as that user"


def test_a_config_in_a_closed_folder_is_told_whose_it_is_d9(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "config.json"
    path.write_text("{}")
    give_away(path, monkeypatch)

    def refuse(*_args: object, **_options: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(config_module, "open", refuse, raising=False)
    with pytest.raises(ConfigError) as caught:
        load_config(path, {})
    assert caught.value.message == f"cannot read {path}: Permission denied"
    if os.geteuid() == 0:
        assert caught.value.hint == f"it belongs to user {STRANGER}: run mcsync as that user"


# --- root made it, and cron cannot use it ---------------------------------------------------------


def lock_out(monkeypatch: pytest.MonkeyPatch, *closed: Path) -> None:
    """Be a user who may use none of these files, which root made, or we ourselves as another."""
    asked = os.access
    if os.geteuid():
        for module in ("ownership", "lock", "cache.store", "cache.copy_names"):
            monkeypatch.setattr(f"mcsync.{module}.find_fault", lambda *_args: None)
    monkeypatch.setattr(os, "geteuid", lambda: STRANGER)
    monkeypatch.setattr(os, "access", lambda path, mode: path not in closed and asked(path, mode))


@pytest.mark.parametrize("command", ["sync", "fetch", "sync --dry-run", "resync 1", "check"])
def test_after_one_run_as_root_the_others_user_is_told_what_to_run_b13(
    office: Office, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert office.run("fetch").code == 0
    asked = office.town.requests
    log = office.cache.with_name("mcsync.db-wal")
    log.touch(0o600)
    lock_out(monkeypatch, office.cache, lock_path(office.cache), log)
    said = office.run(*command.split())
    text = " ".join((said.out + said.err).split())
    owner = office.cache.owner()
    assert said.code == (3 if command == "check" else ExitCode.CACHE)
    assert f"{office.cache} belongs to {owner}, so user 54321 cannot use it" in text
    assert (
        f'as root, run "chown 54321 {office.cache} {office.cache}.lock {office.cache}-wal"' in text
    )
    assert "and run mcsync as user 54321 from now on" in text
    assert command == "check" or office.town.requests == asked


def test_who_looks_need_not_be_able_to_write_b13(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert office.run("fetch").code == 0
    lock_out(monkeypatch, lock_path(office.cache))
    assert office.run("status").code == 0
    lock_out(monkeypatch, office.cache)
    said = office.run("status")
    assert said.code == ExitCode.CACHE
    assert "cannot use it" in said.err


def test_a_webhook_is_refused_by_a_cache_of_root_s_b13(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mcsync.db"
    Store(path).close()
    lock_out(monkeypatch, path)
    with pytest.raises(CacheError, match="cannot use it"):
        Store(path)


def test_our_own_file_that_we_may_not_write_b13(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mcsync.db"
    Store(path).close()
    path.chmod(0o400)
    monkeypatch.setattr(os, "access", lambda *_args: False)  # root may do anything
    with pytest.raises(CacheError, match="mode 0400") as caught:
        Store(path)
    assert caught.value.hint == f'run "chmod u+rw {path}"'


# --- a dry run's copy -----------------------------------------------------------------------------


def test_a_dry_runs_copy_lies_beside_the_cache_for_nobody_else_d12(tmp_path: Path) -> None:
    path = tmp_path / "mcsync.db"
    os.umask(0o022)
    keeper = Store(path)
    with keeper.atomic():
        keeper.set_state("x", "y")  # so that there is a log to copy, too
    with open_cache(path, is_dry_run=True) as store:
        assert store.path == dry_copy_path(path)
        assert store.get_state("x") == "y"
        for copy in tmp_path.glob("mcsync.db.dry*"):
            assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert list(tmp_path.glob("mcsync.db.dry*")) == []
    keeper.close()


def test_a_copy_that_was_left_is_removed_by_whoever_comes_next_d12(office: Office) -> None:
    members = "/lists/aaaaaaaaaa/members"
    assert office.run("fetch").code == 0
    with held_at(office, office.town.mailchimp_server, members, "sync", "--dry-run") as (
        process,
        _,
    ):
        assert list(office.folder.glob("mcsync.db.dry*"))
        process.kill()
        process.communicate()
    assert list(office.folder.glob("mcsync.db.dry*"))
    assert office.run("resync", "wilma@bedrock.example").code == 0
    assert list(office.folder.glob("mcsync.db.dry*")) == []


@pytest.fixture
def heeded_hang_ups() -> Iterator[None]:
    """SIGHUP as it usually is, also where the tests are run by nohup: children inherit that."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_sighup_cleans_up_d12(office: Office, heeded_hang_ups: None) -> None:
    members = "/lists/aaaaaaaaaa/members"
    assert office.run("fetch").code == 0
    with held_at(office, office.town.mailchimp_server, members, "sync", "--dry-run") as (
        process,
        _,
    ):
        process.send_signal(signal.SIGHUP)
        _, err = process.communicate(timeout=30)
    assert process.returncode == ExitCode.HUNG_UP
    assert err == "stopped by SIGHUP; the next run continues from here\n"
    assert list(office.folder.glob("mcsync.db.dry*")) == []


def test_a_lock_that_is_a_link_is_not_followed_d13(tmp_path: Path) -> None:
    cache = tmp_path / "mcsync.db"
    lock_path(cache).symlink_to(tmp_path / "target")
    with pytest.raises(CacheError, match="is a link"), hold_lock(cache):
        raise AssertionError("it is held")
    assert not (tmp_path / "target").exists()


def test_a_strangers_copy_of_the_cache_is_not_among_ours_d9(tmp_path: Path) -> None:
    path = tmp_path / "mcsync.db"
    mine, open_to_all = (tmp_path / f"mcsync.db.2026-11-2{day}.copy" for day in (1, 2))
    for copy in (mine, open_to_all):
        Store(copy).close()
    open_to_all.chmod(0o666)
    (tmp_path / "mcsync.db.2026-11-23.copy").symlink_to(mine)
    assert find_copies(path) == [mine]
