"""A CiviCRM site on loopback: its data, its users, its web side, and the people who use it."""

from collections.abc import Callable, Collection
from datetime import UTC, datetime
from email.utils import format_datetime

from mcsync.sandbox.civicrm.api import Api, ApiWrite
from mcsync.sandbox.civicrm.endpoint import Cms, Endpoint, LoggedError
from mcsync.sandbox.civicrm.people import People
from mcsync.sandbox.civicrm.state import Store
from mcsync.sandbox.civicrm.tables import Row
from mcsync.sandbox.civicrm.tempo import Tempo
from mcsync.sandbox.civicrm.users import SYNC_PERMISSIONS, Acl, User
from mcsync.sandbox.civicrm.values import SiteClock
from mcsync.sandbox.server import Request, Response

VERSION = "6.17.2"
_TAGS = ("Non-profit", "Company", "Government Entity", "Major Donor", "Volunteer")


def utc_now() -> datetime:
    """The machine's time, aware UTC."""
    return datetime.now(UTC)


class CivicrmSimulator(People):
    """CiviCRM 6.17's APIv4 over HTTP, to be served by a LoopbackServer.

    A new site has the contacts 1 (the organisation), 2 (administrator, `admin_api_key`) and
    3 (the user of the sync, `api_key`), the group 1 "Administrators" and CiviCRM's five tags.
    """

    def __init__(
        self,
        clock: Callable[[], datetime] = utc_now,
        utc_offset_minutes: int = 60,
        *,
        cms: Cms = "wordpress",
        timezone: str | None = None,
        api_key: str = "simulated-sync-key",
        admin_api_key: str = "simulated-admin-key",
    ) -> None:
        """`timezone` is the zone whose summer time PHP applies to dates given with an offset.

        Without it: Europe/Paris at +01:00 or +02:00, UTC at 0, else none.
        """
        super().__init__(Store(SiteClock(clock, utc_offset_minutes, timezone)))
        self.api = Api(self.store)
        self.web = Endpoint(self.api, cms)
        self.api_key = api_key
        self.admin_api_key = admin_api_key
        self.tempo: Tempo | None = None  # as long as it takes here; benchmarks set one
        self._found_site()

    def become_another_site(self) -> None:
        """Another site answers here from now on: as new, with the same keys.

        Who is 2 and 3 was created now; users that were added are gone.
        """
        with self.lock:
            fresh = Store(self.store.clock)
            self.store.load(fresh.dump())
            self.web.users.clear()
            self._found_site()

    def _found_site(self) -> None:
        organization: Row = {
            "contact_type": "Organization",
            "organization_name": "Default Organization",
        }
        self.store.add_contact(organization)["created_date"] = None
        self.store.add_block("Email", {"contact_id": 1, "email": "fixme.domainemail@example.org"})
        text = "Contacts in this group are assigned Administrator role permissions."
        group: Row = {
            "name": "Administrators",
            "title": "Administrators",
            "description": text,
            "group_type": ["1"],
            "frontend_description": "",
        }
        self.store.add_group(group)
        for label in _TAGS:
            self.add_tag(label)
        self.store.tables["Domain"].insert({"name": "Example Society", "version": VERSION})
        self.add_user(self.admin_api_key, "admin@example.org", admin=True)
        self.add_user(self.api_key, "sync@example.org", permissions=SYNC_PERMISSIONS)

    # Serving

    def handle(self, request: Request) -> Response:
        """Answer one request; what it does is done at once, however long the answer takes."""
        if self.tempo is not None:
            return self.tempo.serve(request, self._handle)
        return self._handle(request)

    def _handle(self, request: Request) -> Response:
        with self.lock:
            return self.web.handle(request)

    def date_header(self) -> str:
        """The `Date` header by the site's clock."""
        return format_datetime(self.store.clock.utc(), usegmt=True)

    def set_utc_offset(self, minutes: int) -> None:
        """Change the site's UTC offset: every TIMESTAMP reads differently at once."""
        with self.lock:
            self.store.clock.set_offset(minutes)

    # Users

    def add_user(
        self,
        api_key: str,
        email: str | None = None,
        permissions: frozenset[str] = frozenset(),
        *,
        admin: bool = False,
        cms_user: bool = True,
    ) -> int:
        """A contact with an API key; its id. Without `cms_user` it has no permissions at all."""
        with self.lock:
            contact_id = self.add_contact(emails=[email] if email else [], api_key=api_key)
            count = sum(user.user_id is not None for user in self.web.users.values())
            user = User(contact_id, api_key, count + 1 if cms_user else None)
            if cms_user:
                user.permissions = set(permissions)
                user.admin = admin
            self.web.users[api_key] = user
            return contact_id

    def grant(self, permission: str, api_key: str | None = None) -> None:
        """Give a user (the sync's, unless another key is named) a permission."""
        self.web.users[api_key or self.api_key].permissions.add(permission)

    def revoke(self, permission: str, api_key: str | None = None) -> None:
        """Take a permission away."""
        self.web.users[api_key or self.api_key].permissions.discard(permission)

    def limit_to_group(self, group_id: int, api_key: str | None = None) -> None:
        """Let an ACL "Edit" on one group be all that a user (the sync's) may see and change.

        Only that group is shown, whoever is in it as long as they are, and their own contact;
        other permissions stay. For a smart group, those whom it holds when this is called.
        """
        with self.lock:
            if self.store.groups.rows[group_id].get("saved_search_id") is not None:
                self.refresh_group(group_id)
            self.web.users[api_key or self.api_key].acl = Acl(group_id)

    def limit_to_contacts(self, contact_ids: Collection[int], api_key: str | None = None) -> None:
        """The same with these contacts, in whatever group, as an extension may decide; all
        groups are shown."""
        with self.lock:
            self.web.users[api_key or self.api_key].acl = Acl(None, frozenset(contact_ids))

    def lift_limits(self, api_key: str | None = None) -> None:
        """Let a user see and change again what their permissions say."""
        with self.lock:
            self.web.users[api_key or self.api_key].acl = None

    @property
    def site_key(self) -> str:
        """What `X-Civi-Key` must carry for users who may not log in by API key alone."""
        return self.web.site_key

    @property
    def user_contact_id(self) -> int:
        """The contact of the sync's user."""
        return self.web.users[self.api_key].contact_id

    # What the API did

    @property
    def writes(self) -> int:
        """Records written by API calls so far."""
        return self.api.writer.written

    @property
    def api_writes(self) -> list[ApiWrite]:
        """The writing calls as they came in, failed and chained ones included."""
        return self.api.log

    @property
    def error_log(self) -> list[LoggedError]:
        """The site's log: the true message of each error under its Error ID."""
        return self.web.errors

    # Troubles

    @property
    def maintenance(self) -> bool:
        """Maintenance mode: 503 for everything."""
        return self.web.maintenance

    @maintenance.setter
    def maintenance(self, on: bool) -> None:
        self.web.maintenance = on

    @property
    def database_down(self) -> bool:
        """No database: an HTML page with 500."""
        return self.web.database_down

    @database_down.setter
    def database_down(self, down: bool) -> None:
        self.web.database_down = down

    @property
    def hidden_errors(self) -> bool:
        """Whether errors are hidden from users without "view debug output"."""
        return self.web.hidden_errors

    @hidden_errors.setter
    def hidden_errors(self, hidden: bool) -> None:
        self.web.hidden_errors = hidden

    @property
    def clean_urls(self) -> bool:
        """Whether WordPress serves `/civicrm/...`; else only `?civiwp=CiviCRM&q=...` works."""
        return self.web.clean_urls

    @clean_urls.setter
    def clean_urls(self, clean: bool) -> None:
        self.web.clean_urls = clean

    @property
    def max_body_bytes(self) -> int:
        """The web server's limit of a request body; more is 413."""
        return self.web.max_body_bytes

    @max_body_bytes.setter
    def max_body_bytes(self, limit: int) -> None:
        self.web.max_body_bytes = limit

    @property
    def bad_contacts(self) -> set[int]:
        """Ids of contacts whose writes fail (theirs, their emails', memberships', tags')."""
        return self.api.bad_contacts

    @property
    def bad_names(self) -> set[str]:
        """First names with which no contact can be created."""
        return self.api.writer.bad_names

    def fail_next(
        self, entity: str, action: str, admin_message: str = "DB Error: unknown error"
    ) -> None:
        """Make the next call of that entity and action fail with 500 and nothing done."""
        self.api.pending_failures.append((entity, action, admin_message))
