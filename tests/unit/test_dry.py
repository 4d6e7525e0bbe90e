"""In a dry run only what reads comes through to the services."""

from collections.abc import Iterator, Sequence
from typing import cast

import pytest

from mcsync.model import ContactPage, NewContact
from mcsync.pipeline.dry import DryCivicrm, DryMailchimp, DryRunError
from mcsync.pipeline.ports import CivicrmPort, MailchimpPort


class Service:
    """Answers to everything, so that whatever comes through is noticed."""

    def __getattr__(self, name: str) -> str:
        return f"the service's {name}"


def methods_of(port: type) -> list[str]:
    return [name for name, value in vars(port).items() if callable(value) and name[0] != "_"]


READING = ("fetch_", "find_")
WRITES = {
    port: [n for n in methods_of(port) if not n.startswith(READING)]
    for port in (MailchimpPort, CivicrmPort)
}


@pytest.mark.parametrize("name", WRITES[MailchimpPort])
def test_nothing_is_written_at_mailchimp(name: str):
    with pytest.raises(DryRunError):
        getattr(DryMailchimp(cast(MailchimpPort, Service())), name)


@pytest.mark.parametrize("name", WRITES[CivicrmPort])
def test_every_write_to_civicrm_is_answered_here(name: str):
    assert callable(getattr(DryCivicrm(cast(CivicrmPort, Service())), name))


def test_a_contact_can_be_read_back_and_is_kept_no_longer_than_for_that():
    """A first run may create a hundred thousand."""

    class Empty:
        def fetch_contacts(self, contact_ids: Sequence[int]) -> Iterator[ContactPage]:
            return iter(())

    site = DryCivicrm(cast(CivicrmPort, Empty()))
    ids = []
    for number in range(2):
        new = NewContact(number, f"worker{number}@example.org", "Fred", "Slate", ())
        [result] = site.create_contacts([new], "mailchimpsync")
        ids += result.done.values()
        [page] = site.fetch_contacts([*ids])
        assert [email.email for email in page.emails] == [new.email]
    assert len(set(ids)) == 2


def test_what_reads_is_the_services_own():
    service = cast(MailchimpPort, Service())
    found: object = DryMailchimp(service).fetch_batch
    assert found == "the service's fetch_batch"
    assert len(WRITES[MailchimpPort]) >= 3
    assert len(WRITES[CivicrmPort]) >= 5
