"""What the two simulated services hold, as JSON, and back into a fresh town.

Everything that a sync can see comes back: members, contacts, history, batches with their
operations, the confirmation mails sent so far, addresses that are taken for fake ones. The results
of finished batches do not, nor do the simulators' log, their webhooks and all other settings.
"""

import dataclasses
import json
from datetime import datetime
from typing import Any

import msgspec

from mcsync.sandbox.mailchimp.state import (
    Account,
    Audience,
    Category,
    Interest,
    Member,
    MergeField,
    Tag,
    subscriber_hash,
)
from mcsync.sandbox.mailchimp.world import ConfirmationMail
from mcsync.sandbox.town import Town

State = dict[str, Any]

_AUDIENCE = ("id", "name", "api_key", "created_at", "double_optin", "barred")
_AUDIENCE_TIMES = ("last_sub_at", "last_unsub_at", "last_campaign_at")
_WIDTH = 160  # characters of a line of JSON


def describe_town(town: Town) -> State:
    """The state of a town, of nothing but what JSON has."""
    mailchimp, civicrm = town.mailchimp, town.civicrm
    return {
        "now": town.clock().isoformat(),
        "lists": town.lists,
        "mailchimp": {
            "accounts": [_describe_account(account) for account in mailchimp.accounts.values()],
            "audiences": [_describe_audience(each) for each in mailchimp.audiences.values()],
            "confirmation_mails": [
                [mail.list_id, mail.email, mail.at.isoformat()]
                for mail in mailchimp.confirmation_mails
            ],
            "fake_addresses": sorted(mailchimp.settings.fake_addresses),
            "members_made": mailchimp._members_made,
        },
        "civicrm": {
            "tables": {
                name: {"next_id": table.next_id, "rows": [table.rows[i] for i in table.ids]}
                for name, table in civicrm.store.tables.items()
            },
            "merged_to": [list(pair) for pair in civicrm.store.merged_to.items()],
        },
    }


def restore_town(town: Town, state: State) -> None:
    """Give a fresh town, at that time or earlier, the state described."""
    now = datetime.fromisoformat(state["now"])
    town.clock.advance(seconds=(now - town.clock()).total_seconds())
    town.lists.update(state["lists"])
    _restore_mailchimp(town, state["mailchimp"])
    _restore_civicrm(town, state["civicrm"])


def write_json(state: State) -> str:
    """JSON that can be read and compared: a record a line."""
    return _lay_out(state, "") + "\n"


# --- Mailchimp ------------------------------------------------------------------------------------


def _describe(value: Any) -> State:
    """A dataclass without what is as it is by default."""
    told = msgspec.to_builtins(value, str_keys=True)
    for item in dataclasses.fields(value):
        default = item.default
        if item.default_factory is not dataclasses.MISSING:
            default = item.default_factory()
        if getattr(value, item.name) == default:
            del told[item.name]
        elif isinstance(told[item.name], list):
            kept = getattr(value, item.name)
            told[item.name] = sorted(kept) if isinstance(kept, frozenset) else told[item.name]
    return told


def _describe_account(account: Account) -> State:
    told = _describe(account)
    told["batches"] = {key: _describe(batch) for key, batch in account.batches.items()}
    for batch in told["batches"].values():
        batch.pop("archive", None)
    return told


def _describe_audience(audience: Audience) -> State:
    told = {name: getattr(audience, name) for name in (*_AUDIENCE, *_AUDIENCE_TIMES)}
    told["forgotten"] = sorted(audience.forgotten)
    for name in ("merge_fields", "categories", "interests", "tags"):
        told[name] = [_describe(each) for each in getattr(audience, name).values()]
    told["members"] = [_describe(member) for member in audience.members.values()]
    return told


def _restore_mailchimp(town: Town, state: State) -> None:
    mailchimp = town.mailchimp
    for told in state["accounts"]:
        made_up = {"account_id": subscriber_hash(told["api_key"])[:25]}  # 0.1.0 never asked
        account = msgspec.convert(made_up | told, Account, strict=False)
        mailchimp.accounts[account.api_key] = account
    for told in state["audiences"]:
        mailchimp.audiences[told["id"]] = _restore_audience(told)
    mailchimp.confirmation_mails += [
        ConfirmationMail(list_id, email, datetime.fromisoformat(at))
        for list_id, email, at in state["confirmation_mails"]
    ]
    mailchimp.settings.fake_addresses |= set(state["fake_addresses"])
    mailchimp._members_made = state["members_made"]
    mailchimp.random.seed(state["members_made"])  # no id a second time


def _restore_audience(told: State) -> Audience:
    audience = Audience(told["id"], told["name"], told["api_key"], told["created_at"])
    for name in ("double_optin", "barred", *_AUDIENCE_TIMES):
        setattr(audience, name, told[name])
    audience.forgotten = set(told["forgotten"])
    audience.merge_fields = {f["tag"]: msgspec.convert(f, MergeField) for f in told["merge_fields"]}
    audience.categories = {c["id"]: msgspec.convert(c, Category) for c in told["categories"]}
    audience.interests = {i["id"]: msgspec.convert(i, Interest) for i in told["interests"]}
    for each in told["tags"]:
        tag = msgspec.convert(each, Tag)
        audience.tags[tag.name.lower()] = audience.tags_by_id[tag.id] = tag
    for each in told["members"]:
        audience.add(msgspec.convert(each, Member, strict=False))  # JSON has no numbers as keys
    return audience


# --- CiviCRM --------------------------------------------------------------------------------------


def _restore_civicrm(town: Town, state: State) -> None:
    store = town.civicrm.store
    for name, told in state["tables"].items():
        table = store.tables[name]
        for row_id in list(table.ids):
            table.remove(row_id)
        for row in told["rows"]:
            table.insert(dict(row), checked=False)
        table.next_id = told["next_id"]
    store.merged_to.update(tuple(pair) for pair in state["merged_to"])


# --- as text --------------------------------------------------------------------------------------


def _lay_out(value: Any, indent: str) -> str:
    compact = json.dumps(value, ensure_ascii=False)
    if len(compact) + len(indent) <= _WIDTH or not isinstance(value, dict | list):
        return compact
    deeper = f"{indent} "
    if isinstance(value, dict):
        items = [f"{json.dumps(k)}: {_lay_out(v, deeper)}" for k, v in value.items()]
        is_record = all(not isinstance(v, dict | list) for v in value.values())
    else:
        items, is_record = [_lay_out(each, deeper) for each in value], False
    if is_record:
        return compact
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    body = ",\n".join(f"{deeper}{item}" for item in items)
    return f"{opening}\n{body}\n{indent}{closing}"
