"""Everything that the cache keeps of a person, value by value: just what forgetting them erases."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from mcsync.cache.mirror import load_mirror_state
from mcsync.cache.retention import GIVEN_UP_FOR, Retention
from mcsync.cache.rows import TABLE
from mcsync.cache.store import Store, has_table, json_list
from mcsync.cache.times import from_text, to_text
from mcsync.cache.traces import PARTS, Traces, find_parts
from mcsync.cache.webhooks import MOST_ATTEMPTS


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of a table, by its columns; JSON in it is read.

    `since` and `until`: when it came, and when it will go, where the cache knows. `shared_with`:
    contacts whose it is as well, so that it stays when the person is erased.
    """

    values: Mapping[str, object]
    since: str | None = None
    until: str | None = None
    shared_with: tuple[int, ...] = field(default=())


# When a row came, where its table says so.
_SINCE = {
    "update": "created_at",
    "batch": "submitted_at",
    "change": "at",
    "webhook": "received_at",
    "told_contact": "received_at",
    "creation": "began_at",
}
# Members at an address that is somebody else's too, whoever is linked to them, and what is or was
# queued for these.
_AT_SHARED = "email_key IN (SELECT value FROM json_each(:shared))"
_SHARED = {
    "cache": _AT_SHARED,
    "update": f"mailchimpsync_cache_id IN (SELECT id FROM {TABLE} WHERE {_AT_SHARED})",
}
_BATCHES = """
SELECT * FROM civicrm_mailchimpsync_batch WHERE id IN (
    SELECT mailchimpsync_batch_id FROM civicrm_mailchimpsync_update WHERE {theirs}) ORDER BY id
"""


def read_traces(store: Store, found: Traces, retention: Retention) -> dict[str, list[Entry]]:
    """What of the person is kept, by table; a cache that is only looked at may lack a new one."""
    where = find_parts(store, found)
    owners = tuple(sorted({contact for owner in found.shared.values() for contact in owner}))
    kept: dict[str, list[Entry]] = {}
    for part, theirs in PARTS.items():
        if not has_table(store, f"civicrm_mailchimpsync_{part}"):
            continue
        sql = f"SELECT * FROM civicrm_mailchimpsync_{part} WHERE {theirs}"
        kept[part] = [_make_entry(part, row, retention) for row in _read(store, sql, where)]
        if part in _SHARED:
            sql = f"SELECT * FROM civicrm_mailchimpsync_{part} WHERE {_SHARED[part]}"
            rows = _read(store, sql, {"shared": json_list(found.shared)})
            kept[part] += [_make_entry(part, row, retention, owners) for row in rows]
    batches = _read(store, _BATCHES.format(theirs=PARTS["update"]), where)
    kept["batch"] = [_make_entry("batch", row, retention) for row in batches]
    _add_names(store, kept)
    return {part: entries for part, entries in kept.items() if entries}


def _read(store: Store, sql: str, where: Mapping[str, str]) -> Iterator[dict[str, object]]:
    cursor = store.query(sql, where)
    names = [column[0] for column in cursor.description]
    for row in cursor:
        yield {name: _read_value(value) for name, value in zip(names, row, strict=True)}


def _read_value(value: Any) -> object:
    """A value as it is; JSON as what it stands for, so that people can read it."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:  # somebody's name may begin like that
            return value
    return value


def _make_entry(
    part: str, row: dict[str, object], retention: Retention, shared_with: tuple[int, ...] = ()
) -> Entry:
    since = row.get(_SINCE.get(part, ""))
    until = _find_end(part, row, retention)
    return Entry(row, since if isinstance(since, str) else None, until, shared_with)


def _find_end(part: str, row: Mapping[str, object], retention: Retention) -> str | None:
    """When a row will go by itself; None while nobody knows."""
    if part == "change":
        return to_text(retention.ends(from_text(str(row["at"]))))
    if part == "update" and row["completed"]:
        done_at = row["completed_at"] or row["created_at"]
        return to_text(retention.ends(from_text(str(done_at))))
    if part == "webhook" and int(str(row["attempts"])) >= MOST_ATTEMPTS:
        return to_text(from_text(str(row["received_at"])) + GIVEN_UP_FOR)
    return None


def _add_names(store: Store, kept: Mapping[str, list[Entry]]) -> None:
    """What groups and tags are called: a number tells nobody anything."""
    groups = load_mirror_state(store).groups
    for entry in kept.get("group_contact", ()):
        group = groups.get(int(str(entry.values["group_id"])))
        _name(entry, "group", group.title if group else None)
    for entry in kept.get("entity_tag", ()):
        sql = "SELECT label FROM civicrm_mailchimpsync_tag WHERE tag_id = ?"
        _name(entry, "tag", store.value(sql, (entry.values["tag_id"],)))


def _name(entry: Entry, what: str, name: str | None) -> None:
    if name and isinstance(entry.values, dict):
        entry.values[what] = name
