"""What goes over the wire: calls, replies, problems, times, and the `fields` parameter."""

import json
import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import unquote

JsonObject = dict[str, object]

MAX_COUNT = 1000  # Mailchimp's maximum; larger values are capped
DEFAULT_COUNT = 10  # Mailchimp's default
MAX_NESTING = 50  # Guess: the depth at which 414 comes is not published
NOT_VALIDATED = (
    "The resource submitted could not be validated. "
    "For field-specific details, see the 'errors' array."
)
PROBLEM_TYPE = "https://mailchimp.com/developer/marketing/docs/errors/"
UNTYPED = frozenset(  # bodies recorded or reported without `type`
    {"Member Exists", "Member In Compliance State", "Forgotten Email Not Subscribed"}
)


class Problem(Exception):
    """An error answer: status, title and detail of a problem document."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        errors: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(f"{status} {title}: {detail}")
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = tuple(errors)
        self.headers = dict(headers or {})

    def document(self, instance: str) -> JsonObject:
        """The problem+json body; `instance` is the request id, empty inside batch results."""
        body: JsonObject = {} if self.title in UNTYPED else {"type": PROBLEM_TYPE}
        body |= {"title": self.title, "status": self.status, "detail": self.detail}
        body["instance"] = instance
        if self.errors:
            body["errors"] = [{"field": name, "message": text} for name, text in self.errors]
        return body


def not_found() -> Problem:
    """404 in the recorded wording."""
    return Problem(404, "Resource Not Found", "The requested resource could not be found.")


def invalid(detail: str, *errors: tuple[str, str]) -> Problem:
    """400 Invalid Resource."""
    return Problem(400, "Invalid Resource", detail, errors)


def not_validated(*errors: tuple[str, str]) -> Problem:
    """400 for a body or parameter that breaks the schema; one pair of field and message each."""
    return invalid(NOT_VALIDATED, *errors)


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer; `schema` is the name of its JSON schema, as in the `Link` header."""

    status: int = 200
    payload: object = None
    schema: str = ""
    dashboard: str = ""


NO_CONTENT = Reply(204)


@dataclass(frozen=True, slots=True)
class Call:
    """One API call, direct or out of a batch; `parts` are the ids in its path, `now` is epoch."""

    api_key: str
    method: str
    path: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: object
    now: int

    def json_object(self) -> JsonObject:
        """The body, which must be a JSON object. Raises Problem."""
        if isinstance(self.body, dict):
            return self.body
        kind = "NULL" if self.body is None else type(self.body).__name__
        raise not_validated(("", f"Schema describes object, {kind} found instead"))

    def flag(self, name: str) -> bool:
        """A boolean parameter; absent is false."""
        return self.query.get(name, "").lower() in {"true", "1"}


def read_json(data: bytes | str) -> object:
    """Parse a request body; empty is None. Raises Problem (400, or 414 when nested too deep)."""
    if not data:
        return None
    try:
        value: object = json.loads(data)
    except UnicodeDecodeError:
        return None  # reported: Latin-1 is answered "Schema describes object, NULL found instead"
    except ValueError:
        raise Problem(
            400,
            "JSON Parse Exception",
            "We encountered an unspecified JSON parsing error. "
            "This error means that your JSON is formatted incorrectly.",
        ) from None
    except RecursionError:
        raise Problem(414, "Resource Nesting Too Deep", "Flatten your request.") from None
    _check_nesting(value)
    return value


def _check_nesting(value: object) -> None:
    level: list[object] = [value]
    for _ in range(MAX_NESTING):
        level = [inner for outer in level for inner in _children(outer)]
        if not level:
            return
    raise Problem(414, "Resource Nesting Too Deep", "Flatten your request.")


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return [inner for inner in value.values() if isinstance(inner, dict | list)]
    if isinstance(value, list):
        return [inner for inner in value if isinstance(inner, dict | list)]
    return ()


def split_path(path: str) -> tuple[str, ...]:
    """The segments of a path, percent-decoded; a query is left out."""
    return tuple(unquote(segment) for segment in path.partition("?")[0].split("/") if segment)


# Times -------------------------------------------------------------------------------------


@lru_cache(maxsize=65536)
def iso(epoch: int) -> str:
    """`2021-11-23T22:52:05+00:00`; 0 (unknown) is the empty string."""
    return datetime.fromtimestamp(epoch, UTC).isoformat() if epoch else ""


TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(\.\d+)?)?(?:Z|[+-]\d\d:\d\d)?)?"
)


def read_time(name: str, text: str) -> float:
    """Read a time parameter as epoch seconds. Raises Problem.

    The offset is IGNORED and the clock time read as UTC, as Mailchimp does
    (github.com/mailchimp/mailchimp-client-lib-codegen/issues/241);
    an offset without colon, or one whose `+` became a space, is refused.
    """
    match = TIME.fullmatch(text)
    try:
        if match is None:
            raise ValueError(text)
        numbers = [int(part or 0) for part in match.groups()[:6]]
        moment = datetime(*numbers, tzinfo=UTC)  # type: ignore[misc,arg-type]
    except ValueError:
        raise not_validated((name, "Please enter a valid date and time.")) from None
    return moment.timestamp() + float(match.group(7) or 0)


def after_key(since: float | None) -> int | None:
    """The first whole second later than `since`: the lower bound is exclusive."""
    return None if since is None else math.floor(since) + 1


def before_key(before: float | None) -> int | None:
    """The first whole second that is no longer before `before`."""
    return None if before is None else math.ceil(before)


# Paging and fields -------------------------------------------------------------------------


def read_page(query: Mapping[str, str]) -> tuple[int, int]:
    """`count` (capped at 1000) and `offset`. Raises Problem."""
    values = []
    for name, default in (("count", DEFAULT_COUNT), ("offset", 0)):
        text = query.get(name, str(default))
        if not text.isdecimal():
            raise not_validated((name, "Schema describes integer, string found instead"))
        values.append(int(text))
    return min(values[0], MAX_COUNT), values[1]


@dataclass(slots=True)
class Selection:
    """A tree of names out of `fields` or `exclude_fields`; a leaf has no `inner`."""

    inner: dict[str, "Selection"] = field(default_factory=dict)

    def add(self, path: str) -> None:
        """Add one dotted path."""
        here = self
        for name in path.split("."):
            here = here.inner.setdefault(name, Selection())


def read_selection(text: str) -> Selection:
    """Read a comma list of dotted paths."""
    selection = Selection()
    for path in filter(None, (part.strip() for part in text.split(","))):
        selection.add(path)
    return selection


def read_fields(query: Mapping[str, str]) -> tuple[Selection | None, Selection | None]:
    """`fields` and `exclude_fields`, of which only one may be given. Raises Problem."""
    wanted, unwanted = query.get("fields"), query.get("exclude_fields")
    if wanted and unwanted:
        raise Problem(
            400, "Bad Request", "Use either 'fields' or 'exclude_fields', they exclude each other."
        )
    return (
        read_selection(wanted) if wanted else None,
        read_selection(unwanted) if unwanted else None,
    )


def project(
    payload: JsonObject, query: Mapping[str, str], optional: Collection[str] = ()
) -> JsonObject:
    """Apply `fields` or `exclude_fields`, dotted from the top of the answer. Raises Problem.

    `optional` are names that are not an error although this answer lacks them.
    """
    wanted, unwanted = read_fields(query)
    if wanted:
        names = known(payload, wanted, optional)
        return {name: keep(payload[name], wanted.inner[name]) for name in names}
    if unwanted:
        return drop(payload, unwanted)
    return payload


def known(
    payload: Mapping[str, object],
    wanted: Selection,
    optional: Collection[str] = (),
    prefix: str = "",
) -> list[str]:
    """The wanted names, in the order of the answer; a name it does not have is an error."""
    for name in wanted.inner:
        if name not in payload and name not in optional:
            raise bad_field(prefix + name)
    return [name for name in payload if name in wanted.inner]


def bad_field(name: str) -> Problem:
    """400 for a name in `fields` that the answer does not have."""
    return Problem(400, "Bad Request", f"The 'fields' parameter has an unknown name: {name}")


def keep(value: object, wanted: Selection) -> object:
    """Only what is wanted of one value; lists are gone through, maps below may be open."""
    if not wanted.inner:
        return value
    if isinstance(value, list):
        return [keep(item, wanted) for item in value]
    if isinstance(value, dict):
        return {
            name: keep(value[name], wanted.inner[name]) for name in value if name in wanted.inner
        }
    return value


def drop(payload: JsonObject, unwanted: Selection) -> JsonObject:
    """All but what is unwanted; unknown names do nothing.

    Recorded: `exclude_fields=email_address` on members was answered 200 and left out nothing,
    although the guide calls a bad name an error.
    """
    answer: JsonObject = {}
    for name, value in payload.items():
        inner = unwanted.inner.get(name)
        if inner is None:
            answer[name] = value
        elif inner.inner:
            answer[name] = _drop_inside(value, inner)
    return answer


def _drop_inside(value: object, unwanted: Selection) -> object:
    if isinstance(value, list):
        return [_drop_inside(item, unwanted) for item in value]
    return drop(value, unwanted) if isinstance(value, dict) else value


def page_of(
    items: Sequence[JsonObject], key: str, query: Mapping[str, str], extra: JsonObject
) -> JsonObject:
    """One page of a collection that fits in memory, with `total_items`. Raises Problem."""
    count, offset = read_page(query)
    payload: JsonObject = {key: list(items[offset : offset + count]), "total_items": len(items)}
    check_names(query, key, items)
    return project({**payload, **extra}, query)


def check_names(query: Mapping[str, str], key: str, items: Sequence[JsonObject]) -> None:
    """Refuse names below a collection that its items do not have. Raises Problem."""
    wanted, _ = read_fields(query)
    if wanted and items and key in wanted.inner:
        known(items[0], wanted.inner[key], prefix=f"{key}.")
