"""CiviCRM's way to us: its hook as requests to the application, and what becomes of them."""

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

from mcsync.cache.told_contacts import load_told
from mcsync.pipeline.handle_told import handle_told
from mcsync.webhooks.queue import Intake
from mcsync.webhooks.receiver import Desk, open_desk
from tests.scenario.bedrock import Bedrock

HOOK_SECRET = "yabba-dabba-doo-pebbles"


class Doorway:
    """Requests as CiviCRM sends them; a test decides when they are handled."""

    def __init__(self, bedrock: Bedrock) -> None:
        self.bedrock = bedrock
        civicrm = bedrock.town.make_config()["civicrm"]
        assert isinstance(civicrm, dict)
        bedrock.settings["civicrm"] = {**civicrm, "hookSecret": HOOK_SECRET}

    @contextmanager
    def open(self) -> Iterator[Desk]:
        """`mcsync serve` without its sockets and its worker: it stores, and no more."""
        config = self.bedrock.load_config()
        desk = open_desk(Intake(config, config.audiences, config.cache))
        desk.inbox.start()
        try:
            yield desk
        finally:
            desk.inbox.stop()

    def tell(self, *contact_ids: int) -> None:
        """One request for each of these contacts, many at a time."""
        with self.open() as desk:
            self.tell_at(desk, contact_ids)

    def tell_at(self, desk: Desk, contact_ids: Sequence[int]) -> None:
        """The same at a door that is open."""
        with ThreadPoolExecutor(32) as many:
            answers = list(many.map(lambda contact: _post(desk, contact), contact_ids))
        assert set(answers) <= {"200 OK"}

    def waiting(self) -> set[int]:
        """Who is in the queue."""
        with closing(self.bedrock.open_store()) as store:
            return set(load_told(store))

    def handle(self, *, raises: bool = True) -> int:
        """Handle who is in the queue, as the server does; how many left it. A minute passes."""
        with closing(self.bedrock.open_store()) as store:
            run = self.bedrock.make_run(store)
            handled = handle_told(run)
            if raises:
                run.raise_troubles()
        self.bedrock.pass_time(minutes=1)
        return handled


def _post(desk: Desk, contact_id: int) -> str:
    body = b"contact_id=%d" % contact_id
    said: list[str] = []
    environ = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/mailchimp/civicrm-hook",
        "QUERY_STRING": f"secret={HOOK_SECRET}",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }

    def start_response(status: str, *_: object) -> Any:
        said.append(status)

    desk.app(environ, start_response)
    return said[0]
