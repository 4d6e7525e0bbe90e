"""Calls about the API itself (getFields, getActions, Entity.get) and queries of plain lists."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mcsync.sandbox.civicrm.errors import ApiError, wrong_type
from mcsync.sandbox.civicrm.fields import Paths
from mcsync.sandbox.civicrm.query import sort_key
from mcsync.sandbox.civicrm.schema import ENTITIES, Entity, Field, actions_of
from mcsync.sandbox.civicrm.state import Store
from mcsync.sandbox.civicrm.values import as_number, fold

Item = dict[str, Any]


def entity_items() -> list[Item]:
    """What Entity.get lists."""
    return [{"name": name, "title": name, "type": ["DAOEntity"]} for name in sorted(ENTITIES)]


def action_items(entity: str) -> list[Item]:
    """What getActions lists."""
    return [{"name": name, "description": "", "params": {}} for name in actions_of(entity)]


def field_items(store: Store, entity: Entity, load_options: Any) -> list[Item]:
    """What getFields lists; `load_options` is true or the parts of an option wanted."""
    paths = Paths(store, entity)
    items = []
    for field in entity.fields.values():
        item = {
            "type": field.kind,
            "required": field.required,
            "name": field.name,
            "title": field.name.replace("_", " ").capitalize(),
            "data_type": field.data_type,
            "fk_entity": field.link or None if field.kind == "Field" else None,
            "options": _options(paths, field, load_options),
        }
        items.append(item)
    return items


def _options(paths: Paths, field: Field, wanted: Any) -> Any:
    options = paths.options(field) if field.kind == "Field" else None
    if options is None:
        return False
    if isinstance(wanted, list):
        parts = [{"id": i, "name": each[0], "label": each[1]} for i, each in options.items()]
        return [{key: part[key] for key in wanted if key in part} for part in parts]
    if not wanted:
        return True
    labels = {str(i): each[1] for i, each in options.items()}
    linked = bool(field.link)
    return dict(sorted(labels.items(), key=lambda pair: pair[1])) if linked else labels


def query_items(items: list[Item], params: Mapping[str, Any]) -> list[Item]:
    """`where`, `select`, `orderBy`, `limit` and `offset` over a list that is no table.

    Raises: ApiError for an operator other than the simple ones.
    """
    found = [item for item in items if all(_fits(item, c) for c in params.get("where") or [])]
    for name, way in reversed((params.get("orderBy") or {}).items()):
        found.sort(key=_key_of(name), reverse=way == "DESC")
    offset, limit = as_number(params.get("offset")), as_number(params.get("limit"))
    found = found[offset : offset + limit if limit else None]
    select: Sequence[str] = params.get("select") or []
    if not select or "*" in select:
        return found
    return [{name: item[name] for name in item if name in select} for item in found]


def _key_of(name: str) -> Callable[[Item], tuple[bool, Any]]:
    return lambda item: sort_key(item.get(name))


def _fits(item: Item, clause: Any) -> bool:
    if not isinstance(clause, list) or len(clause) < 2:
        raise wrong_type("Argument $where must be of type array")
    own = _plain(item.get(clause[0]))
    value = clause[2] if len(clause) > 2 else None
    op = str(clause[1]).upper()
    if op in ("IN", "NOT IN"):
        if not isinstance(value, list):
            raise wrong_type("implode(): Argument #1 ($pieces) must be of type array")
        return (own in [_plain(v) for v in value]) is (op == "IN")
    if op in ("=", "!="):
        return (own == _plain(value)) is (op == "=")
    raise ApiError("Illegal operator")


def _plain(value: Any) -> Any:
    return fold(value) if isinstance(value, str) else value
