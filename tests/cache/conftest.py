"""A cache for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mcsync.cache.store import Store
from tests.new_cache import open_anew


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A new cache, empty."""
    opened = open_anew(tmp_path / "mcsync.db")
    yield opened
    opened.close()
