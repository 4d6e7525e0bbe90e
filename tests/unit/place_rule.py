"""What a full compare tells about a contact's place in a group, and its word: the rule in Python.

`cache.mirror.finish_compare` follows it in SQL for all contacts of a group at once. This is the
same for one contact, written to be read and tried case by case (`test_places`), and what the SQL
is held against (`test_full_compare`).
"""

from dataclasses import dataclass, replace
from datetime import datetime

from mcsync.decision import Statement
from mcsync.model import LONG_AGO, GroupStatus

Word = Statement[bool] | None


@dataclass(frozen=True, slots=True)
class KnownPlace:
    """What the cache has: the status (None: not in the group), the word, and since which row.

    `said_id` is the history row that said it, or the newest one there was when it was noticed;
    `history_id` the newest row known.
    """

    status: str | None = None
    word: Word = None
    said_id: int = 0
    history_id: int = 0


@dataclass(frozen=True, slots=True)
class History:
    """The history of one contact in one group: its newest row, and the newest that is not ours.

    The word is None where a human made the place pending, which takes back what they had said.
    """

    history_id: int
    status: str
    said_id: int = 0
    word: Word = None


def observe_place(
    known: KnownPlace | None,
    status: str | None,
    history: History | None,
    now: datetime,
    *,
    is_smart: bool = False,
    is_shown: bool = True,
) -> KnownPlace | None:
    """What is known of a place after it was seen as `status`, None if it is not there.

    `cache.mirror` has the rule in words, beside the SQL.
    """
    if is_smart:
        return KnownPlace(status) if status is not None or known is not None else None
    if status == "":  # odd: the row has no status, and nobody knows what that means
        return known
    if status == GroupStatus.PENDING:
        return KnownPlace(status, None, _newest(known, history), _last_id(known, history))
    if status is None:
        return _observe_gone(known, history, now, is_shown=is_shown)
    is_added = status == GroupStatus.ADDED
    leads_there = history is not None and (history.status == GroupStatus.ADDED) == is_added
    if known is not None and history is not None:
        # What led to the place that we knew did not lead away from it and back.
        leads_there &= history.history_id != known.history_id
    if known is not None and (known.status == status or leads_there):
        return replace(_hear(known, history), status=status)
    if leads_there and history is not None:
        return KnownPlace(status, history.word, history.said_id, history.history_id)
    at = now
    if known is None:
        at = history.word.at if history is not None and history.word is not None else LONG_AGO
    ids = _last_id(known, history)
    return KnownPlace(status, Statement(is_added, at), ids, ids)


def _observe_gone(
    known: KnownPlace | None, history: History | None, now: datetime, *, is_shown: bool
) -> KnownPlace | None:
    is_told = history is not None and history.status == GroupStatus.DELETED
    if known is None:
        if history is None:
            return None
        word, said_id = (history.word, history.said_id) if is_told else (None, history.history_id)
        return KnownPlace(None, word, said_id, history.history_id)
    heard = replace(_hear(known, history), status=None)
    says_out = heard.word is not None and not heard.word.value
    if known.status is None or is_told or not is_shown or says_out:
        return heard
    ids = _last_id(known, history)
    return KnownPlace(None, Statement(False, now), ids, ids)


def _hear(known: KnownPlace, history: History | None) -> KnownPlace:
    """With what a human said since, if the history tells of it."""
    if history is None:
        return known
    heard = replace(known, history_id=max(known.history_id, history.history_id))
    if history.said_id > known.said_id:
        return replace(heard, word=history.word, said_id=history.said_id)
    return heard


def _newest(known: KnownPlace | None, history: History | None) -> int:
    return max(known.said_id if known else 0, history.said_id if history else 0)


def _last_id(known: KnownPlace | None, history: History | None) -> int:
    return max(known.history_id if known else 0, history.history_id if history else 0)
