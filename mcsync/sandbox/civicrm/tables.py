"""Rows in memory: tables with sorted ids, indexes and unique keys."""

from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mcsync.sandbox.civicrm.errors import duplicate
from mcsync.sandbox.civicrm.schema import Entity
from mcsync.sandbox.civicrm.values import fold

# A row holds only what differs from the fields' defaults; `id` is always there. TIMESTAMP fields
# are Unix seconds, everything else is as the API shows it.
Row = dict[str, Any]
Key = object

_NONE: Sequence[int] = ()


def index_key(value: object) -> Key:
    """The form in which a value is looked up: text by collation, else as it is."""
    return fold(value) if isinstance(value, str) else value


@dataclass(frozen=True, slots=True)
class Dump:
    """A table as a backup keeps it."""

    rows: tuple[Row, ...]
    next_id: int


class Table:
    """One entity's rows: by id, in id order, and by each indexed field."""

    def __init__(self, entity: Entity) -> None:
        self.entity = entity
        self.rows: dict[int, Row] = {}
        self.ids: list[int] = []
        self.next_id = 1
        # Most buckets hold one id; a bare number instead of a list saves much memory.
        self._buckets: dict[str, dict[Key, int | list[int]]] = {n: {} for n in entity.indexes}
        self._unique: dict[tuple[Key, ...], int] = {}

    def insert(self, row: Row, checked: bool = True) -> Row:
        """Add a row and give it an id (or keep the one it has).

        Raises: ApiError if a unique key is taken; the id is used up all the same.
        """
        new_id = row.setdefault("id", self.next_id)
        self.next_id = max(self.next_id, new_id + 1)
        if checked:
            self._check_unique(row)
        self.rows[new_id] = row
        _add(self.ids, new_id)
        self._enter(row)
        return row

    def change(self, row_id: int, values: Row) -> bool:
        """Write values into a row; whether anything became different."""
        row = self.rows[row_id]
        if all(row.get(name, _MISSING) == value for name, value in values.items()):
            return False
        merged = {**row, **values}
        if any(name in values for name in self.entity.unique):
            self._check_unique(merged)
        self._leave(row)
        row.update(values)
        self._enter(row)
        return True

    def remove(self, row_id: int) -> Row:
        """Take a row out."""
        row = self.rows.pop(row_id)
        _drop(self.ids, row_id)
        self._leave(row)
        return row

    def dump(self) -> Dump:
        """All rows and the next id, as a backup keeps them."""
        return Dump(tuple(dict(self.rows[row_id]) for row_id in self.ids), self.next_id)

    def load(self, dump: Dump) -> None:
        """Become what a backup kept, instead of what is there now."""
        self.rows.clear()
        self.ids.clear()
        self._unique.clear()
        for buckets in self._buckets.values():
            buckets.clear()
        for row in dump.rows:
            self.insert(dict(row), checked=False)
        self.next_id = dump.next_id

    def bucket(self, name: str, value: object) -> Sequence[int]:
        """Ids of the rows whose indexed field equals a value, ascending."""
        bucket = self._buckets[name].get(index_key(value), _NONE)
        return (bucket,) if isinstance(bucket, int) else bucket

    def matching(self, name: str, value: object) -> list[Row]:
        """Rows whose indexed field equals a value, by id."""
        return [self.rows[i] for i in self.bucket(name, value)]

    def holder(self, values: Row) -> int | None:
        """Id of the row that has the unique key of these values."""
        key = self._unique_key(values)
        return self._unique.get(key) if key else None

    def _check_unique(self, row: Row) -> None:
        key = self._unique_key(row)
        if key and self._unique.get(key, row["id"]) != row["id"]:
            raise duplicate()

    def _unique_key(self, row: Row) -> tuple[Key, ...]:
        key = tuple([index_key(row.get(name)) for name in self.entity.unique])
        return () if None in key else key

    def _enter(self, row: Row) -> None:
        row_id = row["id"]
        for name, buckets in self._buckets.items():
            key = index_key(row.get(name))
            bucket = buckets.get(key)
            if bucket is None:
                buckets[key] = row_id
            elif isinstance(bucket, int):
                buckets[key] = [bucket, row_id] if bucket < row_id else [row_id, bucket]
            else:
                _add(bucket, row_id)
        if self.entity.unique and (key_tuple := self._unique_key(row)):
            self._unique[key_tuple] = row_id

    def _leave(self, row: Row) -> None:
        for name, buckets in self._buckets.items():
            key = index_key(row.get(name))
            bucket = buckets[key]
            if isinstance(bucket, int) or len(bucket) == 1:
                del buckets[key]
            else:
                _drop(bucket, row["id"])
        if self.entity.unique and (key_tuple := self._unique_key(row)):
            self._unique.pop(key_tuple, None)


_MISSING = object()


def _add(ids: list[int], new_id: int) -> None:
    if not ids or ids[-1] < new_id:
        ids.append(new_id)
    else:
        insort(ids, new_id)


def _drop(ids: list[int], old_id: int) -> None:
    del ids[bisect_left(ids, old_id)]
