"""Batches that Mailchimp does not take at once: waited for, sent once, and found again."""

import pytest

from mcsync.errors import RemoteUnavailable
from mcsync.sandbox.server import Fault
from tests.scenario.aftermath import assert_at_peace
from tests.scenario.bedrock import GROUP, LIST, Bedrock
from tests.scenario.telling import CommandLine

BATCHES = r"/batches\?"


class Naps(list[float]):
    """Waits that were asked for; time passes meanwhile."""

    def __init__(self, bedrock: Bedrock) -> None:
        super().__init__()
        self.bedrock = bedrock

    def append(self, seconds: float) -> None:
        super().append(seconds)
        self.bedrock.pass_time(seconds=seconds)


@pytest.fixture
def waiting(bedrock: Bedrock) -> Bedrock:
    """Wilma was just added in CiviCRM; time passes while retries wait."""
    bedrock.add_both("fred@example.org")
    bedrock.sync()
    bedrock.naps = Naps(bedrock)
    bedrock.add_contact("wilma@example.org")
    bedrock.pass_time(minutes=1)
    return bedrock


def count_posted(bedrock: Bedrock) -> int:
    """How many batches Mailchimp has taken so far."""
    (account,) = bedrock.town.mailchimp.accounts.values()
    return len(account.batches)


@pytest.mark.parametrize("retry_after", ["1", "", "45"])
def test_a_batch_that_is_refused_once_is_sent_in_the_same_run_f9(
    waiting: Bedrock, mcsync: CommandLine, retry_after: str
):
    waiting.town.mailchimp.refuse_batches(1, retry_after=retry_after)
    posted = count_posted(waiting)
    told = mcsync("sync", "--wait")
    assert (told.code, told.out, told.err) == (0, "", "")
    assert count_posted(waiting) == posted + 1
    assert len(waiting.naps) == 1
    if retry_after:
        assert waiting.naps == [float(retry_after)]
    assert waiting.member_status("wilma@example.org") == "subscribed"
    assert_at_peace(waiting)


def test_a_batch_that_is_refused_without_a_body_is_sent_in_the_same_run_f9(
    waiting: Bedrock, mcsync: CommandLine
):
    """The brother: 429 comes without JSON."""
    waiting.town.mailchimp.settings.drop_429_body = True
    waiting.town.mailchimp.refuse_batches(2)
    assert mcsync("sync", "--wait").code == 0
    assert waiting.member_status("wilma@example.org") == "subscribed"
    assert_at_peace(waiting)


def test_a_batch_that_is_refused_on_and_on_is_sent_by_the_next_run_f9(
    waiting: Bedrock, mcsync: CommandLine
):
    """The brother: the run gives up, and nothing is taken for sent."""
    waiting.town.mailchimp.refuse_batches(None, retry_after="1")
    posted = count_posted(waiting)
    told = mcsync("sync", "-v")
    assert told.code == 69
    assert "429" in told.err
    assert count_posted(waiting) == posted
    waiting.town.mailchimp.refuse_batches(0)
    assert mcsync("sync", "--wait").code == 0
    assert count_posted(waiting) == posted + 1
    assert waiting.member_status("wilma@example.org") == "subscribed"
    assert_at_peace(waiting)


def test_longer_than_we_care_to_wait_is_left_to_the_next_run_f9(
    waiting: Bedrock, mcsync: CommandLine
):
    """The brother: an hour."""
    waiting.town.mailchimp.refuse_batches(1, retry_after="3600")
    told = mcsync("sync")
    assert told.code == 69
    assert waiting.naps == []
    assert mcsync("sync", "--wait").code == 0
    assert waiting.member_status("wilma@example.org") == "subscribed"
    assert_at_peace(waiting)


@pytest.mark.parametrize("retry_after", ["1", "45"])
def test_a_batch_taken_after_waits_whose_answer_is_lost_is_not_sent_again_f9(
    waiting: Bedrock, retry_after: str
):
    """The brother: a confirmation mail is asked for, and Mailchimp is long in taking the batch."""
    waiting.town.mailchimp.leave(LIST, "fred@example.org")
    waiting.pass_time(minutes=1)
    waiting.sync()
    [fred] = waiting.town.civicrm.contacts_by_email("fred@example.org")
    waiting.town.civicrm.add_to_group(fred.id, GROUP)
    waiting.pass_time(minutes=1)
    waiting.sync(waits=False)
    waiting.town.mailchimp.refuse_batches(2, retry_after=retry_after)
    lost = Fault(method="POST", path=BATCHES, skip=2, drop="after")
    waiting.town.mailchimp_server.faults.append(lost)
    posted = count_posted(waiting)
    with pytest.raises(RemoteUnavailable):
        waiting.sync(waits=False)
    assert count_posted(waiting) == posted + 1
    assert waiting.confirmation_mails == ["fred@example.org"]
    waiting.town.mailchimp.leave(LIST, "fred@example.org")
    for _ in range(4):
        waiting.pass_time(minutes=4)
        waiting.sync()
    assert waiting.confirmation_mails == ["fred@example.org"]
    assert waiting.member_status("fred@example.org") == "unsubscribed"
    assert waiting.group_status(fred.id) == "Removed"
    assert_at_peace(waiting)
