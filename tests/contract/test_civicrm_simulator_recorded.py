"""The recorded exchanges of a real CiviCRM, played again to the simulator over real HTTP.

The simulator is brought to the state in which a session was recorded and asked the same questions
in the same order, at the recorded moments. Status, content type and the whole document must
agree; only error ids, hashes and two seconds of clock are let go.
"""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
import requests
from civicrm_recordings import (
    ADMIN,
    ADMINS_TOO,
    ASKED_BY,
    CASSETTES,
    NAMES,
    NOT_REPLAYED,
    SESSION_OF,
    SESSIONS,
    SYNC,
    Site,
    recorded_at,
    recording,
)

from mcsync.sandbox.server import LoopbackServer


def key_of(name: str) -> str:
    body = recording(name)["response"]["body"]
    said_truth = isinstance(body, dict) and "error_id" in body
    if name in ASKED_BY:
        return ASKED_BY[name]
    return ADMIN if said_truth or name.endswith("-admin") or name in ADMINS_TOO else SYNC


def send(server: LoopbackServer, site: Site, name: str) -> requests.Response:
    """Ask what was asked, with the simulator's keys instead of the redacted ones."""
    request = recording(name)["request"]
    headers = dict(request["headers"])
    for header in ("X-Civi-Auth", "Authorization"):
        if header in headers:
            headers[header] = headers[header].replace("redacted", key_of(name))
    if "X-Civi-Key" in headers:
        headers["X-Civi-Key"] = site.sim.site_key
    fields = dict(request.get("other_fields", {}))
    if "_authx" in fields:
        fields["_authx"] = f"Bearer {key_of(name)}"
    if "params" in request and request["params"] is not None:
        fields["params"] = json.dumps(request["params"])
    is_get = request["method"] == "GET"
    return requests.request(
        request["method"],
        server.url + request["path"],
        headers=headers,
        params=fields if is_get else None,
        data=None if is_get else request.get("body", fields or None),
        timeout=10,
        allow_redirects=False,
    )


@cache
def play(index: int) -> dict[str, requests.Response]:
    """Play one session; the answers by name."""
    session = SESSIONS[index]
    site = Site(recorded_at(session.names[0]), standalone=session.standalone)
    session.prepare(site)
    answers = {}
    with LoopbackServer(site.sim) as server:
        for step in session.steps:
            if isinstance(step, str):
                site.now = recorded_at(step)
                answers[step] = send(server, site, step)
            else:
                step(site)
    return answers


DATE = re.compile(r"20\d\d-\d\d-\d\d \d\d:\d\d:\d\d|20\d{12}")
# These are about the very second; the others may be a few seconds off, as a slow site is.
TO_THE_SECOND = tuple(n for n in NAMES if n.startswith(("date-where-", "now-via-")))


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value of a document with its path; keys and lengths show in the paths."""
    if isinstance(value, dict):
        yield path, sorted(value)
        for key in value:
            yield from leaves(value[key], f"{path}.{key}")
    elif isinstance(value, list):
        yield path, len(value)
        for i, item in enumerate(value):
            yield from leaves(item, f"{path}[{i}]")
    else:
        yield path, value


def normal(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = re.sub(r"\b[A-Za-z0-9]{4}-[A-Za-z0-9]{4}-[A-Za-z0-9]{4}\b", "ERROR-ID", value)
    return re.sub(r"\b[0-9a-f]{32}\b", "HASH", text)


def moment(text: str) -> datetime:
    return datetime.strptime(re.sub(r"\D", "", text), "%Y%m%d%H%M%S").replace(tzinfo=UTC)


def agree(name: str, recorded: Any, simulated: Any) -> bool:
    recorded, simulated = normal(recorded), normal(simulated)
    dates = all(isinstance(v, str) and DATE.fullmatch(v) for v in (recorded, simulated))
    if not dates or name in TO_THE_SECOND:
        return type(recorded) is type(simulated) and bool(recorded == simulated)
    same_form = len(recorded) == len(simulated)
    return same_form and abs(moment(recorded) - moment(simulated)) <= timedelta(seconds=2)


def differences(name: str, recorded: Any, simulated: Any) -> dict[str, tuple[Any, Any]]:
    ours = dict(leaves(simulated))
    theirs = dict(leaves(recorded))
    return {
        path: (theirs.get(path, "absent"), ours.get(path, "absent"))
        for path in theirs | ours
        if path not in ours or path not in theirs or not agree(name, theirs[path], ours[path])
    }


def error_text(html: str) -> str | None:
    found = re.search(r"crm-error-message\">\s*(.*?)\s*</div>|<h1>(.*?)</h1>", html, re.DOTALL)
    return (found[1] or found[2]) if found else None


@pytest.mark.parametrize("name", [name for name in NAMES if name not in NOT_REPLAYED])
def test_the_simulator_answers_as_recorded(name: str) -> None:
    answer = play(SESSION_OF[name])[name]
    recorded = recording(name)["response"]

    assert answer.status_code == recorded["status"]
    assert answer.headers["Content-Type"] == recorded["headers"]["Content-Type"]
    if "Location" in recorded["headers"]:
        assert answer.headers["Location"] == recorded["headers"]["Location"]
    if "json" in answer.headers["Content-Type"]:
        simulated = answer.json()
        if "api_key" in json.dumps(simulated):
            simulated = json.loads(answer.text.replace(SYNC, "redacted"))
        assert differences(name, recorded["body"], simulated) == {}
    elif "html" in answer.headers["Content-Type"]:
        assert error_text(answer.text) == error_text(recorded["body"])
    else:
        assert answer.text == recorded["body"]


# --- the recordings -------------------------------------------------------------------------------

ADDRESS = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")


def test_every_recording_is_replayed_or_excused() -> None:
    assert len(NAMES) == 262
    assert sorted([*SESSION_OF, *NOT_REPLAYED]) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_holds_no_key_and_no_real_address(name: str) -> None:
    text = (CASSETTES / f"{name}.json").read_text("utf-8")
    assert set(re.findall(r"(?i)\b(?:bearer|basic) ([\w.=/+-]{5,})", text)) <= {
        "redacted", "nosuchkey-000000", "api_key", "works",
    }  # fmt: skip
    assert [a for a in ADDRESS.findall(text) if not a.lower().endswith("example.org")] == []
    assert '"X-Civi-Key": "redacted"' in text or 'X-Civi-Key":' not in text
    assert not re.search(r'"api_key": "(?!redacted|api_key)', text)
