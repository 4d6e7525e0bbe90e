"""HTML that is put together: whatever is not markup is escaped."""

from hypothesis import given
from hypothesis import strategies as st

from mcsync.cli.markup import Markup, element, join, start
from mcsync.cli.report_chart import short
from mcsync.safety import Limit


def test_texts_are_escaped_and_markup_is_not():
    assert element("p", "<b>", Markup("<b>")) == "<p>&lt;b&gt;<b></p>"
    assert start("a", href='"><', class_="x", aria_label="y") == (
        '<a href="&quot;&gt;&lt;" class="x" aria-label="y">'
    )
    assert element("details", open=True, id=None) == "<details open></details>"


@given(st.text())
def test_no_text_opens_a_tag_or_leaves_an_attribute(text: str):
    shown = join(text)
    assert not set(shown) & set("<>\"'\n\r\x00\x1b\u202e")
    assert shown.replace("&amp;", "").count("&") == sum(text.count(sign) for sign in "<>\"'")


@given(st.integers(0, 10**7), st.floats(0, 10**6), st.booleans())
def test_the_most_that_a_limit_allows_is_allowed_and_one_more_is_not(
    of: int, number: float, is_percent: bool
):
    limit = Limit(number, is_percent)
    most = limit.most(of)
    assert most is not None
    assert limit.allows(most, of)
    assert not limit.allows(most + 1, of)


def test_no_limit_has_no_most():
    assert Limit().most(5) is None


def test_numbers_beside_bars_are_short():
    numbers = (0, 999, 1_000, 1_250, 99_900, 950_000, 1_200_000)
    assert [short(n) for n in numbers] == ["0", "999", "1k", "1.25k", "99.9k", "950k", "1.2M"]
