"""A cache for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcsync.cache.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new cache, empty."""
    opened = Store(tmp_path / "mcsync.db")
    yield opened
    opened.close()
