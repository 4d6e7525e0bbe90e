"""The town of both simulated services: its clocks, its accounts, and what happens in between."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest
import requests

from mcsync.config import load_config
from mcsync.errors import RemoteRefused
from mcsync.mailchimp.client import MailchimpClient
from mcsync.model import MemberChange, MemberStatus, Operation
from mcsync.sandbox.server import Fault
from mcsync.sandbox.town import API_KEY, OTHER_API_KEY, Town

WILMA, FRED = "wilma@example.org", "fred@example.org"
LIST, OTHER_LIST = "aaaaaaaaaa", "bbbbbbbbbb"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def account(town: Town) -> MailchimpClient:
    """The town's account, with one audience."""
    town.add_audience(LIST, "Main audience", 111, {})
    return MailchimpClient(API_KEY, town.api_url)


# --- clocks ---------------------------------------------------------------------------------------


def test_the_services_have_the_towns_clock_unless_told_otherwise(town: Town) -> None:
    assert town.mailchimp_clock() == town.civicrm_clock() == town.clock()
    town.clock.advance(hours=1)
    assert town.mailchimp_clock() == town.civicrm_clock() == town.clock()


def test_mailchimps_clock_may_differ_and_everything_there_follows_it(
    town: Town, account: MailchimpClient
) -> None:
    town.mailchimp_clock.ahead = -10 * MINUTE
    theirs = town.clock() - 10 * MINUTE
    assert account.fetch_now() == theirs
    town.mailchimp.sign_up(LIST, WILMA)
    member = account.fetch_member(LIST, WILMA)
    assert member is not None
    assert member.last_changed == theirs
    change = MemberChange(FRED, status=MemberStatus.PENDING)
    batch = account.submit_batch([Operation("a", LIST, change)])
    assert batch.submitted_at == theirs
    [mail] = town.mailchimp.confirmation_mails
    assert mail.at == theirs
    [done] = town.mailchimp.operations
    assert done.at == theirs


def test_the_difference_goes_on_while_time_passes(town: Town) -> None:
    start = town.clock()
    town.mailchimp_clock.ahead = timedelta(days=400)
    town.clock.advance(minutes=5)
    assert town.mailchimp_clock() == start + timedelta(days=400, minutes=5)
    town.mailchimp_clock.ahead = timedelta()
    assert town.mailchimp_clock() == town.clock() == start + 5 * MINUTE


def test_civicrms_clock_may_differ_by_itself(town: Town) -> None:
    town.civicrm_clock.ahead = 3 * MINUTE
    answer = requests.get(town.civicrm_server.url, timeout=10)
    assert parsedate_to_datetime(answer.headers["Date"]) == town.clock() + 3 * MINUTE
    answer = requests.get(town.api_url, timeout=10)
    assert parsedate_to_datetime(answer.headers["Date"]) == town.clock()
    [row] = [
        town.civicrm.store.tables["Contact"].rows[town.civicrm.add_contact("Wilma", "F", [WILMA])]
    ]
    assert datetime.fromtimestamp(row["modified_date"], UTC) == town.clock() + 3 * MINUTE


# --- accounts -------------------------------------------------------------------------------------


def test_audiences_of_two_accounts(town: Town, tmp_path: Path) -> None:
    town.add_audience(LIST, "Main audience", 111, {})
    town.add_audience(OTHER_LIST, "Slate quarry", 112, {}, api_key=OTHER_API_KEY)
    config = load_config(town.write_config(tmp_path), {})
    clients = {
        key: MailchimpClient(found.key.reveal(), found.api_url)
        for key, found in config.accounts.items()
    }
    assert {a.list_id: a.account_key for a in config.audiences} == {
        LIST: API_KEY,
        OTHER_LIST: OTHER_API_KEY,
    }
    assert clients[API_KEY].fetch_audience(LIST).name == "Main audience"
    assert clients[OTHER_API_KEY].fetch_audience(OTHER_LIST).name == "Slate quarry"
    ids = [clients[key].fetch_account_id() for key in (API_KEY, OTHER_API_KEY)]
    assert ids == [town.mailchimp.account_id(key) for key in (API_KEY, OTHER_API_KEY)]
    assert ids[0] != ids[1]


def test_a_config_may_hold_another_accounts_key_for_a_while(
    town: Town, account: MailchimpClient, tmp_path: Path
) -> None:
    town.mailchimp.import_member(LIST, WILMA)
    batch = account.submit_batch(
        [Operation("a", LIST, MemberChange(FRED, status=MemberStatus.SUBSCRIBED))]
    )
    town.mailchimp.add_account(OTHER_API_KEY, "Slate quarry")
    town.lists[LIST]["apiKey"] = OTHER_API_KEY
    config = load_config(town.write_config(tmp_path), {})
    [audience] = config.audiences
    wrong = config.accounts[audience.account_key]
    assert wrong.key.reveal() == OTHER_API_KEY
    client = MailchimpClient(wrong.key.reveal(), wrong.api_url)
    assert client.fetch_member(LIST, WILMA) is None
    assert client.fetch_batch(batch.batch_id) is None
    with pytest.raises(RemoteRefused):
        client.fetch_audience(LIST)


# --- in between -----------------------------------------------------------------------------------


def test_something_may_happen_just_before_one_request(town: Town, account: MailchimpClient) -> None:
    """Archived after the archived were read, before the others are: Fred comes at the end."""
    for email in (WILMA, FRED):
        town.mailchimp.import_member(LIST, email)
    town.clock.advance(minutes=1)
    town.mailchimp_server.faults.append(
        Fault(
            method="GET",
            path="/members",
            skip=1,
            act=lambda: town.mailchimp.staff_archive(LIST, FRED),
        )
    )
    pages = list(account.fetch_members(LIST, None))
    assert [member.email for page in pages for member in page.members] == [WILMA, FRED]
    again = [m for page in account.fetch_members(LIST, None) for m in page.members]
    assert {member.email: member.status for member in again} == {
        FRED: MemberStatus.ARCHIVED,
        WILMA: MemberStatus.SUBSCRIBED,
    }
