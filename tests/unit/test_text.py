"""Whatever somebody else wrote is made fit to be shown, and in no time."""

import time

import pytest

from mcsync.logs import scrub
from mcsync.text import (
    MOST_WORDS,
    cut,
    fit,
    fit_to_keep,
    one_line,
    safe_lines,
    shorten_ids,
    text_of_change,
    without_addresses,
    without_keys,
)

KEY = "0123456789abcdef0123456789abcdef-us11"
LONG = {
    "word": "x" * 60_000,
    "at": "@" * 60_000,
    "half": "x" * 30_000 + "@" + "x" * 30_000,
    "percent": "%40" * 20_000,
    "hex": "a" * 60_000,
    "hex-dash": "a" * 30_000 + "-" + "a" * 30_000,
}


@pytest.mark.parametrize("text", LONG.values(), ids=LONG)
def test_a_long_error_costs_no_time_d5(text: str) -> None:
    begun = time.process_time()
    for clean in (without_addresses, without_keys, shorten_ids, one_line, fit, fit_to_keep):
        clean(text)
    scrub(text, [KEY])
    scrub("\n".join([text] * 5), [KEY])
    assert time.process_time() - begun < 1


def test_words_are_cut_before_anything_looks_at_them_d5() -> None:
    assert cut("x" * MOST_WORDS) == "x" * MOST_WORDS
    assert len(cut("x" * 60_000)) == MOST_WORDS + 1
    assert len(without_addresses("x" * 60_000)) == MOST_WORDS + 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("for fred@example.org, sorry", "for (address), sorry"),
        ("<fred@example.org>", "<(address)>"),
        ("email=fred%40example.org&x=1", "email=(address)=1"),
        ("@fred@example.org", "(address)"),
        ("mailto:fred@example.org", "mailto:(address)"),
        ("fred@example.org wilma@example.org", "(address) (address)"),
        ("(the portion before the @: fréd)", "(the portion before the @: …)"),
        ("(the portion after the @: bedröck)", "(the portion after the @: …)"),
        ("nobody at all", "nobody at all"),
        ("", ""),
    ],
)
def test_addresses_are_taken_out_d15(text: str, told: str) -> None:
    assert without_addresses(text) == told


@pytest.mark.parametrize("text", [f"key {KEY}", f"({KEY})", f"x{KEY}y", KEY.upper()[:-4] + "us1"])
def test_what_looks_like_a_key_is_masked_d15(text: str) -> None:
    assert KEY[:16] not in without_keys(text).lower()
    assert "***" in without_keys(text)


def test_a_secret_is_masked_even_where_another_is_part_of_it_d15() -> None:
    assert without_keys("a-b-c", ["a", "a-b-c", ""]) == "***"


@pytest.mark.parametrize("before", [0, 1_900, 1_970, 1_999, 2_000, 2_300, 2_390, 2_399, 2_400])
@pytest.mark.parametrize("after", [0, 1, 500, 50_000])
def test_where_words_are_cut_no_half_of_a_key_stays_d15(before: int, after: int) -> None:
    secret = "Q" * 40
    for filling in ("x ", "fred@example.org "):  # what is hidden may make room for more
        start = (filling * before)[:before].ljust(before)
        for hidden in (secret, KEY):
            told = fit(f"{start}{hidden} {'y' * after}", [secret])
            assert "QQ" not in told
            assert KEY[:6] not in told
            assert len(told) <= MOST_WORDS + 1
        assert KEY[:6] not in fit_to_keep(f"{start}{KEY} {'y' * after}")


def test_of_a_members_id_too_little_is_left_to_guess_by_d15() -> None:
    path = "/3.0/lists/aaaaaaaaaa/members/0123456789abcdef0123456789ABCDEF/tags"
    assert shorten_ids(path) == "/3.0/lists/aaaaaaaaaa/members/012…/tags"


@pytest.mark.parametrize("evil", ["\x1b[2J", "\a", "\r", "\n", "\u202e", "\u2028", "\x9b", "\0"])
def test_nothing_steers_the_terminal_d7(evil: str) -> None:
    shown = one_line(f"Fred{evil}Flintstone")
    assert shown.isprintable()
    assert len(shown) == len(f"Fred{evil}Flintstone")


def test_a_second_line_never_looks_like_a_message_of_its_own_d7() -> None:
    assert safe_lines("Odd\nerror: forged\r\n    deeper\rmore") == [
        "Odd",
        "  error: forged",
        "    deeper",
        "  more",
    ]
    assert all(line.isprintable() for line in safe_lines("a\x1bb\u2028c\x85d\n\x1be"))


CHANGES = {
    ("subscription", "Added", "Removed"): "Added → Removed",
    ("subscription", None, "subscribed"): "new: subscribed",
    ("contact", None, "created"): "contact created",
    ("first_name", None, "Fred"): "first_name: set to Fred",
    ("cccccccccc", None, "Added"): "cccccccccc: set to Added",
    ("NICK", "Pebs", ""): "NICK: Pebs → empty",
}


@pytest.mark.parametrize("change", CHANGES, ids=CHANGES.values())
def test_a_change_is_a_phrase(change: tuple[str, str | None, str | None]) -> None:
    assert text_of_change(*change) == CHANGES[change]
