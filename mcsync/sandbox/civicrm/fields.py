"""Field paths such as `contact_id.email_primary.email` or `group_id:name`: functions of a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mcsync.sandbox.civicrm.schema import ENTITIES, Entity, Field, Options
from mcsync.sandbox.civicrm.state import Store
from mcsync.sandbox.civicrm.tables import Row

Getter = Callable[[Row], Any]
_PRIMARY = {"email_primary": "Email", "address_primary": "Address", "phone_primary": "Phone"}
_LABELS = {"Group": ("name", "title"), "Tag": ("name", "label"), "SavedSearch": ("name", "label")}
_COMPUTED = frozenset(
    {
        "hash", "email_greeting_display", "postal_greeting_display", "addressee_display",
        *_PRIMARY,
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Path:
    """A resolved path: `get` gives the stored value, `show` the one the API answers.

    `plain` is the field's name if it is one of the entity itself; `suffix` is one of "name",
    "label" and "abbr".
    """

    field: Field
    get: Getter
    show: Getter
    plain: str = ""
    suffix: str = ""


class Paths:
    """Resolves the paths of one entity and of the aliases joined to it.

    Without `has_custom` there are no custom fields: who may not see them is told of none.
    """

    def __init__(
        self,
        store: Store,
        entity: Entity,
        joined: Mapping[str, Entity] | None = None,
        *,
        has_custom: bool = True,
    ) -> None:
        self.store = store
        self.entity = entity
        self.joined = joined or {}
        self.custom_fields = store.custom_fields if has_custom else set()

    def resolve(self, text: str) -> Path | None:
        """The path, or None if a part of it is unknown."""
        base, _, suffix = text.partition(":")
        if suffix not in ("", "name", "label", "abbr"):
            return None
        if self.entity.name == "Contact" and base in self.custom_fields and not suffix:
            own = Field(base)
            get = self._field_getter(self.entity, own)
            return Path(own, get, get, base)
        parts = base.split(".")
        entity, source = self.entity, None
        if parts[0] in self.joined and len(parts) > 1:
            entity, source = self.joined[parts[0]], _joined_row("@" + parts[0])
            parts = parts[1:]
        while len(parts) > 1:
            step = self._step(entity, parts[0])
            if step is None:
                return None
            entity, source = step[0], _then(source, step[1])
            parts = parts[1:]
        field = entity.fields.get(parts[0])
        if field is None:
            return None
        get = self._field_getter(entity, field)
        get = get if source is None else _then_value(source, get)
        plain = field.name if source is None else ""
        return Path(field, get, self._show(get, field, suffix), plain, suffix)

    def _step(self, entity: Entity, name: str) -> tuple[Entity, Getter] | None:
        """One implicit join: the entity it leads to and how to get there."""
        if entity.name == "Contact" and name in _PRIMARY:
            target = _PRIMARY[name]
            primary = self.store.primary
            return ENTITIES[target], lambda row: primary(target, row["id"])
        field = entity.fields.get(name)
        if field is None or field.link not in ENTITIES:
            return None
        rows = self.store.tables[field.link].rows
        return ENTITIES[field.link], lambda row: rows.get(row.get(name, 0))

    def _field_getter(self, entity: Entity, field: Field) -> Getter:
        name, default = field.name, field.default
        if name == "id":
            return lambda row: row["id"]
        if entity.name == "Contact" and name in _COMPUTED:
            read = self.store.read
            return lambda row: read(entity, row, name)
        if default is None:
            return lambda row: row.get(name)
        return lambda row: row.get(name, default)

    def _show(self, get: Getter, field: Field, suffix: str) -> Getter:
        if suffix:
            options = self.options(field)
            which = ("name", "label", "abbr").index(suffix)
            if options is None:
                return lambda row: None
            return _labelled(get, options, which)
        if field.data_type == "Timestamp":
            form = self.store.clock.format

            def shown(row: Row) -> str | None:
                seconds = get(row)
                return None if seconds is None else form(seconds)

            return shown
        return get

    def options(self, field: Field) -> Options | None:
        """The choices of a field: id -> (name, label); None if it has none."""
        if field.options is not None:
            return field.options
        if field.link in _LABELS:
            name, label = _LABELS[field.link]
            rows = self.store.tables[field.link].rows
            return {i: (row.get(name), str(row.get(label))) for i, row in rows.items()}
        return None


def _joined_row(key: str) -> Getter:
    return lambda row: row.get(key)


def _then(first: Getter | None, second: Getter) -> Getter:
    if first is None:
        return second
    before = first

    def both(row: Row) -> Row | None:
        middle = before(row)
        return None if middle is None else second(middle)

    return both


def _then_value(source: Getter, get: Getter) -> Getter:
    def value(row: Row) -> object:
        target = source(row)
        return None if target is None else get(target)

    return value


def _labelled(get: Getter, options: Options, which: int) -> Getter:
    def label(row: Row) -> object:
        value = get(row)
        if isinstance(value, list):
            return [options[v][which] for v in value if v in options]
        found = options.get(value, ())
        return found[which] if which < len(found) else None

    return label
