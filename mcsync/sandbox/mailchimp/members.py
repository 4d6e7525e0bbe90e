"""The API's calls on members: listing, one member, tags, and the bulk call of a list."""

from collections.abc import Mapping

from mcsync.sandbox.mailchimp import rules
from mcsync.sandbox.mailchimp.listing import find_members, read_listing, render_listing
from mcsync.sandbox.mailchimp.problems import member_exists
from mcsync.sandbox.mailchimp.render import ALL_MEMBER_FIELDS, Links, render_member
from mcsync.sandbox.mailchimp.state import Audience, Member
from mcsync.sandbox.mailchimp.validation import WRITABLE, check_shape
from mcsync.sandbox.mailchimp.wire import (
    NO_CONTENT,
    Call,
    JsonObject,
    Problem,
    Reply,
    invalid,
    iso,
    not_found,
    not_validated,
    page_of,
    project,
)
from mcsync.sandbox.mailchimp.world import World

BULK_MAX = 500  # Mailchimp's specification
INSTANCE = "Lists/Members/Instance"


def _audience(world: World, call: Call) -> Audience:
    return world.audience_for(call.api_key, call.parts[0], call.now)


def _member(world: World, call: Call, *, hash_only: bool = False) -> tuple[Audience, Member]:
    audience = _audience(world, call)
    key = call.parts[1]
    found = audience.members.get(key) if hash_only else audience.by_path(key)
    if found is None:
        raise not_found()
    return audience, found


def render(world: World, audience: Audience, member: Member) -> JsonObject:
    """A member as the API shows it alone."""
    payload = render_member(audience, member)
    return world.linked(payload, lambda links: links.member(audience, member))


def _shown(world: World, call: Call, audience: Audience, member: Member) -> Reply:
    payload = project(render(world, audience, member), call.query, ALL_MEMBER_FIELDS)
    dashboard = f"https://us3.admin.mailchimp.com/lists/members/view?id={member.web_id}"
    return Reply(200, payload, INSTANCE, dashboard)


def list_members(world: World, call: Call) -> Reply:
    """GET /lists/{list_id}/members."""
    audience = _audience(world, call)
    listing = read_listing(audience, call.query)
    turn = world.random.randrange(1 << 30) if world.settings.unstable_order else 0
    members, total = find_members(audience, listing, turn)
    links = Links(world.base_url) if world.settings.with_links else None
    payload = render_listing(audience, members, total, call.query, links)
    return Reply(200, payload, "Lists/Members/Collection")


def get_member(world: World, call: Call) -> Reply:
    """GET /lists/{list_id}/members/{subscriber_hash}."""
    return _shown(world, call, *_member(world, call))


def post_member(world: World, call: Call) -> Reply:
    """POST /lists/{list_id}/members."""
    audience = _audience(world, call)
    skip = call.flag("skip_merge_validation")
    member = rules.post_member(world, audience, call.json_object(), skip, call.now)
    return _shown(world, call, audience, member)


def put_member(world: World, call: Call) -> Reply:
    """PUT /lists/{list_id}/members/{subscriber_hash}."""
    audience = _audience(world, call)
    skip = call.flag("skip_merge_validation")
    body = call.json_object()
    member = rules.put_member(world, audience, call.parts[1], body, skip, call.now)
    return _shown(world, call, audience, member)


def patch_member(world: World, call: Call) -> Reply:
    """PATCH /lists/{list_id}/members/{subscriber_hash}."""
    audience, member = _member(world, call)
    skip = call.flag("skip_merge_validation")
    rules.patch_member(world, audience, member, call.json_object(), skip, call.now)
    return _shown(world, call, audience, member)


def archive_member(world: World, call: Call) -> Reply:
    """DELETE /lists/{list_id}/members/{subscriber_hash}."""
    audience, member = _member(world, call)
    rules.archive(world, audience, member, "api", call.now)
    return NO_CONTENT


def delete_permanently(world: World, call: Call) -> Reply:
    """POST /lists/{list_id}/members/{subscriber_hash}/actions/delete-permanent."""
    audience, member = _member(world, call, hash_only=True)
    rules.delete_permanently(world, audience, member, "api", call.now)
    return NO_CONTENT


def list_tags(world: World, call: Call) -> Reply:
    """GET /lists/{list_id}/members/{subscriber_hash}/tags: all tags, paged."""
    audience, member = _member(world, call)
    tags: list[JsonObject] = [
        {"id": key, "name": audience.tags_by_id[key].name, "date_added": iso(added)}
        for key, added in member.tags.items()
    ]
    payload = page_of(tags, "tags", call.query, {})
    return Reply(200, payload, "Lists/Members/Tags/Collection")


def post_tags(world: World, call: Call) -> Reply:
    """POST /lists/{list_id}/members/{subscriber_hash}/tags: only the named tags change."""
    audience, member = _member(world, call, hash_only=True)
    rules.write_tags(audience, member, _read_tags(call.json_object()), call.now)
    return NO_CONTENT


def _read_tags(body: JsonObject) -> list[tuple[str, bool]]:
    sent = body.get("tags")
    if not isinstance(sent, list):
        return []  # reported: not wrapped in {"tags": [...]} it is answered 204 and does nothing
    tags = []
    for place, tag in enumerate(sent):
        name = tag.get("name") if isinstance(tag, dict) else None
        status = tag.get("status") if isinstance(tag, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise not_validated((f"tags.item:{place}.name", "This value should not be blank."))
        if status not in {"active", "inactive"}:
            text = "Data presented is not one of the accepted values: inactive, active."
            raise not_validated((f"tags.item:{place}.status", text))
        tags.append((name.strip(), status == "active"))
    return tags


# POST /lists/{list_id} -------------------------------------------------------------------


def post_bulk(world: World, call: Call) -> Reply:
    """POST /lists/{list_id}: up to 500 members, at once."""
    audience = _audience(world, call)
    body = call.json_object()
    sent = body.get("members")
    if not isinstance(sent, list):
        raise not_validated(("members", "Schema describes array, NULL found instead"))
    if len(sent) > BULK_MAX:
        raise invalid(f"You can only submit up to {BULK_MAX} members at a time.")
    new: list[JsonObject] = []
    updated: list[JsonObject] = []
    errors: list[JsonObject] = []
    seen: set[str] = set()
    for entry in sent:
        entry = entry if isinstance(entry, dict) else {}
        email = str(entry.get("email_address") or "")
        repeated = email.lower() in seen and not call.flag("skip_duplicate_check")
        seen.add(email.lower())
        try:
            if repeated:
                raise invalid(f"{email} appears more than once in this request.")
            is_new, member = _bulk_one(world, audience, call, body, entry)
        except Problem as problem:
            errors.append(_bulk_error(email, problem))
        else:
            (new if is_new else updated).append(render(world, audience, member))
    payload: JsonObject = {"new_members": new, "updated_members": updated, "errors": errors}
    payload |= {"total_created": len(new), "total_updated": len(updated)}
    payload["error_count"] = len(errors)
    return Reply(200, payload, "Lists/Instance")


def _bulk_one(
    world: World, audience: Audience, call: Call, body: Mapping[str, object], entry: JsonObject
) -> tuple[bool, Member]:
    skip = call.flag("skip_merge_validation")
    email = str(entry.get("email_address") or "")
    member = audience.by_address(email)
    data = {name: value for name, value in entry.items() if name != "tags"}
    is_new = member is None or member.status == "archived"
    if member is None or member.status == "archived":
        member = rules.post_member(world, audience, data, skip, call.now)
    elif not body.get("update_existing"):
        raise member_exists(email)
    else:
        check_shape(data, WRITABLE)
        rules.update(world, audience, member, data, skip, call.now)
    tags = entry.get("tags")
    if isinstance(tags, list):
        wanted = [(str(name), True) for name in tags]
        if body.get("sync_tags") and body.get("update_existing"):
            names = {name.lower() for name, _ in wanted}
            held = [audience.tags_by_id[key].name for key in member.tags]
            wanted += [(name, False) for name in held if name.lower() not in names]
        rules.write_tags(audience, member, wanted, call.now)
    return is_new, member


def _bulk_error(email: str, problem: Problem) -> JsonObject:
    exists = problem.title == "Member Exists"
    field, text = problem.errors[0] if problem.errors else ("", "")
    return {
        "email_address": email,
        "error": problem.detail,
        "error_code": "ERROR_CONTACT_EXISTS" if exists else "ERROR_GENERIC",
        "field": field,
        "field_message": text,
    }
