"""Bedrock, to compare the large world with."""

from tests.scenario.conftest import bedrock as bedrock
