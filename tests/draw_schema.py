"""The JSON Schema of the config, made from the manual's page, which tests hold to the loader.

Every row of the page is a key: its path, type, default and meaning. The choices are the loader's.
Draft 7, which editors know best.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

from mcsync.config import DeletedContacts, Duplicates, Reconfirm, Removal
from mcsync.config.builder import _OPTION_KEYS, MOST_CONNECTIONS
from mcsync.docs import read_topic
from mcsync.model import Side
from mcsync.name_tags import NAME_FIELDS

Schema = dict[str, Any]

NOTHING: Schema = {"enum": [None, ""]}  # reads as if the key were absent
VARIABLE: Schema = {"type": "string", "pattern": r"\$\{"}
TEXT: Schema = {"type": ["string", "null"]}
GROUP_ID: Schema = {
    "anyOf": [
        {"type": "integer", "minimum": 1, "maximum": 2**32 - 1},
        {"type": "string", "pattern": "^[0-9]{1,11}$"},
        VARIABLE,
    ]
}
LIMIT: Schema = {
    "anyOf": [
        {"type": ["number", "null"], "minimum": 0, "maximum": 10**9},
        {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,9})? ?%?$"},
        VARIABLE,
    ]
}
KINDS: dict[str, Schema] = {
    "text": TEXT,
    "number": {"anyOf": [{"type": "number", "minimum": 0, "maximum": 10**9}, NOTHING]},
    "whole number": {"anyOf": [{"type": "integer", "minimum": 0, "maximum": 10**9}, NOTHING]},
    "true or false": {"anyOf": [{"type": "boolean"}, NOTHING]},
    "group id": GROUP_ID,
    "limit": LIMIT,
}
CHOICES = {
    "duplicates": Duplicates,
    "reconfirm": Reconfirm,
    "removal": Removal,
    "deletedContacts": DeletedContacts,
}
# Copies of what Mailchimp said: whatever stands there is no mistake.
COPIES = ("accounts.KEY.account_name", "accounts.KEY.audiences.ID")


# --- the page -------------------------------------------------------------------------------------


def read_rows(text: str) -> list[list[str]]:
    """The rows of the tables in a text, as cells."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def codes(cell: str) -> list[str]:
    """What stands in `code` in a cell."""
    return re.findall(r"`([^`]+)`", cell)


def read_keys() -> Iterator[list[str]]:
    """The rows of all keys: path, type, default, meaning. A heading may have a path's beginning."""
    for section in read_topic("config").split("\n## ")[1:]:
        heading, _, text = section.partition("\n")
        for row in read_rows(text):
            if len(row) == 4 and codes(row[0]):
                yield [".".join((*codes(heading), *codes(row[0]))), *row[1:]]


# --- the schema -----------------------------------------------------------------------------------


def draw_schema() -> str:
    """The schema as it stands in the sample."""
    root: Schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "The config of mcsync",
        "description": 'Put it beside the config, and "$schema": "schema.json" into the config.',
        **_needed_branch(),
        "required": ["lists"],
    }
    root["properties"]["lists"] = {
        **_needed_branch(),
        "minProperties": 1,
        "additionalProperties": _needed_branch(),
    }
    for path, kind, default, meaning in read_keys():
        *steps, last = path.split(".")
        inner = root
        for step in steps:
            inner = _enter(inner, step)
        about = {"description": meaning.replace("`", ""), **_default(default)}
        inner["properties"][last] = {**about, **_draw(path, kind)}
        if default == "needed" and not path.startswith("civicrm."):  # the environment may say it
            inner.setdefault("required", []).append(last)
            if kind == "text":
                inner["properties"][last] |= {"type": "string", "minLength": 1}
    _finish(root)
    return json.dumps(root, indent=2, ensure_ascii=False) + "\n"


def _branch() -> Schema:
    """An object; PHP writes an empty one as []."""
    return {
        "type": ["object", "array", "null"],
        "maxItems": 0,
        "properties": {},
        "additionalProperties": False,
    }


def _needed_branch() -> Schema:
    """An object that cannot be empty."""
    return {"type": "object", "properties": {}, "additionalProperties": False}


def _enter(branch: Schema, step: str) -> Schema:
    """The branch at a step of a path; ID and KEY stand for any name."""
    if step in ("ID", "KEY"):
        if not branch["additionalProperties"]:
            branch["additionalProperties"] = _branch()
        return dict_of(branch["additionalProperties"])
    return dict_of(branch["properties"].setdefault(step, _branch()))


def dict_of(schema: object) -> Schema:
    """The schema, which is an object."""
    assert isinstance(schema, dict)
    return schema


def _default(cell: str) -> Schema:
    found = codes(cell)
    return {"default": json.loads(found[0])} if found and found[0] != "KEY" else {}


def _draw(path: str, kind: str) -> Schema:
    """What a value may be, as far as its kind and the key tell."""
    last = path.rpartition(".")[2]
    if path.startswith(COPIES):
        return {}
    if kind == "choice":
        return _choice(list(CHOICES[last]))
    if last == "backups":
        return KINDS[kind]
    if last == "connections":
        return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": MOST_CONNECTIONS}, NOTHING]}
    if kind == "whole number":
        return {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 10**9}, NOTHING]}
    if kind == "array":
        items = ["string", "integer"] if last == "pushOnlyInterests" else ["string"]
        return {"anyOf": [{"type": "array", "items": {"type": items}}, NOTHING]}
    if kind == "object":
        return {**_branch(), **_INSIDE.get(last, {})}
    return KINDS[kind]


def _choice(words: list[str]) -> Schema:
    """One of some words, whatever the case: first those that an editor is to offer."""
    loose = "|".join(re.sub("[a-z]", lambda c: f"[{c[0]}{c[0].upper()}]", w.lower()) for w in words)
    return {
        "anyOf": [
            {"enum": words},
            {"type": "string", "pattern": f"^({loose})$"},
            VARIABLE,
            NOTHING,
        ]
    }


_INSIDE: dict[str, Schema] = {
    "interests": {"additionalProperties": {"anyOf": [GROUP_ID, {"type": "null"}]}},
    "trustOverride": {"additionalProperties": _choice([side.name.title() for side in Side])},
    "fields": {"additionalProperties": TEXT},
    "groupTags": {"additionalProperties": TEXT},
    "nameFields": {"properties": dict.fromkeys(NAME_FIELDS, TEXT)},
}


def _finish(root: Schema) -> None:
    """Fill in what is the same in two places, and open what is a copy of Mailchimp's."""
    options = root["properties"]["lists"]["additionalProperties"]["properties"]
    root["properties"]["defaults"]["properties"] = {key: options[key] for key in _OPTION_KEYS}
    options["safety"]["properties"] = root["properties"]["safety"]["properties"]
    account = root["properties"]["accounts"]["additionalProperties"]
    audience = account["properties"]["audiences"]["additionalProperties"]["properties"]
    account["additionalProperties"] = True
    account["properties"]["audiences"] = {
        "additionalProperties": {"properties": audience},
    }
