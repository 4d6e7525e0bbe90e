"""What a command said."""

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Said:
    """How one invocation ended and what it said."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document; fails unless stdout is exactly one, on one line of its own."""
        assert self.out.endswith("\n"), self
        document = json.loads(self.out)
        assert isinstance(document, dict), self
        return document
