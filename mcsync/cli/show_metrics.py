"""How `mcsync status --prometheus` looks: Prometheus' text format, for node exporter to read.

Names and units are by Prometheus' conventions. A number that may be none is 0, not absent, so that
an alert on it can fire: who never had a complete sync had one in 1970.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from prometheus_client import generate_latest
from prometheus_client.core import GaugeMetricFamily

from mcsync import __version__
from mcsync.answers.status import CANNOT_SUBSCRIBE, Standing
from mcsync.cache.counts import count_webhooks
from mcsync.cache.times import from_text
from mcsync.cli.output import write_answer
from mcsync.cli.show_status import find_holder
from mcsync.model import MemberStatus

if TYPE_CHECKING:
    from mcsync.cli.session import Look

_AUDIENCE = ("list_id", "audience")

_NUMBERS: tuple[tuple[str, str, Callable[[Standing], float]], ...] = (
    (
        "last_complete_sync_timestamp_seconds",
        "When the last complete sync ended, as Unix time; 0 for never.",
        lambda s: 0 if s.status.synced_at is None else from_text(s.status.synced_at).timestamp(),
    ),
    (
        "held",
        "1 while a plan is held until somebody decides.",
        lambda s: s.status.held_plan is not None,
    ),
    ("group_contacts", "Contacts that are Added to the audience's group.", lambda s: s.in_group),
    (
        "people_failed",
        "People who are not in sync because something was refused.",
        lambda s: sum(each.count for each in s.failed),
    ),
    ("people_due", "People whom the next sync looks at.", lambda s: s.to_judge),
    ("updates_queued", "Updates that wait to be sent to Mailchimp.", lambda s: s.queued),
    (
        "operations_waiting",
        "Operations that were sent to Mailchimp and have no result yet.",
        lambda s: s.operations_waiting,
    ),
)


def answer_metrics(look: "Look", standings: Sequence[Standing]) -> None:
    """Print the numbers of all audiences, of the cache and of this mcsync."""
    text = generate_latest(_Answer([*_of_cache(look), *_of_audiences(look, standings)]))
    write_answer(text.decode().removesuffix("\n"))


class _Answer:
    """What the library takes for a registry: something that has metrics to collect."""

    def __init__(self, families: Sequence[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Sequence[GaugeMetricFamily]:
        return self._families


def _of_cache(look: "Look") -> Iterator[GaugeMetricFamily]:
    about = GaugeMetricFamily(
        "mcsync_build_info", "Always 1; the label has the version.", labels=["version"]
    )
    about.add_metric([__version__], 1)
    yield about
    webhooks = count_webhooks(look.store) if look.store is not None else None
    waiting, given_up = webhooks or (0, 0)
    size = look.cache.stat().st_size if look.store is not None else 0
    for name, words, number in (
        ("webhooks_waiting", "Webhooks that wait to be handled.", waiting),
        ("webhooks_given_up", "Webhooks that were tried too often.", given_up),
        ("cache_size_bytes", "Size of the cache file, without the files beside it.", size),
    ):
        yield GaugeMetricFamily(f"mcsync_{name}", words, value=number)


def _of_audiences(look: "Look", standings: Sequence[Standing]) -> Iterator[GaugeMetricFamily]:
    for name, words, number_of in _NUMBERS:
        yield _gauge(name, words, ((each, number_of(each)) for each in standings))
    is_at_work = find_holder(look) is not None  # then a fetch is not done, and that is no trouble
    yield _gauge(
        "trouble",
        "1 while anything is wrong, or the last fetch did not finish.",
        ((s, bool(s.status.troubles) or (s.is_in_trouble and not is_at_work)) for s in standings),
    )
    yield _by(
        "members",
        "Members at Mailchimp, by their status there.",
        "status",
        ((s, {each.value: s.members.get(each, 0) for each in MemberStatus}) for s in standings),
    )
    yield _by(
        "people_not_mailable",
        "People who should be subscribed and cannot be, by the reason.",
        "reason",
        ((each, _reasons_of(each)) for each in standings),
    )


def _gauge(name: str, words: str, numbers: Iterable[tuple[Standing, float]]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"mcsync_{name}", words, labels=_AUDIENCE)
    for standing, number in numbers:
        family.add_metric(_labels(standing), float(number))
    return family


def _by(
    name: str, words: str, label: str, numbers: Iterable[tuple[Standing, dict[str, int]]]
) -> GaugeMetricFamily:
    """A number for each value of one label more."""
    family = GaugeMetricFamily(f"mcsync_{name}", words, labels=(*_AUDIENCE, label))
    for standing, found in numbers:
        for value, number in found.items():
            family.add_metric([*_labels(standing), value], number)
    return family


def _labels(standing: Standing) -> list[str]:
    return [standing.watched.list_id, standing.watched.name]


def _reasons_of(standing: Standing) -> dict[str, int]:
    counts = {each.reason: each.count for each in standing.cannot_subscribe}
    return {reason.value: counts.get(reason.value, 0) for reason in sorted(CANNOT_SUBSCRIBE)}
