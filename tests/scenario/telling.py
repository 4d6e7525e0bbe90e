"""The commands that only look, run on Bedrock's cache in this process, at Bedrock's time."""

import json
from dataclasses import dataclass
from typing import Any

import pytest
from click.testing import CliRunner

from mcsync.cli import session
from mcsync.cli.main import app
from tests.scenario.bedrock import Bedrock


@dataclass(frozen=True)
class Told:
    """How it ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """stdout as the one document."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found

    @property
    def audience(self) -> dict[str, Any]:
        """The document's one audience."""
        (found,) = self.document["audiences"]
        assert isinstance(found, dict)
        return found


@dataclass
class Teller:
    """Runs `mcsync` with Bedrock's config; counts that nobody was asked anything over HTTP."""

    bedrock: Bedrock

    def __call__(self, *args: str) -> Told:
        self.bedrock.load_config()
        asked = self.bedrock.town.requests
        config = str(self.bedrock.folder / "config.json")
        found = CliRunner().invoke(app, ["--config", config, *args], prog_name="mcsync")
        assert found.exception is None or isinstance(found.exception, SystemExit), found
        assert "Traceback" not in found.stderr, found.stderr
        assert self.bedrock.town.requests == asked, "no network"
        return Told(found.exit_code, found.stdout, found.stderr)

    def json(self, *args: str) -> dict[str, Any]:
        """What the one document says, of a command that ends well."""
        told = self(*args, "--json")
        assert told.code == 0, told
        return told.document


@pytest.fixture
def tell(bedrock: Bedrock, monkeypatch: pytest.MonkeyPatch) -> Teller:
    """Runs a command that only looks."""
    for name in ("MCSYNC_CONFIG", "JOURNAL_STREAM", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(session, "utc_now", bedrock.town.clock)
    return Teller(bedrock)
