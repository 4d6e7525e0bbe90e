"""The decision table: what is decided about people, case by case, in plain words.

A row names the case, the people (contacts and members, with hours for times), perhaps a policy,
and what is expected: what is written in CiviCRM, what is sent to Mailchimp, and how the rows are
marked (`status reason`, one for all rows, or one per row after semicolons; the reason may be
left out). To add a case, add a `case(...)`. The laws that hold for anybody are in
test_decision_laws.py.
"""

from dataclasses import replace

import pytest

from mcsync.decision import REASONS, Policy, Reason
from mcsync.model import GroupStatus, Side
from mcsync.reconcile.enforce import decide
from mcsync.reconcile.guards import Kind, measure
from tests.unit.folk import (
    ARCHIVING,
    BOTH_WAYS,
    HOLD_DELETED,
    IDS,
    NO_RECONFIRMING,
    PLAIN,
    PUSH_ONLY,
    SKIPPING,
    TRUST_CIVICRM,
    TRUST_MAILCHIMP,
    UNSUBSCRIBE_DELETED,
    VOLUNTEERING,
    People,
    agreed_before,
    alone,
    at,
    contact,
    decide_all,
    member,
    one,
    person,
    settle,
    tell_civicrm,
    tell_mailchimp,
    trusting,
)


def listed(text: str) -> list[str]:
    return sorted(part.strip() for part in text.split(",") if part.strip())


def case(
    words: str,
    people: People,
    policy: Policy = PLAIN,
    *,
    civicrm: str = "",
    mailchimp: str = "",
    rows: str,
):
    return pytest.param(people, policy, civicrm, mailchimp, rows, id=words)


# --- the table ------------------------------------------------------------------------------------

THE_LATER_WORD = [
    case(
        "both sides say in: nothing to do",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "subscribed", 9)),
        rows="ok in-agreement",
    ),
    case(
        "a contact added to the group and unknown to Mailchimp is subscribed",
        person(contact("Wilma", "wilma@", added=10)),
        mailchimp="add wilma@",
        rows="live added-in-civicrm",
    ),
    case(
        "removed in CiviCRM at 10, name edited at Mailchimp at 12: unsubscribed",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 9)),
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "unsubscribed at Mailchimp later than added: Removed from the group",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "left", 12)),
        civicrm="Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "cleaned at Mailchimp: Removed from the group",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "cleaned", 12)),
        civicrm="Wilma Removed",
        rows="ok cleaned-at-mailchimp",
    ),
    case(
        "archived at Mailchimp: Removed from the group",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "archived", 12)),
        civicrm="Wilma Removed",
        rows="ok archived-at-mailchimp",
    ),
    case(
        "unsubscribed by an administrator at Mailchimp: Removed from the group",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "unsubscribed", 12)),
        civicrm="Wilma Removed",
        rows="ok unsubscribed-at-mailchimp",
    ),
    case(
        "a shop's customer (transactional) said nothing: who was Added on paper is subscribed",
        person(contact("Wilma", "wilma@", added=5), member("wilma@", "transactional", None)),
        mailchimp="subscribe wilma@",
        rows="live added-in-civicrm",
    ),
    case(
        "a shop's customer (transactional) who was removed stays out",
        person(contact("Wilma", "wilma@", removed=5), member("wilma@", "transactional", None)),
        rows="ok removed-in-civicrm",
    ),
    case(
        "a shop's customer (transactional) who was never in the group is left alone",
        person(contact("Wilma", "wilma@"), member("wilma@", "transactional", None)),
        rows="ok in-agreement",
    ),
    case(
        "transactional now, who unsubscribed before: that word stands",
        person(
            contact("Wilma", "wilma@", added=5), member("wilma@", "transactional", 9, says="out")
        ),
        civicrm="Wilma Removed",
        rows="ok unsubscribed-at-mailchimp",
    ),
    case(
        "vanished from Mailchimp says out",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "vanished", 12)),
        civicrm="Wilma Removed",
        rows="ok vanished-from-mailchimp",
    ),
    case(
        "subscribed at Mailchimp later than Removed: Added to the group again",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 12)),
        civicrm="Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "pending at Mailchimp says in",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "pending", 12)),
        civicrm="Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "both at the same second: CiviCRM is right, in",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "left", 10)),
        mailchimp="subscribe wilma@",
        rows="live added-in-civicrm",
    ),
    case(
        "both at the same second: CiviCRM is right, out",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 10)),
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "both sides say out: nothing to do",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "left", 12)),
        rows="ok in-agreement",
    ),
    case(
        "in the group without any history is older than anything Mailchimp says",
        person(contact("Wilma", "wilma@", added=0), member("wilma@", "left", 1)),
        civicrm="Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "in the group without any history and unknown to Mailchimp: subscribed",
        person(contact("Wilma", "wilma@", added=0)),
        mailchimp="add wilma@",
        rows="live added-in-civicrm",
    ),
    case(
        "a contact never in the group whose address is subscribed is Added",
        person(contact("Wilma", "wilma@"), member("wilma@", "subscribed", 9)),
        civicrm="Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "a contact never in the group whose address is unsubscribed stays out",
        person(contact("Wilma", "wilma@"), member("wilma@", "left", 9)),
        rows="ok",
    ),
    case(
        "that we added the contact ourselves says nothing: who leaves is Removed",
        person(contact("Wilma", "wilma@", is_added=True), member("wilma@", "left", 9)),
        civicrm="Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "what a human said before we removed the contact still stands, but is older",
        person(
            contact("Wilma", "wilma@", added=8, is_added=False),
            member("wilma@", "left", 9),
        ),
        rows="ok left-at-mailchimp",
    ),
    case(
        "Removed and unknown to Mailchimp: nothing to do",
        person(contact("Wilma", "wilma@", removed=10), alone("Wilma")),
        rows="ok",
    ),
    case(
        "left by herself, then staff add her: subscribed is tried",
        person(contact("Betty", "betty@", added=10), member("betty@", "left", 9)),
        mailchimp="subscribe betty@",
        rows="live added-in-civicrm",
    ),
    case(
        "archived, then staff add her: subscribed again",
        person(contact("Betty", "betty@", added=10), member("betty@", "archived", 9)),
        mailchimp="subscribe betty@",
        rows="live added-in-civicrm",
    ),
    case(
        "vanished, then staff add her: a new member",
        person(contact("Betty", "betty@", added=10), member("betty@", "vanished", 9)),
        mailchimp="add betty@",
        rows="live added-in-civicrm",
    ),
]

REMOVING = [
    case(
        "a pending member who is removed in CiviCRM is unsubscribed",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "pending", 9)),
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "removal by archiving archives instead of unsubscribing",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 9)),
        ARCHIVING,
        mailchimp="archive wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "removal by archiving cannot archive a pending member, who is unsubscribed",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "pending", 9)),
        ARCHIVING,
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "removal by archiving leaves those alone who are unsubscribed already",
        person(contact("Wilma", "wilma@", removed=12), member("wilma@", "left", 10)),
        ARCHIVING,
        rows="ok",
    ),
    case(
        "removal by archiving archives behind a closed gate, too",
        person(
            contact("Wilma", "wilma@", added=8, is_opt_out=True, closed=10),
            member("wilma@", "subscribed", 9),
        ),
        ARCHIVING,
        mailchimp="archive wilma@ for the gate",
        rows="live opt-out",
    ),
    case(
        "who was archived for the gate is subscribed when it opens",
        person(contact("Wilma", "wilma@", added=8), member("wilma@", "archived", 9, gated=True)),
        ARCHIVING,
        mailchimp="subscribe wilma@",
        rows="live may-be-mailed-again",
    ),
]

THE_MAIL_GATE = [
    case(
        "opted out: unsubscribed, but Added all the while",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "subscribed", 9),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live opt-out",
    ),
    case(
        "do not email: unsubscribed, but Added all the while",
        person(
            contact("Fred", "fred@", added=8, do_not_email=True, closed=10),
            member("fred@", "subscribed", 9),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live do-not-email",
    ),
    case(
        "deceased: unsubscribed",
        person(
            contact("Fred", "fred@", added=8, is_deceased=True, closed=10),
            member("fred@", "subscribed", 9),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live deceased",
    ),
    case(
        "every address on hold: unsubscribed",
        person(
            contact("Fred", "fred@ held", "rocks@ held", added=8, closed=10),
            member("fred@", "subscribed", 9),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live no-usable-address",
    ),
    case(
        "no address at all: cannot be subscribed",
        person(contact("Fred", added=8, closed=8)),
        rows="fail no-usable-address",
    ),
    case(
        "one of two addresses on hold closes no gate",
        person(contact("Fred", "fred@", "rocks@ held", added=8), member("fred@", "subscribed", 9)),
        rows="ok in-agreement",
    ),
    case(
        "opted out and unknown to Mailchimp: not subscribed",
        person(contact("Fred", "fred@", added=8, is_opt_out=True, closed=7)),
        rows="fail opt-out",
    ),
    case(
        "opted out and unsubscribed because of it: nothing more to do",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "unsubscribed", 9, gated=True),
        ),
        rows="fail opt-out",
    ),
    case(
        "opt-out lifted: subscribed again",
        person(contact("Fred", "fred@", added=8), member("fred@", "unsubscribed", 9, gated=True)),
        mailchimp="subscribe fred@",
        rows="live may-be-mailed-again",
    ),
    case(
        "opt-out lifted, but removed from the group meanwhile: stays out",
        person(
            contact("Fred", "fred@", removed=12), member("fred@", "unsubscribed", 9, gated=True)
        ),
        rows="ok removed-in-civicrm",
    ),
    case(
        "left by himself while opted out: Removed, since he said so",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "left", 12),
        ),
        civicrm="Fred Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "muted, then she clicks unsubscribe in an old mail, then the opt-out is lifted: no mail",
        person(contact("Fred", "fred@", added=8), member("fred@", "left", 12)),
        civicrm="Fred Removed",
        rows="ok left-at-mailchimp",
    ),
    *(
        case(
            f"the cache is lost, {words}: who was muted by us is recognised and stays Added",
            person(
                contact("Fred", address, added=0, **flags),
                member("fred@", "unsubscribed", 12, stranger=True),
            ),
            policy,
            rows=f"fail {reason}",
        )
        for words, address, flags, reason, policy in (
            ("opt-out", "fred@", {"is_opt_out": True}, "opt-out", PLAIN),
            ("do not email", "fred@", {"do_not_email": True}, "do-not-email", PLAIN),
            ("on hold", "fred@ held", {}, "no-usable-address", PLAIN),
            ("trusting Mailchimp", "fred@", {"is_opt_out": True}, "opt-out", TRUST_MAILCHIMP),
        )
    ),
    case(
        "the cache is lost, muted by archiving: recognised and stays Added",
        person(
            contact("Fred", "fred@", added=0, is_opt_out=True),
            member("fred@", "archived", 12, stranger=True),
        ),
        ARCHIVING,
        rows="fail opt-out",
    ),
    case(
        "the cache is lost, unsubscribed by an administrator, and may be mailed: Removed",
        person(
            contact("Fred", "fred@", added=0), member("fred@", "unsubscribed", 12, stranger=True)
        ),
        civicrm="Fred Removed",
        rows="ok unsubscribed-at-mailchimp",
    ),
    case(
        "the cache is lost, opted out, but left for a reason of his own: Removed",
        person(contact("Fred", "fred@", added=0, is_opt_out=True), member("fred@", "left", 12)),
        civicrm="Fred Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "signed up at Mailchimp after the opt-out: left alone and reported",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "subscribed", 12),
        ),
        rows="ok signed-up-despite-opt-out",
    ),
    case(
        "signed up at Mailchimp after the opt-out and not in the group: Added",
        person(
            contact("Fred", "fred@", removed=8, is_opt_out=True, closed=10),
            member("fred@", "subscribed", 12),
        ),
        civicrm="Fred Added",
        rows="ok signed-up-despite-opt-out",
    ),
    case(
        "signed up in the very second of the opt-out: not after it",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "subscribed", 10),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live opt-out",
    ),
    case(
        "signed up before an opt-out of unknown time: unsubscribed",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True), member("fred@", "subscribed", 12)
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live opt-out",
    ),
    case(
        "the deceased do not sign up",
        person(
            contact("Fred", "fred@", added=8, is_deceased=True, closed=10),
            member("fred@", "subscribed", 12),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live deceased",
    ),
    case(
        "a deceased contact whom staff add to the group is not subscribed",
        person(contact("Fred", "fred@", added=12, is_deceased=True, closed=10)),
        rows="fail deceased",
    ),
    case(
        "a shared address is mailed as long as one of its owners may be mailed",
        person(
            contact("Fred", "home@", added=8, is_opt_out=True, closed=10),
            contact("Wilma", "home@", added=8),
            member("home@", "subscribed", 9, of="Fred"),
        ),
        rows="ok in-agreement",
    ),
    case(
        "an opted-out contact's own address is unsubscribed though his wife may be mailed",
        person(
            contact("Fred", "fred@ primary", "home@", added=8, is_opt_out=True, closed=10),
            contact("Wilma", "home@ primary", added=8),
            member("fred@", "subscribed", 9),
            member("home@", "subscribed", 9, of="Wilma"),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live opt-out; ok in-agreement",
    ),
    case(
        "a deceased contact's own address is unsubscribed though his wife may be mailed",
        person(
            contact("Fred", "fred@ primary", "home@", added=8, is_deceased=True, closed=10),
            contact("Wilma", "home@ primary", added=8),
            member("fred@", "subscribed", 9),
            member("home@", "subscribed", 9, of="Wilma"),
        ),
        mailchimp="unsubscribe fred@ for the gate",
        rows="live deceased; ok in-agreement",
    ),
]

WHOM_TO_SUBSCRIBE = [
    case(
        "the address marked bulk comes first",
        person(contact("Barney", "barney@ primary", "rubble@ bulk", "b@", added=10)),
        mailchimp="add rubble@",
        rows="live added-in-civicrm",
    ),
    case(
        "the primary address comes second",
        person(contact("Barney", "b@", "barney@ primary", "rubble@ bulk held", added=10)),
        mailchimp="add barney@",
        rows="live added-in-civicrm",
    ),
    case(
        "any other address comes third",
        person(contact("Barney", "barney@ primary held", "b@", added=10)),
        mailchimp="add b@",
        rows="live added-in-civicrm",
    ),
    case(
        "an address that is in satisfies the contact, though another one is better",
        person(
            contact("Barney", "barney@", "rubble@ primary", added=10),
            member("barney@", "subscribed", 9),
        ),
        rows="ok in-agreement",
    ),
    case(
        "no second member for someone who has one",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=10),
            member("barney@", "left", 9),
        ),
        mailchimp="subscribe barney@",
        rows="live added-in-civicrm",
    ),
    case(
        "of two addresses, one that can be had without a confirmation mail",
        person(
            contact("Barney", "barney@ primary", "rubble@", added=10),
            member("barney@", "left", 9),
            member("rubble@", "archived", 8, of="Barney"),
        ),
        mailchimp="subscribe rubble@",
        rows="ok; live added-in-civicrm",
    ),
    case(
        "of two addresses that both left, the best one",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=10),
            member("barney@", "left", 9),
            member("rubble@", "left", 9, of="Barney"),
        ),
        mailchimp="subscribe rubble@",
        rows="ok; live added-in-civicrm",
    ),
    case(
        "when the gate opens, the address that was in, not one that left",
        person(
            contact("Barney", "barney@ primary", "rubble@", added=10),
            member("barney@", "left", 9),
            member("rubble@", "unsubscribed", 8, of="Barney", gated=True),
        ),
        mailchimp="subscribe rubble@",
        rows="ok; live may-be-mailed-again",
    ),
    case(
        "a cleaned address can never be subscribed again",
        person(contact("Barney", "barney@", added=10), member("barney@", "cleaned", 9)),
        rows="fail cleaned-address",
    ),
    case(
        "a cleaned address that two share: who has another one is subscribed there",
        person(
            contact("Fred", "home@ primary", added=10),
            contact("Wilma", "home@ primary", "wilma@", added=10),
            member("home@", "cleaned", 9, of="Fred"),
        ),
        mailchimp="add wilma@",
        rows="fail cleaned-address; live",
    ),
    case(
        "a cleaned address on hold gives way to another one",
        person(
            contact("Barney", "barney@ primary held", "rubble@", added=10),
            member("barney@", "cleaned", 9),
        ),
        mailchimp="add rubble@",
        rows="ok",
    ),
    case(
        "a held address is refused",
        person(
            contact("Barney", "barney@ held", added=10, closed=9),
            member("barney@", "left", 9),
        ),
        rows="fail no-usable-address",
    ),
    case(
        "an address that the contact no longer has is not subscribed again",
        person(
            contact("Barney", "barney@", added=10),
            member("old@", "left", 9, of="Barney"),
        ),
        mailchimp="add barney@",
        rows="ok",
    ),
    case(
        "addresses compare without regard to case",
        person(contact("Barney", "BARNEY@", added=10), member("barney@", "left", 9)),
        mailchimp="subscribe barney@",
        rows="live added-in-civicrm",
    ),
]

ADDRESSES_THAT_CHANGE = [
    case(
        "the member's address is no longer the contact's: the member moves",
        person(
            contact("Barney", "rubble@", added=8),
            member("barney@", "subscribed", 8, had_address=True),
        ),
        mailchimp="barney@ moves to rubble@",
        rows="live",
    ),
    case(
        "the contact never had the member's address (they were merged): nobody moves",
        person(contact("Barney", "rubble@", added=8), member("barney@", "subscribed", 8)),
        rows="ok in-agreement",
    ),
    case(
        "the contact marks another address bulk: the member moves",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=8),
            member("barney@", "subscribed", 8),
        ),
        mailchimp="barney@ moves to rubble@",
        rows="live",
    ),
    case(
        "a bulk address on hold is no reason to move",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk held", added=8),
            member("barney@", "subscribed", 8),
        ),
        rows="ok in-agreement",
    ),
    case(
        "pushEmailChanges false: nobody moves",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=8),
            member("barney@", "subscribed", 8),
        ),
        replace(PLAIN, pushes_email_changes=False),
        rows="ok in-agreement",
    ),
    case(
        "the new address is a member already: nobody moves",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=10),
            member("barney@", "subscribed", 9),
            member("rubble@", "left", 9, of="Barney"),
        ),
        rows="ok in-agreement; ok other-address-subscribed",
    ),
    case(
        "only a subscribed member moves, not a pending one",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=8),
            member("barney@", "pending", 8),
        ),
        rows="ok in-agreement",
    ),
    case(
        "who is unsubscribed does not move as well",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", removed=10),
            member("barney@", "subscribed", 8),
        ),
        mailchimp="unsubscribe barney@",
        rows="live removed-in-civicrm",
    ),
    case(
        "a contact found only by a shared address moves nobody",
        person(
            contact("Barney", "barney@ primary", "rubble@ bulk", added=8),
            member("barney@", "subscribed", 8, shared=True),
        ),
        rows="ok in-agreement",
    ),
    case(
        "a member who moved at Mailchimp: the contact gets the new address, too",
        person(
            contact("Barney", "barney@ primary", added=8),
            member("rubble@", "subscribed", 8, of="Barney", moved_from="barney@"),
        ),
        civicrm="Barney gets rubble@",
        rows="ok",
    ),
    case(
        "a member who moved from an address that two share: the linked contact gets the new one",
        person(
            contact("Fred", "home@ primary", added=8),
            contact("Wilma", "home@ primary", added=8),
            member("rubble@", "subscribed", 8, of="Fred", shared=True, moved_from="home@"),
        ),
        civicrm="Fred gets rubble@",
        mailchimp="add home@",
        rows="ok; live",
    ),
    case(
        "a member who moved to an address that the contact has: nothing",
        person(
            contact("Barney", "barney@ primary", "rubble@", added=8),
            member("rubble@", "subscribed", 8, of="Barney", moved_from="barney@"),
        ),
        rows="ok in-agreement",
    ),
]

REFUSED_BEFORE = [
    case(
        "compliance state, and nobody is to be asked to confirm: fail, not tried again",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "left", 9, refused=(10, Reason.COMPLIANCE)),
        ),
        NO_RECONFIRMING,
        rows="fail compliance-state",
    ),
    case(
        "compliance state, and not asked yet for this wish: asked to confirm",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "left", 9, refused=(10, Reason.COMPLIANCE)),
        ),
        mailchimp="ask betty@",
        rows="redo compliance-state",
    ),
    case(
        "compliance state, and asked for an older wish only: asked to confirm once more",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "left", 9, refused=(10, Reason.COMPLIANCE), reconfirmed=8),
        ),
        mailchimp="ask betty@",
        rows="redo compliance-state",
    ),
    case(
        "asked to confirm for this decision: never asked twice",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "left", 9, refused=(10, Reason.COMPLIANCE), reconfirmed=10),
        ),
        rows="fail compliance-state",
    ),
    case(
        "asked to confirm, and not confirmed yet: pending is in",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "pending", 10, refused=(10, Reason.COMPLIANCE), reconfirmed=10),
        ),
        rows="ok in-agreement",
    ),
    case(
        "asked for when the compliance refusal arrives, but removed meanwhile: nobody is mailed",
        person(
            contact("Betty", "betty@", removed=11),
            member("betty@", "left", 9, refused=(10, Reason.COMPLIANCE)),
        ),
        rows="ok in-agreement",
    ),
    case(
        "asked for when the compliance refusal arrives, but opted out meanwhile: nobody is mailed",
        person(
            contact("Betty", "betty@", added=10, is_opt_out=True, closed=11),
            member("betty@", "left", 9, refused=(10, Reason.COMPLIANCE)),
        ),
        rows="fail opt-out",
    ),
    case(
        "our subscribe waits, she signs up herself and leaves by the link, it is refused: no mail",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "left", 12, refused=(10, Reason.COMPLIANCE)),
        ),
        civicrm="Betty Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "our subscribe waits, staff archive her, it overwrites that: the later word stands, out",
        person(
            contact("Betty", "betty@", added=10), member("betty@", "subscribed", 12, says="out")
        ),
        civicrm="Betty Removed",
        mailchimp="unsubscribe betty@",
        rows="live unsubscribed-at-mailchimp",
    ),
    case(
        "our unsubscribe waits, she signs up again, it overwrites that: the later word stands, in",
        person(
            contact("Betty", "betty@", removed=10),
            member("betty@", "unsubscribed", 12, says="in"),
        ),
        civicrm="Betty Added",
        mailchimp="subscribe betty@",
        rows="live",
    ),
    case(
        "our unsubscribe is under way, staff add her again, she leaves by the link: no mail",
        person(contact("Betty", "betty@", added=11), member("betty@", "left", 12)),
        civicrm="Betty Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "refused for now, to be tried again later: waits in the queue",
        person(
            contact("Betty", "betty@", added=10),
            alone("Betty", "betty@", refused=(10, Reason.REFUSED), paused=True),
        ),
        rows="todo refused-by-mailchimp",
    ),
    case(
        "refused for now, and then removed: nothing to do",
        person(
            contact("Betty", "betty@", removed=12),
            alone("Betty", "betty@", refused=(10, Reason.REFUSED), paused=True),
        ),
        rows="ok",
    ),
    case(
        "one address forgotten for good, the other unsubscribed by us: the other is subscribed",
        person(
            contact("Betty", "betty@ primary", "rubble@", added=10),
            member("betty@", "vanished", 8, refused=(10, Reason.FORGOTTEN)),
            member("rubble@", "unsubscribed", 8, of="Betty"),
        ),
        mailchimp="subscribe rubble@",
        rows="ok; live added-in-civicrm",
    ),
    case(
        "the only member is forgotten for good: another address of the contact is subscribed",
        person(
            contact("Betty", "betty@ primary", "rubble@", added=10),
            member("betty@", "vanished", 8, refused=(10, Reason.FORGOTTEN)),
        ),
        mailchimp="add rubble@",
        rows="ok",
    ),
    case(
        "two addresses that both left, both refused: one is asked, no other row waits for anything",
        person(
            contact("Betty", "betty@ primary", "rubble@", added=10),
            member("betty@", "left", 8, refused=(10, Reason.COMPLIANCE)),
            member("rubble@", "left", 8, of="Betty", refused=(10, Reason.COMPLIANCE)),
        ),
        mailchimp="ask betty@",
        rows="redo compliance-state; ok",
    ),
    case(
        "two addresses that both left, one was asked: nobody is mailed, no row waits for anything",
        person(
            contact("Betty", "betty@ primary", "rubble@", added=10),
            member("betty@", "pending", 10, refused=(10, Reason.COMPLIANCE), reconfirmed=10),
            member("rubble@", "left", 8, of="Betty", refused=(10, Reason.COMPLIANCE)),
        ),
        rows="ok in-agreement; ok other-address-subscribed",
    ),
    case(
        "forgotten at Mailchimp: not tried again",
        person(
            contact("Betty", "betty@", added=10),
            alone("Betty", "betty@", refused=(10, Reason.FORGOTTEN)),
        ),
        rows="fail forgotten-email",
    ),
    case(
        "refused for another reason: not tried again",
        person(
            contact("Betty", "betty@", added=10),
            alone("Betty", "betty@", refused=(10, Reason.REFUSED)),
        ),
        rows="fail refused-by-mailchimp",
    ),
    case(
        "refused, but staff add her once more: tried again",
        person(
            contact("Betty", "betty@", added=12),
            member("betty@", "left", 9, refused=(10, Reason.COMPLIANCE)),
        ),
        mailchimp="subscribe betty@",
        rows="live added-in-civicrm",
    ),
    case(
        "asked to confirm, but staff add her once more: tried again",
        person(
            contact("Betty", "betty@", added=12),
            member("betty@", "left", 9, reconfirmed=10),
        ),
        mailchimp="subscribe betty@",
        rows="live added-in-civicrm",
    ),
    case(
        "refused, and then she signs up herself: in",
        person(
            contact("Betty", "betty@", added=10),
            member("betty@", "subscribed", 12, refused=(10, Reason.COMPLIANCE)),
        ),
        rows="ok in-agreement",
    ),
    case(
        "refused, and then removed: nothing to do",
        person(
            contact("Betty", "betty@", removed=12),
            member("betty@", "left", 9, refused=(10, Reason.COMPLIANCE)),
        ),
        rows="ok",
    ),
    case(
        "refused before, in now, and removed: unsubscribed",
        person(
            contact("Betty", "betty@", removed=14),
            member("betty@", "subscribed", 12, refused=(10, Reason.COMPLIANCE)),
        ),
        mailchimp="unsubscribe betty@",
        rows="live removed-in-civicrm",
    ),
]

UNDER_WAY = [
    case(
        "an interest is under way, staff remove her: waits, whatever becomes of the interest",
        person(
            contact("Wilma", "wilma@", removed=12, volunteer=10),
            member("wilma@", "subscribed", 8, no_volunteer=8, under_way=True),
        ),
        BOTH_WAYS,
        rows="todo removed-in-civicrm",
    ),
    case(
        "an interest was under way and is refused, staff removed her meanwhile: unsubscribed",
        person(
            contact("Wilma", "wilma@", removed=12, volunteer=10),
            member("wilma@", "subscribed", 8, no_volunteer=8),
        ),
        BOTH_WAYS,
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "an interest is under way, she opts out: waits, whatever becomes of the interest",
        person(
            contact("Wilma", "wilma@", added=5, volunteer=10, is_opt_out=True, closed=12),
            member("wilma@", "subscribed", 8, no_volunteer=8, under_way=True),
        ),
        BOTH_WAYS,
        rows="todo opt-out",
    ),
    case(
        "an interest was under way and is refused, she opted out meanwhile: unsubscribed",
        person(
            contact("Wilma", "wilma@", added=5, volunteer=10, is_opt_out=True, closed=12),
            member("wilma@", "subscribed", 8, no_volunteer=8),
        ),
        BOTH_WAYS,
        mailchimp="unsubscribe wilma@ for the gate",
        rows="live opt-out",
    ),
    case(
        "something is under way, she leaves at Mailchimp: CiviCRM is put right at once",
        person(
            contact("Wilma", "wilma@", added=5, volunteer=10),
            member("wilma@", "left", 12, no_volunteer=8, under_way=True),
        ),
        BOTH_WAYS,
        civicrm="Wilma Removed",
        rows="todo left-at-mailchimp",
    ),
    case(
        "something is under way, an interest is chosen at Mailchimp: CiviCRM is put right at once",
        person(
            contact("Wilma", "wilma@", added=5, no_volunteer=10),
            member("wilma@", "subscribed", 8, volunteer=12, under_way=True),
        ),
        BOTH_WAYS,
        civicrm="Wilma Added Volunteers",
        rows="todo",
    ),
    case(
        "one of two addresses is under way: nothing is sent to the other either",
        person(
            contact("Barney", "barney@", "rubble@", removed=12),
            member("barney@", "subscribed", 8, under_way=True),
            member("rubble@", "subscribed", 9, of="Barney"),
        ),
        rows="todo removed-in-civicrm",
    ),
    case(
        "something is under way to who is owned by nobody: the contact is made at once",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"), under_way=True)),
        civicrm="create Dino Saur dino@ in 111",
        rows="todo new-contact",
    ),
]

INTERESTS = [
    case(
        "interest chosen at Mailchimp later than the group says: Added",
        person(
            contact("Wilma", "wilma@", added=8, no_volunteer=9),
            member("wilma@", "subscribed", 8, volunteer=12),
        ),
        BOTH_WAYS,
        civicrm="Wilma Added Volunteers",
        rows="ok",
    ),
    case(
        "interest dropped at Mailchimp later than the group says: Removed",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "subscribed", 8, no_volunteer=12),
        ),
        BOTH_WAYS,
        civicrm="Wilma Removed Volunteers",
        rows="ok",
    ),
    case(
        "added to the interest's group later: the interest is set",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=12),
            member("wilma@", "subscribed", 8, no_volunteer=9),
        ),
        BOTH_WAYS,
        mailchimp="wilma@ volunteering",
        rows="live interest-changed",
    ),
    case(
        "removed from the interest's group later: the interest is taken away",
        person(
            contact("Wilma", "wilma@", added=8, no_volunteer=12),
            member("wilma@", "subscribed", 8, volunteer=9),
        ),
        BOTH_WAYS,
        mailchimp="wilma@ not volunteering",
        rows="live",
    ),
    case(
        "interest and group at the same second: CiviCRM is right",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=10),
            member("wilma@", "subscribed", 8, no_volunteer=10),
        ),
        BOTH_WAYS,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "never in the interest's group: Mailchimp's word counts",
        person(contact("Wilma", "wilma@", added=8), member("wilma@", "subscribed", 8, volunteer=9)),
        BOTH_WAYS,
        civicrm="Wilma Added Volunteers",
        rows="ok",
    ),
    case(
        "in the interest's group without history is older than anything Mailchimp says",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=0),
            member("wilma@", "subscribed", 8, no_volunteer=1),
        ),
        BOTH_WAYS,
        civicrm="Wilma Removed Volunteers",
        rows="ok",
    ),
    case(
        "an interest that the member does not show yet is set",
        person(contact("Wilma", "wilma@", added=8, volunteer=9), member("wilma@", "subscribed", 8)),
        BOTH_WAYS,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "an interest that the member does not show yet need not be taken away",
        person(
            contact("Wilma", "wilma@", added=8, no_volunteer=9), member("wilma@", "subscribed", 8)
        ),
        BOTH_WAYS,
        rows="ok in-agreement",
    ),
    case(
        "a pending member has interests, too",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "pending", 8, no_volunteer=8),
        ),
        BOTH_WAYS,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "interests only while the person is in: out, so nothing is pushed",
        person(
            contact("Wilma", "wilma@", removed=12, volunteer=12),
            member("wilma@", "left", 10, no_volunteer=8),
        ),
        BOTH_WAYS,
        rows="ok",
    ),
    case(
        "interests only while the person is in: out, so nothing is pulled",
        person(
            contact("Wilma", "wilma@", removed=12, no_volunteer=8),
            member("wilma@", "left", 10, volunteer=12),
        ),
        BOTH_WAYS,
        rows="ok",
    ),
    case(
        "who leaves keeps the places in the interests' groups",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "left", 12, volunteer=9),
        ),
        BOTH_WAYS,
        civicrm="Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "behind a closed gate no interest is pushed",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9, is_opt_out=True, closed=7),
            alone("Wilma"),
        ),
        BOTH_WAYS,
        rows="fail opt-out",
    ),
    case(
        "who is subscribed gets the interests in the same operation",
        person(contact("Wilma", "wilma@", added=10, volunteer=10)),
        BOTH_WAYS,
        mailchimp="add wilma@ volunteering",
        rows="live added-in-civicrm",
    ),
    case(
        "who is subscribed again gets what changed meanwhile in the same operation",
        person(
            contact("Wilma", "wilma@", added=10, no_volunteer=10),
            member("wilma@", "left", 9, volunteer=8),
        ),
        BOTH_WAYS,
        mailchimp="subscribe wilma@ not volunteering",
        rows="live added-in-civicrm",
    ),
    case(
        "of two addresses, the interest is set for both if one has it",
        person(
            contact("Barney", "barney@", "rubble@", added=8),
            member("barney@", "subscribed", 8, volunteer=9),
            member("rubble@", "subscribed", 8, of="Barney", no_volunteer=12),
        ),
        BOTH_WAYS,
        civicrm="Barney Added Volunteers",
        mailchimp="rubble@ volunteering",
        rows="ok; live",
    ),
    case(
        "an operation of ours overwrote a later word about an interest: set again",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=10, is_volunteer=True),
            member("wilma@", "subscribed", 8, no_volunteer=12, has_volunteer=True),
        ),
        BOTH_WAYS,
        civicrm="Wilma Removed Volunteers",
        mailchimp="wilma@ not volunteering",
        rows="live",
    ),
    case(
        "trust in CiviCRM for one interest changes nothing where both stand alike",
        person(
            contact("Wilma", "wilma@", added=8, no_volunteer=9, is_volunteer=True),
            member("wilma@", "subscribed", 8, volunteer=12),
        ),
        trusting(Side.CIVICRM, VOLUNTEERING, policy=BOTH_WAYS),
        rows="ok",
    ),
    case(
        "what trust settled about an interest stands in the next full compare",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9, is_volunteer=True),
            member(
                "wilma@",
                "subscribed",
                8,
                volunteer=9,
                agreed=agreed_before("out", 20, Reason.INTEREST, VOLUNTEERING),
                has_volunteer=False,
            ),
        ),
        BOTH_WAYS,
        civicrm="Wilma Removed Volunteers",
        rows="ok",
    ),
    case(
        "push-only: what Mailchimp says is put right, and CiviCRM never changed",
        person(
            contact("Wilma", "wilma@", added=8), member("wilma@", "subscribed", 8, volunteer=12)
        ),
        PUSH_ONLY,
        mailchimp="wilma@ not volunteering",
        rows="live",
    ),
    case(
        "push-only: dropped at Mailchimp is set again",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "subscribed", 8, no_volunteer=12),
        ),
        PUSH_ONLY,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "push-only: a smart group has no history, only contacts",
        person(
            contact("Wilma", "wilma@", added=8, is_volunteer=True),
            member("wilma@", "subscribed", 8, no_volunteer=12),
        ),
        PUSH_ONLY,
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "push-only: not even trust in Mailchimp changes CiviCRM",
        person(
            contact("Wilma", "wilma@", added=8), member("wilma@", "subscribed", 8, volunteer=12)
        ),
        trusting(Side.MAILCHIMP, VOLUNTEERING, policy=PUSH_ONLY),
        mailchimp="wilma@ not volunteering",
        rows="live",
    ),
    case(
        "trust in CiviCRM for one interest",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=9),
            member("wilma@", "subscribed", 8, no_volunteer=12),
        ),
        trusting(Side.CIVICRM, VOLUNTEERING, policy=BOTH_WAYS),
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
    case(
        "trust in Mailchimp for one interest",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=12),
            member("wilma@", "subscribed", 8, no_volunteer=9),
        ),
        trusting(Side.MAILCHIMP, VOLUNTEERING, policy=BOTH_WAYS),
        civicrm="Wilma Removed Volunteers",
        rows="ok",
    ),
    case(
        "trust for the subscription says nothing about interests",
        person(
            contact("Wilma", "wilma@", added=8, volunteer=12),
            member("wilma@", "subscribed", 8, no_volunteer=9),
        ),
        trusting(Side.MAILCHIMP, policy=BOTH_WAYS),
        mailchimp="wilma@ volunteering",
        rows="live",
    ),
]

TRUST = [
    case(
        "trust in Mailchimp outdoes a later removal",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 9)),
        TRUST_MAILCHIMP,
        civicrm="Wilma Added",
        rows="ok trust-mailchimp",
    ),
    case(
        "trust in Mailchimp outdoes a later adding",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "left", 9)),
        TRUST_MAILCHIMP,
        civicrm="Wilma Removed",
        rows="ok trust-mailchimp",
    ),
    case(
        "trust in CiviCRM outdoes a later unsubscribe",
        person(contact("Wilma", "wilma@", added=10), member("wilma@", "left", 12)),
        TRUST_CIVICRM,
        mailchimp="subscribe wilma@",
        rows="live trust-civicrm",
    ),
    case(
        "trust in CiviCRM outdoes a later subscribe",
        person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 12)),
        TRUST_CIVICRM,
        mailchimp="unsubscribe wilma@",
        rows="live trust-civicrm",
    ),
    case(
        "trust in Mailchimp never removes people of whom Mailchimp has never heard",
        person(contact("Wilma", "wilma@", added=10)),
        TRUST_MAILCHIMP,
        mailchimp="add wilma@",
        rows="live added-in-civicrm",
    ),
    case(
        "trust in CiviCRM never unsubscribes people who were never in the group",
        person(contact("Wilma", "wilma@"), member("wilma@", "subscribed", 9)),
        TRUST_CIVICRM,
        civicrm="Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "trust in CiviCRM changes nothing where all agree: removed, signed up herself, Added by us",
        person(
            contact("Wilma", "wilma@", removed=5, is_added=True), member("wilma@", "subscribed", 8)
        ),
        TRUST_CIVICRM,
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "trust in CiviCRM changes nothing where all agree: added, left herself, Removed by us",
        person(contact("Wilma", "wilma@", added=5, is_added=False), member("wilma@", "left", 8)),
        TRUST_CIVICRM,
        rows="ok left-at-mailchimp",
    ),
    case(
        "trust in Mailchimp changes nothing where all agree: muted by us, and Added",
        person(
            contact("Fred", "fred@", added=8, is_opt_out=True, closed=10),
            member("fred@", "unsubscribed", 9, gated=True),
        ),
        TRUST_MAILCHIMP,
        rows="fail opt-out",
    ),
    case(
        "what trust in Mailchimp settled stands in the next full compare",
        person(
            contact("Wilma", "wilma@", removed=10, is_added=True),
            member(
                "wilma@", "subscribed", 9, agreed=agreed_before("in", 20, Reason.TRUST_MAILCHIMP)
            ),
        ),
        rows="ok trust-mailchimp",
    ),
    case(
        "what trust in Mailchimp settled stands until something newer",
        person(
            contact("Wilma", "wilma@", removed=21),
            member(
                "wilma@", "subscribed", 9, agreed=agreed_before("in", 20, Reason.TRUST_MAILCHIMP)
            ),
        ),
        mailchimp="unsubscribe wilma@",
        rows="live removed-in-civicrm",
    ),
    case(
        "what trust in Mailchimp settled, and she opts out: unsubscribed, but Added",
        person(
            contact("Wilma", "wilma@", removed=10, is_added=True, is_opt_out=True, closed=21),
            member(
                "wilma@", "subscribed", 9, agreed=agreed_before("in", 20, Reason.TRUST_MAILCHIMP)
            ),
        ),
        mailchimp="unsubscribe wilma@ for the gate",
        rows="live opt-out",
    ),
    case(
        "trust in Mailchimp changes nothing where all agree: muted by us, then removed by staff",
        person(
            contact("Fred", "fred@", removed=12),
            member(
                "fred@",
                "unsubscribed",
                9,
                gated=True,
                agreed=agreed_before("out", 12, Reason.CIVICRM_REMOVED),
            ),
        ),
        TRUST_MAILCHIMP,
        rows="ok removed-in-civicrm",
    ),
    case(
        "trust in CiviCRM makes it right also where our operation overwrote a later word",
        person(
            contact("Betty", "betty@", added=10), member("betty@", "subscribed", 12, says="out")
        ),
        TRUST_CIVICRM,
        rows="ok trust-civicrm",
    ),
    case(
        "trust in Mailchimp changes nothing for whom the lost cache had muted and staff removed",
        person(
            contact("Fred", "fred@", removed=12, is_opt_out=True),
            member("fred@", "unsubscribed", 9, stranger=True),
        ),
        TRUST_MAILCHIMP,
        rows="ok removed-in-civicrm",
    ),
    case(
        "trust in Mailchimp opens no gate",
        person(
            contact("Wilma", "wilma@", removed=10, is_opt_out=True, closed=12),
            member("wilma@", "subscribed", 9),
        ),
        TRUST_MAILCHIMP,
        civicrm="Wilma Added",
        mailchimp="unsubscribe wilma@ for the gate",
        rows="live opt-out",
    ),
    case(
        "trust in CiviCRM is a new wish: what was refused before is tried again",
        person(
            contact("Wilma", "wilma@", added=10),
            member("wilma@", "left", 12, refused=(10, Reason.COMPLIANCE)),
        ),
        TRUST_CIVICRM,
        mailchimp="subscribe wilma@",
        rows="live trust-civicrm",
    ),
    case(
        "trust in CiviCRM unsubscribes nobody who may be anybody",
        person(member("dino@", "subscribed", 9), rivals=(3, 4)),
        replace(SKIPPING, trust=TRUST_CIVICRM.trust),
        rows="fail ambiguous-contact",
    ),
]

SEVERAL = [
    case(
        "two addresses, one leaves: nothing, and nothing is wrong",
        person(
            contact("Barney", "barney@", "rubble@", added=8),
            member("barney@", "subscribed", 8),
            member("rubble@", "left", 12, of="Barney"),
        ),
        rows="ok in-agreement; ok other-address-subscribed",
    ),
    case(
        "two addresses, the other leaves too: Removed",
        person(
            contact("Barney", "barney@", "rubble@", added=8),
            member("barney@", "left", 13),
            member("rubble@", "left", 12, of="Barney"),
        ),
        civicrm="Barney Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "two addresses, one cleaned: nothing",
        person(
            contact("Barney", "barney@", "rubble@", added=8),
            member("barney@", "subscribed", 8),
            member("rubble@", "cleaned", 12, of="Barney"),
        ),
        rows="ok in-agreement; ok other-address-subscribed",
    ),
    case(
        "two addresses in, removed in CiviCRM: both are unsubscribed",
        person(
            contact("Barney", "barney@", "rubble@", removed=12),
            member("barney@", "subscribed", 8),
            member("rubble@", "pending", 9, of="Barney"),
        ),
        mailchimp="unsubscribe barney@, unsubscribe rubble@",
        rows="live removed-in-civicrm",
    ),
    case(
        "two addresses, opted out: both are unsubscribed",
        person(
            contact("Barney", "barney@", "rubble@", added=8, is_opt_out=True, closed=10),
            member("barney@", "subscribed", 8),
            member("rubble@", "subscribed", 9, of="Barney"),
        ),
        mailchimp="unsubscribe barney@ for the gate, unsubscribe rubble@ for the gate",
        rows="live opt-out",
    ),
    case(
        "an address that left long before staff added her keeps nobody out",
        person(
            contact("Barney", "barney@", "rubble@", added=10),
            member("barney@", "subscribed", 11),
            member("rubble@", "left", 9, of="Barney"),
        ),
        rows="ok in-agreement; ok other-address-subscribed",
    ),
    case(
        "a family sharing one address leaves: all of them are Removed",
        person(
            contact("Fred", "home@", added=8),
            contact("Wilma", "home@", added=9),
            member("home@", "left", 12, of="Fred"),
        ),
        civicrm="Fred Removed, Wilma Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "one of a family is removed, the other stays: nothing",
        person(
            contact("Fred", "home@", removed=12),
            contact("Wilma", "home@", added=9),
            member("home@", "subscribed", 8, of="Fred"),
        ),
        rows="ok removed-in-civicrm; ok in-agreement",
    ),
    case(
        "the whole family is removed: unsubscribed",
        person(
            contact("Fred", "home@", removed=12),
            contact("Wilma", "home@", removed=11),
            member("home@", "subscribed", 8, of="Fred"),
        ),
        mailchimp="unsubscribe home@",
        rows="live removed-in-civicrm; ok removed-in-civicrm",
    ),
    case(
        "a family's address signs up again: it speaks for all who have no other, all are Added",
        person(
            contact("Fred", "home@", removed=8),
            contact("Wilma", "home@", removed=8),
            member("home@", "subscribed", 12, of="Wilma"),
        ),
        civicrm="Fred Added, Wilma Added",
        rows="ok subscribed-at-mailchimp",
    ),
    case(
        "an overruled older removal is spent: one of two addresses leaves, the other stays",
        person(
            contact("Barney", "barney@", "rubble@", removed=8, is_added=True),
            member(
                "barney@", "left", 12, agreed=agreed_before("in", 11, Reason.MAILCHIMP_SUBSCRIBED)
            ),
            member("rubble@", "subscribed", 5, of="Barney"),
        ),
        rows="ok other-address-subscribed; ok subscribed-at-mailchimp",
    ),
    case(
        "an overruled older removal is spent, but the other address leaves, too: Removed",
        person(
            contact("Barney", "barney@", "rubble@", removed=8, is_added=True),
            member(
                "barney@", "left", 12, agreed=agreed_before("in", 11, Reason.MAILCHIMP_SUBSCRIBED)
            ),
            member("rubble@", "left", 13, of="Barney"),
        ),
        civicrm="Barney Removed",
        rows="ok left-at-mailchimp",
    ),
    case(
        "an overruled word about an interest is spent: one of two addresses leaves",
        person(
            contact("Barney", "barney@", "rubble@", added=5, no_volunteer=8, is_volunteer=True),
            member(
                "barney@",
                "left",
                12,
                volunteer=11,
                agreed=agreed_before("in", 11, Reason.INTEREST, VOLUNTEERING),
            ),
            member("rubble@", "subscribed", 5, of="Barney", volunteer=5),
        ),
        BOTH_WAYS,
        rows="ok",
    ),
    case(
        "a couple, he has her address as his second one, staff remove him: his own is unsubscribed",
        person(
            contact("Wilma", "home@", added=5),
            contact("Fred", "fred@ primary", "home@", removed=12),
            member("home@", "subscribed", 5, of="Wilma"),
            member("fred@", "subscribed", 5),
        ),
        mailchimp="unsubscribe fred@",
        rows="ok in-agreement; live removed-in-civicrm",
    ),
    case(
        "a couple, he has her address as his second one, she is removed: he stands for it",
        person(
            contact("Wilma", "home@", removed=12),
            contact("Fred", "fred@ primary", "home@", added=5),
            member("home@", "subscribed", 5, of="Wilma"),
            member("fred@", "subscribed", 5),
        ),
        rows="ok removed-in-civicrm; ok in-agreement",
    ),
    case(
        "a couple, he has her address as his second one, his own leaves: refused, nothing is wrong",
        person(
            contact("Wilma", "home@", added=5),
            contact("Fred", "fred@ primary", "home@", added=5),
            member("home@", "subscribed", 5, of="Wilma"),
            member("fred@", "left", 12),
        ),
        rows="ok in-agreement; fail other-address-subscribed",
    ),
    case(
        "one was removed long ago, who shares the address signs up with another one: stays in",
        person(
            contact("Wilma", "home@", removed=5),
            contact("Fred", "fred@ primary", "home@"),
            member("home@", "unsubscribed", 5, of="Wilma"),
            member("fred@", "subscribed", 9),
        ),
        civicrm="Fred Added",
        rows="ok; ok subscribed-at-mailchimp",
    ),
    case(
        "one was removed long ago, who shares the address is in with another one: stays in",
        person(
            contact("Wilma", "home@", removed=5),
            contact("Fred", "fred@ primary", "home@", is_added=True),
            member("home@", "unsubscribed", 5, of="Wilma"),
            member("fred@", "subscribed", 9),
        ),
        rows="ok; ok subscribed-at-mailchimp",
    ),
    case(
        "two contacts newly Added with one address: one operation",
        person(contact("Fred", "home@", added=10), contact("Wilma", "home@", added=9)),
        mailchimp="add home@",
        rows="live added-in-civicrm; ok|live",
    ),
    case(
        "two contacts newly Added with one address, one opted out: the other is subscribed",
        person(
            contact("Fred", "home@", added=10, is_opt_out=True, closed=9),
            contact("Wilma", "home@", added=9),
            alone("Fred", "home@"),
            alone("Wilma"),
        ),
        mailchimp="add home@",
        rows="live; ok",
    ),
    case(
        "two contacts share an address that is just being subscribed for one: nothing is sent",
        person(
            contact("Fred", "home@", added=10),
            contact("Wilma", "home@", added=9),
            alone("Fred", "home@", under_way=True),
        ),
        rows="todo",
    ),
    case(
        "two contacts share a member that is just being subscribed for one: nothing is sent",
        person(
            contact("Fred", "home@", added=10),
            contact("Wilma", "home@", added=9),
            member("home@", "unsubscribed", 5, of="Fred", under_way=True),
        ),
        rows="todo",
    ),
    case(
        "a couple, her address is under way: what he needs at his own waits, too",
        person(
            contact("Wilma", "home@", added=5),
            contact("Fred", "fred@ primary", "home@", removed=12),
            member("home@", "subscribed", 5, of="Wilma", under_way=True),
            member("fred@", "subscribed", 5),
        ),
        rows="todo; todo",
    ),
    case(
        "a family without a member is subscribed once",
        person(
            contact("Fred", "home@", added=8),
            contact("Wilma", "home@", added=9),
            member("home@", "left", 7, of="Fred"),
        ),
        mailchimp="subscribe home@",
        rows="live added-in-civicrm; ok",
    ),
]

NOBODY_IN_CIVICRM = [
    case(
        "subscribed and owned by nobody: a new contact, then the group",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"))),
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "pending and owned by nobody: a new contact",
        person(member("dino@", "pending", 9, names=("Dino", "Saur"))),
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "a new contact joins the groups of the interests",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"), volunteer=9)),
        BOTH_WAYS,
        civicrm="create Dino Saur dino@ in 111 and 222",
        rows="ok new-contact",
    ),
    case(
        "a new contact does not join the group of an interest not chosen",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"), no_volunteer=9)),
        BOTH_WAYS,
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "a new contact does not join the group of a push-only interest",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"), volunteer=9)),
        PUSH_ONLY,
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    *(
        case(
            f"{status} and owned by nobody: no contact",
            person(member("dino@", status, 9)),
            rows="ok unknown-and-not-subscribed",
        )
        for status in ("unsubscribed", "cleaned", "archived", "transactional", "vanished")
    ),
    case(
        "the contact was deleted, setting recreate: a new contact",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"), lost=10)),
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "the contact was deleted, setting unsubscribe: unsubscribed",
        person(member("dino@", "subscribed", 9, lost=10)),
        UNSUBSCRIBE_DELETED,
        mailchimp="unsubscribe dino@",
        rows="live contact-deleted",
    ),
    *(
        case(
            f"the contact was deleted and she signs up again after that, {setting}: a new contact",
            person(member("dino@", "subscribed", 12, names=("Dino", "Saur"), lost=10)),
            policy,
            civicrm="create Dino Saur dino@ in 111",
            rows="ok new-contact",
        )
        for setting, policy in (("unsubscribe", UNSUBSCRIBE_DELETED), ("hold", HOLD_DELETED))
    ),
    case(
        "owned by nobody, left, and an operation of ours overwrote that: no contact, unsubscribed",
        person(member("dino@", "subscribed", 12, says="out")),
        mailchimp="unsubscribe dino@",
        rows="live left-at-mailchimp",
    ),
    case(
        "the contact was deleted, setting unsubscribe, removal by archiving: archived",
        person(member("dino@", "subscribed", 9, lost=10)),
        replace(UNSUBSCRIBE_DELETED, removes_by_archiving=True),
        mailchimp="archive dino@",
        rows="live contact-deleted",
    ),
    case(
        "the contact was deleted, setting hold: left alone",
        person(member("dino@", "subscribed", 9, lost=10)),
        HOLD_DELETED,
        rows="ok contact-deleted",
    ),
    case(
        "never had a contact, setting unsubscribe: a new contact all the same",
        person(member("dino@", "subscribed", 9, names=("Dino", "Saur"))),
        UNSUBSCRIBE_DELETED,
        civicrm="create Dino Saur dino@ in 111",
        rows="ok new-contact",
    ),
    case(
        "the contact was deleted and the member left: nothing, whatever the setting",
        person(member("dino@", "left", 9, lost=10)),
        UNSUBSCRIBE_DELETED,
        rows="ok",
    ),
    case(
        "Titanics: several contacts own the address: nobody is created or changed",
        person(member("dino@", "subscribed", 9), rivals=(3, 4)),
        SKIPPING,
        rows="fail ambiguous-contact",
    ),
    case(
        "Titanics: several contacts own an address that left: nobody is changed",
        person(member("dino@", "left", 9), rivals=(3, 4)),
        SKIPPING,
        rows="fail ambiguous-contact",
    ),
    case(
        "Titanics: several contacts own the address of a deleted one: nobody is unsubscribed",
        person(member("dino@", "subscribed", 9, lost=10), rivals=(3, 4)),
        replace(SKIPPING, deleted_contacts="unsubscribe"),
        rows="fail ambiguous-contact",
    ),
]

TABLE = [
    *THE_LATER_WORD,
    *REMOVING,
    *THE_MAIL_GATE,
    *WHOM_TO_SUBSCRIBE,
    *ADDRESSES_THAT_CHANGE,
    *REFUSED_BEFORE,
    *UNDER_WAY,
    *INTERESTS,
    *TRUST,
    *SEVERAL,
    *NOBODY_IN_CIVICRM,
]


@pytest.mark.parametrize(("people", "policy", "civicrm", "mailchimp", "rows"), TABLE)
def test_decision(people: People, policy: Policy, civicrm: str, mailchimp: str, rows: str):
    decision = decide_all(people, policy)
    assert tell_civicrm(decision) == listed(civicrm)
    assert tell_mailchimp(decision) == listed(mailchimp)
    expected = [part.split() for part in rows.split(";")]
    if len(expected) == 1:
        expected *= len(people.rows)
    told = {verdict.row_id: verdict for verdict in decision.verdicts}
    for row, (status, *reason) in zip(people.rows, expected, strict=True):
        assert told[row.row_id].sync_status in status.split("|")
        assert not reason or told[row.row_id].reason == reason[0]


@pytest.mark.parametrize(("people", "policy", "civicrm", "mailchimp", "rows"), TABLE)
def test_after_the_decision_there_is_nothing_left_to_decide(
    people: People, policy: Policy, civicrm: str, mailchimp: str, rows: str
):
    assert decide_all(settle(people, policy), policy).is_empty


def test_no_two_cases_have_the_same_name():
    names = [param.id for param in TABLE]
    assert len(set(names)) == len(names)


# --- details of single decisions ------------------------------------------------------------------


def test_what_is_written_carries_the_time_of_the_human_who_caused_it():
    wilma = person(
        contact("Wilma", "wilma@", added=10, volunteer=12),
        member("wilma@", "left", 9, no_volunteer=8),
    )
    (planned,) = decide_all(wilma, BOTH_WAYS).changes
    assert planned.caused_at == {"status": at(10), f"interest-{VOLUNTEERING}": at(12)}


def test_an_operation_without_a_status_to_change_carries_none():
    wilma = person(
        contact("Wilma", "wilma@", added=10, volunteer=12),
        member("wilma@", "subscribed", 9, no_volunteer=8),
    )
    (planned,) = decide_all(wilma, BOTH_WAYS).changes
    assert planned.change.status is None
    assert set(planned.caused_at) == {f"interest-{VOLUNTEERING}"}


@pytest.mark.parametrize(
    ("status", "kinds"),
    [
        ("left", set()),
        ("unsubscribed", {Kind.REMOVALS}),
        ("cleaned", {Kind.REMOVALS}),
        ("archived", {Kind.REMOVALS}),
        ("vanished", {Kind.REMOVALS}),
    ],
)
def test_of_those_who_go_at_mailchimp_only_who_left_by_themselves_is_not_guarded(
    status: str, kinds: set[Kind]
):
    wilma = person(contact("Wilma", "wilma@", added=10), member("wilma@", status, 12))
    decision = decide(one(wilma), PLAIN)
    assert [write.status for write in decision.group_writes] == [GroupStatus.REMOVED]
    assert measure(decision, one(wilma)) == kinds


def test_a_member_is_changed_under_the_id_that_mailchimp_gave():
    wilma = person(contact("Wilma", "wilma@", removed=10), member("wilma@", "subscribed", 9))
    (planned,) = decide_all(wilma, PLAIN).changes
    assert planned.change.member_id == "id of wilma@example.org"


def test_a_contact_without_a_row_gets_one():
    wilma = People((), (contact("Wilma", "wilma@", added=10),))
    (planned,) = decide_all(wilma, PLAIN).changes
    assert (planned.row_id, planned.contact_id) == (None, IDS["Wilma"])


def test_a_verdict_carries_the_mark_that_the_row_had_in_the_queue():
    barney = person(
        contact("Barney", "barney@", "rubble@", added=8),
        member("barney@", "subscribed", 8),
        member("rubble@", "left", 12, of="Barney"),
    )
    due = {row.row_id: row.due for row in barney.rows}
    assert {v.row_id: v.due for v in decide_all(barney, PLAIN).verdicts} == due


def test_every_reason_has_a_sentence_of_its_own():
    assert set(REASONS) == set(Reason)
    assert len(set(REASONS.values())) == len(REASONS)
    for sentence in REASONS.values():
        assert len(sentence.split()) >= 3
        assert not sentence.endswith(".")
