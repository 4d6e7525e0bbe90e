"""GET /lists/{list_id}/members: filters, order, pages, fields."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mcsync.sandbox.mailchimp.render import ALL_MEMBER_FIELDS, Links, render_member
from mcsync.sandbox.mailchimp.state import STATUSES, Audience, Member, order_of_key
from mcsync.sandbox.mailchimp.wire import (
    JsonObject,
    Selection,
    after_key,
    bad_field,
    before_key,
    keep,
    not_validated,
    project,
    read_fields,
    read_page,
    read_time,
)

SORT_FIELDS = ("timestamp_opt", "timestamp_signup", "last_changed")
MATCHES = ("any", "all", "none")
Test = Callable[[Member], bool]


@dataclass(frozen=True, slots=True)
class Listing:
    """A read query. `tests` are what the indexes cannot answer; seconds are whole."""

    status: str
    first: int | None
    end: int | None
    sort_field: str
    descending: bool
    count: int
    offset: int
    tests: tuple[Test, ...]


def read_listing(audience: Audience, query: Mapping[str, str]) -> Listing:
    """Read and check the parameters. Raises Problem."""
    count, offset = read_page(query)
    _check_enum(query, "status", STATUSES)
    _check_enum(query, "sort_field", SORT_FIELDS)
    _check_enum(query, "sort_dir", ("ASC", "DESC"))
    _check_enum(query, "interest_match", MATCHES)
    tests = [*_plain_tests(query), *_time_tests(query), *_interest_tests(query)]
    tests += _campaign_tests(audience, query)
    return Listing(
        status=query.get("status", ""),
        first=after_key(_time(query, "since_last_changed")),
        end=before_key(_time(query, "before_last_changed")),
        sort_field=query.get("sort_field", ""),
        descending=query.get("sort_dir") == "DESC",
        count=count,
        offset=offset,
        tests=tuple(tests),
    )


def _check_enum(query: Mapping[str, str], name: str, values: tuple[str, ...]) -> None:
    if name in query and query[name] not in values:
        text = "Data presented is not one of the accepted values: " + ", ".join(values) + "."
        raise not_validated((name, text))


def _time(query: Mapping[str, str], name: str) -> float | None:
    return read_time(name, query[name]) if query.get(name) else None


def _plain_tests(query: Mapping[str, str]) -> list[Test]:
    tests: list[Test] = []
    email_type, key = query.get("email_type"), query.get("unique_email_id")
    if email_type:
        tests.append(lambda member: member.email_type == email_type)
    if key:
        tests.append(lambda member: member.unique_email_id == key)
    if query.get("vip_only", "").lower() in {"true", "1"}:
        tests.append(lambda member: member.vip)
    return tests


def _time_tests(query: Mapping[str, str]) -> list[Test]:
    tests: list[Test] = []
    since = after_key(_time(query, "since_timestamp_opt"))
    before = before_key(_time(query, "before_timestamp_opt"))
    left = after_key(_time(query, "unsubscribed_since"))
    if since is not None:
        tests.append(lambda member: member.timestamp_opt >= since)
    if before is not None:
        tests.append(lambda member: member.timestamp_opt < before)
    if left is not None:
        if query.get("status") != "unsubscribed":
            raise not_validated(("unsubscribed_since", "Requires the status 'unsubscribed'."))
        tests.append(lambda member: member.unsubscribed_at >= left)
    return tests


def _interest_tests(query: Mapping[str, str]) -> list[Test]:
    names = ("interest_category_id", "interest_ids", "interest_match")
    given = [name for name in names if query.get(name)]
    if not given:
        return []
    if len(given) < len(names):
        text = f"Must be accompanied by {', '.join(names)}."
        raise not_validated(*((name, text) for name in names if name not in given))
    wanted = frozenset(filter(None, query["interest_ids"].split(",")))
    match = query["interest_match"]
    if match == "all":
        return [lambda member: wanted <= member.interests]
    if match == "any":
        return [lambda member: bool(wanted & member.interests)]
    return [lambda member: not wanted & member.interests]


def _campaign_tests(audience: Audience, query: Mapping[str, str]) -> list[Test]:
    if query.get("since_last_campaign", "").lower() not in {"true", "1"}:
        return []
    if not query.get("status"):
        raise not_validated(("since_last_campaign", "Requires a status."))
    sent = audience.last_campaign_at
    return [lambda member: member.last_changed > sent]


def find_members(audience: Audience, listing: Listing, turn: int) -> tuple[list[Member], int]:
    """One page of members and how many match in all.

    Sorted by `last_changed`, members of one second are in an arbitrary but stable order. An
    unsorted listing begins at another place for every other `turn`: pages do not fit together.
    """
    index = audience.by_status[listing.status] if listing.status else audience.everyone
    keys, low, high = index.window(listing.first, listing.end)
    if listing.tests or listing.sort_field.startswith("timestamp"):
        found = _filtered(audience, listing, keys[low:high])
        return found[listing.offset : listing.offset + listing.count], len(found)
    total = high - low
    places = range(listing.offset, min(listing.offset + listing.count, total))
    if listing.descending:
        numbers = [high - 1 - place for place in places]
    elif listing.sort_field:
        numbers = [low + place for place in places]
    else:
        numbers = [low + (place + turn) % total for place in places]
    return [audience.by_order[order_of_key(keys[number])] for number in numbers], total


def _filtered(audience: Audience, listing: Listing, keys: list[int]) -> list[Member]:
    members = [audience.by_order[order_of_key(key)] for key in keys]
    found = [member for member in members if all(test(member) for test in listing.tests)]
    if listing.sort_field == "timestamp_opt":
        found.sort(key=lambda member: (member.timestamp_opt, member.order))
    elif listing.sort_field == "timestamp_signup":
        found.sort(key=lambda member: (member.timestamp_signup, member.order))
    return found[::-1] if listing.descending else found


def render_listing(
    audience: Audience,
    members: list[Member],
    total: int,
    query: Mapping[str, str],
    links: Links | None,
) -> JsonObject:
    """The answer; members are rendered only as far as they are asked for. Raises Problem."""
    wanted, unwanted = read_fields(query)
    names, below = _member_names(wanted, unwanted)
    with_links = links is not None and "_links" in names
    items = []
    for member in members:
        item = render_member(audience, member, names)
        if with_links and links is not None:
            item["_links"] = links.member(audience, member)
        items.append(keep(item, below) if below else item)
    payload: JsonObject = {"members": items, "list_id": audience.id, "total_items": total}
    if links is not None:
        path = f"/lists/{audience.id}/members"
        payload["_links"] = links.pair(path, f"/lists/{audience.id}", "Lists/Members")
    if wanted is not None and "members" in wanted.inner:
        wanted.inner["members"] = Selection()
        query = {"fields": ",".join(wanted.inner)}
    return project(payload, query)


def _member_names(
    wanted: Selection | None, unwanted: Selection | None
) -> tuple[frozenset[str], Selection | None]:
    everything = ALL_MEMBER_FIELDS | {"_links"}
    if wanted is not None:
        below = wanted.inner.get("members", Selection())
        for name in below.inner.keys() - everything:
            raise bad_field(f"members.{name}")
        return (frozenset(below.inner), below) if below.inner else (everything, None)
    below = unwanted.inner.get("members", Selection()) if unwanted else Selection()
    return everything - {name for name, inner in below.inner.items() if not inner.inner}, None
