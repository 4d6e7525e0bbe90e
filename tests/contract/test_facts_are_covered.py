"""Which known fact about the two services has no test: facts.toml holds the known facts.

A test says by a marker which facts it proves: it fails if the adapter, or the simulator standing
in for the service, behaved otherwise.

    @pytest.mark.fact("mailchimp: Batches", "finished is not success", "results are unordered")
"""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import mcsync.civicrm
import mcsync.mailchimp

HERE = Path(__file__).parent
KNOWN = tomllib.loads((HERE / "facts.toml").read_text("utf-8"))
SHEETS = {"mailchimp": mcsync.mailchimp, "civicrm": mcsync.civicrm}

Fact = tuple[str, str]


def facts_of(test: ast.FunctionDef) -> Iterator[Fact]:
    """The facts that a function's markers name: section and name."""
    for decorator in test.decorator_list:
        if isinstance(decorator, ast.Call) and ast.unparse(decorator.func) == "pytest.mark.fact":
            section, *names = (ast.literal_eval(arg) for arg in decorator.args)
            assert names, f"{test.name}: a section, and no fact of it"
            for name in names:
                yield section, name


@cache
def marked() -> dict[str, list[Fact]]:
    """The facts of each test that names any, by file::test; it must be one that pytest finds."""
    found = {}
    for path in sorted(HERE.parent.rglob("*.py")):
        text = path.read_text("utf-8")
        if "mark.fact(" not in text or path == Path(__file__):
            continue
        body = ast.parse(text).body
        tests = [part for part in body if isinstance(part, ast.FunctionDef)]
        for test in tests:
            if facts := list(facts_of(test)):
                assert path.name.startswith("test_"), path
                assert test.name.startswith("test_"), f"{path.name}::{test.name} is no test"
                found[f"{path.name}::{test.name}"] = facts
        in_tests = sum(ast.unparse(test).count("pytest.mark.fact(") for test in tests)
        assert text.count("mark.fact(") == in_tests, f"{path.name}: a marker that marks no test"
    return found


def known(section: str) -> list[Fact]:
    return [(section, name) for name in KNOWN[section]["tested"]]


@pytest.mark.parametrize("section", KNOWN)
def test_every_known_fact_has_a_test(section: str) -> None:
    proved = {fact for facts in marked().values() for fact in facts}
    assert [name for _, name in set(known(section)) - proved] == []


def test_every_marker_names_known_facts_once() -> None:
    everything = {fact for section in KNOWN for fact in known(section)}
    wrong = {
        test: facts
        for test, facts in marked().items()
        if set(facts) - everything or len(set(facts)) < len(facts)
    }
    assert wrong == {}


@pytest.mark.parametrize("section", KNOWN)
def test_a_fact_stands_once_and_has_a_reason_if_it_has_no_test(section: str) -> None:
    tested, untested = KNOWN[section]["tested"], KNOWN[section].get("untested", {})
    assert tested
    assert len(set(tested)) == len(tested)
    assert not set(tested) & untested.keys()
    assert all(untested.values())


@pytest.mark.parametrize("sheet", SHEETS)
def test_every_section_that_a_package_relies_on_is_tested(sheet: str) -> None:
    """The code cites sections of its package's docstring: paragraphs that begin with a name."""
    sections = re.findall(r"\n\n([A-Z][a-z]+): ", SHEETS[sheet].__doc__ or "")
    assert len(sections) >= 7
    assert {f"{sheet}: {section}" for section in sections} <= KNOWN.keys()


@pytest.mark.parametrize("sheet", SHEETS)
def test_whatever_was_written_for_a_fact_names_it(sheet: str) -> None:
    file = f"test_facts_{sheet}.py"
    body = ast.parse((HERE / file).read_text("utf-8")).body
    tests = [
        f"{file}::{part.name}"
        for part in body
        if isinstance(part, ast.FunctionDef) and part.name.startswith("test_")
    ]
    assert tests
    assert [test for test in tests if test not in marked()] == []
