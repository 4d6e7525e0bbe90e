"""Caches as released versions wrote them, each with the town it was about at that moment.

A file `VERSION.sql` is the whole cache as SQL, `VERSION.json` what the two services held, and the
script beside them says how they were made. They never change: whoever has such a file upgrades.
"""

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from mcsync.sandbox.town import Town
from tests.cache.released.town_state import State, restore_town

__all__ = ["VERSIONS", "build_cache", "load_state", "unpack"]

HERE = Path(__file__).parent
VERSIONS = sorted(path.stem for path in HERE.glob("*.sql"))
_API_URL = "http://127.0.0.1:8001/3.0"  # Mailchimp's address in the dumps


def build_cache(path: Path, version: str, api_url: str = _API_URL) -> Path:
    """Make the cache file of a released version at `path`; Mailchimp is at `api_url`."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    text = (HERE / f"{version}.sql").read_text(encoding="utf-8")
    with closing(sqlite3.connect(path)) as db:
        db.executescript(text.replace(_API_URL, api_url))
    return path


def load_state(version: str) -> State:
    """What the services held when a released version left its cache; the script says who is who."""
    state: State = json.loads((HERE / f"{version}.json").read_text(encoding="utf-8"))
    return state


def unpack(town: Town, folder: Path, version: str) -> Path:
    """Set the scene: the services in a fresh town, the cache and the config in a folder.

    Returns the config's path; the cache is `mcsync.db` beside it.
    """
    state = load_state(version)
    restore_town(town, state)
    build_cache(folder / "mcsync.db", version, town.api_url)
    config = folder / "config.json"
    config.write_text(json.dumps({**town.make_config(), **state["settings"]}), encoding="utf-8")
    config.chmod(0o600)
    return config
