"""Whose a file is: one that somebody else can write is not believed, and not written to.

Our own are ours or root's. The group may write where it is nobody's but the owner's, as on systems
that give each user a group.
"""

import os
import shlex
import stat
from pathlib import Path
from typing import NamedTuple


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
            f"belongs to {whose}, and not to {_name_of(os.geteuid())}, who runs mcsync",
            f'run mcsync as {whose}, or if the file is right: "chown {_name_of(os.geteuid())}'
            f' {shown}"',
        )
    mode = found.st_mode
    if mode & stat.S_IWOTH or (mode & stat.S_IWGRP and not _is_private(found)):
        return Fault(
            f"may be written by others (mode {stat.S_IMODE(mode):04o})",
            f'look whether it is still as it should be, then run "chmod go-w {shown}"',
        )
    return None


def is_dangling(path: Path) -> bool:
    """Whether it is a link that leads nowhere: whoever made it chose what would be made there."""
    return os.path.islink(path) and not os.path.exists(path)


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
