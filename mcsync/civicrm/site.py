"""One CiviCRM site: what `pipeline.ports.CivicrmPort` asks for, over HTTP."""

import time
from collections.abc import Callable, Mapping

from mcsync.civicrm.contact_writing import ContactWriter
from mcsync.civicrm.data_reading import DataReader
from mcsync.civicrm.email_writing import AddressWriter
from mcsync.civicrm.pace import make_paces
from mcsync.civicrm.transport import Transport
from mcsync.civicrm.writing import Writer
from mcsync.http import HttpClient

CONNECTIONS = 4


class CivicrmClient(DataReader, Writer, ContactWriter, AddressWriter):
    """One site, found and logged in to at the first call.

    `url` is the site's base address or its full APIv4 endpoint. Safe to use from several
    threads. `sleep` is how retries wait; `ends_at`, a time of `time.monotonic`, is when the run's
    time is over, and `least_s` what each call has in any case; `warn` is told that the address is
    odd, the log if None; `http` is for tests. `connections` is how many requests may go at once,
    `limits` how many records of a kind the site takes in one, as an earlier run has found out.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        site_key: str | None = None,
        *,
        http: HttpClient | None = None,
        sleep: Callable[[float], None] = time.sleep,
        ends_at: float | None = None,
        least_s: float | None = None,
        warn: Callable[[str], None] | None = None,
        connections: int = CONNECTIONS,
        limits: Mapping[str, int] | None = None,
    ) -> None:
        http = http or HttpClient(
            max_connections=connections,
            sleep=sleep,
            service="CiviCRM",
            address_key="civicrm.url",
            ends_at=ends_at,
            least_s=least_s,
        )
        super().__init__(Transport(url, api_key, site_key, http, warn))
        self._connections = connections
        self._paces = make_paces(limits or {})
        self._doubtful = {}

    def find_limits(self) -> Mapping[str, int]:
        """How many records of a kind the site takes in one request, where it takes few."""
        return {kind: pace.limit for kind, pace in self._paces.items() if pace.is_limited}
