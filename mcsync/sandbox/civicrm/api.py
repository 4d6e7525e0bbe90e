"""APIv4 calls: entity, action and parameters in, the answer's document out."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcsync.sandbox.civicrm.access import is_access_granted
from mcsync.sandbox.civicrm.errors import ApiError, PageError, forbidden, wrong_type
from mcsync.sandbox.civicrm.meta import action_items, entity_items, field_items, query_items
from mcsync.sandbox.civicrm.query import Query, fill_smart_group
from mcsync.sandbox.civicrm.schema import (
    ACTION_PARAMS,
    COMMON_PARAMS,
    ENTITIES,
    Entity,
    Field,
    actions_of,
)
from mcsync.sandbox.civicrm.state import Store
from mcsync.sandbox.civicrm.tables import Row
from mcsync.sandbox.civicrm.users import ACCESS, ADD, User
from mcsync.sandbox.civicrm.values import as_number
from mcsync.sandbox.civicrm.writes import Values, Writer

Params = Mapping[str, Any]
WRITING = frozenset({"create", "save", "update", "delete", "mergeDuplicates", "replace"})
_ENTITY = Entity("Entity", {"name": Field("name")})
# Entities that nobody may even read without these permissions; "" is an administrator.
_READERS = {"Group": ACCESS, "GroupContact": ACCESS, "Setting": "", "Domain": "", "SavedSearch": ""}
_TYPE_ERRORS = (AttributeError, IndexError, KeyError, TypeError, ValueError, re.error)
_OPEN_ACTIONS = ("getFields", "getActions", "checkAccess")


@dataclass(frozen=True, slots=True)
class ApiWrite:
    """A writing call as it came in."""

    entity: str
    action: str
    params: Params


@dataclass(frozen=True, slots=True)
class Result:
    """What an action gives: the values, and the counts where they are not their number."""

    values: list[Any]
    count: int | None = None
    matched: int | None = None


class Api:
    """Runs calls on the store; `pending_failures` make the next call of their kind fail."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.bad_contacts: set[int] = set()
        self.writer = Writer(store, self.bad_contacts)
        self.log: list[ApiWrite] = []
        self.pending_failures: list[tuple[str, str, str]] = []
        self.settings: dict[str, Any] = {"dateformatDatetime": "%B %E%f, %Y %l:%M %P"}

    def call(
        self, entity: str, action: str, params: Params, user: User, index: Any = None
    ) -> dict[str, Any]:
        """One call; `index` reshapes `values` as the request asked.

        Raises: ApiError for every refusal, PageError for what WordPress answers as a page.
        """
        kind = self._entity(entity)
        if action not in actions_of(entity):
            raise PageError(f"Expected to find one {entity} record, but there were zero.")
        self._check_params(kind, action, params)
        self._check_reader(kind, action, user)
        if action in WRITING:
            self.log.append(ApiWrite(entity, action, params))
        self._fail_if_told(entity, action)
        try:
            result = self._run(kind, action, params, user)
            self._chain(result.values, params.get("chain"), user)
        except _TYPE_ERRORS as error:  # what PHP would call a TypeError
            raise wrong_type(f"{type(error).__name__}: {error}") from error
        return _document(entity, action, result, index)

    def _entity(self, name: str) -> Entity:
        if name == "Entity":
            return _ENTITY
        if name not in ENTITIES:
            text = "does not exist (or the extension it belongs to is not enabled)."
            raise PageError(f"API ({name}, getActions) {text}")
        return ENTITIES[name]

    def _check_params(self, entity: Entity, action: str, params: Params) -> None:
        known = COMMON_PARAMS | ACTION_PARAMS.get(action, frozenset())
        known |= entity.params.get(action, frozenset())
        for name in params:
            if name not in known:
                raise ApiError(f"Unknown api parameter: {name}")

    def _check_reader(self, entity: Entity, action: str, user: User) -> None:
        needed = _READERS.get(entity.name)
        if needed is None or user.admin or action in _OPEN_ACTIONS:
            return
        if not needed or not user.may(needed):
            raise forbidden()

    def _fail_if_told(self, entity: str, action: str) -> None:
        for failure in self.pending_failures:
            if failure[:2] == (entity, action):
                self.pending_failures.remove(failure)
                raise ApiError(failure[2])

    def _run(self, entity: Entity, action: str, params: Params, user: User) -> Result:
        runners: dict[str, Callable[[Entity, Params, User], Result]] = {
            "get": self._get,
            "create": self._create,
            "save": self._save,
            "update": self._update,
            "delete": self._delete,
            "refresh": self._refresh,
            "getFields": self._get_fields,
            "getActions": self._get_actions,
            "checkAccess": self._check_access,
            "getMergedTo": self._get_merged_to,
            "mergeDuplicates": self._merge,
        }
        if action not in runners or (entity is _ENTITY and action in WRITING):
            if not user.admin:
                raise forbidden()
            raise ApiError(f"{entity.name}.{action} is not simulated")
        return runners[action](entity, params, user)

    # Reading

    def _get(self, entity: Entity, params: Params, user: User) -> Result:
        if entity is _ENTITY:
            return Result(query_items(entity_items(), params))
        if entity.name == "Setting":
            names = [n for n in params.get("select") or self.settings if n in self.settings]
            return Result([{"name": n, "value": self.settings[n], "domain_id": 1} for n in names])
        answer = Query(self.store, entity, params, user).answer()
        return Result(answer.values, answer.count, answer.matched)

    def _get_fields(self, entity: Entity, params: Params, user: User) -> Result:
        items = field_items(self.store, entity, params.get("loadOptions", False))
        return Result(query_items(items, params))

    def _get_actions(self, entity: Entity, params: Params, user: User) -> Result:
        """Creating contacts is listed only to those who may; nothing else was found to hide."""
        hidden = ("create", "save") if entity.name == "Contact" and not user.may(ADD) else ()
        items = [item for item in action_items(entity.name) if item["name"] not in hidden]
        return Result(query_items(items, params))

    def _check_access(self, entity: Entity, params: Params, user: User) -> Result:
        action, values = str(params.get("action") or ""), params.get("values") or {}
        if action not in actions_of(entity.name):
            raise ApiError('Parameter "action" is required.')
        access = is_access_granted(self.store, entity, action, values, user)
        return Result([{"access": access, "id": values.get("id")}])

    def _get_merged_to(self, entity: Entity, params: Params, user: User) -> Result:
        contact_id = as_number(params.get("contactId"))
        winner = self.store.merged_to.get(contact_id)
        while winner in self.store.merged_to:
            winner = self.store.merged_to[winner]
        return Result([[] if winner is None else {"id": winner}])

    # Writing

    def _create(self, entity: Entity, params: Params, user: User) -> Result:
        given = params.get("values") or {}
        if not isinstance(given, dict):
            raise wrong_type("Argument $values must be of type array")
        values = self.writer.sort_out(entity, given)
        self.writer.allow(entity, "create", user, values.own)
        self.writer.require(entity, "create", values)
        values.own.pop("id", None)
        echo = self.writer.create(entity, values, params, user)
        return Result(_tracked(entity, [echo]))

    def _save(self, entity: Entity, params: Params, user: User) -> Result:
        """Match all records, check all, then write one after the other until one fails."""
        records = params.get("records") or []
        defaults = params.get("defaults") or {}
        if not isinstance(records, list) or not isinstance(defaults, dict):
            raise wrong_type("Argument $records must be of type array")
        given = [{**defaults, **record} for record in records]
        ids = [self._match(entity, record, params, user) for record in given]
        sorted_out = [self.writer.sort_out(entity, record) for record in given]
        self._check_saves(entity, list(zip(ids, sorted_out, strict=True)), user)
        echoes = [
            self.writer.create(entity, values, params, user)
            if row_id is None
            else self.writer.update(entity, row_id, values, params, user)
            for row_id, values in zip(ids, sorted_out, strict=True)
        ]
        values = self._reloaded(entity, _tracked(entity, echoes), params, user)
        return Result(values, matched=sum(row_id is not None for row_id in ids))

    def _check_saves(
        self, entity: Entity, saves: list[tuple[int | None, Values]], user: User
    ) -> None:
        rows = self.store.tables[entity.name].rows
        for row_id, values in saves:
            if row_id is None:
                self.writer.allow(entity, "create", user, values.own)
                self.writer.require(entity, "save", values)
            else:
                self.writer.allow(entity, "update", user, rows.get(row_id, {}))

    def _match(self, entity: Entity, record: Row, params: Params, user: User) -> int | None:
        """The id of the one existing row that agrees in all `match` fields."""
        if record.get("id"):
            return as_number(record["id"])
        names = params.get("match") or []
        if not names or any(record.get(name) is None for name in names):
            return None
        # Guess: with several such rows none is matched and a new one is made; no recording.
        where = [[name, "=", record[name]] for name in names]
        rows = Query(self.store, entity, {"where": where, "limit": 2}, user).rows()
        return int(rows[0]["id"]) if len(rows) == 1 else None

    def _update(self, entity: Entity, params: Params, user: User) -> Result:
        given = params.get("values") or {}
        where = params.get("where") or []
        if not where and not given.get("id"):
            text = 'Parameter "where" is required unless primary keys are supplied in values.'
            raise ApiError(text)
        if not where:
            where = [["id", "=", given["id"]]]
        rows = self._rows(entity, {**params, "where": where}, user)
        if rows or not entity.owner:
            self.writer.allow(entity, "update", user, *rows)
        echoes = []
        for row_id in [row["id"] for row in rows]:
            values = self.writer.sort_out(entity, given)
            echoes.append(self.writer.update(entity, row_id, values, params, user))
        return Result(self._reloaded(entity, _tracked(entity, echoes), params, user))

    def _delete(self, entity: Entity, params: Params, user: User) -> Result:
        if not params.get("where"):
            raise ApiError('Parameter "where" is required.')
        rows = self._rows(entity, params, user)
        if rows or not entity.owner:
            self.writer.allow(entity, "delete", user, *rows)
        return Result([self.writer.delete(entity, row, params) for row in rows])

    def _rows(self, entity: Entity, params: Params, user: User) -> list[Row]:
        names = ("where", "orderBy", "limit", "offset", "join")
        chosen = {name: params[name] for name in names if name in params}
        found = Query(self.store, entity, chosen, user).rows()
        rows = self.store.tables[entity.name].rows
        return [rows[row_id] for row_id in dict.fromkeys(row["id"] for row in found)]

    def _reloaded(self, entity: Entity, echoes: list[Row], params: Params, user: User) -> list[Row]:
        """With `reload`, the stored rows instead of the echoes, in the same order.

        They are read as any others are: a user who may not see them gets none.
        """
        reload = params.get("reload")
        if not reload:
            return echoes
        select = reload if isinstance(reload, list) else ["*"]
        where = [["id", "IN", [echo["id"] for echo in echoes]]]
        found = Query(self.store, entity, {"select": select, "where": where}, user).answer()
        by_id = {row["id"]: row for row in found.values}
        return [by_id[echo["id"]] for echo in echoes if echo["id"] in by_id]

    def _refresh(self, entity: Entity, params: Params, user: User) -> Result:
        """Refill the caches of the smart groups among the rows; static groups are passed over."""
        if not params.get("where"):
            raise ApiError('Parameter "where" is required.')
        rows = self._rows(entity, params, user)
        if any(self.store.broken_groups.get(row["id"]) == "refresh" for row in rows):
            raise ApiError("DB Error: no such field")
        smart = [row for row in rows if row.get("saved_search_id") is not None]
        for row in smart:
            fill_smart_group(self.store, row)
        # Guess: the answer for a smart group; only a static group was recorded (no values).
        return Result([{"id": row["id"]} for row in smart])

    def _merge(self, entity: Entity, params: Params, user: User) -> Result:
        if not user.admin:
            raise forbidden()
        winner, loser = as_number(params.get("contactId")), as_number(params.get("duplicateId"))
        if winner not in self.store.contacts.rows or loser not in self.store.contacts.rows:
            raise ApiError("Could not find contacts to merge")
        self.store.merge(winner, loser)
        self.writer.written += 1
        return Result([{"merged": [{"main_id": winner, "other_id": loser}], "skipped": []}])

    # Chains

    def _chain(self, rows: list[Any], chain: Any, user: User) -> None:
        """Run the chained calls for each row; `$field` in their parameters is the row's value."""
        for row in rows if chain else ():
            for name, call in chain.items():
                entity, action, *rest = call
                params = _filled_in(rest[0] if rest else {}, row)
                answer = self.call(entity, action, params, user, rest[1] if len(rest) > 1 else None)
                row[name] = answer["values"]


def _filled_in(value: Any, row: Row) -> Any:
    if isinstance(value, dict):
        return {key: _filled_in(part, row) for key, part in value.items()}
    if isinstance(value, list):
        return [_filled_in(part, row) for part in value]
    if isinstance(value, str) and value.startswith("$") and value[1:] in row:
        return row[value[1:]]
    return value


def _tracked(entity: Entity, echoes: list[Row]) -> list[Row]:
    """CiviCRM leaves two nulls of the action's parameters in the last membership it echoes."""
    if entity.name == "GroupContact" and echoes:
        echoes[-1].update(method=None, tracking=None)
    return echoes


def _document(entity: str, action: str, result: Result, index: Any) -> dict[str, Any]:
    fetched = len(result.values)
    document = {
        "values": _indexed(result.values, index),
        "entity": entity,
        "action": action,
        "debug": None,
        "version": 4,
        "count": fetched if result.count is None else result.count,
        "countFetched": fetched,
    }
    if result.matched is not None:
        document["countMatched"] = result.matched
    return document


def _indexed(values: list[Any], index: Any) -> Any:
    """`values` by `index`: a number picks one, a name keys by that field, an object maps."""
    if index in (None, "", [], {}):
        return values
    if isinstance(index, dict):
        key, value = next(iter(index.items()))
        return {str(row.get(key)): row.get(value) for row in values}
    text = str(index)
    if text.lstrip("-").isdigit():
        at = int(text)
        return values[at] if -len(values) <= at < len(values) else {}
    return {str(row.get(text)): row for row in values}
