"""The drawings of the report, as SVG inside the page; each has a table of the same numbers."""

from collections.abc import Iterator, Sequence

from mcsync.answers.report import Day, InGroup
from mcsync.cli.markup import Markup, element, lines
from mcsync.model import Side
from mcsync.text import SIDES, count_of

# A unit is a pixel on a telephone; where there is room it all grows.
_WIDTH, _HEIGHT = 340, 150
_LEFT, _TOP, _BOTTOM = 36, 10, 20
_BARE = 2  # the least height of a bar that is there


def draw_days(days: Sequence[Day], side: Side, name: str) -> Markup:
    """Bars for each day: up for who was added, down for who was removed."""
    added = [day.added[side] for day in days]
    removed = [day.removed[side] for day in days]
    up, down = max(added, default=0), max(removed, default=0)
    room = _HEIGHT - _TOP - _BOTTOM
    scale = room / max(up + down, 1)
    zero = _TOP + up * scale
    title = f"{SIDES[side]}: people added and removed by mcsync, day by day"
    told = f"{sum(added):,} added, {sum(removed):,} removed"
    period = f" from {days[0].day} to {days[-1].day}" if days else ""
    return element(
        "svg",
        element("title", title, id=f"{name}-title"),
        element("desc", f"{told}{period}. The table below has the numbers.", id=f"{name}-desc"),
        lines(
            *_draw_bars(added, zero, scale, is_up=True),
            *_draw_bars(removed, zero, scale, is_up=False),
            _draw_line(zero),
            *_draw_numbers(up, down, zero),
            *_draw_dates(days),
        ),
        viewBox=f"0 0 {_WIDTH} {_HEIGHT}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def _step(count: int) -> float:
    return (_WIDTH - _LEFT) / max(count, 1)


def _draw_bars(
    counts: Sequence[int], zero: float, scale: float, *, is_up: bool
) -> Iterator[Markup]:
    step = _step(len(counts))
    for number, count in enumerate(counts):
        if count:
            height = max(count * scale, _BARE)
            yield element(
                "rect",
                x=f"{_LEFT + number * step + step * 0.15:.1f}",
                y=f"{zero - height if is_up else zero:.1f}",
                width=f"{step * 0.7:.1f}",
                height=f"{height:.1f}",
                class_="added" if is_up else "removed",
            )


def _draw_line(y: float) -> Markup:
    return element("line", x1=_LEFT, x2=_WIDTH, y1=f"{y:.1f}", y2=f"{y:.1f}", class_="axis")


def _draw_numbers(up: int, down: int, zero: float) -> Iterator[Markup]:
    """The largest numbers, at the height of their bars."""
    for count, y in ((up, _TOP + 4), (down, _HEIGHT - _BOTTOM)):
        if count and abs(y - zero) > 8:  # else it would stand on the line's own
            yield element("text", short(count), x=_LEFT - 5, y=y, text_anchor="end")
    yield element("text", "0", x=_LEFT - 5, y=f"{zero + 4:.1f}", text_anchor="end")


def _draw_dates(days: Sequence[Day]) -> Iterator[Markup]:
    if len(days) < 2:
        return
    ends = ((days[0], _LEFT, "start"), (days[-1], _WIDTH, "end"))
    for day, x, anchor in ends:
        yield element("text", show_day(day), x=x, y=_HEIGHT - 4, text_anchor=anchor)


def show_day(day: Day) -> str:
    """A day of the last thirty: "26 Nov"."""
    return f"{day.day.day} {day.day:%b}"


def short(count: int) -> str:
    """A number as it fits beside a bar: "950", "1.2k", "950k", "1.2M"."""
    for size, letter in ((1_000_000, "M"), (1_000, "k")):
        if count >= size:
            number = count / size
            return f"{number:.0f}{letter}" if number >= 100 else f"{number:.3g}{letter}"
    return str(count)


def draw_group(in_group: InGroup, parts: Sequence[tuple[str, int]], name: str) -> Markup:
    """One bar for everybody in the group, divided; `parts` are (name, how many)."""
    total = max(in_group.total, 1)
    ends = [sum(count for _, count in parts[:number]) for number in range(len(parts))]
    bars = [
        element(
            "rect",
            x=f"{begin * 100 / total:.2f}",
            y=0,
            width=f"{count * 100 / total:.2f}",
            height=4,
            class_=part,
        )
        for begin, (part, count) in zip(ends, parts, strict=True)
        if count
    ]
    return element(
        "svg",
        element("title", f"{count_of(in_group.total, 'contact')} in the group", id=f"{name}-title"),
        *bars,
        viewBox="0 0 100 4",
        preserveAspectRatio="none",
        class_="whole",
        role="img",
        aria_labelledby=f"{name}-title",
    )
