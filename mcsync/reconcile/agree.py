"""Agree: whose statement about one thing is right."""

from collections.abc import Iterable

from mcsync.model import Side, Statement


def agree(
    member: Statement[bool] | None, contact: Statement[bool] | None, trust: Side | None
) -> Statement[bool] | None:
    """Say which side's statement about one thing is right.

    The later one; CiviCRM on a tie; the only one if one side has none; under `trust`, that
    side's, where both sides know the person. Times are aware UTC. Never raises.
    """
    if member is None or contact is None:
        return member or contact
    if trust is not None:
        return member if trust is Side.MAILCHIMP else contact
    return member if member.at > contact.at else contact


def agree_within(statements: Iterable[Statement[bool] | None]) -> Statement[bool] | None:
    """What several members, or several contacts, of one person say together.

    In, if any of them says in, at the latest of these; else out, at the latest; None if none
    of them says anything.
    """
    said = [statement for statement in statements if statement is not None]
    if not said:
        return None
    voices = [statement for statement in said if statement.value] or said
    return max(voices, key=lambda statement: statement.at)
