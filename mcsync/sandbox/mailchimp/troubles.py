"""Troubles that a test asks for: people who are refused, batches too, archives that are damaged."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from mcsync.sandbox.mailchimp.state import Audience, subscriber_hash
from mcsync.sandbox.mailchimp.wire import Problem, split_path

WRITES = "POST|PUT|PATCH|DELETE"
Damage = Literal["cut", "empty", "not-gzip"]
DAMAGES: tuple[Damage, ...] = get_args(Damage)
_PAGE = b"<html><body>Oops</body></html>"


def is_about(audience: Audience | None, path: str, body: object, email: str) -> bool:
    """Whether a call on members names this one, by any of their ids or by address."""
    segments = split_path(path)
    if segments[:1] != ("lists",) or segments[2:3] != ("members",):
        return False
    wanted = email.lower()
    if isinstance(body, dict) and str(body.get("email_address", "")).lower() == wanted:
        return True
    if len(segments) < 4:
        return False
    if segments[3].lower() in (wanted, subscriber_hash(email)):
        return True
    member = audience.by_path(segments[3]) if audience else None
    return member is not None and member.email.lower() == wanted


def list_of(path: str) -> str:
    """The id of the list that a path is about, "" if it is about none."""
    segments = split_path(path)
    return segments[1] if segments[:1] == ("lists",) and len(segments) > 1 else ""


@dataclass(slots=True, eq=False)
class Refusal:
    """Calls about one person that are refused; `hits` counts those that were."""

    email: str
    problem: Problem
    times: int | None
    list_id: str
    method: str
    body: str
    in_batches: bool
    directly: bool
    hits: int = 0

    def stop(self) -> None:
        """Refuse no more."""
        self.times = self.hits

    def fits(self, audience: Audience | None, method: str, path: str, body: object) -> bool:
        """Whether a call is to be refused."""
        return (
            (self.times is None or self.hits < self.times)
            and (not self.list_id or list_of(path) == self.list_id)
            and re.fullmatch(self.method, method) is not None
            and is_about(audience, path, body, self.email)
            and (not self.body or re.search(self.body, json.dumps(body)) is not None)
        )


@dataclass(slots=True)
class Damages:
    """What befalls the next archives that are fetched; `batch_id` "" is those of any batch."""

    how: Damage
    times: int | None
    batch_id: str


@dataclass(slots=True)
class Troubles:
    """What a test has asked for so far; the oldest that fits comes first."""

    refusals: list[Refusal] = field(default_factory=list)
    damages: list[Damages] = field(default_factory=list)
    batches_refused: int | None = 0
    retry_after: str = ""

    def check(
        self,
        audiences: Mapping[str, Audience],
        method: str,
        path: str,
        body: object,
        *,
        in_batch: bool,
    ) -> None:
        """Refuse a call that is to be refused. Raises Problem."""
        audience = audiences.get(list_of(path))
        for refusal in self.refusals:
            is_asked = refusal.in_batches if in_batch else refusal.directly
            if is_asked and refusal.fits(audience, method, path, body):
                refusal.hits += 1
                raise refusal.problem.with_traceback(None)

    def check_batch(self) -> None:
        """Refuse a new batch while that was asked for. Raises Problem."""
        if self.batches_refused == 0:
            return
        if self.batches_refused is not None:
            self.batches_refused -= 1
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        text = "You have too many pending batches."
        raise Problem(429, "Too Many Requests", text, headers=headers)

    def damage(self, batch_id: str, archive: bytes) -> bytes:
        """An archive as it arrives."""
        for damages in self.damages:
            if damages.times != 0 and damages.batch_id in ("", batch_id):
                damages.times = None if damages.times is None else damages.times - 1
                return _DAMAGED[damages.how](archive)
        return archive


_DAMAGED: Mapping[Damage, Callable[[bytes], bytes]] = {
    "cut": lambda archive: archive[: len(archive) // 2],
    "empty": lambda archive: b"",
    "not-gzip": lambda archive: _PAGE,
}
