"""Who may tell us something: the secret in a webhook's URL, and Mailchimp's signature.

An account's delivery is right when everything is right that its config has: with secrets in
its webhook URLs one of them is in the query, with signing secrets the signature is one of
theirs. Then an unsigned delivery is wrong too, else whoever learnt a URL could leave the
signature out; webhooks from before signing send none and must be made anew. An account that
has neither secret nor signing secret cannot be told from anybody else: all of its is wrong.

CiviCRM's deliveries have one secret, `civicrm.hookSecret`, in the query too, and no signature.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote_to_bytes

from mcsync.model import ContactsTold
from mcsync.webhooks.payload import Payload

MAX_AGE_S = 300  # a signature that is older is refused; from the future no less
_SIGNATURE = re.compile(r"\s*(t|v1)\s*=\s*([0-9A-Fa-f]{1,64})\s*")


@dataclass(frozen=True, slots=True)
class AccountKeys:
    """What proves deliveries of one account; `list_ids` are its audiences in the config."""

    list_ids: frozenset[str]
    secrets: tuple[str, ...] = field(default=(), repr=False)
    batch_secrets: tuple[str, ...] = field(default=(), repr=False)
    signing_secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_empty(self) -> bool:
        """Whether nothing can prove a delivery of this account."""
        return not (self.secrets or self.batch_secrets or self.signing_secrets)


@dataclass(frozen=True, slots=True)
class Proof:
    """What came with a delivery: the raw query, the header X-Mailchimp-Signature, the raw body."""

    query: bytes = field(repr=False)
    signature: str = field(repr=False)
    body: bytes = field(repr=False)


class Gate:
    """Knows the secrets of all accounts, and CiviCRM's; without any of those its door is shut."""

    def __init__(self, accounts: Sequence[AccountKeys], hook_secrets: Sequence[str] = ()) -> None:
        self._accounts = tuple(accounts)
        self._civicrm = AccountKeys(frozenset(), secrets=tuple(hook_secrets))

    @property
    def expects_civicrm(self) -> bool:
        """Whether CiviCRM may tell us anything."""
        return not self._civicrm.is_empty

    def admits(self, payload: Payload | ContactsTold | None, proof: Proof, now: datetime) -> bool:
        """Whether this delivery comes from where it says; `now` is aware UTC.

        An audience's must carry the proof of its own account. A batch does not name its account,
        so any account's proof for batches will do, and for an audience that is not in the config
        any account's; for what is no payload at all (None) any proof.
        """
        verdicts = [
            _is_proven(proof, account, wanted, now) for account, wanted in self._expect(payload)
        ]
        return any(verdicts)  # of all of them: how long it takes tells nobody which one fits

    def find_fault(self, payload: Payload | ContactsTold | None, proof: Proof) -> str:
        """What is wrong with a delivery that is not admitted: "secret" or "signature"."""
        given = read_secret(proof.query)
        verdicts = [
            _matches(given, wanted) if wanted else bool(account.signing_secrets)
            for account, wanted in self._expect(payload)
        ]
        return "signature" if any(verdicts) else "secret"

    def _expect(
        self, payload: Payload | ContactsTold | None
    ) -> list[tuple[AccountKeys, tuple[str, ...]]]:
        """Whose proof may come with the payload, and which of their URLs' secrets."""
        of_civicrm = (self._civicrm, self._civicrm.secrets)
        if isinstance(payload, ContactsTold):
            return [of_civicrm]
        if payload is None:
            expected = [
                (a, secrets) for a in self._accounts for secrets in (a.secrets, a.batch_secrets)
            ]
            return [*expected, of_civicrm]
        if payload.is_batch:
            return [(a, a.batch_secrets) for a in self._accounts]
        own = [a for a in self._accounts if payload.list_id in a.list_ids]
        return [(a, a.secrets) for a in own or self._accounts]


def _is_proven(proof: Proof, account: AccountKeys, secrets: tuple[str, ...], now: datetime) -> bool:
    if not secrets and not account.signing_secrets:
        return False
    is_known = not secrets or _matches(read_secret(proof.query), secrets)
    return _is_signed(proof, account.signing_secrets, now) and is_known


def read_secret(query: bytes) -> bytes:
    """The first `secret` of a query string, decoded; empty if there is none."""
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == b"secret":
            return unquote_to_bytes(value.replace(b"+", b" "))
    return b""


def _matches(given: bytes, secrets: Sequence[str]) -> bool:
    """Whether it is one of them; all are compared, each in constant time."""
    verdicts = [hmac.compare_digest(given, _as_bytes(secret)) for secret in secrets]
    return any(verdicts)


def _is_signed(proof: Proof, signing_secrets: Sequence[str], now: datetime) -> bool:
    """Whether the signature is right; True where there is nothing to check it with."""
    if not signing_secrets:
        return True
    at, digests = _parse_signature(proof.signature)
    if at is None or abs(now.timestamp() - at) > MAX_AGE_S:
        return False
    verdicts = []
    for secret in signing_secrets:
        right = hmac.new(_as_bytes(secret), b"%d." % at + proof.body, hashlib.sha256).hexdigest()
        verdicts += [hmac.compare_digest(right, digest) for digest in digests]
    return any(verdicts)


def _parse_signature(header: str) -> tuple[int | None, list[str]]:
    """Read `t=<unix>,v1=<hex>[,v1=…]`; no time when the header is not of this form.

    Parts of other names are passed over: they may be signatures of a later kind.
    """
    times, digests = [], []
    for part in header.split(","):
        found = _SIGNATURE.fullmatch(part)
        if found is None:
            continue
        if found[1] == "v1":
            digests.append(found[2].lower())
        elif found[2].isdecimal() and len(found[2]) <= 12:
            times.append(int(found[2]))
    return (times[0] if len(times) == 1 else None), digests


def _as_bytes(secret: str) -> bytes:
    return secret.encode("utf-8", "surrogatepass")  # a config may hold half a character
