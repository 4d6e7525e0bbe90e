"""What exists on the simulated site: entities, their fields, links and indexes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

# Option lists as CiviCRM 6.17 has them out of the box: id -> (name, label), or (name, label,
# abbreviation).
Options = Mapping[object, tuple[object, str] | tuple[object, str, str]]

LOCATION_TYPES: Options = {
    1: ("Home", "Home"),
    2: ("Work", "Work"),
    3: ("Main", "Main"),
    4: ("Other", "Other"),
    5: ("Billing", "Billing"),
}
ON_HOLD: Options = {0: (0, "No"), 1: (1, "On Hold Bounce"), 2: (2, "On Hold Opt Out")}
GROUP_TYPES: Options = {"1": ("Access Control", "Access Control"), "2": ("Mailing List",) * 2}
STATUSES: Options = {s: (s, s) for s in ("Added", "Removed", "Pending")}
METHODS: Options = {m: (m, m) for m in ("Admin", "Email", "Form", "Web", "API")}
# A few of thousands. Guess: that `:abbr` is shown, as other clients of APIv4 use it; and the ids.
COUNTRIES: Options = {
    1076: ("FR", "France", "FR"),
    1228: ("US", "United States", "US"),
}
STATES: Options = {
    1002: ("Arizona", "Arizona", "AZ"),
    1004: ("California", "California", "CA"),
}
CONTACT_TYPES: Options = {t: (t, t) for t in ("Individual", "Household", "Organization")}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `data_type` and `kind` ("Field", "Extra", "Filter") as getFields names them.

    `default` is what a row without the key holds; `width` is the column's length, 0 unlimited;
    `link` names the entity that an id points to; `secret` fields need an administrator.
    """

    name: str
    data_type: str = "String"
    default: object = None
    width: int = 0
    link: str = ""
    options: Options | None = None
    required: bool = False
    kind: str = "Field"
    secret: bool = False
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """One entity: `owner` is the field that names its contact; `indexes` its indexed fields.

    `unique` is a set of fields no two rows may share; `order` are the fields in which rows come
    when nobody asked for an order (the index the database happens to take), `covered` the fields
    such an answer may select at most; `params` are extra parameters of the named actions.
    """

    name: str
    fields: Mapping[str, Field]
    owner: str = ""
    indexes: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    covered: frozenset[str] | None = None
    params: Mapping[str, frozenset[str]] = field(default_factory=dict)


def _fields(*items: Field) -> dict[str, Field]:
    return {item.name: item for item in items}


def _int(name: str, default: object = None, link: str = "", **more: object) -> Field:
    return Field(name, "Integer", default, link=link, **more)  # type: ignore[arg-type]


def _bool(name: str, default: bool = False) -> Field:
    return Field(name, "Boolean", default)


def _text(name: str, width: int = 255, **more: object) -> Field:
    return Field(name, width=width, **more)  # type: ignore[arg-type]


_ID = _int("id")
_CONTACT_ID = _int("contact_id", link="Contact", required=True)
_LOCATION = _int("location_type_id", 1, options=LOCATION_TYPES)
_SIGNED = (_int("created_id", link="Contact"), _int("modified_id", link="Contact"))

CONTACT = Entity(
    "Contact",
    _fields(
        _ID,
        _text("contact_type", 64, options=CONTACT_TYPES),
        _text("external_identifier", 64),
        _text("display_name", 128),
        _text("organization_name", 128),
        Field("contact_sub_type", multiple=True),
        _text("first_name", 64),
        _text("middle_name", 64),
        _text("last_name", 64),
        _bool("do_not_email"),
        _bool("do_not_phone"),
        _bool("do_not_mail"),
        _bool("do_not_sms"),
        _bool("do_not_trade"),
        _bool("is_opt_out"),
        _text("legal_identifier", 32),
        _text("sort_name", 128),
        _text("nick_name", 128),
        _text("legal_name", 128),
        Field("image_URL", "Text"),
        Field("preferred_communication_method", multiple=True),
        _text("preferred_language", 5, default="en_US"),
        _text("hash", 32),
        _text("api_key", 32, secret=True),
        _text("source"),
        _int("prefix_id"),
        _int("suffix_id"),
        _text("formal_title", 64),
        _int("communication_style_id", 1),
        _int("email_greeting_id", 1),
        _text("email_greeting_custom", 128),
        _text("email_greeting_display"),
        _int("postal_greeting_id", 1),
        _text("postal_greeting_custom", 128),
        _text("postal_greeting_display"),
        _int("addressee_id", 1),
        _text("addressee_custom", 128),
        _text("addressee_display"),
        _text("job_title"),
        _int("gender_id"),
        Field("birth_date", "Date"),
        _bool("is_deceased"),
        Field("deceased_date", "Date"),
        _text("household_name", 128),
        _int("primary_contact_id", link="Contact"),
        _text("sic_code", 8),
        _text("user_unique_id"),
        _int("employer_id", link="Contact"),
        _bool("is_deleted"),
        Field("created_date", "Timestamp"),
        Field("modified_date", "Timestamp"),
        _text("preferred_mail_format", 8, default="Both"),
        _int("email_primary", link="Email", kind="Extra"),
        _int("address_primary", link="Address", kind="Extra"),
        _int("phone_primary", link="Phone", kind="Extra"),
        Field("groups", "Array", kind="Filter"),
        Field("tags", "Array", kind="Filter"),
    ),
    owner="id",
    unique=("external_identifier",),
    indexes=("last_name", "first_name", "external_identifier"),
    order=("sort_name", "id"),
    params={
        "delete": frozenset({"useTrash"}),
        "mergeDuplicates": frozenset({"contactId", "duplicateId", "mode"}),
        "getMergedTo": frozenset({"contactId"}),
        "getDuplicates": frozenset({"dedupeRule", "values"}),
    },
)
EMAIL = Entity(
    "Email",
    _fields(
        _ID,
        _CONTACT_ID,
        _LOCATION,
        _text("email", 254),
        _bool("is_primary"),
        _bool("is_billing"),
        _int("on_hold", 0, options=ON_HOLD),
        _bool("is_bulkmail"),
        Field("hold_date", "Datetime"),
        Field("reset_date", "Datetime"),
        Field("signature_text", "Text"),
        Field("signature_html", "Text"),
    ),
    owner="contact_id",
    indexes=("contact_id", "email"),
)
ADDRESS = Entity(
    "Address",
    _fields(
        _ID,
        _CONTACT_ID,
        _LOCATION,
        _bool("is_primary"),
        _bool("is_billing"),
        _text("street_address", 96),
        _text("supplemental_address_1", 96),
        _text("supplemental_address_2", 96),
        _text("city", 64),
        _int("state_province_id", options=STATES),
        _text("postal_code", 64),
        _int("country_id", options=COUNTRIES),
    ),
    owner="contact_id",
    indexes=("contact_id",),
)
PHONE = Entity(
    "Phone",
    _fields(
        _ID, _CONTACT_ID, _LOCATION, _bool("is_primary"), _bool("is_billing"), _text("phone", 32)
    ),
    owner="contact_id",
    indexes=("contact_id",),
)
GROUP = Entity(
    "Group",
    _fields(
        _ID,
        _text("name"),
        _text("title", required=True),
        Field("description", "Text"),
        _text("source", 64),
        _int("saved_search_id", link="SavedSearch"),
        _bool("is_active", True),
        _text("visibility", 24, default="User and User Admin Only"),
        Field("where_clause", "Text"),
        Field("select_tables", "Text"),
        Field("where_tables", "Text"),
        Field("group_type", options=GROUP_TYPES, multiple=True),
        Field("cache_date", "Timestamp"),
        Field("cache_fill_took", "Float"),
        Field("refresh_date", "Timestamp"),
        Field("parents", multiple=True),
        Field("children", "Text"),
        _bool("is_hidden"),
        _bool("is_reserved"),
        *_SIGNED,
        _text("frontend_title"),
        Field("frontend_description", "Text"),
    ),
    unique=("title",),
    order=("name",),
    covered=frozenset({"id", "name"}),
)
_TRACKED = frozenset({"method", "tracking"})
GROUP_CONTACT = Entity(
    "GroupContact",
    _fields(
        _ID,
        _int("group_id", link="Group", required=True),
        _CONTACT_ID,
        _text("status", 8, default="Added", options=STATUSES),
        _int("location_id", link="LocBlock"),
        _int("email_id", link="Email"),
    ),
    owner="contact_id",
    indexes=("contact_id", "group_id"),
    unique=("contact_id", "group_id"),
    order=("contact_id", "group_id"),
    params={"create": _TRACKED, "save": _TRACKED, "update": _TRACKED},
)
SUBSCRIPTION_HISTORY = Entity(
    "SubscriptionHistory",
    _fields(
        _ID,
        _CONTACT_ID,
        _int("group_id", link="Group"),
        Field("date", "Timestamp"),
        _text("method", 8, options=METHODS),
        _text("status", 8, options=STATUSES),
        _text("tracking"),
    ),
    owner="contact_id",
    indexes=("contact_id", "group_id"),
)
TAG = Entity(
    "Tag",
    _fields(
        _ID,
        _text("name", 64),
        _text("label", 64, required=True),
        _text("description"),
        _int("parent_id", link="Tag"),
        _bool("is_selectable", True),
        _bool("is_reserved"),
        _bool("is_tagset"),
        Field("used_for", multiple=True),
        _int("created_id", link="Contact"),
        _text("color"),
        Field("created_date", "Datetime"),
    ),
    unique=("name",),
    order=("name",),
    covered=frozenset({"id", "name"}),
)
ENTITY_TAG = Entity(
    "EntityTag",
    _fields(
        _ID,
        _text("entity_table", 64, required=True),
        _int("entity_id", link="Contact", required=True),
        _int("tag_id", link="Tag", required=True),
    ),
    owner="entity_id",
    indexes=("entity_id", "tag_id"),
    unique=("entity_id", "entity_table", "tag_id"),
    order=("entity_id", "tag_id"),
)
SAVED_SEARCH = Entity(
    "SavedSearch",
    _fields(
        _ID,
        _text("name"),
        _text("label"),
        _text("api_entity"),
        Field("api_params", "Text"),
        *_SIGNED,
        Field("created_date", "Timestamp"),
        Field("modified_date", "Timestamp"),
        Field("description", "Text"),
    ),
)
SETTING = Entity("Setting", _fields(_text("name"), Field("value"), _int("domain_id", 1)))
DOMAIN = Entity("Domain", _fields(_ID, _text("name"), _text("version")))

ENTITIES: Mapping[str, Entity] = {
    entity.name: entity
    for entity in (
        ADDRESS,
        CONTACT,
        DOMAIN,
        EMAIL,
        ENTITY_TAG,
        GROUP,
        GROUP_CONTACT,
        PHONE,
        SAVED_SEARCH,
        SETTING,
        SUBSCRIPTION_HISTORY,
        TAG,
    )
}

_READ = {
    "select", "where", "orderBy", "limit", "offset", "join", "groupBy", "having",
    "translationMode",
}  # fmt: skip
COMMON_PARAMS = frozenset({"checkPermissions", "chain", "debug", "language", "version"})
ACTION_PARAMS: Mapping[str, frozenset[str]] = {
    "get": frozenset(_READ),
    "create": frozenset({"values", "formatWrite"}),
    "save": frozenset({"records", "defaults", "match", "reload", "formatWrite"}),
    "update": frozenset(
        {"values", "where", "orderBy", "limit", "offset", "join", "reload", "formatWrite"}
    ),
    "delete": frozenset({"where", "orderBy", "limit", "offset", "join"}),
    "refresh": frozenset({"where", "orderBy", "limit", "offset"}),
    "getFields": frozenset(
        {"select", "where", "orderBy", "limit", "offset", "loadOptions", "action", "values"}
    ),
    "getActions": frozenset({"select", "where", "orderBy", "limit", "offset"}),
    "checkAccess": frozenset({"action", "values"}),
    "mergeDuplicates": frozenset(),
    "getMergedTo": frozenset(),
    "getDuplicates": frozenset(),
}
_PLAIN = ("autocomplete", "checkAccess", "create", "delete", "get", "getActions", "getFields",
          "getLinks", "replace", "save", "update")  # fmt: skip
_OWN_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "Contact": ("getDuplicates", "getMergedTo", "mergeDuplicates"),
    "Group": ("refresh",),
}


def actions_of(entity: str) -> list[str]:
    """The actions an entity has, in alphabetical order."""
    return sorted(_PLAIN + _OWN_ACTIONS.get(entity, ()))
