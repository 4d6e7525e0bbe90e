"""How few records the site took in one request, kept for a day: else each run would find it out."""

from collections.abc import Mapping
from datetime import datetime, timedelta

import msgspec

from mcsync.cache.store import Store
from mcsync.cache.times import from_text, to_text

_KEPT = timedelta(days=1)  # by then whatever made the site slow may be over


class RequestLimits(msgspec.Struct, rename="camel"):
    """The most of each kind, and when that was found out."""

    at: str = ""
    most: dict[str, int] = {}


def load_request_limits(store: Store, now: datetime) -> Mapping[str, int]:
    """What was found out in the last day."""
    known = store.load_state("request_limits", RequestLimits)
    is_of_today = known.at and from_text(known.at) <= now < from_text(known.at) + _KEPT
    return known.most if is_of_today else {}


def keep_request_limits(store: Store, most: Mapping[str, int], now: datetime) -> None:
    """Keep what was found out, if it is anything new."""
    if dict(most) == dict(load_request_limits(store, now)):
        return
    with store.atomic():
        store.save_state("request_limits", RequestLimits(to_text(now), dict(most)))
