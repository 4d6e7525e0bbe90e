"""Explicit joins: `["Email AS e", "LEFT", [...]]`, with or without a bridge entity."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from mcsync.sandbox.civicrm.errors import ApiError, wrong_type
from mcsync.sandbox.civicrm.fields import Path, Paths
from mcsync.sandbox.civicrm.schema import ENTITIES, Entity
from mcsync.sandbox.civicrm.state import Store
from mcsync.sandbox.civicrm.tables import Row
from mcsync.sandbox.civicrm.where import Test, Where

# Bridge entity -> base entity -> (the bridge's field to the base, its field to the other side).
_BRIDGES: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "GroupContact": {"Contact": ("contact_id", "group_id"), "Group": ("group_id", "contact_id")},
    "EntityTag": {"Contact": ("entity_id", "tag_id"), "Tag": ("tag_id", "entity_id")},
}


@dataclass(frozen=True, slots=True)
class Join:
    """One join: `rows` gives the candidates for a base row, `tests` decide over the pair."""

    alias: str
    side: str
    entity: Entity
    rows: Callable[[Row], Iterable[Row]]
    tests: list[Test]

    def expand(self, row: Row) -> Iterator[Row]:
        """The base row with each partner that fits, under the key `@alias`."""
        key = "@" + self.alias
        pairs = ({**row, key: partner} for partner in self.rows(row))
        fitting = (pair for pair in pairs if all(test(pair) for test in self.tests))
        if self.side == "INNER":
            yield from fitting
            return
        first = next(fitting, None)
        if first is None:
            yield {**row, key: None}
        elif self.side == "LEFT":
            yield first
            yield from fitting


def read_joins(store: Store, entity: Entity, specs: object) -> list[Join]:
    """The joins of a query.

    Raises: ApiError for an unknown entity, side or field; PageError for a wrong type.
    """
    if not isinstance(specs, list):
        raise wrong_type("Argument $join must be of type array")
    joins: list[Join] = []
    for spec in specs:
        if not isinstance(spec, list) or not spec:
            raise wrong_type("Argument $join must be of type array")
        joins.append(_read_join(store, entity, spec, {j.alias: j.entity for j in joins}))
    return joins


def _read_join(
    store: Store, entity: Entity, spec: list[Any], earlier: Mapping[str, Entity]
) -> Join:
    name, _, alias = str(spec[0]).partition(" AS ")
    if name not in ENTITIES:
        raise ApiError(f"Illegal join entity: {name}")
    rest = list(spec[1:])
    side = _side(rest.pop(0)) if rest and not isinstance(rest[0], list) else "LEFT"
    target = ENTITIES[name]
    alias = alias or name.lower()
    bridge = rest.pop(0) if rest and isinstance(rest[0], str) else None
    if bridge is not None:
        joined = replace(target, fields={**ENTITIES[bridge].fields, **target.fields})
        rows = _bridged(store, entity, target, bridge)
    else:
        joined, rows = target, None
    paths = Paths(store, entity, {**earlier, alias: joined})
    tests = [_on(paths, condition) for condition in rest]
    return Join(alias, side, joined, rows or _partners(store, paths, alias, target, rest), tests)


def _side(value: object) -> str:
    side = {True: "INNER", False: "LEFT"}.get(value, value) if isinstance(value, bool) else value
    if side not in ("INNER", "LEFT", "EXCLUDE"):
        raise ApiError(f"Illegal join side: {value}")
    return str(side)


def _bridged(
    store: Store, entity: Entity, target: Entity, bridge: str
) -> Callable[[Row], Iterable[Row]]:
    links = _BRIDGES.get(bridge, {}).get(entity.name)
    if links is None:
        raise ApiError(f"Illegal bridge: {bridge}")
    here, there = links
    table, targets = store.tables[bridge], store.tables[target.name].rows

    def rows(row: Row) -> Iterator[Row]:
        for link in table.matching(here, row["id"]):
            if link[there] in targets:
                yield {**link, **targets[link[there]]}

    return rows


def _partners(
    store: Store, paths: Paths, alias: str, target: Entity, conditions: list[Any]
) -> Callable[[Row], Iterable[Row]]:
    """Candidates by the first condition that an index serves, else every row."""
    table = store.tables[target.name]
    for condition in conditions:
        name, path = _lookup(paths, alias, condition)
        if path is None:
            continue
        get = path.get
        if name == "id":
            return lambda row: _one(table.rows.get(get(row)))
        if name in target.indexes:
            return lambda row: table.matching(name, get(row))
    return lambda row: table.rows.values()


def _lookup(paths: Paths, alias: str, condition: Any) -> tuple[str, Path | None]:
    """For `alias.field = other field`: the alias' field and the path on the other side."""
    if not isinstance(condition, list) or len(condition) < 3 or condition[1] != "=":
        return "", None
    left, right = str(condition[0]), condition[2]
    if not isinstance(right, str):
        return "", None
    if right.startswith(alias + "."):
        left, right = right, left
    if not left.startswith(alias + ".") or right.startswith(alias + "."):
        return "", None
    return left[len(alias) + 1 :], paths.resolve(right)


def _one(row: Row | None) -> tuple[Row, ...]:
    return () if row is None else (row,)


def _on(paths: Paths, condition: Any) -> Test:
    """A condition of a join; a text is a field if there is one of that name, else a quoted text."""
    clause = list(condition) if isinstance(condition, list) else condition
    if isinstance(clause, list) and len(clause) == 3 and isinstance(clause[2], str):
        if paths.resolve(clause[2]) is not None:
            clause = [*clause, True]
        else:
            clause[2] = clause[2].strip("'\"")
    return Where(paths).compile([clause])[0]
