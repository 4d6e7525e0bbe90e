"""`mcsync undo` shows a person what it would put back, and asks."""

import os
import re

import pytest

from tests.cli.conftest import GIVE_UP_S, LIST, SCRIPT, Office

GROUP = 111


def answer(office: Office, answer: str, *args: str) -> str:
    """What is said on a terminal where somebody answers so."""
    if os.name == "nt":
        pytest.skip("Windows has no pseudo-terminals")
    import pexpect

    shown: str = pexpect.run(
        f"{SCRIPT} undo {' '.join(args)}",
        timeout=GIVE_UP_S,
        encoding="utf-8",
        env={**office.environ(), "TERM": "xterm", "LANG": "C.UTF-8"},
        dimensions=(40, 100),
        events={"Put this back.*: ": f"{answer}\n"},
    )
    return shown


@pytest.fixture
def slip(office: Office) -> None:
    """Staff removed everybody from the group by a slip, and a sync carried it out."""
    office.write_config(safety=dict.fromkeys(("maxUnsubscribes", "maxAdditions")))
    assert office.run("sync", "--wait").code == 0
    office.town.clock.advance(minutes=1)
    for contact in office.town.civicrm.group_members(GROUP):
        office.town.civicrm.remove_from_group(contact, GROUP)
    assert office.run("sync", "--wait").code == 0
    office.town.clock.advance(minutes=1)
    assert set(office.statuses(LIST).values()) == {"unsubscribed"}


@pytest.mark.usefixtures("slip")
def test_a_person_is_shown_and_asked(office: Office):
    shown = answer(office, "n")
    assert "to be put back" in shown
    assert "unsubscribed → subscribed" in shown
    assert set(office.statuses().values()) == {"unsubscribed"}
    assert "Put this back? [y/N]" in shown
    shown = answer(office, "y")
    assert list(office.statuses().values()).count("subscribed") == 5


@pytest.mark.usefixtures("slip")
def test_whoever_says_yes_before_is_not_asked(office: Office):
    shown = answer(office, "n", "--yes")
    assert "Put this back?" not in shown
    assert "put back" in shown
    assert list(office.statuses().values()).count("subscribed") == 5


@pytest.mark.usefixtures("slip")
def test_whoever_undoes_an_undo_names_it_and_is_told(office: Office):
    """Whoever runs it twice would otherwise do the accident again without a word."""
    assert "was itself an undo" not in answer(office, "y")
    again = office.run("undo", "--yes")
    assert again.code == 2
    assert "was itself an undo, of run" in again.err
    run = re.search(r"mcsync undo --run (\w+)", again.err)
    assert run is not None
    told = " ".join(answer(office, "n", "--run", run[1]).split())
    assert "was itself an undo, of run" in told
    assert "to be done again. Main audience: run" in told
    assert list(office.statuses().values()).count("subscribed") == 5
