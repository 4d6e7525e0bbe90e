"""Mailchimp's rules for members: what may become of whom, and what moves `last_changed`.

Every write goes through `apply`, by whomever: it compares, sets, moves `last_changed` if
anything changed, mails who has to confirm, and tells the webhooks.
"""

from collections.abc import Mapping

from mcsync.sandbox.mailchimp.events import change_events, delete_event
from mcsync.sandbox.mailchimp.problems import (
    forgotten,
    in_compliance_state,
    member_exists,
    not_removable,
    not_subscribed,
)
from mcsync.sandbox.mailchimp.state import BY_ADMIN, Audience, Member, subscriber_hash
from mcsync.sandbox.mailchimp.validation import (
    PATCHABLE,
    WRITABLE,
    check_address,
    check_shape,
    read_interests,
    read_merge,
)
from mcsync.sandbox.mailchimp.wire import JsonObject, not_validated, read_time
from mcsync.sandbox.mailchimp.world import World

PLAIN = ("email_type", "language", "vip", "ip_signup", "ip_opt")
Values = dict[str, object]


def put_member(
    world: World, audience: Audience, key: str, body: JsonObject, skip: bool, now: int
) -> Member:
    """PUT: update who the path names; if it names nobody, follow the body's address."""
    check_shape(body, WRITABLE)
    member = audience.by_path(key)
    if member is not None:
        return update(world, audience, member, body, skip, now)
    email = str(body.get("email_address") or "")
    if not email:
        raise not_validated(("email_address", "This value should not be blank."))
    other = audience.by_address(email)
    # Guess: an archived address is brought back as POST does; recorded is only Member Exists
    # for one that is there. `status` alone was enough to create (recorded).
    if "status" not in body:
        body = {**body, "status": body.get("status_if_new")}
    return _create_or_revive(world, audience, other, body, skip, now)


def post_member(world: World, audience: Audience, body: JsonObject, skip: bool, now: int) -> Member:
    """POST: create, or un-archive with the old tags kept."""
    check_shape(body, WRITABLE)
    missing = [name for name in ("email_address", "status") if not body.get(name)]
    if missing:
        text = f"Required fields were not provided: {', '.join(missing)}"
        raise not_validated(*((name, text) for name in missing))
    other = audience.by_address(str(body["email_address"]))
    member = _create_or_revive(world, audience, other, body, skip, now)
    tags = body.get("tags")
    if isinstance(tags, list):
        write_tags(audience, member, [(str(name), True) for name in tags], now)
    return member


def patch_member(
    world: World, audience: Audience, member: Member, body: JsonObject, skip: bool, now: int
) -> Member:
    """PATCH: update only."""
    check_shape(body, PATCHABLE)
    return update(world, audience, member, body, skip, now)


def _create_or_revive(
    world: World,
    audience: Audience,
    other: Member | None,
    body: JsonObject,
    skip: bool,
    now: int,
) -> Member:
    if other is None:
        return create(world, audience, body, skip, now)
    if other.status != "archived":
        raise member_exists(str(body["email_address"]))
    return update(world, audience, other, body, skip, now)


def create(world: World, audience: Audience, body: JsonObject, skip: bool, now: int) -> Member:
    """A new member by API. Raises Problem."""
    email = str(body["email_address"])
    check_address(email, world.settings.fake_addresses, world.settings.busy_addresses)
    key = subscriber_hash(email)
    if key in audience.forgotten:
        raise forgotten(email)
    status = body.get("status")
    if not status:
        raise not_validated(("status_if_new", "This value should not be blank."))
    merge = read_merge(audience, body, {}, skip=skip, complete=True)
    member = Member(
        key, email, world.next_order(), "archived", 0, barred=audience.barred.get(key, "")
    )
    values = status_values(world, member, str(status), now)
    values |= plain_values(body)
    values |= {"merge": merge, "interests": read_interests(audience, body, frozenset())}
    add(world, audience, member, values, "api", now)
    return member


def update(
    world: World, audience: Audience, member: Member, body: JsonObject, skip: bool, now: int
) -> Member:
    """Change an existing member by API; what the body lacks stays. Raises Problem."""
    email = str(body.get("email_address") or member.email)
    status = str(body.get("status") or member.status)
    values: Values = {}
    if subscriber_hash(email) != member.id and email.lower() != member.email.lower():
        check_new_address(world, audience, member, email)
        values["email"] = email
    if status != member.status:
        values |= status_values(world, member, status, now)
    values |= plain_values(body)
    back = member.status == "archived" and status != "archived"
    whole = back or world.settings.demands_fields_always
    values["merge"] = read_merge(audience, body, member.merge, skip=skip, complete=whole)
    values["interests"] = read_interests(audience, body, member.interests)
    apply(world, audience, member, values, "api", now)
    return member


def check_new_address(world: World, audience: Audience, member: Member, email: str) -> None:
    """Refuse a change of address that is not allowed. Raises Problem."""
    if member.status != "subscribed":
        raise not_subscribed(member.status)
    check_address(email, world.settings.fake_addresses, world.settings.busy_addresses)
    if audience.by_address(email) is not None:
        raise member_exists(email)
    if subscriber_hash(email) in audience.forgotten:
        raise forgotten(email)


def plain_values(body: JsonObject) -> Values:
    """The simple properties a body sets."""
    values: Values = {name: body[name] for name in PLAIN if name in body}
    for name in ("timestamp_signup", "timestamp_opt"):
        if body.get(name):
            values[name] = int(read_time(name, str(body[name])))
    location = body.get("location")
    if isinstance(location, dict):
        values |= {n: location[n] for n in ("latitude", "longitude") if n in location}
    return values


def status_values(world: World, member: Member, status: str, now: int) -> Values:
    """What the API's change to another status means. Raises Problem if it may not be.

    Who left is only taken as `pending`; who bounced is taken as neither (reported).
    """
    if (status == "subscribed" and member.barred) or (
        status == "pending" and member.barred == "bounced"
    ):
        raise in_compliance_state(member.email)
    values: Values = {"status": status, "unsubscribe_reason": ""}
    if status == "subscribed" and member.status in {"archived", "pending"}:
        values["timestamp_opt"] = now
    elif status == "unsubscribed":
        values |= {"unsubscribe_reason": BY_ADMIN, "unsubscribed_at": now}
        if world.settings.api_unsubscribe_is_final and member.barred != "bounced":
            values["barred"] = "left"
    elif status == "cleaned":
        values["barred"] = "bounced"
    elif status == "pending":
        values["pending_since"] = now
    return values


def add(
    world: World, audience: Audience, member: Member, values: Values, origin: str, now: int
) -> None:
    """Put a new member into the audience, with the values given."""
    for name, value in values.items():
        setattr(member, name, value)
    member.last_changed = now
    audience.add(member)
    audience.barred.pop(member.id, None)
    _after(world, audience, member, {"status": ""}, origin, now)


def apply(
    world: World,
    audience: Audience,
    member: Member,
    values: Values,
    origin: str,
    now: int,
    reason: str = "",
) -> bool:
    """Set what differs; returns whether anything did. `reason` is for the webhooks."""
    old = {name: getattr(member, name) for name in values}
    changed = {name: value for name, value in values.items() if old[name] != value}
    if not changed:
        return False
    email = changed.pop("email", None)
    status = changed.pop("status", None)
    before = {name: old[name] for name in values if old[name] != values[name]}
    for name, value in changed.items():
        setattr(member, name, value)
    audience.move(member, at=now, status=str(status) if status else None)
    if email is not None:
        audience.rename(member, str(email))
    _after(world, audience, member, before, origin, now, reason)
    return True


def _after(
    world: World,
    audience: Audience,
    member: Member,
    before: Mapping[str, object],
    origin: str,
    now: int,
    reason: str = "",
) -> None:
    if "status" in before:
        if member.status == "pending":
            world.send_confirmation(audience, member, now)
        elif member.status == "subscribed":
            audience.last_sub_at = now
        elif member.status == "unsubscribed":
            audience.last_unsub_at = now
    if audience.webhooks:
        for event in change_events(audience, member, before, origin, reason):
            world.emit(event, now)


def archive(world: World, audience: Audience, member: Member, origin: str, now: int) -> None:
    """DELETE: data and tags are kept. Raises Problem 405."""
    if member.status not in {"subscribed", "unsubscribed"}:
        raise not_removable()
    values: Values = {"status": "archived", "unsubscribe_reason": ""}
    apply(world, audience, member, values, origin, now)


def delete_permanently(
    world: World, audience: Audience, member: Member, origin: str, now: int
) -> None:
    """Erase a member; the address cannot be imported again."""
    key = subscriber_hash(member.email)
    audience.remove(member)
    audience.forgotten.add(key)
    audience.erasures[key] = audience.erasures.get(key, 0) + 1
    if audience.webhooks:
        world.emit(delete_event(audience, member, origin), now)


def write_tags(audience: Audience, member: Member, tags: list[tuple[str, bool]], now: int) -> bool:
    """Switch tags on and off; returns whether that moved `last_changed`.

    Recorded: naming a tag the member already has moves it too. Guess: switching off one it
    does not have does not. New tags come first in the member's list.
    """
    moved = False
    for name, active in tags:
        if active:
            tag = audience.tag(name)
            if tag.id not in member.tags:
                member.tags = {tag.id: now, **member.tags}
            moved = True
        else:
            old = audience.tags.get(name.lower())
            if old is not None and member.tags.pop(old.id, None) is not None:
                moved = True
    if moved:
        audience.move(member, at=now)
    return moved
