"""Reading: `get` with select, where, joins, grouping, order and paging."""

import heapq
import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from mcsync.sandbox.civicrm.access import seen_contacts, seen_groups
from mcsync.sandbox.civicrm.errors import ApiError, wrong_type
from mcsync.sandbox.civicrm.fields import Paths
from mcsync.sandbox.civicrm.joins import read_joins
from mcsync.sandbox.civicrm.schema import Entity
from mcsync.sandbox.civicrm.state import Store
from mcsync.sandbox.civicrm.tables import Row, index_key
from mcsync.sandbox.civicrm.users import CUSTOM, TRASH, User
from mcsync.sandbox.civicrm.values import as_number, fold
from mcsync.sandbox.civicrm.where import Condition, Test, Where

_FUNCTION = re.compile(r"(\w+)\(\s*(DISTINCT\s+)?([^()]*?)\s*\)")
_AGGREGATES = ("COUNT", "MAX", "MIN", "SUM", "AVG", "GROUP_CONCAT")


@dataclass(frozen=True, slots=True)
class Column:
    """One selected thing: `show` for a row, or `total` for a group of rows."""

    alias: str
    show: Callable[[Row], Any]
    total: Callable[[list[Row]], Any] | None = None
    newest_id: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """The rows found, and `count` and `countMatched` as CiviCRM tells them (or not)."""

    values: list[Row]
    count: int
    matched: int | None = None


class Query:
    """One `get`, or the `where` of an update or delete; `user` None sees everything."""

    def __init__(
        self, store: Store, entity: Entity, params: Mapping[str, Any], user: User | None
    ) -> None:
        self.store = store
        self.entity = entity
        self.table = store.tables[entity.name]
        self.params = params
        self.user = user
        self.joins = read_joins(store, entity, params.get("join") or [])
        joined = {join.alias: join.entity for join in self.joins}
        has_custom = user is None or user.may(CUSTOM)
        self.paths = Paths(store, entity, joined, has_custom=has_custom)
        where = Where(self.paths, self._filters())
        clauses = params.get("where")
        self.tests = where.compile([] if clauses is None else clauses)
        self.conditions = where.conditions
        self.tests += self._implied_tests(clauses or [])
        self.limit = self._number("limit")
        self.offset = self._number("offset")

    def _number(self, name: str) -> int:
        value = self.params.get(name)
        if isinstance(value, list | dict) or (isinstance(value, str) and not value.isdigit()):
            raise wrong_type(f"Argument ${name} must be of type int")
        number = as_number(value)
        if number < 0:
            raise ApiError("DB Error: syntax error")
        return number

    def _filters(self) -> dict[str, Callable[[str, Any], frozenset[int]]]:
        if self.entity.name != "Contact":
            return {}
        return {
            "groups": lambda op, value: self._resolved(_ids(op, value)),
            "tags": lambda op, value: _tagged(self.store, _ids(op, value)),
        }

    def _resolved(self, group_ids: list[int]) -> frozenset[int]:
        broken = self.store.broken_groups
        if self.user is not None and any(broken.get(group) == "resolve" for group in group_ids):
            raise ApiError("DB Error: no such field")
        return group_members(self.store, group_ids)

    def _implied_tests(self, clauses: Sequence[Any]) -> list[Test]:
        tests: list[Test] = []
        if self.entity.name == "Contact" and not self._asks_for_trash(clauses):
            tests.append(lambda row: not row.get("is_deleted"))
        return [*self._tests_of_sight(), *tests]

    def _tests_of_sight(self) -> Iterator[Test]:
        """Whose rows the user is shown."""
        owner = self.entity.owner
        if self.user is None:
            return
        if self.entity.name == "Group" and (groups := seen_groups(self.user)) is not None:
            yield lambda row: row["id"] in groups
        if not owner:
            return
        if (seen := seen_contacts(self.store, self.user)) is not None:
            yield lambda row: row[owner] in seen
        if not self.user.may(TRASH):
            contacts = self.store.contacts.rows
            yield lambda row: not contacts.get(row[owner], {}).get("is_deleted")

    def _asks_for_trash(self, clauses: Sequence[Any]) -> bool:
        by_key = any(
            c.op in ("=", "IN") and c.field in ("id", *self.entity.unique)
            for c in self.conditions
            if not self._from_filter(c, clauses)
        )
        return by_key or _mentions(clauses, "is_deleted")

    def _from_filter(self, condition: Condition, clauses: Sequence[Any]) -> bool:
        """Whether a condition on ids stems from `groups` or `tags`, not from the caller."""
        return condition.field == "id" and not any(c[0] == "id" for c in clauses if c)

    # Rows

    def rows(self) -> list[Row]:
        """The stored rows that match, in order, within limit and offset."""
        return self._page(count_all=False)[0]

    def _page(self, count_all: bool) -> tuple[list[Row], int]:
        """One page of rows; and how many there are if that was asked for."""
        order = self._order()
        end = self.offset + self.limit if self.limit else None
        if order in ([("id", False)], [("id", True)]) and not count_all:
            found: list[Row] = []
            for row in self._matching(reverse=order[0][1]):
                found.append(row)
                if end is not None and len(found) >= end:
                    break
            return found[self.offset :], 0
        found = self._sorted(list(self._matching()), order)
        return found[self.offset : end], len(found)

    def _matching(self, reverse: bool = False) -> Iterator[Row]:
        rows: Iterable[Row] = map(self.table.rows.__getitem__, self.candidates(reverse))
        for join in self.joins:
            rows = (pair for row in rows for pair in join.expand(row))
        if len(self.tests) == 1:
            yield from filter(self.tests[0], rows)
            return
        tests = self.tests
        for row in rows:
            for test in tests:
                if not test(row):
                    break
            else:
                yield row

    def candidates(self, reverse: bool = False) -> Iterable[int]:
        """Ids to look at, by the index that leaves the fewest."""
        low, high = self._bounds()
        best: list[Sequence[int]] = [self.table.ids]
        for condition in self.conditions:
            buckets = self._buckets(condition)
            if buckets is not None and sum(map(len, buckets)) <= sum(map(len, best)):
                best = buckets
        if low is not None or high is not None:
            best = [_between(bucket, low, high) for bucket in best]
        if len(best) == 1:
            return reversed(best[0]) if reverse else best[0]
        if len(best) <= 32:
            turned = [b[::-1] for b in best] if reverse else best
            return heapq.merge(*turned, reverse=reverse)
        return sorted((i for bucket in best for i in bucket), reverse=reverse)

    def _bounds(self) -> tuple[int | None, int | None]:
        """The least and the greatest id that the conditions allow, both included."""
        low: int | None = None
        high: int | None = None
        for c in self.conditions:
            if c.field == "id" and c.op in (">", ">="):
                edge = c.values[0] + (c.op == ">")
                low = edge if low is None else max(low, edge)
            if c.field == "id" and c.op in ("<", "<="):
                edge = c.values[0] - (c.op == "<")
                high = edge if high is None else min(high, edge)
        return low, high

    def _buckets(self, condition: Condition) -> list[Sequence[int]] | None:
        if condition.op not in ("=", "IN"):
            return None
        values = {index_key(value) for value in condition.values}
        if condition.field == "id":
            return [sorted(v for v in values if isinstance(v, int) and v in self.table.rows)]
        if condition.field == "email_primary.email":
            return [sorted(self.store.owners(str(value) for value in values))]
        if condition.field in self.entity.indexes:
            return [self.table.bucket(condition.field, value) for value in values]
        return None

    # Order

    def _order(self) -> list[tuple[str, bool]]:
        """(path, descending) pairs; without `orderBy` the order of an index."""
        asked = self.params.get("orderBy") or {}
        if not isinstance(asked, dict):
            raise wrong_type("Argument $orderBy must be of type array")
        if asked:
            return [(path, str(way).upper() == "DESC") for path, way in asked.items()]
        return [(name, False) for name in self._index_order()]

    def _index_order(self) -> tuple[str, ...]:
        fixed = {c.field for c in self.conditions if c.op == "="}
        listed = {c.field for c in self.conditions if c.op == "IN"}
        if "id" in fixed | listed or fixed & set(self.entity.indexes) - {"group_id"}:
            return ("id",)
        for name in self.entity.indexes:
            if name in listed:
                return (name, "id")
        if self.entity.order and self._is_covered():
            return self.entity.order
        return ("id",)

    def _is_covered(self) -> bool:
        covered = self.entity.covered
        selected = set(self.params.get("select") or ["*"])
        return covered is None or (selected <= covered and selected != {"id"})

    def _sorted(self, rows: list[Row], order: list[tuple[str, bool]]) -> list[Row]:
        for name, descending in reversed(order):
            path = self.paths.resolve(name)
            if path is None:
                raise ApiError(f"Invalid field '{name}'")
            rows.sort(key=_key_of(path.show if path.suffix else path.get), reverse=descending)
        return rows

    # The answer

    def answer(self) -> Answer:
        """Rows as the API shows them, and the counts."""
        select = self._select()
        wants_count = "row_count" in select
        columns = self.columns([name for name in select if name != "row_count"])
        if any(column.total for column in columns) or self.params.get("groupBy"):
            values = self._grouped(columns)
            total = len(values)
            values = values[self.offset : self.offset + self.limit if self.limit else None]
        elif select == ["row_count"]:
            total = sum(1 for _ in self._matching())
            return Answer([], total, total)
        else:
            found, total = self._page(count_all=wants_count)
            pairs = [(column.alias, column.show) for column in columns]
            values = [{alias: show(row) for alias, show in pairs} for row in found]
        return self._counted(values, total, wants_count)

    def _counted(self, values: list[Row], total: int, wants_count: bool) -> Answer:
        """CiviCRM saves the second query when a page is not full, and adds the offset instead."""
        if not self.limit or len(values) < self.limit:
            number = len(values) + self.offset
            return Answer(values, number, number if wants_count else None)
        if wants_count:
            return Answer(values, total, total)
        return Answer(values, len(values))

    def _select(self) -> list[str]:
        select = self.params.get("select")
        if select is not None and not isinstance(select, list):
            raise wrong_type("Argument $select must be of type array")
        return [str(name) for name in select or ["*"]]

    def columns(self, select: Sequence[str]) -> list[Column]:
        """The columns of a select; unknown fields are dropped silently, the id always comes."""
        found = [column for name in select for column in self._column(name)]
        total = any(column.total for column in found) or self.params.get("groupBy")
        if not total and "id" in self.entity.fields:
            found = [Column("id", lambda row: row["id"])] + [c for c in found if c.alias != "id"]
        return found

    def _column(self, text: str) -> list[Column]:
        expression, _, alias = text.partition(" AS ")
        function = _FUNCTION.fullmatch(expression.strip())
        if function:
            return [self._function(function, alias.strip())]
        if expression.endswith("*"):
            prefix = expression[:-1]
            return [c for name in self._plain(prefix) for c in self._column(prefix + name)]
        path = self.paths.resolve(expression)
        if path is None or path.field.kind == "Filter" or not self._may_see(path.field.secret):
            return []
        return [Column(alias.strip() or expression, path.show)]

    def _may_see(self, secret: bool) -> bool:
        return not secret or self.user is None or self.user.admin

    def _plain(self, prefix: str) -> list[str]:
        """Names of the plain fields of the entity that a `*` or `path.*` stands for."""
        entity = self.paths.joined.get(prefix.rstrip("."), self.entity)
        if prefix and entity is self.entity:
            known = Paths(self.store, self.entity).resolve(prefix + "id")
            names = (n for t in self.store.tables.values() for n in t.entity.fields)
            return [] if known is None else list(dict.fromkeys(names))
        return [name for name, field in entity.fields.items() if field.kind == "Field"]

    def _function(self, match: re.Match[str], alias: str) -> Column:
        name, distinct, argument = match[1].upper(), bool(match[2]), match[3]
        alias = alias or f"{name}:{argument}"
        if name in ("NOW", "CURDATE"):
            now = self.store.clock.local_text()
            text = now if name == "NOW" else now[:10]
            return Column(alias, lambda row: text)
        path = self.paths.resolve("id" if argument in ("*", "") else argument)
        if path is None or name not in _AGGREGATES:
            raise ApiError(f"Invalid expression '{match[0]}'")
        get, shown, clock = path.get, path.show, self.store.clock
        dated = path.field.data_type == "Timestamp"

        def total(rows: list[Row]) -> Any:
            values = [v for row in rows if (v := get(row)) is not None]
            result = _aggregate(name, list(dict.fromkeys(values)) if distinct else values)
            return clock.format(result) if dated and isinstance(result, int) else result

        return Column(alias, shown, total, name == "MAX" and path.plain == "id")

    def _grouped(self, columns: list[Column]) -> list[Row]:
        """One row per group; without `groupBy` the whole is one group, even an empty one."""
        names = self.params.get("groupBy") or []
        if not names and all(c.newest_id or not c.total for c in columns):
            newest = next(self._matching(reverse=True), None)
            groups = [[] if newest is None else [newest]]
        else:
            groups = self._groups(names)
        values = [
            {c.alias: c.total(g) if c.total else c.show(g[0] if g else {"id": 0}) for c in columns}
            for g in groups
        ]
        for alias, way in reversed((self.params.get("orderBy") or {}).items()):
            if values and alias in values[0]:
                values.sort(key=_key_of(itemgetter(alias)), reverse=way == "DESC")
        return values

    def _groups(self, names: Sequence[str]) -> list[list[Row]]:
        if not names:
            return [list(self._matching())]
        getters = []
        for name in names:
            path = self.paths.resolve(name)
            if path is None:
                raise ApiError(f"Invalid field '{name}'")
            getters.append(path.get)
        groups: dict[tuple[object, ...], list[Row]] = {}
        for row in self._matching():
            groups.setdefault(tuple([index_key(get(row)) for get in getters]), []).append(row)
        return list(groups.values())


def sort_key(value: Any) -> tuple[bool, Any]:
    """NULL first, text by collation."""
    if value is None:
        return (False, 0)
    return (True, fold(value) if isinstance(value, str) else value)


def _key_of(get: Callable[[Row], Any]) -> Callable[[Row], tuple[bool, Any]]:
    return lambda row: sort_key(get(row))


def _aggregate(name: str, values: list[Any]) -> Any:
    if name == "COUNT":
        return len(values)
    if not values:
        return None
    if name in ("MAX", "MIN"):
        return max(values) if name == "MAX" else min(values)
    if name == "GROUP_CONCAT":
        return values
    return sum(values) if name == "SUM" else sum(values) / len(values)


def _between(ids: Sequence[int], low: int | None, high: int | None) -> Sequence[int]:
    start = 0 if low is None else bisect_left(ids, low)
    return ids[start : len(ids) if high is None else bisect_right(ids, high)]


def _mentions(clauses: object, name: str) -> bool:
    """Whether a field is named anywhere in a where."""
    if not isinstance(clauses, list):
        return False
    return any(
        clause[0] == name or any(_mentions(part, name) for part in clause[1:])
        for clause in clauses
        if isinstance(clause, list) and clause
    )


def _ids(op: str, value: Any) -> list[int]:
    if op not in ("IN", "NOT IN", "=", "!="):
        raise ApiError("Illegal operator")
    if op.endswith("IN") and not isinstance(value, list):
        raise wrong_type("implode(): Argument #1 ($pieces) must be of type array")
    return [as_number(v) for v in (value if isinstance(value, list) else [value])]


def _tagged(store: Store, tag_ids: Iterable[int]) -> frozenset[int]:
    table = store.tables["EntityTag"]
    return frozenset(row["entity_id"] for tag in tag_ids for row in table.matching("tag_id", tag))


def group_members(store: Store, group_ids: Iterable[int]) -> frozenset[int]:
    """Contacts in any of these groups, or in groups inside them.

    Added ones, and the cached members of smart groups.
    """
    found: set[int] = set()
    for group_id in store.descendants(group_ids):
        group = store.groups.rows[group_id]
        if group.get("saved_search_id") is None:
            found |= _with_status(store, group_id, "Added")
        else:
            if group_id not in store.smart_cache:
                fill_smart_group(store, group)
            found |= store.smart_cache[group_id]
    return frozenset(found)


def fill_smart_group(store: Store, group: Row) -> None:
    """Fill a smart group's cache: who the search finds, less Removed, and who was Added by hand."""
    search = store.tables["SavedSearch"].rows[group["saved_search_id"]]
    params = search.get("api_params") or {}
    query = Query(store, store.contacts.entity, {**params, "select": ["id"], "limit": 0}, None)
    found = {row["id"] for row in query.rows()}
    found -= _with_status(store, group["id"], "Removed")
    found |= _with_status(store, group["id"], "Added")
    store.smart_cache[group["id"]] = frozenset(found)


def _with_status(store: Store, group_id: int, status: str) -> set[int]:
    rows = store.members.matching("group_id", group_id)
    return {row["contact_id"] for row in rows if row["status"] == status}
