"""Where a config's secrets come from, if not from the file itself.

`${NAME}` is a variable of the environment, `${file:PATH}` the first line of a file, relative to
the config's folder, `${credential:NAME}` one of systemd's (LoadCredential), and
`${command:PROGRAM ARG}` the first line that a program prints. The program is run without a shell.
A config that others may write is refused before any of it is looked at.
"""

import os
import re
import shlex
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path

from mcsync.ownership import find_faults

SOURCE = re.compile(
    r"\$\{(?:(file|credential|command):\s*([^{}\s][^{}]*)|([A-Za-z_][A-Za-z0-9_]*))\}"
)
_MOST_BYTES = 64 * 1024
_COMMAND_S = 30.0
_NOT_WAITING = getattr(os, "O_NONBLOCK", 0)  # a pipe would be waited at for ever


class NotThere(Exception):
    """What a secret should come from is not there, or not to be believed; the text says why."""


class Sources:
    """Looks secrets up, each once; `folder` is where relative paths begin."""

    def __init__(self, environ: Mapping[str, str], folder: Path | None = None) -> None:
        self.environ = environ
        self._folder = folder or Path()
        self._known: dict[str, str | NotThere] = {}

    def find(self, found: re.Match[str]) -> str:
        """The text that stands for a match of SOURCE. Raises: NotThere"""
        whole = found[0]
        if whole not in self._known:
            try:
                self._known[whole] = self._look_up(found[1], (found[2] or "").rstrip(), found[3])
            except NotThere as missing:
                self._known[whole] = missing
        known = self._known[whole]
        if isinstance(known, NotThere):
            raise known
        return known

    def _look_up(self, kind: str | None, what: str, variable: str | None) -> str:
        if variable is not None:
            if variable not in self.environ:
                raise NotThere(f"${{{variable}}} is not set in the environment")
            return self.environ[variable]
        if kind == "file":
            return _read_line(self._folder / what, f"${{file:{what}}}")
        if kind == "credential":
            return self._read_credential(what)
        return _run(what)

    def _read_credential(self, name: str) -> str:
        shown = f"${{credential:{name}}}"
        folder = self.environ.get("CREDENTIALS_DIRECTORY")
        if not folder:
            raise NotThere(f"{shown}: systemd sets it in a unit with LoadCredential={name}:…")
        if "/" in name or name in (".", ".."):
            raise NotThere(f"{shown}: a credential's name has no slash")
        return _read_line(Path(folder) / name, shown)


def _read_line(path: Path, shown: str) -> str:
    """The first line of a file that nobody else may write. Raises: NotThere"""
    return _first_line(read_trusted(path, shown)[0], shown)


def read_trusted(path: Path, shown: str) -> tuple[bytes, int]:
    """What is in a file that nobody else may write, and its mode. Raises: NotThere"""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | _NOT_WAITING), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise NotThere(f"{shown} is not a file")
            for folder, fault in find_faults(path, found):
                where = "" if shown == str(path) else f"{shown}: "
                raise NotThere(f"{where}{folder or path} {fault.what}; {fault.mend}")
            content = file.read(_MOST_BYTES + 1)
            if len(content) > _MOST_BYTES:
                raise NotThere(f"{shown} is too large: it has more than {_MOST_BYTES >> 10} KiB")
            return content, found.st_mode
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a file name"
        raise NotThere(f"{shown} cannot be read: {why}") from None


def _run(command: str) -> str:
    """The first line that a program prints. Raises: NotThere"""
    program = command.split()[0]
    shown = f"${{command:{program}}}"  # what it is given may be a secret
    try:
        words = shlex.split(command)
        done = subprocess.run(  # noqa: S603  # the config is ours, and there is no shell
            words, capture_output=True, stdin=subprocess.DEVNULL, timeout=_COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise NotThere(f"{shown} did not end within {_COMMAND_S:.0f} s") from None
    except (OSError, ValueError, IndexError) as error:
        why = error.strerror if isinstance(error, OSError) else "not a command"
        raise NotThere(f"{shown} cannot be run: {why}") from None
    if done.returncode:
        raise NotThere(f"{shown} ended with exit code {done.returncode}")
    return _first_line(done.stdout, shown)


def _first_line(content: bytes, shown: str) -> str:
    try:
        line = content.decode("utf-8-sig").partition("\n")[0].strip()
    except UnicodeDecodeError:
        raise NotThere(f"{shown}: not UTF-8") from None
    if not line:
        raise NotThere(f"{shown}: its first line is empty")
    return line
