"""Bedrock for scenarios."""

from pathlib import Path

import pytest

from mcsync.sandbox.town import Town
from tests.scenario.bedrock import Bedrock


@pytest.fixture
def bedrock(town: Town, tmp_path: Path) -> Bedrock:
    """One audience, empty of people."""
    return Bedrock(town, tmp_path)
