"""What `explain` and `history` tell, as plain data for JSON and CSV; names are never changed."""

from mcsync.answers.explain import (
    RULES,
    Explained,
    show_time,
    text_of_member_change,
    text_of_outcome,
)
from mcsync.answers.in_short import answer_in_short
from mcsync.answers.labels import Labels
from mcsync.answers.status import text_of_reason
from mcsync.cache.row_facts import RowFacts, UpdateFacts
from mcsync.cache.times import to_text, to_text_or_none
from mcsync.cache.trail import Change
from mcsync.decision import REASONS, ContactView, Statement, Undone
from mcsync.reconcile.agree import Rule

_OF_NO_SIDE = {
    Rule.NOBODY: "nobody",
    Rule.SAME: "both",
    Rule.BEFORE: "before",
    Rule.BEFORE_MOVE: "nobody",
}


def describe(explained: Explained) -> dict[str, object]:
    """For `--json`."""
    person = explained.person
    return {
        "list_id": explained.watched.list_id,
        "name": explained.watched.name,
        "answer": answer_in_short(explained),
        "group_id": explained.watched.policy.group_id,
        "found_as": list(explained.found_as),
        "rows": [_describe_row(row) for row in explained.rows],
        "contacts": [
            _describe_contact(c, explained.watched.policy.group_id)
            for c in ([person.contact] if person.contact else [])
        ],
        "rivals": list(person.rivals),
        "statements": [
            {
                "about": heard.thing,
                "name": explained.labels.interests.get(heard.thing),
                "mailchimp": _describe_statement(heard.mailchimp),
                "civicrm": _describe_statement(heard.civicrm),
                "right": heard.rule.side or _OF_NO_SIDE[heard.rule],
                "rule": RULES[heard.rule],
                "agreed": _describe_statement(heard.right),
            }
            for heard in explained.hearings
        ],
        "verdicts": [
            {
                "row_id": verdict.row_id,
                "sync_status": verdict.sync_status.value,
                "reason": verdict.reason.value,
                "sentence": REASONS[verdict.reason],
            }
            for verdict in explained.decision.verdicts
        ],
        "would_be_done": [
            {"side": s.side, "what": s.what, "reason": s.reason, "sentence": REASONS[s.reason]}
            for s in explained.steps
        ],
        "is_waiting": person.is_under_way,
        "held": explained.held,
        "undone": _describe_undone(explained.undone),
        "to_get_subscribed": explained.advice,
        "changes": [describe_change(change) for change in explained.changes],
        "updates": [_describe_update(update, explained.labels) for update in explained.updates],
    }


def _describe_undone(undone: Undone | None) -> dict[str, object] | None:
    return None if undone is None else {"run": undone.run, "at": to_text(undone.done_at)}


def _describe_row(row: RowFacts) -> dict[str, object]:
    return {
        "row_id": row.row_id,
        "email": row.email,
        "contact_id": row.contact_id,
        "mailchimp_status": row.member_status,
        "mailchimp_updated": row.updated,
        "sync_status": row.sync_status,
        "reason": row.reason,
        "sentence": text_of_reason(row.reason),
    }


def _describe_contact(contact: ContactView, group_id: int) -> dict[str, object]:
    place = contact.place(group_id)
    return {
        "contact_id": contact.contact_id,
        "first_name": contact.contact.first_name,
        "last_name": contact.contact.last_name,
        "is_added": place.is_added,
        "is_deceased": contact.contact.is_deceased,
        "is_opt_out": contact.contact.is_opt_out,
        "do_not_email": contact.contact.do_not_email,
        "emails": [
            {
                "email": email.email,
                "is_primary": email.is_primary,
                "is_bulkmail": email.is_bulkmail,
                "on_hold": email.on_hold,
            }
            for email in contact.emails
        ],
    }


def _describe_statement(said: Statement[bool] | None) -> dict[str, object] | None:
    if said is None:
        return None
    return {"says": "in" if said.value else "out", "at": show_time(said.at)}


def describe_change(change: Change) -> dict[str, object]:
    """One line of the trail, for JSON and CSV."""
    return {
        "at": to_text_or_none(change.at),
        "run": change.run,
        "list_id": change.list_id,
        "email": change.email,
        "contact_id": change.contact_id,
        "row_id": change.row_id,
        "side": change.side.value,
        "field": change.field,
        "before": change.before,
        "after": change.after,
        "reason": change.reason.value,
        "sentence": REASONS[change.reason],
    }


def _describe_update(update: UpdateFacts, labels: Labels) -> dict[str, object]:
    outcome, sentence = text_of_outcome(update)
    return {
        "update_id": update.update_id,
        "row_id": update.row_id,
        "what": text_of_member_change(update.change, labels),
        "reason": update.cause.reason,
        "created_at": to_text(update.created_at),
        "batch_id": update.batch_id,
        "sent_at": to_text_or_none(update.sent_at),
        "completed_at": to_text_or_none(update.completed_at),
        "outcome": outcome,
        "sentence": sentence,
        "error": update.error,
    }
