"""Whoever handles webhooks may die before or after any request: what follows ends the same."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from mcsync.sandbox.town import Town
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERS, Bedrock
from tests.scenario.postal import Post
from tests.scenario.straight import without_sockets

REQUESTS = 32  # more than handling makes: the last of them disturb nothing


class Killed(BaseException):
    """The process is gone; nobody may catch this."""


@contextmanager
def dying(at: int, *, after: bool) -> Iterator[None]:
    """Die at a request, counted from 1, before it is sent or after it was answered."""
    send: Callable[..., requests.Response] = requests.Session.send
    count = 0

    def watched(session: requests.Session, request: requests.PreparedRequest, **how: object):
        nonlocal count
        count += 1
        if count == at and not after:
            raise Killed
        response = send(session, request, **how)
        if count == at:
            raise Killed
        return response

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(requests.Session, "send", watched)
        yield


def play(folder: Path, *, die_at: int | None = None, after: bool = False) -> tuple[object, int]:
    """Four people act and one batch is under way; returns how it ended, and the requests made."""
    with Town(datetime(2026, 11, 22, 6, 0, tzinfo=UTC)) as town, without_sockets(town):
        bedrock = Bedrock(town, folder)
        for name in ("wilma", "fred", "barney", "betty"):
            bedrock.add_both(f"{name}@example.org")
        post = Post(bedrock)
        bedrock.sync_until_quiet()
        post.collect()
        mailchimp = town.mailchimp
        mailchimp.bounce(LIST, "wilma@example.org")
        mailchimp.sign_up(LIST, "dino@example.org", "Dino", "Flintstone")
        mailchimp.edit_profile(LIST, "fred@example.org", "Frederick")
        mailchimp.change_address(LIST, "barney@example.org", "barney@example.com")
        mailchimp.leave(LIST, "betty@example.org")
        [betty] = town.civicrm.contacts_by_email("betty@example.org")
        bedrock.pass_time(minutes=1)
        town.civicrm.add_to_group(betty.id, GROUP)  # so that she is asked to confirm, once
        town.civicrm.add_to_group(betty.id, VOLUNTEERS)
        bedrock.pass_time(minutes=1)
        post.store()
        before = town.requests
        if die_at is not None:
            with dying(die_at, after=after):
                try:
                    post.handle()
                except Killed:
                    bedrock.pass_time(minutes=1)
        post.bring()
        made = town.requests - before
        bedrock.pass_time(minutes=6)  # who may still be created is waited for
        bedrock.sync_until_quiet()
        return look(bedrock), made


def look(bedrock: Bedrock) -> object:
    """Both sides, without ids and times."""
    civicrm = bedrock.town.civicrm
    people = [
        (
            contact.first_name,
            sorted((e.email, e.on_hold) for e in civicrm.emails(contact.id)),
            civicrm.group_status(contact.id, GROUP),
            civicrm.group_status(contact.id, VOLUNTEERS),
            len(civicrm.history(contact.id, GROUP)),
        )
        for contact in civicrm.contacts()
    ]
    members = {
        email: (member["status"], member["merge_fields"], member["interests"])
        for email, member in bedrock.town.mailchimp.members(LIST).items()
    }
    return sorted(people, key=repr), members, bedrock.confirmation_mails


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> object:
    end, made = play(tmp_path_factory.mktemp("undisturbed"))
    assert 10 <= made < REQUESTS
    _, _, mails = end  # type: ignore[misc]
    assert mails == ["betty@example.org"]
    return end


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, REQUESTS))
def test_dying_at_any_request_changes_nothing_of_the_end(
    tmp_path: Path, number: int, after: bool, undisturbed: object
):
    end, _ = play(tmp_path, die_at=number, after=after)
    assert end == undisturbed
