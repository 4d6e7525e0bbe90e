"""Conditions: `where` clauses compiled to tests of a row, with MySQL's idea of equality."""

import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mcsync.sandbox.civicrm.errors import ApiError, wrong_type
from mcsync.sandbox.civicrm.fields import Path, Paths
from mcsync.sandbox.civicrm.schema import Field
from mcsync.sandbox.civicrm.tables import Row
from mcsync.sandbox.civicrm.values import SiteClock, as_bool, as_number, fold, like_pattern

Test = Callable[[Row], bool]
Value = Any
_ORDERED: dict[str, Callable[[Value, Value], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
_LISTS = ("IN", "NOT IN", "BETWEEN", "NOT BETWEEN")
_VALUELESS = ("IS NULL", "IS NOT NULL", "IS EMPTY", "IS NOT EMPTY")
_TEXTUAL = ("LIKE", "NOT LIKE", "CONTAINS", "NOT CONTAINS", "REGEXP", "NOT REGEXP")


@dataclass(frozen=True, slots=True)
class Condition:
    """A top-level condition that an index may serve: `field` is of the entity itself."""

    field: str
    op: str
    values: Sequence[Value]


class Where:
    """Compiles the clauses of one query; `conditions` collects what indexes may serve.

    `filters` are pseudo fields (`groups`, `tags`): name -> (operator, value) -> ids of contacts.
    """

    def __init__(
        self,
        paths: Paths,
        filters: dict[str, Callable[[str, Value], frozenset[int]]] | None = None,
    ) -> None:
        self.paths = paths
        self.clock: SiteClock = paths.store.clock
        self.filters = filters or {}
        self.conditions: list[Condition] = []

    def compile(self, clauses: object) -> list[Test]:
        """One test per top-level clause.

        Raises: ApiError for an unknown field or operator; PageError for a wrong type.
        """
        if not isinstance(clauses, list):
            raise wrong_type("Argument $where must be of type array")
        return [self._clause(clause, top=True) for clause in clauses]

    def _clause(self, clause: object, top: bool = False) -> Test:
        if not isinstance(clause, list) or not clause or not isinstance(clause[0], str):
            raise wrong_type("Cannot access offset of type string on string")
        if clause[0].upper() in ("AND", "OR", "NOT") and len(clause) > 1:
            return self._group(clause[0].upper(), clause[1])
        op = str(clause[1]).upper() if len(clause) > 1 else "="
        value = clause[2] if len(clause) > 2 else None
        is_field = bool(clause[3]) if len(clause) > 3 else False
        if op not in _ORDERED and op not in _LISTS + _VALUELESS + _TEXTUAL:
            raise ApiError("Illegal operator")
        return self._compare(clause[0], op, value, is_field, top)

    def _group(self, op: str, clauses: object) -> Test:
        if not isinstance(clauses, list):
            raise wrong_type("foreach() argument must be of type array|object")
        tests = [self._clause(clause) for clause in clauses]
        if op == "OR":
            return lambda row: any(test(row) for test in tests)
        if op == "NOT":
            return lambda row: not all(test(row) for test in tests)
        return lambda row: all(test(row) for test in tests)

    def _compare(self, name: str, op: str, value: Value, is_field: bool, top: bool) -> Test:
        base_path, _, suffix = name.partition(":")
        if base_path in self.filters:
            if suffix:
                value = self._option_ids(base_path, suffix, value)
            return self._filter(base_path, op, value, top)
        path = self._path(name)
        if is_field:
            return self._field_test(path, op, self._path(str(value)))
        if path.suffix and op in ("=", "!=", "<>", "IN", "NOT IN"):
            ids = self._ids_of(path.field, path.suffix, value)
            op = "IN" if op in ("=", "IN") else "NOT IN"
            return self._value_test(self._path(base_path), base_path, op, ids, top)
        return self._value_test(path, name, op, value, top)

    def _path(self, name: str) -> Path:
        path = self.paths.resolve(name)
        if path is None:
            raise ApiError(f"Invalid field '{name}'")
        return path

    def _filter(self, name: str, op: str, value: Value, top: bool) -> Test:
        ids = self.filters[name](op, value)
        if op in ("NOT IN", "!="):
            return lambda row: row["id"] not in ids
        if top:
            self.conditions.append(Condition("id", "IN", sorted(ids)))
        return lambda row: row["id"] in ids

    def _option_ids(self, name: str, suffix: str, value: Value) -> list[object]:
        linked = Field(name, link={"groups": "Group", "tags": "Tag"}[name])
        return self._ids_of(linked, suffix, value)

    def _ids_of(self, field: Field, suffix: str, value: Value) -> list[object]:
        options = self.paths.options(field) or {}
        wanted = {fold(str(v)) for v in (value if isinstance(value, list) else [value])}
        which = 0 if suffix == "name" else 1
        return [key for key, pair in options.items() if fold(str(pair[which])) in wanted]

    def _field_test(self, path: Path, op: str, other: Path) -> Test:
        compare = _ORDERED.get(op)
        if compare is None:
            raise ApiError("Illegal operator")
        left, right = self._normal_getter(path), self._normal_getter(other)

        def test(row: Row) -> bool:
            a, b = left(row), right(row)
            return a is not None and b is not None and compare(a, b)

        return test

    def _value_test(self, path: Path, name: str, op: str, value: Value, top: bool) -> Test:
        if op in _LISTS and not isinstance(value, list):
            raise wrong_type("implode(): Argument #1 ($pieces) must be of type array")
        if op in _VALUELESS or (op in ("=", "!=", "<>") and value is None):
            return _null_test(path.get, op, path.field)
        if path.field.multiple or op in _TEXTUAL:
            shown = path.show if path.suffix else path.get
            return _text_test(shown, op, value)
        get = self._normal_getter(path)
        if op in _LISTS:
            wanted = [self.normal(path.field, v) for v in value]
            self._note(path, name, op, wanted, top)
            return _list_test(get, op, wanted)
        if isinstance(value, list | dict):
            raise ApiError(f"Illegal value for operator {op}")
        single = self.normal(path.field, value)
        self._note(path, name, op, [single], top)
        return _ordered_test(get, _ORDERED[op], single)

    def _note(self, path: Path, name: str, op: str, values: list[Value], top: bool) -> None:
        if top and (path.plain or name == "email_primary.email"):
            self.conditions.append(Condition(path.plain or name, op, values))

    def normal(self, field: Field, value: Value) -> Value:
        """A value in the form in which rows are compared."""
        if value is None:
            return None
        kind = field.data_type
        if kind == "Integer":
            return as_number(value)
        if kind == "Boolean":
            return as_bool(value)
        if kind == "Timestamp":
            return self.clock.to_seconds(self.clock.parse(value))
        if kind == "Datetime":
            return self.clock.parse(value).isoformat(" ")
        return fold(value if isinstance(value, str) else str(value))

    def _normal_getter(self, path: Path) -> Callable[[Row], Value]:
        """The row's side; only text needs folding, the rest is stored in comparable form."""
        get = path.show if path.suffix else path.get
        if path.field.data_type in ("Integer", "Boolean", "Timestamp", "Datetime"):
            return get

        def folded(row: Row) -> Value:
            value = get(row)
            return fold(value) if isinstance(value, str) else value

        return folded


def _ordered_test(
    get: Callable[[Row], Value], compare: Callable[[Value, Value], bool], value: Value
) -> Test:
    def test(row: Row) -> bool:
        own = get(row)
        return own is not None and compare(own, value)

    return test


def _list_test(get: Callable[[Row], Value], op: str, wanted: list[Value]) -> Test:
    if op in ("BETWEEN", "NOT BETWEEN"):
        if len(wanted) != 2:
            raise ApiError("Illegal value for operator BETWEEN")
        low, high, inside = wanted[0], wanted[1], op == "BETWEEN"
        return lambda row: (own := get(row)) is not None and (low <= own <= high) is inside
    members = frozenset(v for v in wanted if v is not None)
    if op == "IN":
        return lambda row: get(row) in members
    return lambda row: (own := get(row)) is not None and own not in members


def _null_test(get: Callable[[Row], Value], op: str, field: Field) -> Test:
    if op in ("IS NULL", "="):
        return lambda row: get(row) is None
    if op in ("IS NOT NULL", "!=", "<>"):
        return lambda row: get(row) is not None
    if op == "IS EMPTY":
        return lambda row: not get(row)
    return lambda row: bool(get(row))


def _text_test(get: Callable[[Row], Value], op: str, value: Value) -> Test:
    """LIKE, REGEXP and CONTAINS, and every operator on fields with several values."""
    if "REGEXP" in op:
        pattern = re.compile(str(value), re.IGNORECASE)
        found: Callable[[str], bool] = lambda text: pattern.search(text) is not None  # noqa: E731
    elif "LIKE" in op:
        found = like_pattern(str(value))
    else:
        wanted = {fold(str(v)) for v in (value if isinstance(value, list) else [value])}
        found = lambda text: any(w in text for w in wanted)  # noqa: E731
    negative = op.startswith("NOT") or op in ("!=", "<>")

    def test(row: Row) -> bool:
        own = get(row)
        if own is None:
            return False
        if isinstance(own, list):
            hit = any(found(fold(str(item))) for item in own)
        else:
            hit = found(fold(str(own)))
        return hit is not negative

    return test
