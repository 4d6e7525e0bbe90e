"""How a CiviCRM site is set up: what `pipeline.ports.CivicrmSetupPort` asks for, over HTTP."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from mcsync.civicrm import reading, records, sight
from mcsync.civicrm.site import CivicrmClient
from mcsync.civicrm.transport import Call, CallFailed, get
from mcsync.errors import RemoteRefused
from mcsync.model import Group, Permission

# Parameters of `checkAccess`: may we change a contact, or make one? Our own would prove nothing:
# `edit my contact` is enough to change it.
_UPDATE: Mapping[str, object] = {"action": "update", "values": {"id": sight.ORGANISATION}}
_CREATE: Mapping[str, object] = {"action": "create", "values": {"contact_type": "Individual"}}


class WireGroupChoice(records.WireGroup):
    """A group; hidden ones belong to mailings and are nobody's choice."""

    is_hidden: bool | None = None


class WireNesting(records.WireId):
    """Which groups are inside a group: null, or their ids as texts."""

    saved_search_id: int | None = None
    children: object = None


class WireGroupNumber(msgspec.Struct):
    """How many rows there are of a group."""

    group_id: int
    n: int


class WireNumber(msgspec.Struct):
    """How many rows there are."""

    n: int


class CivicrmSetup(CivicrmClient):
    """One site; besides its set-up, everything that `CivicrmClient` does."""

    @property
    def found_url(self) -> str | None:
        """The endpoint that works, when it is another than the config's address suggests."""
        return self._transport.found_url

    def fetch_own_id(self) -> int:
        """The contact that the API key belongs to; RemoteRefused when nobody may log in by it."""
        return self._transport.connect(is_forced=True)

    def fetch_sight(self) -> tuple[bool, tuple[Permission, ...]]:
        """Whether we see anybody in the trash, and every permission that we seem to lack.

        One who sees nobody there may lack `access deleted contacts`, or there is nobody: that
        cannot be told apart. What CiviCRM does not answer counts for nothing; nor does a "no" to
        adding contacts without `access CiviCRM`, which adding needs besides.
        """
        in_trash: dict[str, object] = {"select": ["id"], "where": [["is_deleted", "=", True]]}
        everybody: Call[object] = Call("Contact", "get", sight.look().params, dict[str, object])
        calls = [
            everybody,
            Call("Group", "get", {"select": ["id"], "limit": 1}, dict[str, object]),
            Call("Contact", "get", {**in_trash, "limit": 1}, dict[str, object]),
            Call("Contact", "checkAccess", _UPDATE, dict[str, object]),
            Call("Contact", "checkAccess", _CREATE, dict[str, object]),
        ]
        answers, _ = self._transport.call_all(calls)
        seen, groups, trash, edits, adds = (
            self._try_to_read(answer, call) for answer, call in zip(answers, calls, strict=True)
        )
        is_shut_out = isinstance(groups, RemoteRefused)
        is_missing = {
            Permission.ACCESS: is_shut_out,
            Permission.VIEW: [] in (seen, groups),
            Permission.EDIT: _is_denied(edits),
            Permission.ADD: _is_denied(adds) and not is_shut_out,
        }
        return _is_row(trash), tuple(name for name, is_so in is_missing.items() if is_so)

    def _try_to_read(self, answer: msgspec.Raw, call: Call[object]) -> object:
        """The rows, or why there are none."""
        try:
            return self._transport.read(answer, call)
        except (CallFailed, RemoteRefused) as error:
            return error

    def fetch_groups(self) -> tuple[Group, ...]:
        """All groups that our user may see, by title; hidden ones are left out.

        To somebody who may not view all contacts CiviCRM shows some groups, or none, and no
        error (civicrm: Permissions).
        """
        self._known_offset()
        rows = self._transport.call(get("Group", WireGroupChoice))
        if not rows:  # a new site has "Administrators"
            message = f"{self._transport.host} does not show any group to the API user"
            raise RemoteRefused(message, hint=Permission.VIEW.hint)
        groups = (records.read_group(row) for row in rows if not row.is_hidden)
        return tuple(sorted(groups, key=lambda each: (each.title.casefold(), each.group_id)))

    def fetch_nested(self, group_ids: Sequence[int]) -> Mapping[int, int]:
        """How many contacts are in groups inside each of these, and not in the group itself.

        Only groups that have others inside them are told, and no smart ones: whoever is resolved
        has them counted. One request, and another where there are such groups.
        """
        self._known_offset()
        where = [["id", "IN", list(group_ids)]]
        rows = self._transport.call(get("Group", WireNesting, where=where))
        outer = [row.id for row in rows if row.children and row.saved_search_id is None]
        if not outer:
            return {}
        direct = reading.group_counts(
            outer, ["status", "=", "Added"], ["contact_id.is_deleted", "=", False]
        )
        whole = [_count_resolved(group_id) for group_id in outer]
        answers, _ = self._transport.call_all([direct, *whole])
        read = self._transport.read
        own = {row.group_id: row.n for row in read(answers[0], direct)}
        counts = (read(answer, call) for answer, call in zip(answers[1:], whole, strict=True))
        return {
            group_id: max(0, sum(row.n for row in found) - own.get(group_id, 0))
            for group_id, found in zip(outer, counts, strict=True)
        }

    def fetch_others_changes(self, group_ids: Sequence[int], since: datetime) -> Mapping[int, int]:
        """How many changes to each of these groups other programs have made since then.

        As far as they came by the API; what staff do by hand, and what we did, is left out.
        """
        call = _count_others(group_ids, records.write_time(since, self._known_offset()))
        return {row.group_id: row.n for row in self._transport.call(call)}


def _count_others(group_ids: Sequence[int], since: str) -> Call[WireGroupNumber]:
    """Changes by the API that are not ours, by group (civicrm: Group contacts)."""
    ours = records.OURS
    where = [
        ["group_id", "IN", list(group_ids)],
        ["method", "=", "API"],
        ["date", ">", since],
        ["OR", [["tracking", "IS NULL"], ["tracking", "NOT LIKE", f"{ours}%"]]],
    ]
    params = {"select": ["group_id", "COUNT(id) AS n"], "where": where, "groupBy": ["group_id"]}
    return Call("SubscriptionHistory", "get", params, WireGroupNumber)


def _count_resolved(group_id: int) -> Call[WireNumber]:
    """How many contacts CiviCRM finds in a group, and in the groups inside it."""
    params = {"select": ["COUNT(id) AS n"], "where": [["groups", "IN", [group_id]]]}
    return Call("Contact", "get", params, WireNumber)


def _is_row(answer: object) -> bool:
    return isinstance(answer, list) and bool(answer)


def _is_denied(answer: object) -> bool:
    """Whether `checkAccess` said no: one row of `access` and `id` (civicrm: Permissions)."""
    rows = answer if isinstance(answer, list) else []
    return any(isinstance(row, dict) and row.get("access") is False for row in rows)
