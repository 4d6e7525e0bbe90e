"""A new cache without its migrations: they are run once for all tests that need no more than that.

They take as long as a sync of a few people. What they do is held by tests/cache.
"""

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from mcsync.cache.store import Store


def open_anew(path: Path) -> Store:
    """What `Store(path)` is, too; where there is nothing yet, an empty cache is laid before."""
    if not os.path.lexists(path):
        with open(path, "xb", opener=_for_us_alone) as file:
            file.write(_empty_cache())
    return Store(path)


@cache
def _empty_cache() -> bytes:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "mcsync.db"
        Store(path).close()
        return path.read_bytes()


def _for_us_alone(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
