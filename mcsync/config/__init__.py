"""The config: found, read, checked as a whole, and frozen.

One JSON file, the blob of the documents ("Config settings JSON blob") plus mcsync's own keys.
Every problem is noted with its JSON path and all are raised at once, before anything touches the
network. The file is never written. No key (API key) shows in a message or a repr.
"""

import os
import re
import stat
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from mcsync.config.accounts import derive_api_url
from mcsync.config.builder import CIVICRM_VARIABLES, Builder, keep_known
from mcsync.config.environment_file import note_trouble, take_environment_file
from mcsync.config.json_mistakes import KEY_SHAPE, JsonSlip, mend_json, parse_json
from mcsync.config.section import ConfigUse, Notes, did_you_mean, is_header_safe
from mcsync.config.values import (
    AccountConfig,
    AudienceConfig,
    CivicrmConfig,
    Config,
    DataConfig,
    DeletedContacts,
    Duplicates,
    ForeignConfig,
    NotifyConfig,
    Reconfirm,
    Removal,
    Secret,
)
from mcsync.errors import ConfigError, UsageError
from mcsync.ownership import advise_reading, find_faults, is_dangling
from mcsync.text import count_of

__all__ = [
    "KEY_SHAPE",
    "AccountConfig",
    "AudienceConfig",
    "CivicrmConfig",
    "Config",
    "ConfigUse",
    "DataConfig",
    "DeletedContacts",
    "Duplicates",
    "ForeignConfig",
    "JsonSlip",
    "NotifyConfig",
    "Reconfirm",
    "Removal",
    "Secret",
    "derive_api_url",
    "did_you_mean",
    "find_config",
    "is_header_safe",
    "load_config",
    "load_foreign",
    "parse_json",
    "select_audiences",
]

_MAX_BYTES = 16 << 20
SYSTEM_CONFIG = Path("/etc/mcsync/config.json")
HINT = 'compare with config.example.json, then run "mcsync check"'


def find_config(explicit: Path | None, environ: Mapping[str, str], cwd: Path) -> Path:
    """Return the config file to read: the one named, else the first that there is.

    Raises: ConfigError if none is named and none found; whether a named one can be read is for
    load_config to say.
    """
    named = environ.get("MCSYNC_CONFIG")
    if explicit is not None or named:
        return cwd / (explicit or str(named))
    own = _user_folder(environ, sys.platform)
    places = [cwd / "config.json", own / "config.json", SYSTEM_CONFIG]
    for place in places:
        # Unlike Path.is_file, False where we may not look. A link that leads nowhere is no reason
        # to take another config than the one meant.
        if os.path.isfile(place) or is_dangling(place):
            return place
    looked = ", ".join(_shown_path(place) for place in places)
    folder = SYSTEM_CONFIG.parent
    if os.path.isdir(folder) and not os.access(folder, os.X_OK):
        raise ConfigError(
            f"no config found; looked for {looked}, but may not look into {folder}",
            hint=advise_reading(folder),
        )
    hint = 'write one with "mcsync init", or name one with --config or $MCSYNC_CONFIG'
    raise ConfigError(f"no config found; looked for {looked}", hint=hint)


def _user_folder(environ: Mapping[str, str], platform: str) -> Path:
    """Return where a user's config belongs, by the customs of the platform."""
    home = Path(environ.get("HOME") or os.path.expanduser("~"))
    if platform == "win32":
        return Path(environ.get("APPDATA") or home) / "mcsync"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "mcsync"
    folder = Path(environ.get("XDG_CONFIG_HOME") or "")
    # The XDG specification has relative paths ignored.
    return (folder if folder.is_absolute() else home / ".config") / "mcsync"


def load_config(path: Path, environ: Mapping[str, str], use: ConfigUse = ConfigUse.RUN) -> Config:
    """Read, check and freeze the config. Read for less than a run it may lack keys and addresses.

    Raises: ConfigError if the file cannot be read, at the first typing slip, or with all problems.
    """
    text, mode = _read(path)
    raw, _ = _parse(path, text)
    notes = Notes(environ, Path(os.path.abspath(path)).parent, use)
    take_environment_file(raw, notes)
    notes.hide_secrets(raw)
    for name in CIVICRM_VARIABLES.values():
        notes.hide(notes.environ.get(name, ""))
    config = Builder(raw, notes).build(path)
    note_trouble(notes)
    if notes.problems:
        message = f"{_shown_path(path)} has {count_of(len(notes.problems), 'problem')}"
        raise ConfigError(message, hint=_advise(notes), problems=tuple(notes.problems))
    return _with_warnings(config, text, mode, notes.warnings)


def load_foreign(path: Path, environ: Mapping[str, str]) -> ForeignConfig:
    """Read the config blob of the extension, which says nothing of how to reach CiviCRM.

    Slips are mended as it is read, and what mcsync has no use for is left out.
    Raises: ConfigError as `load_config`, and for a config of mcsync's own.
    """
    text, _ = _read(path)
    value, slips = _parse(path, text, is_mended=True)
    if "civicrm" in value:
        hint = f"it can be used as it is: mcsync check --config {path}"
        raise ConfigError(f"{_shown_path(path)} is a config of mcsync already", hint=hint)
    raw, left_out = keep_known(value)
    notes = Notes(environ, Path(os.path.abspath(path)).parent, ConfigUse.LOOK)
    notes.hide_secrets(raw)
    config = Builder(raw, notes).build(path)
    if notes.problems:
        message = f"{_shown_path(path)} has {count_of(len(notes.problems), 'problem')}"
        raise ConfigError(message, hint=_advise(notes), problems=tuple(notes.problems))
    return ForeignConfig(config, raw, slips, tuple(map(notes.masked, left_out)))


def _advise(notes: Notes) -> str:
    """What to do about the problems: variables are set elsewhere than in the file."""
    if not notes.unset:
        return HINT
    names = ", ".join(dict.fromkeys(notes.unset))
    hint = (
        f'set {names} where mcsync runs: in a file that the config names as "environmentFile", with'
        " export in the shell, or with EnvironmentFile in systemd"
    )
    return (
        hint
        if len(notes.problems) - bool(notes.no_variables) == len(notes.unset)
        else f"{hint}; {HINT}"
    )


def select_audiences(config: Config, list_ids: Sequence[str]) -> tuple[AudienceConfig, ...]:
    """Return the audiences asked for by list id or name, in file order; all if none is named.

    Raises: UsageError for one that is not in the config, or a name that several audiences have.
    """
    if not list_ids:
        return config.audiences
    chosen = {_find_audience(config, wanted).list_id for wanted in list_ids}
    return tuple(audience for audience in config.audiences if audience.list_id in chosen)


def _find_audience(config: Config, wanted: str) -> AudienceConfig:
    for audience in config.audiences:
        if audience.list_id == wanted:
            return audience
    named = [found for found in config.audiences if found.name.lower() == wanted.lower()]
    if len(named) == 1:
        return named[0]
    shown = named or config.audiences
    ids = ", ".join(
        each.list_id if each.name == each.list_id else f"{each.name} ({each.list_id})"
        for each in shown
    )
    if named:
        raise UsageError(
            f'{len(named)} audiences are named "{wanted}"', hint=f"choose by id: {ids}"
        )
    words = [word for audience in config.audiences for word in (audience.list_id, audience.name)]
    message = f'no audience "{wanted}" in {_shown_path(config.path)}'
    raise UsageError(message + did_you_mean(wanted, words), hint=f"choose from: {ids}")


def _shown_path(path: Path) -> str:
    """Return a path as short as it is still clear."""
    absolute = os.path.abspath(path)
    return path.name if os.path.dirname(absolute) == os.getcwd() else absolute


def _read(path: Path) -> tuple[str, int]:
    """Return a file's text and mode bits."""
    shown = _shown_path(path)
    try:
        with open(path, "rb") as file:
            found = os.fstat(file.fileno())
            _refuse_strangers(path, found)
            mode = found.st_mode
            content = file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        if is_dangling(path):
            hint = "correct the link, or name another file with --config"
            raise ConfigError(f"{shown} is a broken link", hint=hint) from None
        hint = 'write one with "mcsync init", or name one with --config'
        raise ConfigError(f"{shown}: no such file", hint=hint) from None
    except IsADirectoryError:
        hint = f"name a file in it: --config {shown}/config.json"
        raise ConfigError(f"{shown} is a directory", hint=hint) from None
    except OSError as error:
        raise ConfigError(
            f"cannot read {shown}: {error.strerror}", hint=advise_reading(path)
        ) from None
    if len(content) > _MAX_BYTES:
        raise ConfigError(f"{shown} is too large for a config", hint="name the right file")
    try:
        return content.decode("utf-8-sig"), mode  # Windows editors put a mark in front
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
    message = f"{shown}, line {line}, column {column}: not UTF-8"
    raise ConfigError(message, hint="save the file in UTF-8")


def _refuse_strangers(path: Path, found: os.stat_result) -> None:
    """Refuse a config that somebody else can write: they would say where the keys are sent."""
    if not stat.S_ISREG(found.st_mode):
        return
    for folder, fault in find_faults(path, found):
        raise ConfigError(f"{folder or _shown_path(path)} {fault.what}", hint=fault.mend)


def _parse(
    path: Path, text: str, *, is_mended: bool = False
) -> tuple[dict[str, object], tuple[JsonSlip, ...]]:
    try:
        value, slips = mend_json(text) if is_mended else (parse_json(text), ())
    except JsonSlip as slip:
        where = f"{_shown_path(path)}, line {slip.line}, column {slip.column}"
        raise ConfigError(f"{where}: {slip.what}", hint=slip.mend) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{_shown_path(path)} is not a JSON object", hint=HINT)
    return value, slips


def _with_warnings(config: Config, text: str, mode: int, warnings: Iterable[str]) -> Config:
    """Return the config with its warnings, one of them if others can read keys in its file."""
    others_read = mode & (stat.S_IRGRP | stat.S_IROTH) and os.name != "nt"
    found = list(warnings)
    texts = [secret.reveal() for secret in config.secrets()]
    keys = "|".join(re.escape(text) for text in texts if text and "${" not in text)
    # A key stands alone in its quotes; a webhook's secret ends its URL, or a part of it.
    if others_read and keys and re.search(f'["=]({keys})["&]', text):
        path = _shown_path(config.path)
        what = f"holds a key, but others can read it (mode {stat.S_IMODE(mode):04o})"
        found.append(f'{path} {what}; run "chmod 600 {path}", or replace the keys by ${{NAME}}')
    return replace(config, warnings=tuple(found))
