"""What audience webhooks tell, in exactly the documented fields."""

from collections.abc import Iterator, Mapping

from mcsync.sandbox.mailchimp.state import Audience, Member, subscriber_hash
from mcsync.sandbox.mailchimp.world import Event

Fields = list[tuple[str, str]]
PROFILE_PARTS = frozenset({"merge", "interests", "email_type", "language", "email"})


def change_events(
    audience: Audience, member: Member, before: Mapping[str, object], origin: str, reason: str
) -> Iterator[Event]:
    """The events of one change; `before` holds the old values of what changed."""
    if "email" in before:
        yield _event("upemail", audience, origin, _upemail(audience, member, before))
    if "status" in before:
        yield from _status_events(audience, member, origin, reason)
        if "email" not in before:
            return
    if member.status not in {"pending", "archived"} and before.keys() & PROFILE_PARTS:
        yield _event("profile", audience, origin, _profile(audience, member))


def _status_events(audience: Audience, member: Member, origin: str, reason: str) -> Iterator[Event]:
    if member.status == "subscribed":
        yield _event("subscribe", audience, origin, _subscribe(audience, member))
    elif member.status == "unsubscribed":
        fields = _unsubscribe(audience, member, "unsub", reason or "manual")
        yield _event("unsubscribe", audience, origin, fields)
    elif member.status == "archived":
        yield delete_event(audience, member, origin)
    elif member.status == "cleaned":
        fields = _cleaned(audience, member, reason or "hard")
        yield _event("cleaned", audience, origin, fields)


def delete_event(audience: Audience, member: Member, origin: str) -> Event:
    """`unsubscribe` with action `delete`: what an archive or a deletion looks like."""
    fields = _unsubscribe(audience, member, "delete", "manual")
    return _event("unsubscribe", audience, origin, fields)


def campaign_event(audience: Audience, campaign_id: str, subject: str) -> Event:
    """A campaign was sent."""
    fields = [
        ("[id]", campaign_id),
        ("[subject]", subject),
        ("[status]", "sent"),
        ("[reason]", ""),
        ("[list_id]", audience.id),
    ]
    return _event("campaign", audience, "", fields)


def _event(kind: str, audience: Audience, origin: str, fields: Fields) -> Event:
    return Event(kind, audience.id, origin, tuple(fields))


def _subscribe(audience: Audience, member: Member) -> Fields:
    head = [
        ("[id]", member.unique_email_id),
        ("[email]", member.email),
        ("[email_type]", member.email_type),
        ("[ip_opt]", member.ip_opt),
    ]
    if member.ip_signup:
        head.append(("[ip_signup]", member.ip_signup))
    head.append(("[web_id]", str(member.web_id)))
    return [*head, *merges(audience, member), ("[list_id]", audience.id)]


def _unsubscribe(audience: Audience, member: Member, action: str, reason: str) -> Fields:
    return [
        ("[action]", action),
        ("[reason]", reason),
        ("[id]", member.unique_email_id),
        ("[list_id]", audience.id),
        ("[email]", member.email),
        ("[email_type]", member.email_type),
        *merges(audience, member),
        ("[ip_opt]", member.ip_opt),
    ]


def _profile(audience: Audience, member: Member) -> Fields:
    return [
        ("[id]", member.unique_email_id),
        ("[list_id]", audience.id),
        ("[email]", member.email),
        ("[email_type]", member.email_type),
        *merges(audience, member),
        ("[ip_opt]", member.ip_opt),
        ("[web_id]", str(member.web_id)),
    ]


def _upemail(audience: Audience, member: Member, before: Mapping[str, object]) -> Fields:
    return [
        ("[list_id]", audience.id),
        ("[new_id]", member.unique_email_id),
        ("[new_email]", member.email),
        ("[old_email]", str(before["email"])),
    ]


def _cleaned(audience: Audience, member: Member, reason: str) -> Fields:
    return [
        ("[list_id]", audience.id),
        ("[campaign_id]", subscriber_hash(audience.id)[:10]),
        ("[reason]", reason),
        ("[email]", member.email),
    ]


def merges(audience: Audience, member: Member) -> Fields:
    """`[merges][...]`: the address, the merge fields, and the interests by name."""
    fields = [("[merges][EMAIL]", member.email)]
    for tag in audience.merge_fields:
        value = member.merge.get(tag, "")
        if isinstance(value, dict):
            fields += [(f"[merges][{tag}][{part}]", str(text)) for part, text in value.items()]
        else:
            fields.append((f"[merges][{tag}]", str(value)))
    if audience.categories:
        names = [i.name for i in audience.interests.values() if i.id in member.interests]
        fields.append(("[merges][INTERESTS]", joined(names)))
        fields += _groupings(audience, member)
    return fields


def _groupings(audience: Audience, member: Member) -> Fields:
    fields: Fields = []
    for place, category in enumerate(audience.categories.values()):
        head = f"[merges][GROUPINGS][{place}]"
        fields += [
            (f"{head}[id]", str(category.number)),
            (f"{head}[unique_id]", category.id),
            (f"{head}[name]", category.title),
        ]
        names = [
            interest.name
            for interest in audience.interests.values()
            if interest.category_id == category.id and interest.id in member.interests
        ]
        if names:  # a category without a selected group may lack `groups` (reported)
            fields.append((f"{head}[groups]", joined(names)))
    return fields


def joined(names: list[str]) -> str:
    """Names as webhooks list them: a comma inside one becomes `\\,`."""
    return ", ".join(name.replace(",", "\\,") for name in names)
