"""The API's calls on the account, its lists, their merge fields and interests."""

import re
from collections.abc import Mapping

from mcsync.sandbox.mailchimp.render import (
    render_account,
    render_audience,
    render_category,
    render_interest,
    render_merge_field,
)
from mcsync.sandbox.mailchimp.state import (
    Audience,
    Category,
    Interest,
    MergeField,
)
from mcsync.sandbox.mailchimp.wire import (
    Call,
    JsonObject,
    Reply,
    after_key,
    before_key,
    invalid,
    not_found,
    not_validated,
    page_of,
    project,
    read_time,
)
from mcsync.sandbox.mailchimp.world import World

FIELD_TYPES = (
    *("text", "number", "address", "phone", "date", "url", "imageurl"),
    *("radio", "dropdown", "birthday", "zip"),
)
CATEGORY_TYPES = ("checkboxes", "dropdown", "radio", "hidden")


def get_account(world: World, call: Call) -> Reply:
    """GET /."""
    account = world.accounts[call.api_key]
    audiences = world.accounts_of(call.api_key).values()
    total = sum(len(audience.by_status["subscribed"]) for audience in audiences)
    payload = world.linked(
        render_account(account, total), lambda links: [links.link("self", "/", "GET", "Root")]
    )
    return Reply(200, project(payload, call.query), "Root")


def ping(world: World, call: Call) -> Reply:
    """GET /ping."""
    return Reply(200, {"health_status": "Everything's Chimpy!"}, "Ping")


# Lists -----------------------------------------------------------------------------------


def _audience(world: World, call: Call) -> Audience:
    return world.audience_for(call.api_key, call.parts[0], call.now)


def _shown(world: World, audience: Audience, with_total: bool) -> JsonObject:
    payload = render_audience(audience, with_total)
    path = f"/lists/{audience.id}"
    return world.linked(payload, lambda links: links.pair(path, "/lists", "Lists"))


def list_audiences(world: World, call: Call) -> Reply:
    """GET /lists."""
    audiences = [a for a in world.accounts_of(call.api_key).values() if _asked(a, call.query)]
    if call.query.get("sort_field") == "date_created":
        descending = call.query.get("sort_dir") == "DESC"
        audiences.sort(key=lambda audience: audience.created_at, reverse=descending)
    with_total = call.flag("include_total_contacts")
    items = [_shown(world, audience, with_total) for audience in audiences]
    extra = world.linked(
        {
            "constraints": {
                "may_create": False,
                "max_instances": len(items),
                "current_total_instances": len(items),
            }
        },
        lambda links: links.pair("/lists", "/", "Lists"),
    )
    return Reply(200, page_of(items, "lists", call.query, extra), "Lists/Collection")


def _asked(audience: Audience, query: Mapping[str, str]) -> bool:
    email = query.get("email")
    if email and audience.by_address(email) is None:
        return False
    since, before = query.get("since_date_created"), query.get("before_date_created")
    first = after_key(read_time("since_date_created", since)) if since else None
    end = before_key(read_time("before_date_created", before)) if before else None
    created = audience.created_at
    return (first is None or created >= first) and (end is None or created < end)


def get_audience(world: World, call: Call) -> Reply:
    """GET /lists/{list_id}."""
    payload = _shown(world, _audience(world, call), call.flag("include_total_contacts"))
    return Reply(200, project(payload, call.query), "Lists/Instance")


# Merge fields ----------------------------------------------------------------------------


def _shown_merge_field(world: World, audience: Audience, merge_field: MergeField) -> JsonObject:
    parent = f"/lists/{audience.id}/merge-fields"
    path = f"{parent}/{merge_field.merge_id}"
    return world.linked(
        render_merge_field(audience, merge_field),
        lambda links: links.pair(path, parent, "Lists/MergeFields"),
    )


def list_merge_fields(world: World, call: Call) -> Reply:
    """GET /lists/{list_id}/merge-fields, in the recorded order: by tag."""
    audience = _audience(world, call)
    path = f"/lists/{audience.id}/merge-fields"
    kind, required = call.query.get("type"), call.query.get("required")
    items = [
        _shown_merge_field(world, audience, merge_field)
        for merge_field in sorted(audience.merge_fields.values(), key=lambda found: found.tag)
        if (not kind or merge_field.type == kind)
        and (not required or merge_field.required == call.flag("required"))
    ]
    extra = world.linked(
        {"list_id": audience.id},
        lambda links: links.pair(path, f"/lists/{audience.id}", "Lists/MergeFields"),
    )
    payload = page_of(items, "merge_fields", call.query, extra)
    return Reply(200, payload, "Lists/MergeFields/Collection")


def post_merge_field(world: World, call: Call) -> Reply:
    """POST /lists/{list_id}/merge-fields."""
    audience = _audience(world, call)
    body = call.json_object()
    name, kind = body.get("name"), body.get("type")
    if not isinstance(name, str) or not name:
        raise not_validated(("name", "This value should not be blank."))
    if kind not in FIELD_TYPES:
        text = f"Data presented is not one of the accepted values: {', '.join(FIELD_TYPES)}."
        raise not_validated(("type", text))
    tag = str(body.get("tag") or "") or _tag_for(audience, name)
    if tag in audience.merge_fields:
        raise invalid(f'A Merge Field with the tag "{tag}" already exists for this list.')
    merge_field = add_merge_field(audience, tag, name, str(kind), body)
    payload = _shown_merge_field(world, audience, merge_field)
    return Reply(200, payload, "Lists/MergeFields/Instance")


def _tag_for(audience: Audience, name: str) -> str:
    tag = re.sub(r"\W", "", name.upper())[:10]
    return (
        tag if tag and tag not in audience.merge_fields else f"MMERGE{len(audience.merge_fields)}"
    )


def add_merge_field(
    audience: Audience, tag: str, name: str, kind: str, body: Mapping[str, object]
) -> MergeField:
    """Give the audience another merge field; `body` may hold the other properties."""
    number = 1 + max((found.merge_id for found in audience.merge_fields.values()), default=0)
    given = body.get("options")
    defaults: Mapping[str, JsonObject] = {
        "text": {"size": 25},
        "phone": {"phone_format": "none"},
        "date": {"date_format": "MM/DD/YYYY"},
        "birthday": {"date_format": "MM/DD"},
        "address": {"default_country": 164},
    }
    merge_field = MergeField(
        merge_id=number,
        tag=tag,
        name=name,
        type=kind,
        required=bool(body.get("required")),
        default_value=str(body.get("default_value") or ""),
        public=bool(body.get("public")),
        display_order=number + 1,
        help_text=str(body.get("help_text") or ""),
        options=defaults.get(kind, {}) | (given if isinstance(given, dict) else {}),
    )
    audience.merge_fields[tag] = merge_field
    return merge_field


# Interests -------------------------------------------------------------------------------


def _shown_category(world: World, audience: Audience, category: Category) -> JsonObject:
    parent = f"/lists/{audience.id}/interest-categories"
    return world.linked(
        render_category(audience, category),
        lambda links: links.pair(f"{parent}/{category.id}", parent, "Lists/InterestCategories"),
    )


def list_categories(world: World, call: Call) -> Reply:
    """GET /lists/{list_id}/interest-categories."""
    audience = _audience(world, call)
    kind = call.query.get("type")
    items = [
        _shown_category(world, audience, category)
        for category in audience.categories.values()
        if not kind or category.type == kind
    ]
    path = f"/lists/{audience.id}/interest-categories"
    extra = world.linked(
        {"list_id": audience.id},
        lambda links: links.pair(path, f"/lists/{audience.id}", "Lists/InterestCategories"),
    )
    payload = page_of(items, "categories", call.query, extra)
    return Reply(200, payload, "Lists/InterestCategories/Collection")


def post_category(world: World, call: Call) -> Reply:
    """POST /lists/{list_id}/interest-categories."""
    audience = _audience(world, call)
    body = call.json_object()
    title, kind = body.get("title"), body.get("type")
    if not isinstance(title, str) or not title:
        raise not_validated(("title", "This value should not be blank."))
    if kind not in CATEGORY_TYPES:
        text = f"Data presented is not one of the accepted values: {', '.join(CATEGORY_TYPES)}."
        raise not_validated(("type", text))
    category = add_category(audience, world.new_id(), title, str(kind))
    payload = _shown_category(world, audience, category)
    return Reply(200, payload, "Lists/InterestCategories/Instance")


def add_category(audience: Audience, key: str, title: str, kind: str) -> Category:
    """Give the audience another interest category."""
    place = len(audience.categories)
    category = Category(key, 6197 + place, title, kind, place)
    audience.categories[key] = category
    return category


def _category(audience: Audience, key: str) -> Category:
    if key not in audience.categories:
        raise not_found()
    return audience.categories[key]


def _shown_interest(world: World, audience: Audience, interest: Interest) -> JsonObject:
    subscribers = sum(
        interest.id in member.interests and member.status == "subscribed"
        for member in audience.members.values()
    )
    shape = "Lists/InterestCategories/Interests"
    parent = f"/lists/{audience.id}/interest-categories/{interest.category_id}/interests"
    return world.linked(
        render_interest(audience, interest, subscribers),
        lambda links: links.pair(f"{parent}/{interest.id}", parent, shape),
    )


def list_interests(world: World, call: Call) -> Reply:
    """GET /lists/{list_id}/interest-categories/{interest_category_id}/interests."""
    audience = _audience(world, call)
    category = _category(audience, call.parts[1])
    items = [
        _shown_interest(world, audience, interest)
        for interest in audience.interests.values()
        if interest.category_id == category.id
    ]
    parent = f"/lists/{audience.id}/interest-categories/{category.id}"
    extra = world.linked(
        {"list_id": audience.id, "category_id": category.id},
        lambda links: links.pair(
            f"{parent}/interests", parent, "Lists/InterestCategories/Interests"
        ),
    )
    payload = page_of(items, "interests", call.query, extra)
    return Reply(200, payload, "Lists/InterestCategories/Interests/Collection")


def post_interest(world: World, call: Call) -> Reply:
    """POST /lists/{list_id}/interest-categories/{interest_category_id}/interests."""
    audience = _audience(world, call)
    category = _category(audience, call.parts[1])
    name = call.json_object().get("name")
    if not isinstance(name, str) or not name:
        raise not_validated(("name", "This value should not be blank."))
    interest = Interest(world.new_id(), category.id, name, len(audience.interests) + 1)
    audience.interests[interest.id] = interest
    payload = _shown_interest(world, audience, interest)
    return Reply(200, payload, "Lists/InterestCategories/Interests/Instance")
