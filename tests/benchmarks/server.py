"""Both services of a large world over loopback HTTP, lean enough not to be what is measured.

Answers what mcsync asks, in the services' own shapes, and nothing else; anything unknown is a
500 that names it. Run as a process of its own: `python -m tests.benchmarks.server --size N`
prints its port. `/control/...` is ours: counters, latency, and what happens in the world.
"""

import argparse
import io
import sys
import tarfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.benchmarks.world import (
    CREATED,
    FIRST_CONTACT,
    TAGS,
    World,
    group_of,
    interest_of,
    list_of,
    text_of,
    volunteers_of,
)

Params = dict[str, object]
_encode = msgspec.json.encode


def _utc_now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def answer(rows: list[str]) -> str:
    """APIv4's frame around some rows."""
    return f'{{"values":[{",".join(rows)}],"version":4,"count":{len(rows)}}}'


def _conditions(params: Params) -> Iterator[list[Any]]:
    """What is asked for; the alternatives of an OR one after the other."""
    where: list[list[Any]] = params.get("where", [])  # type: ignore[assignment]
    for condition in where:
        yield from condition[1] if condition[0] == "OR" else [condition]


class Services:
    """What the two services answer; `handle` is called from several threads."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.counter: Counter[str] = Counter()
        self.latency_s = 0.0
        self.for_members, self.began_at, self.ended_at = 0, 0.0, 0.0  # requests for members
        self.batches: dict[str, dict[str, object]] = {}
        self.archives: dict[str, bytes] = {}
        self.lock = threading.Lock()
        self.url = ""
        self.emails: dict[str, int] = {}

    def handle(self, method: str, path: str, query: dict[str, str], body: bytes) -> bytes:
        """One request to its answer."""
        if path.startswith("/control/"):
            return self._control(path.removeprefix("/control/"), query)
        begun_at = time.monotonic()
        time.sleep(self.latency_s)
        with self.lock:
            if path.endswith("/members"):
                self.for_members += 1
                self.began_at = self.began_at or begun_at
                self.ended_at = time.monotonic()
            is_mailchimp = path.startswith("/3.0/")
            self.counter["mailchimp" if is_mailchimp else "civicrm"] += 1
            if path.startswith("/archive/"):
                return self.archives[path.rpartition("/")[2]]
            if is_mailchimp:
                return self._mailchimp(method, path.removeprefix("/3.0"), query, body)
            return self._civicrm(path, body)

    def _control(self, what: str, query: dict[str, str]) -> bytes:
        with self.lock:
            if what == "reset":
                self.counter.clear()
                self.for_members, self.began_at, self.ended_at = 0, 0.0, 0.0
                self.latency_s = float(query.get("latency", "0"))
            if what == "members":
                span_ms = round(1000 * (self.ended_at - self.began_at))
                return _encode({"requests": self.for_members, "ms": span_ms})
            if what == "change":
                return b"%d" % self.world.change(int(query["step"]), _utc_now())
            return _encode(self.counter)

    # --- Mailchimp ------------------------------------------------------------------------------

    def _mailchimp(self, method: str, path: str, query: dict[str, str], body: bytes) -> bytes:
        parts = path.strip("/").split("/")
        match method, parts:
            case "GET", [""]:
                return b'{"account_id":"0123456789"}'
            case "GET", ["lists", list_id, "members"]:
                since = query.get("since_last_changed")
                return self.world.members_page(
                    list_id,
                    archived=query.get("status") == "archived",
                    since=datetime.fromisoformat(since) if since else None,
                    offset=int(query["offset"]),
                    n=int(query["count"]),
                )
            case "GET", ["lists", _, "interest-categories"]:
                return b'{"categories":[{"id":"ffffffffff","title":"Doing"}],"total_items":1}'
            case "GET", ["lists", list_id, "interest-categories", _, "interests"]:
                numbers = range(self.world.audiences)
                [found] = [interest_of(n) for n in numbers if list_of(n) == list_id]
                interests = [{"id": found, "name": "Volunteering"}]
                return _encode({"interests": interests, "total_items": 1})
            case "GET", ["lists", _, "merge-fields"]:
                names = ("FNAME", "LNAME", "POSTCODE")
                fields = [{"tag": n, "name": n, "type": "text", "required": False} for n in names]
                return _encode({"merge_fields": fields, "total_items": 3})
            case "POST", ["batches"]:
                return self._start_batch(body)
            case "GET", ["batches", batch_id]:
                return _encode(self.batches[batch_id])
        raise LookupError(f"{method} {path}")

    def _start_batch(self, body: bytes) -> bytes:
        now = _utc_now()
        operations = msgspec.json.decode(body)["operations"]
        batch_id = f"batch{len(self.batches)}"
        results = []
        for each in operations:
            status, said = self.world.carry_out(
                each["path"], each["method"], each.get("body", ""), now
            )
            key = {"operation_id": each["operation_id"], "status_code": status, "response": said}
            results.append(key)
        self.world.arrange()
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as tar:
            data = _encode(results)
            entry = tarfile.TarInfo("results.json")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        self.archives[batch_id] = packed.getvalue()
        self.batches[batch_id] = {
            "id": batch_id,
            "status": "finished",
            "total_operations": len(results),
            "finished_operations": len(results),
            "errored_operations": 0,
            "submitted_at": now.isoformat(),
            "completed_at": now.isoformat(),
            "response_body_url": f"{self.url}/archive/{batch_id}",
        }
        return _encode({**self.batches[batch_id], "status": "pending"})

    # --- CiviCRM --------------------------------------------------------------------------------

    def _civicrm(self, path: str, body: bytes) -> bytes:
        if path.endswith("/authx/id"):
            return b'{"contact_id":1}'
        form = {k: v[0] for k, v in parse_qs(body.decode()).items()}
        if "calls" in form:
            calls = msgspec.json.decode(form["calls"])
            return f"[{','.join(self._call(*call) for call in calls)}]".encode()
        entity, action = path.split("/")[-2:]
        return self._call(entity, action, msgspec.json.decode(form["params"])).encode()

    def _call(self, entity: str, action: str, params: Params) -> str:
        name = f"_{entity.lower()}_{action}"
        where = {f"{w[0]} {w[1]}": w[2] for w in _conditions(params) if len(w) > 2}
        call: Callable[[Params, Params], list[str]] = getattr(self, name)
        return answer(call(params, where))

    def _group_get(self, params: Params, where: Params) -> list[str]:
        shape = '{{"id":{},"title":"Group {}","is_active":true,"saved_search_id":null'
        shape += ',"group_type:name":["Mailing List"]}}'
        return [shape.format(i, i) for i in where["id IN"]]  # type: ignore[attr-defined]

    def _groupcontact_get(self, params: Params, where: Params) -> list[str]:
        if "groupBy" in params:
            return [
                f'{{"group_id":{group},"status":"{status}","n":{n}}}'
                for (group, status), n in self.world.counts.items()
                if n
            ]
        return self.world.group_contacts_json(int(where["id >"]), int(params["limit"]))  # type: ignore[call-overload]

    def _groupcontact_save(self, params: Params, where: Params) -> list[str]:
        defaults, records = params["defaults"], params["records"]
        ids = [record["contact_id"] for record in records]  # type: ignore[attr-defined]
        return self.world.save_places(
            defaults["group_id"],  # type: ignore[index]
            defaults["status"],  # type: ignore[index]
            ids,
            str(params["tracking"]),
            _utc_now(),
        )

    def _subscriptionhistory_get(self, params: Params, where: Params) -> list[str]:
        return self.world.history_json(int(where["id >"]), int(params["limit"]))  # type: ignore[call-overload]

    def _contact_get(self, params: Params, where: Params) -> list[str]:
        select = params["select"]
        if "NOW() AS server_now" in select:  # type: ignore[operator]
            people = self._people(where.get("id IN", ()))
            shown, now = [1, *(i + FIRST_CONTACT for i in people)], text_of(_utc_now())
            shape = '{{"id":{},"server_now":"{}","created_date":"{}"}}'
            return [shape.format(contact_id, now, CREATED) for contact_id in shown]
        if "MAX(id) AS max_id" in select:  # type: ignore[operator]
            return [f'{{"max_id":{self.world.size - 1 + FIRST_CONTACT}}}']
        if "id =" in where:  # the site's own organisation, of whom nothing is known
            nothing = dict.fromkeys(select) | {"id": where["id ="]}  # type: ignore[call-overload]
            return [msgspec.json.encode(nothing).decode()]
        if "id IN" in where:
            people = self._people(where["id IN"])
        else:
            since = str(where.get("modified_date >=", ""))
            people = self.world.modified_since(since, int(where["id >"]))[: params["limit"]]  # type: ignore[call-overload,misc]
        if "modified_date" in select:  # type: ignore[operator]
            return [self.world.contact_json(i) for i in people]
        return [
            f'{{"id":{i + FIRST_CONTACT},"address_primary.postal_code":"{i % 100000:05}"}}'
            for i in people
        ]

    def _email_get(self, params: Params, where: Params) -> list[str]:
        if "email IN" in where:
            people = [self._owner(email.lower()) for email in where["email IN"]]  # type: ignore[attr-defined]
            people = sorted(i for i in people if i is not None)
        elif "contact_id IN" in where:
            people = self._people(where["contact_id IN"])
        else:
            since = str(where.get("contact_id.modified_date >=", ""))
            people = self.world.modified_since(since, int(where["contact_id >"]))  # type: ignore[call-overload]
        rows = (row for i in people for row in self.world.emails_json(i))
        return list(islice(rows, params.get("limit")))  # type: ignore[arg-type]

    def _people(self, contact_ids: object) -> list[int]:
        numbers = (contact_id - FIRST_CONTACT for contact_id in contact_ids)  # type: ignore[attr-defined]
        return [i for i in numbers if 0 <= i < self.world.size]

    def _owner(self, email: str) -> int | None:
        number = email.removeprefix("person").partition(".")[0]
        i = int(number) if number.isdigit() else -1
        return i if 0 <= i < self.world.size and self.world.email(i) == email else None

    def _tag_get(self, params: Params, where: Params) -> list[str]:
        return [f'{{"id":{i},"name":"{n}","label":"{n}"}}' for i, n in TAGS.items()]

    def _entitytag_get(self, params: Params, where: Params) -> list[str]:
        tagged = [(i, tag) for i in range(5, self.world.size, 10) for tag in self.world.tags(i)]
        if "groupBy" in params:
            counts = Counter(tag for _, tag in tagged)
            return [f'{{"tag_id":{tag},"n":{n}}}' for tag, n in counts.items()]
        wanted = where.get("tag_id IN")
        rows = [
            f'{{"id":{i + 1},"entity_id":{i + FIRST_CONTACT},"tag_id":{tag}}}'
            for i, tag in tagged
            if i + 1 > int(where["id >"]) and (wanted is None or tag in wanted)  # type: ignore[call-overload,operator]
        ]
        return rows[: params["limit"]]  # type: ignore[misc]


def make_handler(services: Services) -> type[BaseHTTPRequestHandler]:
    """A request handler for these services."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 20
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._answer()

        do_POST = do_GET  # noqa: N815  # http.server's own word

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(parts.query).items()}
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status = 200
            try:
                data = services.handle(self.command, parts.path, query, body)
            except (LookupError, AttributeError, TypeError, ValueError) as error:
                sys.stderr.write(f"{self.command} {self.path}: {error!r}\n")
                status, data = 500, _encode({"error_message": repr(error)})
            self.send_response_only(status)
            self.send_header("Date", formatdate(usegmt=True))
            self.send_header("Content-Type", "application/json; charset=utf-8")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    return Handler


class Server(ThreadingHTTPServer):
    """The server of a world; `url` is its address."""

    daemon_threads = True

    def __init__(self, world: World, port: int = 0) -> None:
        self.services = Services(world)
        super().__init__(("127.0.0.1", port), make_handler(self.services))
        self.services.url = self.url

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"


LIMITS = (
    *("maxUnsubscribes", "maxRemovals", "maxAdditions", "maxNewContacts"),
    "maxAddressChanges",
)


def make_config(url: str, *, data: bool = False, audiences: int = 1) -> dict[str, object]:
    """A config for mcsync; nothing is held, since what changes here is meant."""
    return {
        "civicrm": {"url": f"{url}/civicrm/ajax/api4", "apiKey": "key"},
        "safety": dict.fromkeys(LIMITS),
        "lists": {
            list_of(number): {
                "subscriptionGroup": group_of(number),
                "apiKey": "key-us1",
                "interests": {interest_of(number): volunteers_of(number)},
            }
            for number in range(audiences)
        },
        "accounts": {"key-us1": {"apiKey": "key-us1", "apiUrl": f"{url}/3.0"}},
        "data": {"fields": {"POSTCODE": "address_primary.postal_code"}} if data else {},
    }


def main() -> None:
    """Serve a world until we are killed."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, required=True)
    parser.add_argument("--audiences", type=int, default=1)
    given = parser.parse_args()
    server = Server(World(given.size, given.audiences))
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    server.serve_forever()


if __name__ == "__main__":
    main()
