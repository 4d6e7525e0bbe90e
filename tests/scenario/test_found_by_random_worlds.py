"""Stories that the random worlds of `test_last_word` came upon, told plainly."""

from tests.scenario.bedrock import GROUP, Bedrock


def add_without_trace(bedrock: Bedrock, contact: int, status: str | None) -> None:
    """Somebody changes a place by SQL; a day passes, so that everything is compared."""
    bedrock.town.civicrm.sql_set_membership(contact, GROUP, status)
    bedrock.pass_time(hours=25)


def test_a_place_that_is_gone_and_comes_back_without_a_line_in_the_history(bedrock: Bedrock):
    wilma = bedrock.add_contact("wilma@example.org")
    bedrock.sync_until_quiet()
    add_without_trace(bedrock, wilma, None)
    bedrock.sync_until_quiet()
    assert bedrock.member_status("wilma@example.org") == "unsubscribed"
    add_without_trace(bedrock, wilma, "Added")
    bedrock.sync_until_quiet()
    assert bedrock.group_status(wilma) == "Added"
    assert bedrock.member_status("wilma@example.org") == "subscribed"
