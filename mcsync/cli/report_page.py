"""The report as one HTML page: no script, nothing loaded, light and dark, for print and telephone.

Whatever comes from elsewhere goes through `markup`, which escapes it; and the page itself forbids
browsers to load or run anything.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from hashlib import sha256
from itertools import groupby

from mcsync import __version__
from mcsync.answers.report import (
    MOST_PEOPLE,
    AudienceReport,
    Need,
    Report,
    capital,
    show_minute,
)
from mcsync.answers.status import IN_GROUP
from mcsync.cache.report_counts import Barred
from mcsync.cli.markup import Markup, element, join, lines, start
from mcsync.cli.report_chart import draw_days, draw_group, show_day
from mcsync.cli.report_file import MARK
from mcsync.cli.report_style import STYLE
from mcsync.cli.report_words import GUARDS, text_of_days, text_of_state
from mcsync.model import Side
from mcsync.text import SIDES, count_of

_GOOD, _BAD = ("in sync",), ("held", "failing")


def draw_page(report: Report) -> str:
    """The whole page."""
    title = f"mcsync report, {show_minute(report.made_at)}"
    sections = [
        _draw_audience(each, f"a{number}", report)
        for number, each in enumerate(report.audiences, start=1)
    ]
    return lines(
        Markup("<!DOCTYPE html>"),
        Markup('<html lang="en">'),
        _draw_head(title),
        start("body"),
        _draw_header(report),
        element(
            "main",
            _draw_needs(report.needs) if report.needs else None,
            _draw_overview(report),
            *sections,
            _draw_left(report),
        ),
        element("footer", _paragraph(_FOOTER)),
        Markup("</body>"),
        Markup("</html>\n"),
    )


_FOOTER = (
    f"Made by mcsync {__version__} from its cache, without asking Mailchimp or CiviCRM. "
    "Days are in UTC. What a command would change, its --dry-run shows."
)


def _draw_head(title: str) -> Markup:
    """What a browser needs to know; the policy allows the page's own style, and nothing else."""
    print_of_style = b64encode(sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{print_of_style}'; base-uri 'none'"
    return lines(
        start("head"),
        start("meta", charset="utf-8"),
        Markup(f'{MARK} {__version__}">'),
        start("meta", http_equiv="Content-Security-Policy", content=policy),
        start("meta", name="viewport", content="width=device-width, initial-scale=1"),
        start("meta", name="color-scheme", content="light dark"),
        start("meta", name="referrer", content="no-referrer"),
        start("meta", name="robots", content="noindex"),
        element("title", title),
        element("style", Markup(STYLE)),
        Markup("</head>"),
    )


def _draw_header(report: Report) -> Markup:
    told = [f"As of {show_minute(report.made_at)}."]
    if report.is_at_work:
        told.append("A run is at work, so numbers are changing.")
    if report.has_people:
        told.append("It names people: keep it as you keep your contacts.")
    return element("header", element("h1", "mcsync report"), _paragraph(" ".join(told)))


def _paragraph(text: object, **attributes: object) -> Markup:
    return element("p", text, **attributes)


def _draw_name(text: str) -> Markup:
    """A name that somebody gave, in whatever direction it is written."""
    return element("bdi", text)


# --- all audiences --------------------------------------------------------------------------------


def _draw_needs(needs: Sequence[Need]) -> Markup:
    """What waits for a human, each with the commands that go on from there."""
    if not needs:
        return _paragraph("Nothing needs you.", class_="calm")
    items = [
        element("li", need.what, *(element("code", each) for each in need.commands))
        for need in needs
    ]
    return element("div", element("h3", "Needs you"), element("ul", lines(*items)), class_="needs")


def _draw_overview(report: Report) -> Markup | None:
    """A row for each audience, where there are several."""
    if len(report.audiences) < 2:
        return None
    rows = [
        (
            element("a", _draw_name(each.standing.watched.name), href=f"#a{number}"),
            _draw_badge(each),
            len(each.needs) or "–",
            f"{each.in_group.subscribed:,}",
        )
        for number, each in enumerate(report.audiences, start=1)
    ]
    columns = ("Audience", "State", "Needs you", "Subscribed")
    return element(
        "section", element("h2", "All audiences"), draw_table(columns, rows, numbers=(2, 3))
    )


def _draw_badge(audience: AudienceReport) -> Markup:
    state = audience.standing.state
    looks = "good" if state in _GOOD else "bad" if state in _BAD else "fair"
    return element("span", state, class_=f"badge {looks}")


def _draw_left(report: Report) -> Markup | None:
    """Audiences that are no longer in the config."""
    if not report.left:
        return None
    rows = [(each.list_id, f"{each.rows:,}", show_minute(each.synced_at)) for each in report.left]
    return element(
        "section",
        element("h2", "No longer in the config"),
        _paragraph("These audiences are left alone: nothing is fetched or written for them."),
        draw_table(("Audience", "People", "Last complete sync"), rows, numbers=(1,)),
    )


# --- one audience ---------------------------------------------------------------------------------


def _draw_audience(audience: AudienceReport, name: str, report: Report) -> Markup:
    watched = audience.standing.watched
    shown_id = element("small", watched.list_id) if watched.name != watched.list_id else None
    heading = element("h2", _draw_name(watched.name), " ", shown_id)
    parts = [
        _draw_group(audience, name),
        _draw_members(audience),
        _draw_reasons(audience),
        _draw_changes(audience, name),
        _draw_batches(audience),
        _draw_webhooks(audience),
        _draw_guards(audience),
    ]
    return element(
        "section",
        heading,
        _paragraph(join(_draw_badge(audience), " ", _without_state(audience)), class_="state"),
        _draw_needs(audience.needs) if report.has_cache else None,
        element("div", lines(*parts), class_="parts") if report.has_cache else None,
        _draw_people(audience) if report.has_people else None,
        id=name,
    )


def _without_state(audience: AudienceReport) -> str:
    """Since when, after the badge that has the state."""
    told = text_of_state(audience)
    return capital(told.removeprefix(audience.standing.state).lstrip("; "))


def _draw_part(title: str, *content: object, class_: str | None = None) -> Markup:
    return element("div", element("h3", title), lines(*content), class_=class_)


def _draw_group(audience: AudienceReport, name: str) -> Markup:
    """Where everybody in the group stands; the numbers add up."""
    numbers = asdict(audience.in_group)
    parts = [(key, numbers[key]) for key in IN_GROUP]
    rows = [
        (
            join(element("i", class_=f"key {key}"), " ", capital(IN_GROUP[key])),
            f"{count:,}",
        )
        for key, count in parts
        if count or key == "subscribed"
    ]
    return _draw_part(
        f"In group {audience.standing.watched.policy.group_id} in CiviCRM",
        draw_group(audience.in_group, parts, f"{name}-group"),
        draw_table(
            ("Contacts", "Number"), rows, (1,), total=("In the group", f"{numbers['total']:,}")
        ),
    )


def _draw_members(audience: AudienceReport) -> Markup:
    members = audience.members
    rows = [
        (status.capitalize(), f"{number:,}")
        for status, number in members.items()
        if number or status == "subscribed"
    ]
    total = ("In the audience", f"{sum(members.values()):,}")
    return _draw_part(
        "At Mailchimp", draw_table(("Members", "Number"), rows, numbers=(1,), total=total)
    )


def _draw_reasons(audience: AudienceReport) -> Markup | None:
    """Why people in the group cannot be mailed."""
    if not audience.reasons:
        return None
    rows = [
        (
            join(capital(each.sentence) or each.reason, " ", element("code", each.reason)),
            f"{each.count:,}",
        )
        for each in audience.reasons
    ]
    total = ("Total", f"{sum(each.count for each in audience.reasons):,}")
    return _draw_part(
        "Why people in the group are not subscribed",
        draw_table(("Reason", "Contacts"), rows, (1,), total=total),
        class_="wide",
    )


def _draw_changes(audience: AudienceReport, name: str) -> Markup:
    """Whom mcsync added and removed, as drawings and as a table."""
    title = f"Added and removed in the last {len(audience.days)} days"
    busy = [day for day in audience.days if any((*day.added.values(), *day.removed.values()))]
    if not busy:
        return _draw_part(title, _paragraph("Nobody.", class_="calm"), class_="wide")
    figures = [
        element(
            "figure",
            element("figcaption", f"{SIDES[side]}: {text_of_days(audience, side)}"),
            draw_days(audience.days, side, f"{name}-{side}"),
        )
        for side in Side
    ]
    sides = [(counts, side) for side in Side for counts in ("added", "removed")]
    columns = ("Day", *(f"{SIDES[side]}: {counts}" for counts, side in sides))
    rows = [
        (show_day(day), *(f"{getattr(day, counts)[side]:,}" for counts, side in sides))
        for day in busy
    ]
    sums = [sum(getattr(day, counts)[side] for day in busy) for counts, side in sides]
    table = draw_table(columns, rows, range(1, 5), total=("Total", *(f"{each:,}" for each in sums)))
    return _draw_part(
        title,
        _paragraph(
            join(
                element("i", class_="key added"),
                " added by mcsync, asked to confirm included; ",
                element("i", class_="key removed"),
                " removed by mcsync",
            )
        ),
        element("div", lines(*figures), class_="figures"),
        element("div", _fold("The same as a table", table), class_="days"),
        class_="wide",
    )


def _draw_batches(audience: AudienceReport) -> Markup:
    batches = audience.standing.batches
    if not batches:
        return _draw_part("Batches under way", _paragraph("None.", class_="calm"))
    rows = [
        (
            "direct calls" if each.is_direct else each.batch_id or "no id yet",
            show_minute(each.submitted_at),
            f"{each.finished_operations:,} of {each.total_operations:,}",
        )
        for each in batches
    ]
    return _draw_part(
        "Batches under way", draw_table(("Batch", "Since", "Operations done"), rows, (2,))
    )


def _draw_guards(audience: AudienceReport) -> Markup:
    """How much may change before somebody is asked."""
    rows = [
        (
            capital(GUARDS[each.kind]),
            "any" if each.most is None else f"{each.most:,}",
            f"{each.of:,}",
            each.limit,
            f"{each.held:,}" if each.held else "–",
        )
        for each in audience.guards
    ]
    title = "What one sync may change before it is held"
    if not rows:
        return _draw_part(title, _paragraph("Anything: the config sets no limits."), class_="wide")
    table = draw_table(("People", "At most", "Of", "Limit", "Held now"), rows, range(1, 5))
    return _draw_part(title, table, class_="wide")


def _draw_webhooks(audience: AudienceReport) -> Markup:
    waiting, given_up = audience.webhooks
    rows = [("Waiting", f"{waiting:,}"), ("Given up", f"{given_up:,}")]
    return _draw_part("Webhooks", draw_table(("State", "Number"), rows, numbers=(1,)))


def _draw_people(audience: AudienceReport) -> Markup:
    """Who cannot be mailed, reason by reason."""
    if not audience.barred:
        return _draw_part("Who cannot be mailed", _paragraph("Nobody.", class_="calm"))
    counts = {each.reason: each for each in audience.reasons}
    parts = []
    for reason, group in groupby(audience.barred, key=lambda each: each.reason or "unknown"):
        people = list(group)
        why = counts[reason]
        more = why.count - len(people)
        parts += [
            _fold(
                f"{capital(why.sentence) or reason}: {count_of(why.count, 'contact')}",
                draw_table(("Name", "Address", "Contact"), _rows_of(people), numbers=(2,)),
                _paragraph(f"And {more:,} more: mcsync status --reason {reason}") if more else None,
                is_open=len(people) < MOST_PEOPLE,
            )
        ]
    return _draw_part("Who cannot be mailed", *parts)


def _rows_of(people: Iterable[Barred]) -> Iterator[tuple[object, ...]]:
    for each in people:
        yield _draw_name(each.name), _draw_name(each.email or "none"), each.contact_id


# --- tables ---------------------------------------------------------------------------------------


def _fold(title: str, *content: object, is_open: bool = False) -> Markup:
    """Something to be opened by whoever wants it; on paper it is left out while it is closed."""
    return element(
        "details",
        element("summary", title),
        lines(*(c for c in content if c is not None)),
        open=is_open or None,
    )


def draw_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    numbers: Iterable[int] = (),
    total: Sequence[object] | None = None,
) -> Markup:
    """A table; its first column says what each row is of. `numbers` are columns of numbers."""
    right = set(numbers)

    def cells(row: Sequence[object], scope: str) -> Iterator[Markup]:
        for place, cell in enumerate(row):
            looks = "number" if place in right else None
            if scope == "col" or place == 0:
                yield element("th", cell, scope=scope, class_=looks)
            else:
                yield element("td", cell, class_=looks)

    head = element("tr", *cells(columns, "col"))
    body = [element("tr", *cells(row, "row")) for row in rows]
    foot = element("tfoot", element("tr", *cells(total, "row"))) if total is not None else None
    table = element("table", element("thead", head), element("tbody", lines(*body)), foot)
    return element("div", table, class_="scroll")
