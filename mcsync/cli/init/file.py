"""A new config file: readable by its owner only, whole or not there, never over another one."""

import json
import os
import shlex
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from mcsync.config import Config, load_config
from mcsync.errors import ConfigError


def refuse_existing(path: Path) -> None:
    """Raise ConfigError when something has that name, or when nothing could be written there."""
    if os.path.isdir(path):
        raise ConfigError(
            f"{path} is a directory", hint=f"name a file in it: --config {path / 'config.json'}"
        )
    if os.path.lexists(path):
        raise ConfigError(
            f"{path} exists already; it is left as it is",
            hint="name a new file with --config, or move the old one away; for another audience"
            " in it: mcsync init --add",
        )
    folder = path.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    if not folder.is_dir():
        raise ConfigError(f"cannot write {path}: {folder} is not a folder", hint=_HINT)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"cannot write {path}: {folder} is not writable", hint=_HINT)


def refuse_existing_keys(path: Path) -> None:
    """Raise ConfigError when there is a file of keys already."""
    if os.path.lexists(path):
        raise _have_keys(path)


def _have_keys(path: Path) -> ConfigError:
    hint = "move it away, or choose another place for the keys with --keys"
    return ConfigError(f"{path} exists already; it is left as it is", hint=hint)


_HINT = "choose another place with --config"


def write_config(path: Path, blob: Mapping[str, object], environ: Mapping[str, str]) -> Config:
    """Write a new config, and return it as our own loader reads it.

    `environ` has the variables that it names. It is written beside its place under another name,
    loaded, and only then given its own: however this is interrupted, it is whole or not there.
    Missing folders are made for their owner only.
    Raises: ConfigError when the loader refuses it, a file is there by now, or a disk has trouble.
    """
    text = _text_of(blob)
    try:
        _make_folders(path.parent)
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            _fill(number, text)
            _try_out(Path(name), environ)
            _put(Path(name), path, text)
        finally:
            with suppress(OSError):
                os.unlink(name)
    except FileExistsError:
        raise ConfigError(
            f"somebody else has created {path} meanwhile; it is left as it is", hint=_HINT
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint=_HINT) from None
    return load_config(path, environ)


@contextmanager
def keeping_keys(
    path: Path, variables: Mapping[str, str], is_needed: Callable[[], bool]
) -> Iterator[None]:
    """Write a new file of variables, as shells and systemd read it, for its owner only.

    When what follows fails, it is taken away again, unless it is needed by then.
    Raises: ConfigError when a file is there, or the disk has trouble.
    """
    text = "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items())
    try:
        _make_folders(path.parent)
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        raise _have_keys(path) from None
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}", hint=_HINT) from None
    try:
        try:
            _fill(number, text)
        except OSError as error:
            raise ConfigError(f"cannot write {path}: {error.strerror}", hint=_HINT) from None
        yield
    except BaseException:
        if not is_needed():
            os.unlink(path)
        raise


def is_written(path: Path, blob: Mapping[str, object]) -> bool:
    """Whether this very config is there."""
    try:
        return path.read_text(encoding="utf-8") == _text_of(blob)
    except (OSError, UnicodeDecodeError):
        return False


def rewrite_config(
    path: Path, old: Mapping[str, object], new: Mapping[str, object], environ: Mapping[str, str]
) -> Config | None:
    """Replace a config that this process has just written, and return it as it loads.

    None when that cannot be done: somebody was at it meanwhile, the loader refuses the new one, or
    the disk has trouble. The old one is there then, as it was.
    """
    try:
        if not is_written(path, old):
            return None
        number, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)  # mode 0600
        try:
            _fill(number, _text_of(new))
            _try_out(Path(name), environ)
            os.replace(name, path)
        finally:
            with suppress(OSError):
                os.unlink(name)
    except (OSError, ConfigError):
        return None
    return load_config(path, environ)


def _text_of(blob: Mapping[str, object]) -> str:
    return json.dumps(blob, indent=2, ensure_ascii=False) + "\n"


def _make_folders(folder: Path) -> None:
    """Make a folder and those above it that are missing."""
    if not folder.is_dir():
        _make_folders(folder.parent)
        folder.mkdir(mode=0o700, exist_ok=True)


def _fill(number: int, text: str) -> None:
    with os.fdopen(number, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _try_out(draft: Path, environ: Mapping[str, str]) -> None:
    """Load it; what is wrong is told without the passing name that it has."""
    try:
        load_config(draft, environ)
    except ConfigError as error:
        raise ConfigError(
            "these answers do not make a valid config, so nothing was written",
            hint="change these answers",
            problems=error.problems or (("config", error.message),),
        ) from None


def _put(draft: Path, path: Path, text: str) -> None:
    """Give the finished file its name, unless another one has it."""
    try:
        os.link(draft, path)
    except FileExistsError:
        raise
    except OSError:  # a disk without hard links, as FAT or some that are shared over a network
        number = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            _fill(number, text)
        except BaseException:
            os.unlink(path)
            raise
