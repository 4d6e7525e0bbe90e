"""Fixtures that every kind of test may use."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from mcsync.sandbox.town import Town

START = datetime(2026, 11, 22, 6, 0, tzinfo=UTC)


@pytest.fixture
def town() -> Iterator[Town]:
    """Both simulated services on loopback, with a clock that stands still until advanced."""
    with Town(START) as found:
        found.mailchimp.settings.batch_delay_polls = 0
        yield found
