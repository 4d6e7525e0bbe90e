"""Access: everything that is kept of a person, where, since when, and until when or by what rule.

It is found as `mcsync forget` finds what it erases, in the cache and the files beside it; nothing
is written, and neither service is asked. It is about the whole cache, whatever audiences are meant.
"""

import csv
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mcsync.answers.asked import Who
from mcsync.cache.copy_names import find_copies
from mcsync.cache.erase_snapshots import find_in_snapshot
from mcsync.cache.forgotten import KeptHash, find_hashes
from mcsync.cache.read_traces import Entry, read_traces
from mcsync.cache.retention import COPIES, SNAPSHOTS, TABLES, Keeping, Retention, text_of
from mcsync.cache.snapshots import list_snapshots, snapshot_folder, time_of
from mcsync.cache.store import Store
from mcsync.cache.times import to_text_or_none
from mcsync.cache.traces import AskedFor, Traces, find_owners, find_traces
from mcsync.model import email_key

log = logging.getLogger("mcsync")


@dataclass(frozen=True, slots=True)
class InSnapshot:
    """A snapshot, and the rows of the person in it; None where it could not be read."""

    path: Path
    rows: Sequence[Mapping[str, str]] | None


@dataclass(frozen=True, slots=True)
class Kept:
    """All that is kept of one person; `entries` by table. Of `copies` nobody looks inside."""

    traces: Traces
    entries: Mapping[str, Sequence[Entry]]
    snapshots: Sequence[InSnapshot]
    copies: Sequence[Path]
    hashes: Sequence[KeptHash]
    retention: Retention

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is known to be kept."""
        return not (self.entries or self.hashes or any(each.rows for each in self.snapshots))

    def as_dict(self) -> dict[str, object]:
        """For `--json`."""
        return {
            "addresses": sorted(self.traces.emails),
            "contacts": sorted(self.traces.contacts),
            "rows": sorted(self.traces.rows),
            "shared_addresses": {
                email: sorted(owners) for email, owners in sorted(self.traces.shared.items())
            },
            "tables": [self._describe_table(name) for name in TABLES if self._has(name)],
            "snapshots": [self._describe_snapshot(each) for each in self.snapshots],
            "copies": [self._describe_copy(path) for path in self.copies],
        }

    def rule_of(self, keeping: Keeping) -> str:
        """How long something is kept, in words."""
        return text_of(keeping, self.retention)

    def _has(self, table: str) -> bool:
        return bool(self.hashes if table == "forgotten" else self.entries.get(table))

    def _describe_table(self, table: str) -> dict[str, object]:
        keeping = TABLES[table]
        return {
            "table": f"civicrm_mailchimpsync_{table}",
            "what": keeping.what.replace("`", ""),
            "kept": self.rule_of(keeping),
            "entries": list(self._describe_entries(table)),
        }

    def _describe_entries(self, table: str) -> Iterator[dict[str, object]]:
        for entry in self.entries.get(table, ()):
            yield {
                "since": entry.since,
                "until": entry.until,
                "shared_with_contacts": list(entry.shared_with),
                "values": dict(entry.values),
            }
        for found in self.hashes if table == "forgotten" else ():
            yield {
                "since": found.at,
                "until": None,
                "shared_with_contacts": [],
                "values": {"hash_of": found.kind.value, "hashes_of_the_same_person": found.of},
            }

    def _describe_snapshot(self, found: InSnapshot) -> dict[str, object]:
        since = time_of(found.path)
        until = self.retention.ends(since) if since is not None else None
        return {
            "path": str(found.path),
            "what": SNAPSHOTS.what,
            "kept": self.rule_of(SNAPSHOTS),
            "since": to_text_or_none(since),
            "until": to_text_or_none(until),
            "rows": None if found.rows is None else [dict(row) for row in found.rows],
        }

    def _describe_copy(self, path: Path) -> dict[str, object]:
        return {
            "path": str(path),
            "what": COPIES.what,
            "kept": self.rule_of(COPIES),
            "day": path.name.removesuffix(".copy")[-10:],
        }


def find_kept(store: Store | None, who: Who, retention: Retention) -> list[Kept]:
    """What is kept of each person who may be meant; of nobody whom nothing is kept of."""
    if store is None:
        return []
    people = _find_people(store, who)
    copies = find_copies(store.path)
    everything = [
        Kept(
            person,
            read_traces(store, person, retention),
            list(_search_snapshots(store.path, person)),
            copies,
            find_hashes(store, person.to_hash),
            retention,
        )
        for person in people
    ]
    return [kept for kept in everything if not kept.is_nothing]


def _find_people(store: Store, who: Who) -> list[Traces]:
    """Each who may be meant, once; of an address that several contacts own each of these."""
    asked = []
    if who.email is not None:
        owners = find_owners(store, who.email)
        asked += [AskedFor(who.text, contact_id=owner) for owner in owners if len(owners) > 1]
        asked = asked or [AskedFor(who.text, email=email_key(who.email))]
    if who.contact_id is not None:
        asked.append(AskedFor(who.text, contact_id=who.contact_id))
    if who.row_id is not None:
        asked.append(AskedFor(who.text, row_id=who.row_id))
    people: list[Traces] = []
    for each in asked:
        found = find_traces(store, each)
        same = next((person for person in people if person.meets(found)), None)
        if same is None:
            people.append(found)
        else:
            same.join(found)
    return people


def _search_snapshots(cache: Path, person: Traces) -> Iterator[InSnapshot]:
    """The snapshots beside the cache that have the person, and those that cannot be read."""
    folder = snapshot_folder(cache)
    try:
        paths = list_snapshots(folder)
    except OSError as error:
        log.warning("cannot look into %s: %s", folder, error.strerror)
        yield InSnapshot(folder, None)
        return
    for path in paths:
        try:
            rows = find_in_snapshot(path, [person])
        except (OSError, ValueError, csv.Error) as error:
            words = (error.strerror if isinstance(error, OSError) else None) or "it is not ours"
            log.warning("cannot look into %s: %s", path, words)
            yield InSnapshot(path, None)
            continue
        if rows:
            yield InSnapshot(path, rows)
