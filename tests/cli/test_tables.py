"""What answers look like on a terminal of a given width."""

import pytest

from mcsync.cli.tables import show_heading, show_table

SENTENCE = "they were removed from the group after the last change at Mailchimp"


@pytest.fixture
def width(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A terminal without colours, 60 columns wide until told otherwise."""
    monkeypatch.setattr("mcsync.cli.tables.is_terminal", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "60")
    return monkeypatch


def test_sentences_give_way_to_addresses(width: pytest.MonkeyPatch, capsys):
    show_table(("Who", "Why"), [("wilma.flintstone@example.org", SENTENCE)])
    lines = capsys.readouterr().out.splitlines()
    assert "wilma.flintstone@example.org   they were removed" in lines[2]
    assert max(map(len, lines)) <= 60


def test_where_nothing_else_fits_an_address_is_folded(width: pytest.MonkeyPatch, capsys):
    width.setenv("COLUMNS", "24")
    show_table(("Who", "Why"), [("wilma.flintstone@example.org", SENTENCE)])
    lines = capsys.readouterr().out.splitlines()
    assert "".join(line.split(" ")[0] for line in lines[2:]) == "wilma.flintstone@example.org"
    assert max(map(len, lines)) <= 24


def test_colours_only_where_they_are_wanted(width: pytest.MonkeyPatch, capsys):
    width.setenv("FORCE_COLOR", "1")
    width.setenv("TERM", "xterm")
    show_table(("audience", "state"), [("Newsletter", "held")], colours={"held": "red"})
    assert "\x1b[31m" not in capsys.readouterr().out
    width.delenv("NO_COLOR")
    show_table(("audience", "state"), [("Newsletter", "held")], colours={"held": "red"})
    assert "\x1b[31mheld" in capsys.readouterr().out


def test_a_long_heading_is_wrapped_between_words(width: pytest.MonkeyPatch, capsys):
    show_heading(SENTENCE)
    assert capsys.readouterr().out.splitlines() == [
        "they were removed from the group after the last change at",
        "Mailchimp",
    ]
