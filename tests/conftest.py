"""Fixtures that every kind of test may use."""

import gc
import logging
import os
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from mcsync.sandbox.town import Town

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)

# A machine that has other work is no fault of the product: timings live in benchmarks.
settings.register_profile("mcsync", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("mcsync")

# What tests make is gone soon, and most of the rest stays: to look through it often takes long.
gc.set_threshold(100_000, 50, 100)

# Tests talk to loopback only, and for a host named here nobody looks for a proxy at each request:
# that takes as long as a tenth of it.
os.environ["no_proxy"] = "127.0.0.1,localhost"

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what runs in the background that way, and mcsync leaves it so: the commands
    # that tests start would not hear Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


_MEMORY = Path("/dev/shm")  # the tests' own folders are made in it, if it is large
if _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 4 << 30:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


def pytest_xdist_auto_num_workers() -> int:
    """Two for each processor: the tests wait for the disk as long as they compute."""
    return 2 * (os.cpu_count() or 1)


_logger = logging.getLogger("mcsync")
_LOGGING = (list(_logger.handlers), _logger.level, _logger.propagate)


@pytest.fixture
def town() -> Iterator[Town]:
    """Both simulated services on loopback, with a clock that stands still until advanced."""
    with Town(START) as found:
        found.mailchimp.settings.batch_delay_polls = 0
        yield found


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """A command sets up log lines for its process; no test shall hear of another's.

    Nor of those of a fixture that serves several tests, and began before this one.
    """
    yield
    logger = logging.getLogger("mcsync")
    handlers, level, propagate = _LOGGING
    logger.handlers[:] = handlers
    logger.setLevel(level)
    logger.propagate = propagate
