"""Groups as tags: who is in one of the config's groups in CiviCRM has its tag at Mailchimp.

Push only: a tag that somebody puts on or takes off at Mailchimp changes no group. What was pushed
is kept in the row's metadata, and only that is ever taken off.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from hashlib import sha256

from mcsync.model import DataRow, DataSite, DataUpdate
from mcsync.plugins.hookspec import hookimpl


class GroupTags:
    """The plugin; `tags` maps a group's id to the tag of those who are in it."""

    def __init__(self, tags: Mapping[int, str]) -> None:
        self._tags = dict(tags)
        self._as = sha256(json.dumps(sorted(self._tags.items())).encode()).hexdigest()[:16]
        self._site: DataSite | None = None

    @hookimpl
    def pre(self, site: DataSite) -> Collection[int]:
        """Bring the mirror of the groups up to date."""
        self._site = site
        return site.follow_groups(sorted(self._tags), self._as)

    @hookimpl
    def check_chunk(self, rows: Sequence[DataRow]) -> Iterator[DataUpdate]:
        """Put on what is new, take off what is gone."""
        if self._site is None:
            return
        found = self._site.load_groups([row.contact_id for row in rows])
        updates = (self._compare(row, found.get(row.contact_id, ())) for row in rows)
        yield from filter(None, updates)

    def _compare(self, row: DataRow, group_ids: Sequence[int]) -> DataUpdate | None:
        kept = row.metadata.get("tags")
        before = {str(name).lower(): str(name) for name in (kept if isinstance(kept, list) else ())}
        names = [self._tags[group_id] for group_id in group_ids if group_id in self._tags]
        now = {name.lower(): name for name in names}  # Mailchimp does not mind case
        told: dict[str, object] = {
            "seen": list(group_ids),
            "as": self._as,
            "tags": sorted(now.values()),
        }
        metadata = told if group_ids else {}
        if metadata == row.metadata:
            return None
        tags = {name: True for key, name in now.items() if key not in before}
        tags |= {name: False for key, name in before.items() if key not in now}
        return DataUpdate(row.row_id, tags=tags, metadata=metadata)
