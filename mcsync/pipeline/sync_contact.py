"""One person at once: fetch, find, judge and write by direct calls, with the rules of every run."""

from collections.abc import Sequence

from mcsync.cache.audience_status import load_status
from mcsync.cache.linking import load_unknown_contacts
from mcsync.cache.row_facts import find_addresses
from mcsync.errors import UsageError
from mcsync.pipeline.batches import settle_direct
from mcsync.pipeline.direct import is_known, settle, take_in_members
from mcsync.pipeline.fetch import link
from mcsync.pipeline.fetch_civicrm import look_up_owners, read_site, take_contacts, take_in_civicrm
from mcsync.pipeline.identity import know_accounts, not_fetched
from mcsync.pipeline.run import Run, Task


def sync_contact(run: Run, *, email: str | None = None, contact_id: int | None = None) -> None:
    """Bring one person into agreement in every audience, told by address or by contact id."""
    know_accounts(run)
    for task in list(run.healthy_tasks()):
        with run.isolated(task):
            if not is_known(run, task):
                raise not_fetched(task)
    site = read_site(run)
    take_in_civicrm(run, site, None, is_whole=False)
    contact_ids = [] if contact_id is None else [contact_id]
    if contact_id is not None:
        _take_in_contact(run, contact_id)
    statuses = {}
    settle_direct(run)
    for task in run.healthy_tasks():
        with run.isolated(task):
            take_in_members(run, task, _addresses(run, task, email, contact_ids))
            look_up_owners(run, task)
            statuses[task.list_id] = load_status(run.store, task.list_id)
    link(run, statuses)
    for task in run.healthy_tasks():
        with run.isolated(task):
            settle(run, task, _addresses(run, task, email, contact_ids), contact_ids)


def _take_in_contact(run: Run, contact_id: int) -> None:
    if not load_unknown_contacts(run.store, [contact_id]):
        return
    if not take_contacts(run, [contact_id]):
        raise UsageError(
            f"CiviCRM has no contact {contact_id}", hint="look up the contact in CiviCRM"
        )


def _addresses(run: Run, task: Task, email: str | None, contact_ids: Sequence[int]) -> list[str]:
    known = find_addresses(run.store, task.list_id, contact_ids)
    return list(dict.fromkeys([*([email] if email else []), *known]))
