"""How accounts, audiences, members and the rest look as JSON."""

from collections.abc import Callable, Collection, Mapping

from mcsync.sandbox.mailchimp.state import (
    Account,
    Audience,
    Batch,
    Category,
    Interest,
    Member,
    MergeField,
    Webhook,
    subscriber_hash,
)
from mcsync.sandbox.mailchimp.wire import JsonObject, iso

MAX_TAGS_SHOWN = 50  # Mailchimp's specification

MEMBER_FIELDS: Mapping[str, Callable[[Audience, Member], object]] = {
    "id": lambda a, m: m.id,
    "email_address": lambda a, m: m.email,
    "unique_email_id": lambda a, m: m.unique_email_id,
    "contact_id": lambda a, m: m.contact_id,
    "full_name": lambda a, m: full_name(m),
    "web_id": lambda a, m: m.web_id,
    "email_type": lambda a, m: m.email_type,
    "status": lambda a, m: m.status,
    "unsubscribe_reason": lambda a, m: m.unsubscribe_reason,
    "consents_to_one_to_one_messaging": lambda a, m: True,
    "merge_fields": lambda a, m: {tag: m.merge.get(tag, "") for tag in a.merge_fields},
    "interests": lambda a, m: {key: key in m.interests for key in a.interests},
    "stats": lambda a, m: {"avg_open_rate": 0, "avg_click_rate": 0},
    "ip_signup": lambda a, m: m.ip_signup,
    "timestamp_signup": lambda a, m: iso(m.timestamp_signup),
    "ip_opt": lambda a, m: m.ip_opt,
    "timestamp_opt": lambda a, m: iso(m.timestamp_opt),
    "member_rating": lambda a, m: 2,
    "last_changed": lambda a, m: iso(m.last_changed),
    "language": lambda a, m: m.language,
    "vip": lambda a, m: m.vip,
    "email_client": lambda a, m: "",
    "location": lambda a, m: location(m),
    "source": lambda a, m: m.source,
    "tags_count": lambda a, m: len(m.tags),
    "tags": lambda a, m: shown_tags(a, m),
    "list_id": lambda a, m: a.id,
}
ALL_MEMBER_FIELDS = frozenset(MEMBER_FIELDS)


def full_name(member: Member) -> str:
    """First and last name as one."""
    parts = [str(member.merge.get(tag, "")) for tag in ("FNAME", "LNAME")]
    return " ".join(part for part in parts if part)


def location(member: Member) -> JsonObject:
    """Where the member seems to be."""
    place: JsonObject = {"latitude": member.latitude, "longitude": member.longitude}
    return place | {"gmtoff": 0, "dstoff": 0, "country_code": "", "timezone": "", "region": ""}


def shown_tags(audience: Audience, member: Member) -> list[JsonObject]:
    """The first 50 tags."""
    shown = list(member.tags)[:MAX_TAGS_SHOWN]
    return [{"id": key, "name": audience.tags_by_id[key].name} for key in shown]


def render_member(
    audience: Audience, member: Member, wanted: Collection[str] = ALL_MEMBER_FIELDS
) -> JsonObject:
    """A member as JSON, without `_links`; only the wanted top-level names.

    `interests` is absent when the audience has none, `unsubscribe_reason` unless unsubscribed.
    """
    absent = {"unsubscribe_reason"} if not member.unsubscribe_reason else set()
    if not audience.interests:
        absent.add("interests")
    return {
        name: make(audience, member)
        for name, make in MEMBER_FIELDS.items()
        if name in wanted and name not in absent
    }


class Links:
    """Makes `_links`; `base` is the service's address without `/3.0`."""

    def __init__(self, base: str) -> None:
        self.base = base

    def link(
        self, rel: str, path: str, method: str, schema: str = "", post: str = ""
    ) -> JsonObject:
        """One link."""
        made: JsonObject = {"rel": rel, "href": f"{self.base}/3.0{path}", "method": method}
        schemas = f"{self.base}/schema/3.0"
        if schema:
            made["targetSchema"] = f"{schemas}/Definitions/{schema}.json"
        if post:
            made["schema"] = f"{schemas}/{post}.json"
        return made

    def pair(self, path: str, parent: str, schema: str) -> list[JsonObject]:
        """The two links everything has."""
        return [
            self.link("self", path, "GET", f"{schema}/Response"),
            self.link("parent", parent, "GET", f"{schema}/CollectionResponse"),
        ]

    def member(self, audience: Audience, member: Member) -> list[JsonObject]:
        """A member's nine links."""
        parent = f"/lists/{audience.id}/members"
        path = f"{parent}/{member.id}"
        shape = "Lists/Members"
        return [
            *self.pair(path, parent, shape),
            self.link("update", path, "PATCH", f"{shape}/Response", f"{shape}/PATCH"),
            self.link("upsert", path, "PUT", f"{shape}/Response", f"{shape}/PUT"),
            self.link("delete", path, "DELETE"),
            self.link("activity", f"{path}/activity", "GET", f"{shape}/Activity/Response"),
            self.link("goals", f"{path}/goals", "GET", f"{shape}/Goals/Response"),
            self.link("notes", f"{path}/notes", "GET", f"{shape}/Notes/CollectionResponse"),
            self.link("delete_permanent", f"{path}/actions/delete-permanent", "POST"),
        ]


def render_account(account: Account, total: int) -> JsonObject:
    """The answer of `GET /`."""
    return {
        "account_id": account.account_id,
        "login_id": str(int(subscriber_hash(account.name)[:7], 16)),
        "account_name": account.name,
        "email": "owner@example.org",
        "first_name": "",
        "last_name": "",
        "username": account.name,
        "avatar_url": "",
        "role": account.role,
        "member_since": iso(account.created_at),
        "pricing_plan_type": "forever_free",
        "first_payment": "",
        "account_timezone": "Europe/Amsterdam",
        "account_industry": "",
        "contact": dict.fromkeys(("company", "addr1", "city", "state", "zip", "country"), ""),
        "pro_enabled": False,
        "last_login": iso(account.created_at),
        "total_subscribers": total,
        "industry_stats": {"open_rate": 0, "bounce_rate": 0, "click_rate": 0},
    }


def render_audience(audience: Audience, with_total: bool) -> JsonObject:
    """A list as JSON, without `_links`."""
    return {
        "id": audience.id,
        "web_id": audience.web_id,
        "name": audience.name,
        "contact": dict.fromkeys(
            ("company", "address1", "city", "state", "zip", "country", "phone"), ""
        ),
        "permission_reminder": "You signed up on our site.",
        "use_archive_bar": True,
        "campaign_defaults": {
            "from_name": audience.name,
            "from_email": "news@example.org",
            "subject": "",
            "language": "en",
        },
        "notify_on_subscribe": "",
        "notify_on_unsubscribe": "",
        "date_created": iso(audience.created_at),
        "list_rating": 0,
        "email_type_option": False,
        "subscribe_url_short": f"https://eepurl.example.org/{audience.id}",
        "subscribe_url_long": f"https://example.org/subscribe?id={audience.id}",
        "beamer_address": "inbound@example.org",
        "visibility": "prv",
        "double_optin": audience.double_optin,
        "has_welcome": False,
        "marketing_permissions": False,
        "modules": [],
        "stats": render_stats(audience, with_total),
    }


def render_stats(audience: Audience, with_total: bool) -> JsonObject:
    """The counts of a list; `total_contacts` only on demand."""
    counts = {status: len(index) for status, index in audience.by_status.items()}
    stats: JsonObject = {
        "member_count": counts["subscribed"],
        "unsubscribe_count": counts["unsubscribed"],
        "cleaned_count": counts["cleaned"],
        "member_count_since_send": counts["subscribed"],
        "unsubscribe_count_since_send": counts["unsubscribed"],
        "cleaned_count_since_send": counts["cleaned"],
        "campaign_count": 1 if audience.last_campaign_at else 0,
        "campaign_last_sent": iso(audience.last_campaign_at),
        "merge_field_count": len(audience.merge_fields),
        "avg_sub_rate": 0,
        "avg_unsub_rate": 0,
        "target_sub_rate": 0,
        "open_rate": 0,
        "click_rate": 0,
        "last_sub_date": iso(audience.last_sub_at),
        "last_unsub_date": iso(audience.last_unsub_at),
    }
    if with_total:
        stats["total_contacts"] = sum(counts.values())
    return stats


def render_merge_field(audience: Audience, merge_field: MergeField) -> JsonObject:
    """A merge field as JSON, without `_links`."""
    return {
        "merge_id": merge_field.merge_id,
        "tag": merge_field.tag,
        "name": merge_field.name,
        "type": merge_field.type,
        "required": merge_field.required,
        "default_value": merge_field.default_value,
        "public": merge_field.public,
        "display_order": merge_field.display_order,
        "options": merge_field.options,
        "help_text": merge_field.help_text,
        "list_id": audience.id,
    }


def render_category(audience: Audience, category: Category) -> JsonObject:
    """An interest category as JSON, without `_links`."""
    return {
        "list_id": audience.id,
        "id": category.id,
        "title": category.title,
        "display_order": category.display_order,
        "type": category.type,
    }


def render_interest(audience: Audience, interest: Interest, subscribers: int) -> JsonObject:
    """An interest as JSON, without `_links`; the count is a string, as specified."""
    return {
        "category_id": interest.category_id,
        "list_id": audience.id,
        "id": interest.id,
        "name": interest.name,
        "subscriber_count": str(subscribers),
        "display_order": interest.display_order,
    }


def render_webhook(webhook: Webhook) -> JsonObject:
    """An audience webhook as JSON, without `_links` and without its secret."""
    return {
        "id": webhook.id,
        "url": webhook.url,
        "events": dict(webhook.events),
        "sources": dict(webhook.sources),
        "list_id": webhook.list_id,
    }


def render_batch_webhook(webhook: Webhook) -> JsonObject:
    """A batch webhook as JSON, without `_links`."""
    return {"id": webhook.id, "url": webhook.url, "enabled": webhook.enabled}


def render_batch(batch: Batch, url: str) -> JsonObject:
    """A batch as JSON, without `_links`; a fresh one counts nothing yet."""
    counted = batch.status not in {"pending", "preprocessing"}
    finished = batch.done if batch.shown_finished is None else batch.shown_finished
    return {
        "id": batch.id,
        "status": batch.status,
        "total_operations": len(batch.operations) + batch.extra if counted else 0,
        "finished_operations": finished if counted else 0,
        "errored_operations": min(batch.errored, finished) if counted else 0,
        "submitted_at": iso(batch.submitted_at),
        "completed_at": iso(batch.completed_at),
        "response_body_url": url,
    }
