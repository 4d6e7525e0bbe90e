"""Commands run on Bedrock's config and cache in this process, at Bedrock's time; what they say."""

from dataclasses import dataclass
from typing import Any

from click.testing import CliRunner

from mcsync.cli.main import app
from tests.said import Said
from tests.scenario.bedrock import Bedrock


@dataclass(frozen=True)
class Told(Said):
    """How it ended and what it said of the one audience."""

    @property
    def audience(self) -> dict[str, Any]:
        """The document's one audience."""
        (found,) = self.document["audiences"]
        assert isinstance(found, dict)
        return found


@dataclass
class CommandLine:
    """Runs a command with Bedrock's config; it ends without a traceback."""

    bedrock: Bedrock

    def __call__(self, *args: str) -> Told:
        """One run, and a minute passes."""
        told = self._run(*args)
        self.bedrock.pass_time(minutes=1)
        return told

    def _run(self, *args: str) -> Told:
        self.bedrock.load_config()
        config = str(self.bedrock.folder / "config.json")
        found = CliRunner().invoke(app, ["--config", config, *args], prog_name="mcsync")
        assert found.exception is None or isinstance(found.exception, SystemExit), found
        assert "Traceback" not in found.stderr, found.stderr
        return Told(found.exit_code, found.stdout, found.stderr)


class Teller(CommandLine):
    """Runs a command that only looks: nobody is asked anything over HTTP, and no time passes."""

    def __call__(self, *args: str) -> Told:
        asked = self.bedrock.town.requests
        told = self._run(*args)
        assert self.bedrock.town.requests == asked, "no network"
        return told

    def json(self, *args: str) -> dict[str, Any]:
        """What the one document says, of a command that ends well."""
        told = self(*args, "--json")
        assert told.code == 0, told
        return told.document
