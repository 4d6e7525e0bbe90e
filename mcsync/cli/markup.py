"""HTML put together so that nothing can be forgotten: what is not markup is escaped."""

from html import escape

from mcsync.text import one_line


class Markup(str):
    """A piece of HTML as it stands; any other text is escaped where it is put into one."""

    __slots__ = ()


def join(*parts: object, between: str = "") -> Markup:
    """Pieces and texts one after the other; a text as one line, without what steers anything."""
    return Markup(between.join(_safe(part) for part in parts if part is not None))


def element(tag: str, /, *content: object, **attributes: object) -> Markup:
    """An element with what is in it.

    The name of an attribute is written with "_" for "-", and with one at its end where it is a
    word of Python's; a value of True is one without a value, and None leaves it out.
    """
    return join(start(tag, **attributes), *content, Markup(f"</{tag}>"))


def start(tag: str, /, **attributes: object) -> Markup:
    """The start of an element; all there is of one that holds nothing."""
    shown = "".join(
        _text_of_attribute(key.removesuffix("_").replace("_", "-"), value)
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{tag}{shown}>")


def lines(*parts: object) -> Markup:
    """Pieces, each on a line of its own."""
    return join(*parts, between="\n")


def _text_of_attribute(key: str, value: object) -> str:
    return f" {key}" if value is True else f' {key}="{_safe(value)}"'


def _safe(part: object) -> str:
    return part if isinstance(part, Markup) else escape(one_line(part))
