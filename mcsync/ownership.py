"""Whose a file is: one that somebody else can write is not believed, and not written to.

Our own are ours or root's. The group may write where it is nobody's but the owner's, as on systems
that give each user a group. In a folder that everybody may write, anybody gives the name of one of
our files to another one of them, an old copy say; where its sticky bit is set, as in /tmp, they
cannot.
"""

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mcsync.errors import CacheError

# What SQLite puts beside a file, and takes into it: at the next opening, if a process died.
_BESIDE = ("-wal", "-shm", "-journal")


class Fault(NamedTuple):
    """What is wrong with a file, to follow its name, and the command that mends it."""

    what: str
    mend: str


def find_fault(path: Path, found: os.stat_result) -> Fault | None:
    """What is wrong with the owner or the mode of a file; None when nothing is, or on Windows."""
    if os.name == "nt":
        return None
    shown = shlex.quote(os.fspath(path))
    if found.st_uid not in (0, os.geteuid()):
        whose = _name_of(found.st_uid)
        return Fault(
            f"belongs to {whose}, not to {_name_of(os.geteuid())}, who runs mcsync",
            f'run mcsync as {whose}; or, if the file is right, run "chown'
            f' {_name_of(os.geteuid())} {shown}"',
        )
    mode = found.st_mode
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private(found)):
        return Fault(
            f"can be written by others (mode {stat.S_IMODE(mode):04o})",
            f'check that nobody has changed it, then run "chmod go-w {shown}"',
        )
    return None


def find_folder_fault(folder: Path) -> Fault | None:
    """What is wrong with the folder of a file of ours; None when nothing is, or it is not there."""
    try:
        mode = os.stat(folder).st_mode
    except (OSError, ValueError):
        return None
    if os.name == "nt" or not mode & stat.S_IWOTH or mode & stat.S_ISVTX:
        return None
    return Fault(
        f"can be written by everybody (mode {stat.S_IMODE(mode):04o})",
        "check that nobody has changed anything in it, then run"
        f' "chmod o-w {shlex.quote(os.fspath(folder))}"',
    )


def find_faults(path: Path, found: os.stat_result) -> Iterator[tuple[str, Fault]]:
    """What is wrong with a file that we believe, a link to it, and the folders of both.

    `found` is the open file's. With each fault comes the name of the folder that has it, "" for
    the file and the link.
    """
    fault = find_fault(path, found)
    if fault is not None:
        yield "", fault
    fault = find_fault(path, _of_link(path)) if path.is_symlink() else None
    if fault is not None:  # a plain chown would follow the link
        yield "", fault._replace(mend=fault.mend.replace('"chown ', '"chown -h '))
    for place in (os.path.abspath(path), os.path.realpath(path)):
        folder = Path(place).parent
        fault = find_folder_fault(folder)
        if fault is not None:
            yield f"{folder}, the folder of {path.name},", fault


def _of_link(path: Path) -> os.stat_result:
    """What is known of a link itself; its mode means nothing."""
    found = list(os.lstat(path))
    found[0] = stat.S_IFLNK
    return os.stat_result(found)


def beside(path: Path) -> tuple[Path, ...]:
    """The files of SQLite's own beside one of its files."""
    return tuple(path.with_name(path.name + end) for end in _BESIDE)


def refuse_strangers(*paths: Path) -> None:
    """Refuse files of a cache that somebody else could write, or chose the place of.

    Raises: CacheError
    """
    for path in paths:
        try:
            found = os.lstat(path)
        except (OSError, ValueError):
            continue  # it is not there, or the next one who opens it says why not
        if stat.S_ISLNK(found.st_mode):
            raise CacheError(
                f"{path} is a link, but mcsync never creates links", hint=f'run "rm {path}"'
            )
        if not (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode)):
            raise CacheError(
                f"{path} is not a regular file",
                hint="name another file with --cache or in the config",
            )
        fault = find_fault(path, found) if stat.S_ISREG(found.st_mode) else None
        if fault is not None:
            raise CacheError(f"{path} {fault.what}", hint=fault.mend)


def refuse_locked_out(*paths: Path, mode: int = os.R_OK | os.W_OK) -> None:
    """Refuse a cache that others run, mostly root, and that we may not use: say what mends it.

    Raises: CacheError naming the first file, with a command for all of them.
    """
    closed = [path for path in paths if os.path.lexists(path) and not os.access(path, mode)]
    if not closed:
        return
    first, user_id = closed[0], os.geteuid()
    try:
        found, me = first.stat(), _name_of(user_id)
    except FileNotFoundError:  # SQLite's log, which goes with whoever closes the cache last
        return
    if found.st_uid != user_id:
        files = " ".join(shlex.quote(os.fspath(path)) for path in closed)
        whom = me if me != f"user {user_id}" else str(user_id)
        raise CacheError(
            f"{first} belongs to {_name_of(found.st_uid)}, so {me} cannot use it",
            hint=f'as root, run "chown {whom} {files}", and run mcsync as {me} from now on',
        )
    if not found.st_mode & stat.S_IRUSR or not found.st_mode & stat.S_IWUSR:
        raise CacheError(
            f"{first} cannot be read and written by its owner"
            f" (mode {stat.S_IMODE(found.st_mode):04o})",
            hint=f'run "chmod u+rw {shlex.quote(os.fspath(first))}"',
        )


def advise_reading(path: Path) -> str:
    """What to do about a file or folder that we may not read: whose user to be."""
    if os.name == "nt":
        return "let the user that runs mcsync read it"
    me = os.geteuid()
    for place in (path, path.parent):
        try:
            owner = os.stat(place).st_uid
        except OSError:
            continue  # the folder says whose it is
        if owner not in (0, me):
            return f"it belongs to {_name_of(owner)}: run mcsync as that user"
    return f"let {_name_of(me)} read it"


def refuse_shared_folder(folder: Path) -> None:
    """Refuse a cache in a folder that everybody may write. Raises: CacheError"""
    fault = find_folder_fault(folder)
    if fault is not None:
        raise CacheError(f"{folder}, the folder of the cache, {fault.what}", hint=fault.mend)


def is_dangling(path: Path) -> bool:
    """Whether it is a link that leads nowhere: whoever made it chose what would be made there."""
    return os.path.islink(path) and not os.path.exists(path)


def name_ourselves() -> str:
    """The user whom we run as; on Windows, where nothing asks, just that."""
    return "your user" if os.name == "nt" else _name_of(os.geteuid())


def _name_of(user_id: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"user {user_id}"


def _is_private(found: os.stat_result) -> bool:
    """Whether nobody but the owner is in the file's group."""
    import grp
    import pwd

    try:
        owner, group = pwd.getpwuid(found.st_uid), grp.getgrgid(found.st_gid)
    except KeyError:
        return False
    is_own = owner.pw_gid == found.st_gid and group.gr_name == owner.pw_name
    return is_own and not set(group.gr_mem) - {owner.pw_name}
