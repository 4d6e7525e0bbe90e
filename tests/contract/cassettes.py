"""Makes cassettes for vcrpy out of what was recorded from the live services.

Run by hand, `python tests/contract/cassettes.py`, after the recordings changed; the cassettes
are kept in tests/cassettes/vcr. A recording was made by another client than ours, so a request
fits when its method and path are the same and what was recorded of its body is part of what we
send. CiviCRM's answers to several calls at once are put together from answers to single ones,
which have the same shape (recording multi-call-ok).
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import vcr  # type: ignore[import-untyped]
from vcr.request import Request  # type: ignore[import-untyped]

TESTS = Path(__file__).resolve().parents[1]
RECORDED_MAILCHIMP = TESTS / "contract" / "openapi" / "recorded.json"
RECORDED_CIVICRM = TESTS / "cassettes" / "civicrm"
CASSETTES = TESTS / "cassettes" / "vcr"
MAILCHIMP_URL = "https://us3.api.mailchimp.com/3.0"
CIVICRM_URL = "https://crm.example.org"

NUMBER_OF_CALLS = "number of calls"  # stands for the body of a request with several

Json = dict[str, Any]

# Cassette: (recorded file, place in it) of each exchange.
MAILCHIMP: Mapping[str, Sequence[tuple[str, int]]] = {
    "members": [("import_importRecords", 5), ("import_importRecords", 3)],
    "members-incomplete": [("import_importRecords", 5), ("import_importRecords", 7)],
    "merge-fields": [("export_destinationMappingOptions", 0)],
    "member-there": [("export_exportRecord", 16)],
    "member-archived": [("integration_ExportContacts", 1)],
    "member-missing": [("export_exportRecord", 52)],
    "subscribe": [("export_exportRecord", 23)],
    "bad-merge-field": [("export_exportRecord", 30)],
    "tags": [("export_exportRecord", 37)],
    "tags-of-nobody": [("export_exportRecord", 0)],
    "archive": [("export_exportRecord", 68)],
    "archive-again": [("export_exportRecord", 77), ("export_exportRecord", 78)],
}

WHOAMI = "authx-whoami"
CLOCK = "now-via-sql-function"
# Cassette: recordings of single answers, a list of them standing for one answer to several calls.
CIVICRM: Mapping[str, Sequence[str | list[str]]] = {
    "snapshot": [
        WHOAMI,
        [CLOCK, "group-get-list", "groupcontact-get-empty", "subscriptionhistory-get-since-id"],
    ],
    "history": [WHOAMI, [CLOCK], "subscriptionhistory-get-since-id"],
    "group-contacts": [WHOAMI, [CLOCK], "groupcontact-get-select-default"],
    "smart-group": [WHOAMI, [CLOCK], "group-refresh", "contact-get-groups-smart"],
    "contacts": [WHOAMI, [CLOCK], ["contact-get-trashed-in-both", "email-get-trashed-contact"]],
    "owners": [WHOAMI, [CLOCK], "email-get-case-insensitive"],
    "merged": [
        WHOAMI,
        [CLOCK],
        ["contact-get-merged-to-sync", "groupcontact-get-empty"],
        ["groupcontact-get-empty"],
    ],
    "save-group-contacts": [WHOAMI, "groupcontact-save-match"],
    "create-contacts": [WHOAMI, [CLOCK, "subscriptionhistory-get-latest"], "contact-save-bulk"],
    "wrong-key": ["authx-whoami-wrong-key"],
    "guard": ["auth-no-authx-permission"],
    "no-permission": [WHOAMI, ["error-permission-contact-get"]],
    "permission-denied": [WHOAMI, "error-permission-contact-create"],
    "maintenance": [WHOAMI, [CLOCK], "error-maintenance-mode"],
    "database-down": [WHOAMI, [CLOCK], "error-database-down"],
    "unknown-entity": [WHOAMI, [CLOCK], "error-unknown-entity"],
    "hidden-error": [WHOAMI, [CLOCK], "error-unknown-field-where"],
    "plain-error": [WHOAMI, [CLOCK], "error-unknown-field-where-admin"],
    "redirect": ["standalone-url-form-query"],
    "redirect-to-login": ["url-form-wp-admin-no-cms-session"],
    "not-civicrm": ["standalone-path-not-civicrm"],
    "one-of-several-failed": [WHOAMI, [CLOCK], "multi-call-one-fails"],
    "all-failed": [WHOAMI, [CLOCK], "multi-call-all-fail"],
    "groups": [WHOAMI, [CLOCK], "group-get-list"],
    "unknown-field": [WHOAMI, "error-unknown-field-select"],
    "empty-joined-field": [WHOAMI, "groupcontact-get-contact-without-email"],
}
# The request an answer is played for, where it is not the one it was recorded for.
PLAYED_FOR = {
    "permission-denied": {
        "error-permission-contact-create": "/civicrm/ajax/api4/GroupContact/save"
    },
    "guard": {"auth-no-authx-permission": "/civicrm/authx/id"},
    "redirect": {"standalone-url-form-query": "/civicrm/authx/id"},
    "redirect-to-login": {"url-form-wp-admin-no-cms-session": "/civicrm/authx/id"},
    "not-civicrm": {"standalone-path-not-civicrm": "/civicrm/authx/id"},
    "unknown-field": {"error-unknown-field-select": "/civicrm/ajax/api4/Contact/get"},
    "empty-joined-field": {
        "groupcontact-get-contact-without-email": "/civicrm/ajax/api4/Contact/get"
    },
}
OWNERS_PATH = "/civicrm/ajax/api4/Email/get"
FAILING = ("maintenance", "database-down", "unknown-entity", "hidden-error", "plain-error")


def recorder() -> vcr.VCR:
    """A player of the cassettes, which never goes to the network."""
    player = vcr.VCR(
        serializer="json",
        cassette_library_dir=str(CASSETTES),
        record_mode="none",
        match_on=["method", "host", "address", "recorded_body"],
    )
    player.register_matcher("address", _is_same_address)
    player.register_matcher("recorded_body", _has_recorded_body)
    return player


def _is_same_address(sent: Request, recorded: Request) -> None:
    assert urlsplit(sent.uri).path == urlsplit(recorded.uri).path
    asked = parse_qs(urlsplit(sent.uri).query)
    wanted = parse_qs(urlsplit(recorded.uri).query)
    assert wanted.items() <= asked.items()


def _has_recorded_body(sent: Request, recorded: Request) -> None:
    wanted = json.loads(recorded.body or b"{}")
    found = decoded_body(sent)
    if isinstance(found, list):
        found = {NUMBER_OF_CALLS: len(found)}
    assert is_part_of(wanted, found)


def decoded_body(request: Request) -> Any:
    """A request's JSON, for CiviCRM what the form fields `params` or `calls` hold."""
    body = request.body or b""
    text = body.decode() if isinstance(body, bytes) else str(body)
    if text.startswith(("params=", "calls=")):
        text = next(iter(parse_qs(text).values()))[0]
    return json.loads(text or "{}")


def is_part_of(part: Any, whole: Any) -> bool:
    """Whether all that is in `part` is in `whole`, which may hold more."""
    if isinstance(part, dict):
        return isinstance(whole, dict) and all(
            key in whole and is_part_of(value, whole[key]) for key, value in part.items()
        )
    return bool(part == whole)


# --- making them ----------------------------------------------------------------------------------


def make_all() -> None:
    """Write every cassette."""
    CASSETTES.mkdir(parents=True, exist_ok=True)
    recorded = json.loads(RECORDED_MAILCHIMP.read_text())["exchanges"]
    for name, places in MAILCHIMP.items():
        _write(f"mailchimp-{name}", [_mailchimp(recorded[file][n]) for file, n in places])
    for name, parts in CIVICRM.items():
        _write(f"civicrm-{name}", [_civicrm(name, part) for part in parts])


def _write(name: str, interactions: list[Json]) -> None:
    document = {"version": 1, "interactions": interactions}
    (CASSETTES / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n")


def _mailchimp(exchange: Json) -> Json:
    query = (
        "status=archived" if exchange["query"].get("since_last_changed", "")[:4] == "2025" else ""
    )
    error = exchange["status"] >= 400
    kind = "application/problem+json" if error else "application/json"
    body = exchange["body"]
    return _interaction(
        exchange["method"],
        f"{MAILCHIMP_URL}{exchange['path']}?{query}",
        exchange["request"] if exchange["method"] in ("PUT", "PATCH", "POST") else {},
        exchange["status"],
        {"Content-Type": f"{kind}; charset=utf-8", "Date": exchange["date"]},
        json.dumps(body) if body else "",
    )


def _civicrm(cassette: str, part: str | list[str]) -> Json:
    if isinstance(part, list):
        answers = [_recording(name)["response"] for name in part]
        body = json.dumps([answer["body"] for answer in answers])
        headers = answers[0]["headers"]
        return _interaction(
            "POST",
            f"{CIVICRM_URL}/civicrm/ajax/api4",
            {NUMBER_OF_CALLS: len(part)},
            200,
            headers,
            body,
        )
    recording = _recording(part)
    answer, request = recording["response"], recording["request"]
    path = PLAYED_FOR.get(cassette, {}).get(part, request["path"])
    if cassette in FAILING and part not in (WHOAMI, CLOCK):
        path = OWNERS_PATH
    body = answer["body"]
    return _interaction(
        "POST",
        f"{CIVICRM_URL}{urlsplit(path).path}",
        _matched_parameters(part, request.get("params", {})),
        answer["status"],
        answer["headers"],
        body if isinstance(body, str) else json.dumps(body),
    )


def _matched_parameters(name: str, params: Json) -> Json:
    """The parameters our own request must share: those of writes, except what is ours to choose."""
    if name == "groupcontact-save-match":
        return {
            "match": params["match"],
            "method": params["method"],
            "tracking": params["tracking"],
        }
    if name == "contact-save-bulk":
        return {"records": params["records"]}
    return {}


def _recording(name: str) -> Json:
    recording: Json = json.loads((RECORDED_CIVICRM / f"{name}.json").read_text())
    return recording


def _interaction(
    method: str, uri: str, request: Any, status: int, headers: Mapping[str, str], body: str
) -> Json:
    kept = ("Content-Type", "Date", "Location")
    return {
        "request": {
            "method": method,
            "uri": uri.rstrip("?"),
            "body": json.dumps(request),
            "headers": {},
        },
        "response": {
            "status": {"code": status, "message": ""},
            "headers": {name: [value] for name, value in headers.items() if name in kept},
            "body": {"string": body},
        },
    }


if __name__ == "__main__":
    make_all()
