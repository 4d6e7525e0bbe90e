"""The fault matrix: mcsync dies, or a service fails it, at every place, and nothing comes of it.

Whatever happens at whatever request or commit: after the healthy runs that follow both services
are as if nothing had happened, everybody got at most one confirmation mail, and nothing is open.

A sample runs always. The whole, with a score and with some hundred people:

    python -m pytest tests/scenario/test_fault_matrix.py -m matrix -n auto
"""

from collections.abc import Callable
from functools import cache

import pytest

from tests.scenario.bedrock import LIST
from tests.scenario.faults import (
    Cell,
    Helper,
    Undisturbed,
    choose_sample,
    compare,
    find_cells,
    play_cell,
    play_undisturbed,
    playing,
    recover,
    stories,
)

STORIES = ("first", "later")
SAMPLE_PARTS, WHOLE_PARTS = 3, 12
FEW, MANY = 2, 6  # people of each kind; the whole is also played with one, who is alone

Load = Callable[[str, int], Undisturbed]


@pytest.fixture(scope="module")
def load(helper: Helper) -> Load:
    """How a story ends undisturbed, by its name and how many there are of each kind."""

    @cache
    def play(name: str, of_each: int) -> Undisturbed:
        [story] = [story for story in stories(of_each) if story.name == name]
        return play_undisturbed(story, helper)

    return play


def find_failures(cells: list[Cell], undisturbed: Undisturbed, helper: Helper) -> str:
    """What went wrong in which cell; empty when all is well."""
    failures = []
    for cell in cells:
        try:
            problems = play_cell(cell, undisturbed, helper)
        except Exception as error:  # a bug; which cell showed it is what must be told
            problems = [f"{type(error).__name__}: {error}"]
        if problems:
            failures.append("\n    ".join((str(cell), *problems[:5])))
    return "\n".join(failures)


@pytest.mark.parametrize("part", range(SAMPLE_PARTS))
@pytest.mark.parametrize("story", STORIES)
def test_no_trouble_of_the_sample_leaves_a_trace(story: str, part: int, load: Load, helper: Helper):
    undisturbed = load(story, FEW)
    cells = choose_sample(find_cells(undisturbed))[part::SAMPLE_PARTS]
    assert cells
    failures = find_failures(cells, undisturbed, helper)
    assert not failures, failures


def test_who_is_alone_in_a_request_is_not_given_up_for_one_bad_answer(load: Load, helper: Helper):
    """With others in the request everybody would be tried once more, alone."""
    undisturbed = load("later", 1)
    cells = [
        cell
        for cell in find_cells(undisturbed)
        if cell.point == "before civicrm GroupContact.save" and cell.trouble in ("500", "HTML")
    ]
    assert cells
    failures = find_failures(cells, undisturbed, helper)
    assert not failures, failures


@pytest.mark.matrix
@pytest.mark.usefixtures("_by_hand")
@pytest.mark.parametrize("part", range(WHOLE_PARTS))
@pytest.mark.parametrize("of_each", [1, MANY])
@pytest.mark.parametrize("story", STORIES)
def test_no_trouble_anywhere_leaves_a_trace(
    story: str, of_each: int, part: int, load: Load, helper: Helper
):
    undisturbed = load(story, of_each)
    cells = list(find_cells(undisturbed))[part::WHOLE_PARTS]
    assert cells
    failures = find_failures(cells, undisturbed, helper)
    assert not failures, failures


# --- the undisturbed run is what the matrix is about ------------------------------------------


@pytest.mark.parametrize("story", STORIES)
def test_the_undisturbed_run_does_all_that_is_to_be_disturbed(story: str, load: Load):
    undisturbed = load(story, FEW)
    end = undisturbed.end
    for kind in ("subscribed", "back", "created"):
        assert _status(end, f"{kind}0@example.org") == "subscribed"
    for kind in ("unsubscribed", "muted"):
        assert _status(end, f"{kind}0@example.org") == "unsubscribed"
    assert [end[f"mails to reconfirmed{number}@example.org"] for number in range(FEW)] == [1] * FEW
    assert len([whose for whose in end if whose.startswith("contacts created")]) == 2 * FEW
    points = {point for points in undisturbed.points for point in points}
    assert "after mailchimp POST /batches" in points
    assert "before civicrm Contact.save" in points
    assert "before commit outbox.claim" in points


def test_the_later_runs_put_tags_on_too(load: Load):
    undisturbed = load("later", FEW)
    for kind in ("tagged", "subscribed-tagged"):
        member = undisturbed.end[f"member {kind}0@example.org"]
        assert isinstance(member, tuple)
        assert member[3] == ["CiviCRM: Donor", "CiviCRM: Elder"]
    assert undisturbed.end["mails to reconfirmed-tagged0@example.org"] == 1
    points = {point for points in undisturbed.points for point in points}
    assert "before civicrm Tag.get+EntityTag.get" in points


def _status(end: dict[str, object], email: str) -> object:
    member = end[f"member {email}"]
    assert isinstance(member, tuple)
    return member[0]


def test_the_first_run_is_cut_into_several_batches_and_transactions(load: Load):
    points = load("first", FEW).points[0]
    assert points.count("before mailchimp POST /batches") >= 2
    assert points.count("before commit batches._take_in_results") >= 3


# --- and the verdict sees what it is to see -----------------------------------------------------


def test_the_verdict_tells_who_is_not_as_they_should_be(load: Load):
    undisturbed = load("later", FEW)
    with playing(undisturbed.story) as play:
        assert recover(play) == []
        assert compare(play, undisturbed) == []
        play.town.mailchimp.edit_profile(LIST, "agreed0@example.org", first_name="Mr Slate")
        play.town.mailchimp.staff_unsubscribe(LIST, "back1@example.org")
        play.town.civicrm.add_contact("Pebbles", "Created0", ["created0@example.org"])
        told = " ".join(compare(play, undisturbed))
    for who in ("bystander agreed0@", "member back1@", "contacts created0@"):
        assert who in told


def test_the_verdict_tells_of_doubled_operations_and_mails(load: Load):
    undisturbed = load("later", FEW)
    with playing(undisturbed.story) as play:
        assert recover(play) == []
        mailchimp = play.town.mailchimp
        sent = [o for o in mailchimp.operations if o.operation_id]
        mailchimp.operations.append(sent[0])
        mailchimp.confirmation_mails.append(mailchimp.confirmation_mails[0])
        told = " ".join(compare(play, undisturbed))
    assert f"operation {sent[0].operation_id} ran 2 times" in told
    assert "reconfirmed" in told
    assert "got 2 mails" in told


def test_the_verdict_tells_of_a_run_that_is_not_finished(load: Load):
    with playing(load("later", FEW).story) as play:
        play.town.mailchimp.settings.batch_delay_polls = None  # batches never end
        [told] = recover(play)
    assert "not quiet" in told
    assert "open updates" in told
