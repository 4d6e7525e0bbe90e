"""Names: how merge fields and CiviCRM's two names become each other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mcsync.model import read_names

READ = [
    pytest.param({"FNAME": "Fred", "LNAME": "Flintstone"}, ("Fred", "Flintstone"), id="two fields"),
    pytest.param({"FNAME": "Fred"}, ("Fred", ""), id="first name only"),
    pytest.param({"LNAME": "Flintstone"}, ("", "Flintstone"), id="last name only"),
    pytest.param({}, ("", ""), id="no fields"),
    pytest.param({"NAME": "Fred"}, ("Fred", ""), id="one word is the first name"),
    pytest.param({"NAME": "Fred Flintstone"}, ("Fred", "Flintstone"), id="first word and rest"),
    pytest.param({"NAME": "Fred von Flint"}, ("Fred", "von Flint"), id="the rest is the last name"),
    pytest.param({"NAME": " Fred   Flint "}, ("Fred", "Flint"), id="spaces around do not count"),
    pytest.param({"NAME": ""}, ("", ""), id="an empty name"),
    pytest.param({"NAME": "   "}, ("", ""), id="only spaces"),
    pytest.param(
        {"FNAME": "", "LNAME": "", "NAME": "Fred Flint"}, ("Fred", "Flint"), id="both empty: split"
    ),
    pytest.param(
        {"FNAME": "Fred", "LNAME": "", "NAME": "Barney Rubble"},
        ("Fred", ""),
        id="one of two is set",
    ),
    pytest.param(
        {"FNAME": "", "LNAME": "Flint", "NAME": "Barney Rubble"},
        ("", "Flint"),
        id="the other of two is set",
    ),
    pytest.param({"MMERGE3": "Bedrock"}, ("", ""), id="other fields are no names"),
]


@pytest.mark.parametrize(("fields", "names"), READ)
def test_read_names(fields: dict[str, str], names: tuple[str, str]):
    assert read_names(fields) == names


words = st.text(st.sampled_from("ab é"), max_size=12)


@given(words)
def test_splitting_loses_nothing_but_spaces(name: str):
    first, last = read_names({"NAME": name})
    assert " " not in first
    assert f"{first}{last}".replace(" ", "") == name.replace(" ", "")
    assert last == last.strip()


@given(words, words, words)
def test_a_single_name_matters_only_where_both_others_are_empty(first, last, name):
    found = read_names({"FNAME": first, "LNAME": last, "NAME": name})
    assert found == ((first, last) if first or last else read_names({"NAME": name}))
