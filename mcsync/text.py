"""Words that came from elsewhere, made fit for logs and messages."""

import re

_ADDRESS = re.compile(r"[^\s\"'<>(),;:]+@[^\s\"'<>(),;:]+")


def without_addresses(words: str) -> str:
    """A service's words without the e-mail addresses in them, fit for logs."""
    return _ADDRESS.sub("(address)", words)
