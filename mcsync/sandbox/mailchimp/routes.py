"""Which function answers which method and path."""

from collections.abc import Callable

from mcsync.sandbox.mailchimp import audiences, members, registrations
from mcsync.sandbox.mailchimp.batches import Batches
from mcsync.sandbox.mailchimp.wire import Call, Problem, Reply, not_found, split_path
from mcsync.sandbox.mailchimp.world import World

Handler = Callable[[World, Call], Reply]
Routes = dict[int, list[tuple[tuple[str, ...], dict[str, Handler]]]]

LIST = "/lists/*"
MEMBER = "/lists/*/members/*"
CATEGORIES = "/lists/*/interest-categories"


def make_routes(batches: Batches) -> Routes:
    """All routes by the number of their segments; `*` stands for an id."""
    table: dict[str, dict[str, Handler]] = {
        "/": {"GET": audiences.get_account},
        "/ping": {"GET": audiences.ping},
        "/lists": {"GET": audiences.list_audiences},
        LIST: {"GET": audiences.get_audience, "POST": members.post_bulk},
        f"{LIST}/members": {"GET": members.list_members, "POST": members.post_member},
        MEMBER: {
            "GET": members.get_member,
            "PUT": members.put_member,
            "PATCH": members.patch_member,
            "DELETE": members.archive_member,
        },
        f"{MEMBER}/tags": {"GET": members.list_tags, "POST": members.post_tags},
        f"{MEMBER}/actions/delete-permanent": {"POST": members.delete_permanently},
        f"{LIST}/merge-fields": {
            "GET": audiences.list_merge_fields,
            "POST": audiences.post_merge_field,
        },
        CATEGORIES: {"GET": audiences.list_categories, "POST": audiences.post_category},
        f"{CATEGORIES}/*/interests": {
            "GET": audiences.list_interests,
            "POST": audiences.post_interest,
        },
        f"{LIST}/webhooks": {
            "GET": registrations.list_webhooks,
            "POST": registrations.post_webhook,
        },
        f"{LIST}/webhooks/*": {
            "GET": registrations.get_webhook,
            "PATCH": registrations.patch_webhook,
            "DELETE": registrations.delete_webhook,
        },
        "/batches": {
            "GET": lambda _, call: batches.list(call),
            "POST": lambda _, call: batches.post(call),
        },
        "/batches/*": {
            "GET": lambda _, call: batches.get(call),
            "DELETE": lambda _, call: batches.delete(call),
        },
        "/batch-webhooks": {
            "GET": registrations.list_batch_webhooks,
            "POST": registrations.post_batch_webhook,
        },
        "/batch-webhooks/*": {
            "GET": registrations.get_batch_webhook,
            "PATCH": registrations.patch_batch_webhook,
            "DELETE": registrations.delete_batch_webhook,
        },
    }
    routes: Routes = {}
    for pattern, handlers in table.items():
        segments = split_path(pattern)
        routes.setdefault(len(segments), []).append((segments, handlers))
    return routes


def find(routes: Routes, method: str, path: str) -> tuple[Handler, tuple[str, ...]]:
    """The function for a call and the ids in its path. Raises Problem 404 or 405."""
    segments = split_path(path)
    for pattern, handlers in routes.get(len(segments), ()):
        if all(want in {"*", have} for want, have in zip(pattern, segments, strict=True)):
            if method not in handlers:
                raise Problem(
                    405,
                    "Method Not Allowed",
                    "The requested method and resource are not compatible. "
                    "See the Allow header for this resource's available methods.",
                    headers={"Allow": ", ".join(handlers)},
                )
            ids = tuple(h for w, h in zip(pattern, segments, strict=True) if w == "*")
            return handlers[method], ids
    raise not_found()
