"""The mail gate: may this contact be mailed at all, and at which address.

The same in SQL, for whole sites: `cache.contacts.GATE_FLAGS`, and what uses it.
"""

from mcsync.decision import ContactView, Reason
from mcsync.model import Email


def find_closed_gate(contact: ContactView) -> Reason | None:
    """Why the contact may not be mailed, or None when it may."""
    if contact.contact.is_deceased:
        return Reason.DECEASED
    if contact.contact.is_opt_out:
        return Reason.OPT_OUT
    if contact.contact.do_not_email:
        return Reason.DO_NOT_EMAIL
    if find_best_email(contact) is None:
        return Reason.NO_EMAIL
    return None


def find_best_email(contact: ContactView) -> Email | None:
    """The address to subscribe: not on hold; the bulk one, the primary one, any other."""
    usable = [email for email in contact.emails if email.email and not email.on_hold]
    return min(usable, key=rank_email, default=None)


def rank_email(email: Email) -> tuple[bool, bool, int]:
    """Sorts addresses by how well they are to be mailed at, best first."""
    return (not email.is_bulkmail, not email.is_primary, email.email_id)
