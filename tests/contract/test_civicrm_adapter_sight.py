"""The adapter and a user who does not see everybody: nothing believed, nobody made twice."""

import json
from collections.abc import Callable

import pytest
from civicrm_site import READS, Site, contacts_of, merged
from test_civicrm_adapter_troubles import JSON, SAVE_CONTACT, SAVE_MEMBERS, newcomers, until_error

from mcsync.errors import RemoteRefused
from mcsync.model import Contact, EmailWrite, GroupStatus, NewContact
from mcsync.sandbox.server import Fault, Request, Response

VIEW = "view all contacts"


def limit_before(site: Site, path: str) -> None:
    """Let an ACL come down just as a request of that path arrives."""

    def limit(request: Request) -> None:
        if request.path.endswith(path):
            site.sim.limit_to_group(site.group)

    site.server.before_request = limit


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.fact("civicrm: Permissions", "an ACL shows some contacts; contact 1 proves more")
@pytest.mark.parametrize("read", READS.values(), ids=READS)
def test_a_user_limited_by_an_acl_is_refused_whatever_is_read(
    site: Site, read: Callable[[Site], object]
) -> None:
    """Our own contact is visible by `view my contact`, so it proves nothing."""
    fred = site.add("Fred")
    site.sim.add_to_group(fred, site.group)
    site.sim.limit_to_group(site.group)
    with pytest.raises(RemoteRefused) as caught:
        read(site)
    assert "does not show every contact" in caught.value.message
    assert f'"{VIEW}"' in (caught.value.hint or "")
    site.sim.lift_limits()
    read(site)


@pytest.mark.fact("civicrm: Permissions", "an ACL shows some contacts; contact 1 proves more")
def test_an_acl_between_two_runs_is_noticed_by_the_next_snapshot(site: Site) -> None:
    site.snapshot()
    site.sim.limit_to_group(site.group)
    with pytest.raises(RemoteRefused, match="every contact"):
        site.snapshot()


def test_the_proof_costs_no_request_of_its_own(site: Site) -> None:
    list(site.port.fetch_contacts([1]))
    list(site.port.fetch_owners(["fred@example.org"]))
    paths = [exchange.request.path for exchange in site.server.requests]
    assert paths == [
        "/civicrm/authx/id",
        "/civicrm/ajax/api4",  # the site's clock, which is needed anyhow
        "/civicrm/ajax/api4",
        "/civicrm/ajax/api4/Email/get",
    ]


def test_who_sees_contact_1_may_still_not_see_others(site: Site) -> None:
    """An extension may hide single contacts; a sample tells of it, and who is hidden is absent."""
    shown, hidden = site.add_many(2)
    site.sim.limit_to_contacts({1, shown})
    assert set(site.port.fetch_snapshot([site.group], 0, [shown, hidden]).created) == {shown}
    assert set(contacts_of(site.port.fetch_contacts([shown, hidden]))) == {shown}


# --- creating -------------------------------------------------------------------------------------


def test_nobody_is_created_by_a_user_who_does_not_see_everybody(site: Site) -> None:
    site.sim.limit_to_group(site.group)
    done, error = until_error(site.port.create_contacts(newcomers(3), "test"))
    assert isinstance(error, RemoteRefused)
    assert VIEW in (error.hint or "")
    assert done.done == {}
    assert site.sim.contacts(source="test") == []


@pytest.mark.fact("civicrm: Permissions", "reload leaves out the unseen, the plain echo does not")
def test_created_contacts_are_known_though_they_are_not_seen(site: Site) -> None:
    """(civicrm: Permissions) `reload` would tell of none of them; the plain echo tells all."""
    limit_before(site, SAVE_CONTACT)
    done = merged(site.port.create_contacts(newcomers(60), "test")).done
    made = site.sim.contacts(source="test")
    assert sorted(done.values()) == [contact.id for contact in made]
    assert len(made) == 60
    for row_id, contact_id in done.items():
        contact = site.sim.contact(contact_id)
        assert contact is not None
        assert contact.email == f"gravel{row_id}@example.org"
    assert len(site.calls(SAVE_CONTACT)) == 2


@pytest.mark.fact("civicrm: Permissions", "reload leaves out the unseen, the plain echo does not")
@pytest.mark.parametrize("kept", [[], [1], [0, 2], [3, 4]], ids=str)
def test_whom_an_answer_leaves_out_is_neither_known_nor_tried_again(
    site: Site, kept: list[int]
) -> None:
    """Known by the address and the names of the echo, whatever its place."""

    def cut(request: Request, answer: Response) -> Response:
        document = json.loads(answer.body)
        document["values"] = [document["values"][number] for number in kept]
        return Response(200, json.dumps(document).encode(), JSON)

    site.server.faults.append(Fault(path=SAVE_CONTACT, rewrite=cut))
    done, error = until_error(site.port.create_contacts(newcomers(5)[::-1], "test"))
    assert isinstance(error, RemoteRefused)
    assert VIEW in (error.hint or "")
    assert set(done.done) == {4 - number for number in kept}  # they were sent in reverse order
    for row_id, contact_id in done.done.items():
        contact = site.sim.contact(contact_id)
        assert contact is not None
        assert contact.email == f"gravel{row_id}@example.org"
    assert len(site.sim.contacts(source="test")) == 5
    assert len(site.calls(SAVE_CONTACT)) == 1


def test_after_an_answer_that_left_somebody_out_no_further_chunk_is_begun(site: Site) -> None:
    none = Response(200, b'{"values": [], "count": 0}', JSON)
    site.server.faults.append(
        Fault(path=SAVE_CONTACT, rewrite=lambda request, answer: none, skip=1)
    )
    port = site.client(connections=1)
    done, error = until_error(port.create_contacts(newcomers(350), "test"))
    assert isinstance(error, RemoteRefused)
    assert set(done.done) == set(range(50))
    assert len(site.sim.contacts(source="test")) <= 150
    assert len(site.calls(SAVE_CONTACT)) == 2


@pytest.mark.fact("civicrm: Permissions", "reload leaves out the unseen, the plain echo does not")
@pytest.mark.parametrize("status", [500, 502])
def test_what_is_not_seen_after_an_error_is_not_created_again(site: Site, status: int) -> None:
    """The two before the bad record are there and hidden: read again, nobody would be found."""

    def fail(request: Request, answer: Response) -> Response:
        for contact in site.sim.contacts(source="test")[2:]:
            site.sim.purge(contact.id)
        return Response(status, b'{"error_code": "1", "error_message": "Sorry"}', JSON)

    limit_before(site, SAVE_CONTACT)
    site.server.faults.append(Fault(path=SAVE_CONTACT, rewrite=fail))
    done, error = until_error(site.port.create_contacts(newcomers(5), "test"))
    assert isinstance(error, RemoteRefused)
    assert VIEW in (error.hint or "")
    assert done.done == {}
    assert len(site.sim.contacts(source="test")) == 2
    assert len(site.calls(SAVE_CONTACT)) == 1


def test_a_whole_name_is_not_taken_for_one_that_was_cut(site: Site) -> None:
    """Two with one address, one's name the beginning of the other's; only one was created."""
    home = "home@example.org"
    new = [NewContact(1, home, "Freddy", "F"), NewContact(2, home, "Fred", "F")]

    def fail(request: Request, answer: Response) -> Response:
        (freddy, fred) = site.sim.contacts(source="test")
        site.sim.purge(freddy.id)
        assert fred.first_name == "Fred"
        return Response(500, b'{"error_code": "1", "error_message": "Sorry", "status": 500}', JSON)

    site.server.faults.append(Fault(path=SAVE_CONTACT, rewrite=fail))
    (result,) = site.port.create_contacts(new, "test")
    names = {row_id: site.sim.contact(i) for row_id, i in result.done.items()}
    found = {row_id: contact and contact.first_name for row_id, contact in names.items()}
    assert found == {1: "Freddy", 2: "Fred"}
    assert len(site.sim.contacts(source="test")) == 2


# --- other writes ---------------------------------------------------------------------------------


@pytest.mark.fact("civicrm: Permissions", "GroupContact.save for an unseen contact is 403")
def test_the_group_contacts_of_the_unseen_are_refused(site: Site) -> None:
    shown, hidden = site.add_many(2)
    site.sim.add_to_group(shown, site.group)
    other = site.sim.add_group("Trustees")
    limit_before(site, SAVE_MEMBERS)
    ids = [shown, hidden]
    done, error = until_error(
        site.port.save_group_contacts(other, GroupStatus.ADDED, ids, "mcsync")
    )
    assert isinstance(error, RemoteRefused)
    assert done.done == {}
    assert site.sim.group_members(other) == set()


def test_a_refusal_of_one_does_not_hide_what_was_done_for_others(site: Site) -> None:
    shown, hidden = site.add_many(2)
    site.sim.limit_to_contacts({shown})
    addresses = [EmailWrite(who, f"x{who}@example.org") for who in (hidden, shown)]
    done, error = until_error(site.port.add_emails(addresses))
    assert isinstance(error, RemoteRefused)
    assert done.done == {shown: shown}
    assert len(site.sim.emails(shown)) == 2
    names = [Contact(who, "Pearl", "") for who in (hidden, shown)]
    (result,) = site.port.save_names(names)
    assert (set(result.done), set(result.failed)) == ({shown}, {hidden})
