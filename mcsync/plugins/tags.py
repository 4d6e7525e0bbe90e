"""Tags: every tag of a contact becomes a tag "CiviCRM: NAME" of the member.

Only tags that CiviCRM has, or had when they were pushed, are touched: what was pushed is kept
in the row's metadata, so that a tag that was renamed or deleted is taken off under its old name.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from mcsync.model import DataRow, DataSite, DataUpdate
from mcsync.plugins.hookspec import hookimpl

PREFIX = "CiviCRM: "
MOST_TAG = 100  # characters; Mailchimp's limit for the name of a tag


class Tags:
    """The plugin; it is told of contacts whose tags are not those that were pushed."""

    _site: DataSite | None = None

    @hookimpl
    def pre(self, site: DataSite) -> Collection[int]:
        """Bring the mirror of tags up to date."""
        self._site = site
        return site.follow_tags()

    @hookimpl
    def check_chunk(self, rows: Sequence[DataRow]) -> Iterator[DataUpdate]:
        """Put on what is new, take off what is gone."""
        if self._site is None:
            return
        labels = self._site.load_tags([row.contact_id for row in rows])
        updates = (compare_tags(row, labels.get(row.contact_id, ())) for row in rows)
        yield from filter(None, updates)


def compare_tags(row: DataRow, labels: Sequence[str]) -> DataUpdate | None:
    """The update that gives a row these tags and takes off those it had before."""
    seen = row.metadata.get("seen")
    before = [str(label) for label in seen] if isinstance(seen, list) else []
    if list(labels) == before:
        return None
    old, new = _name(before), _name(labels)
    tags = {name: True for key, name in new.items() if key not in old}
    tags |= {name: False for key, name in old.items() if key not in new}
    metadata: dict[str, object] = {"seen": list(labels)} if labels else {}
    return DataUpdate(row.row_id, tags=tags, metadata=metadata)


def _name(labels: Iterable[str]) -> dict[str, str]:
    """Mailchimp's names, by what Mailchimp compares: it does not mind case."""
    names = (f"{PREFIX}{label}"[:MOST_TAG].strip() for label in labels)
    return {name.lower(): name for name in names}
