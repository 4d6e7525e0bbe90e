"""The trail knows what was there before, by whatever way a thing was written."""

import pytest

from mcsync.cache.trail import load_changes
from mcsync.model import Side
from mcsync.pipeline.sync_contact import sync_contact
from tests.scenario.bedrock import LIST, VOLUNTEERING, VOLUNTEERS, Bedrock
from tests.scenario.postal import Post
from tests.scenario.test_data_sync import give_tag, map_fields, tag_id
from tests.scenario.test_names import single_name

WILMA, NEW = "wilma@example.org", "wilma@example.com"
CIVICRM, MAILCHIMP = Side.CIVICRM, Side.MAILCHIMP
Moves = list[tuple[Side, str, str | None, str | None]]


@pytest.fixture
def wilma(bedrock: Bedrock) -> int:
    """Wilma's contact, in agreement with her member, with data on."""
    bedrock.with_data = True
    contact = bedrock.town.civicrm.add_contact("Wilma", "Flintstone", [WILMA])
    bedrock.town.civicrm.add_to_group(contact, 111)
    bedrock.add_member(WILMA, first_name="Wilma", last_name="Flintstone")
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    return contact


def moves(bedrock: Bedrock) -> Moves:
    """All changes of the trail, as side, field, before and after."""
    store = bedrock.open_store()
    try:
        return [(c.side, c.field, c.before, c.after) for c in load_changes(store)]
    finally:
        store.close()


def test_a_name_in_civicrm_b16(bedrock: Bedrock, wilma: int):
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, "Wilhelmina")
    bedrock.sync_until_quiet()
    assert moves(bedrock) == [(CIVICRM, "first_name", "Wilma", "Wilhelmina")]


def test_a_name_in_civicrm_by_a_webhook_b16(bedrock: Bedrock, wilma: int):
    bedrock.with_data = False
    post = Post(bedrock)
    bedrock.sync_until_quiet()
    post.collect()
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, "Wilhelmina", "Slaghoople")
    post.bring()
    assert moves(bedrock) == [
        (CIVICRM, "first_name", "Wilma", "Wilhelmina"),
        (CIVICRM, "last_name", "Flintstone", "Slaghoople"),
    ]


def test_a_name_in_civicrm_by_sync_contact_b16(bedrock: Bedrock, wilma: int):
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, "Wilhelmina")
    store = bedrock.open_store()
    try:
        sync_contact(bedrock.make_run(store), contact_id=wilma)
    finally:
        store.close()
    assert moves(bedrock) == [(CIVICRM, "first_name", "Wilma", "Wilhelmina")]


def test_a_name_where_there_was_none_b16(bedrock: Bedrock, wilma: int):
    bedrock.town.civicrm.update_contact(wilma, first_name="")
    bedrock.sync_until_quiet()
    (move,) = moves(bedrock)
    assert move == (CIVICRM, "first_name", None, "Wilma")


def test_a_name_at_mailchimp_b16(bedrock: Bedrock, wilma: int):
    bedrock.town.civicrm.update_contact(wilma, first_name="Wilhelmina")
    bedrock.sync_until_quiet()
    assert moves(bedrock) == [(MAILCHIMP, "first_name", "Wilma", "Wilhelmina")]


def test_a_name_in_one_field_at_mailchimp_b16(bedrock: Bedrock):
    bedrock.with_data = True
    single_name(bedrock)
    contact = bedrock.town.civicrm.add_contact("Wilma", "Flintstone", [WILMA])
    bedrock.town.civicrm.add_to_group(contact, 111)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    known = len(moves(bedrock))
    bedrock.town.civicrm.update_contact(contact, first_name="Wilhelmina")
    bedrock.sync_until_quiet()
    assert (MAILCHIMP, "first_name", "Wilma", "Wilhelmina") in moves(bedrock)[known:]


def test_an_address_in_civicrm_b16(bedrock: Bedrock, wilma: int):
    bedrock.town.mailchimp.change_address(LIST, WILMA, NEW)
    bedrock.sync_until_quiet()
    assert moves(bedrock) == [(CIVICRM, "email", WILMA, NEW)]


def test_an_address_at_mailchimp_b16(bedrock: Bedrock, wilma: int):
    (email,) = bedrock.town.civicrm.emails(wilma)
    bedrock.town.civicrm.update_email(email.id, email=NEW)
    bedrock.sync_until_quiet()
    assert moves(bedrock) == [(MAILCHIMP, "email", WILMA, NEW)]


def test_an_interest_at_either_end_b16(bedrock: Bedrock, wilma: int):
    bedrock.town.civicrm.add_to_group(wilma, VOLUNTEERS)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, interests={VOLUNTEERING: False})
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.edit_profile(LIST, WILMA, interests={VOLUNTEERING: True})
    bedrock.sync_until_quiet()
    assert moves(bedrock) == [
        (MAILCHIMP, VOLUNTEERING, "no", "yes"),
        (CIVICRM, VOLUNTEERING, "Added", "Removed"),
        (CIVICRM, VOLUNTEERING, "Removed", "Added"),
    ]


def test_a_subscription_at_either_end_b16(bedrock: Bedrock, wilma: int):
    bedrock.town.civicrm.remove_from_group(wilma, 111)
    bedrock.sync_until_quiet()
    bedrock.pass_time(minutes=1)
    bedrock.town.mailchimp.sign_up(LIST, WILMA, "Wilma", "Flintstone")
    bedrock.sync_until_quiet()
    assert moves(bedrock) == [
        (MAILCHIMP, "subscription", "subscribed", "unsubscribed"),
        (CIVICRM, "subscription", "Removed", "Added"),
    ]


def test_a_field_and_a_tag_b16(bedrock: Bedrock, wilma: int):
    bedrock.town.mailchimp.add_merge_field(LIST, "JOB", "Job")
    map_fields(bedrock, JOB="job_title")
    for title in ("Baker", "Butcher"):
        bedrock.town.civicrm.update_contact(wilma, job_title=title)
        bedrock.sync_until_quiet()
        bedrock.pass_time(minutes=1)
    give_tag(bedrock, wilma, "Donor")
    bedrock.sync_until_quiet()
    bedrock.town.civicrm.untag(wilma, tag_id(bedrock, "Donor"))
    bedrock.sync_until_quiet()
    assert moves(bedrock) == [
        (MAILCHIMP, "JOB", None, "Baker"),
        (MAILCHIMP, "JOB", "Baker", "Butcher"),
        (MAILCHIMP, "tag CiviCRM: Donor", None, "yes"),
        (MAILCHIMP, "tag CiviCRM: Donor", "yes", "no"),
    ]


def test_a_result_that_comes_after_the_member_was_read_b16(bedrock: Bedrock, wilma: int):
    """The batch has done its work; its results are a run late."""
    bedrock.town.mailchimp.settings.batch_delay_polls = 3
    bedrock.town.civicrm.update_contact(wilma, first_name="Wilhelmina")
    bedrock.sync_until_quiet(9)
    assert moves(bedrock) == [(MAILCHIMP, "first_name", "Wilma", "Wilhelmina")]
