"""What people do: those in an audience, and the staff in Mailchimp's own pages.

Members are named by address, in any case. KeyError if the audience or the member is not there.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime

from mcsync.sandbox.mailchimp import rules
from mcsync.sandbox.mailchimp.audiences import add_category, add_merge_field
from mcsync.sandbox.mailchimp.events import campaign_event
from mcsync.sandbox.mailchimp.render import render_member
from mcsync.sandbox.mailchimp.state import (
    BY_ADMIN,
    STATUSES,
    Account,
    Audience,
    Interest,
    Member,
    subscriber_hash,
)
from mcsync.sandbox.mailchimp.world import World

NO_REASON_GIVEN = "None given"  # Guess: recorded is only the reason of an unsubscribe by API
HOME_IP = "198.51.100.7"


class People(World):
    """The part of the simulator that is not the API."""

    # Setting up

    def add_account(
        self,
        api_key: str,
        name: str = "Bedrock Gazette",
        role: str = "owner",
        *,
        account_id: str = "",
    ) -> None:
        """Open an account; its first key is also its name in the other calls."""
        with self.working() as now:
            key = account_id or subscriber_hash(api_key)[:25]
            self.accounts[api_key] = Account(api_key, name, key, role, created_at=now)
            self.revoked_keys.discard(api_key)

    def add_key(self, api_key: str, account_key: str) -> None:
        """Let another key open an account."""
        with self.working():
            self.more_keys[api_key] = self._account(account_key).api_key
            self.revoked_keys.discard(api_key)

    def revoke_key(self, api_key: str) -> None:
        """Let a key open nothing any more; the account stays, for its other keys."""
        with self.working():
            self._account(api_key)
            self.revoked_keys.add(api_key)

    def account_id(self, api_key: str) -> str:
        """What `GET /` calls the account that a key opens."""
        with self.working():
            return self._account(api_key).account_id

    def add_audience(
        self, list_id: str, name: str, api_key: str, double_optin: bool = False
    ) -> None:
        """Make an audience with FNAME and LNAME; opens the account if need be."""
        if api_key not in self.accounts:
            self.add_account(api_key)
        with self.working() as now:
            audience = Audience(list_id, name, api_key, now)
            audience.double_optin = double_optin
            self.audiences[list_id] = audience
            for tag, title in (("FNAME", "First Name"), ("LNAME", "Last Name")):
                add_merge_field(audience, tag, title, "text", {"public": True})

    def remove_audience(self, list_id: str) -> None:
        """Delete an audience with everything in it."""
        with self.working():
            del self.audiences[list_id]

    def add_merge_field(
        self,
        list_id: str,
        tag: str,
        name: str,
        type: str = "text",  # noqa: A002
        required: bool = False,
        options: Mapping[str, object] | None = None,
    ) -> None:
        """Give an audience another merge field."""
        with self.working():
            body = {"required": required, "options": dict(options or {})}
            add_merge_field(self.audience(list_id), tag, name, type, body)

    def remove_merge_field(self, list_id: str, tag: str) -> None:
        """Take a merge field away, with all its values."""
        with self.working():
            audience = self.audience(list_id)
            del audience.merge_fields[tag]
            for member in audience.members.values():
                member.merge.pop(tag, None)

    def add_interest(self, list_id: str, category_title: str, interest_id: str, name: str) -> None:
        """Give an audience another interest; the category is made if it is new."""
        with self.working():
            audience = self.audience(list_id)
            titled = (c for c in audience.categories.values() if c.title == category_title)
            category = next(titled, None) or add_category(
                audience, self.new_id(), category_title, "checkboxes"
            )
            place = len(audience.interests) + 1
            audience.interests[interest_id] = Interest(interest_id, category.id, name, place)

    def remove_interest(self, list_id: str, interest_id: str) -> None:
        """Take an interest away."""
        with self.working():
            audience = self.audience(list_id)
            del audience.interests[interest_id]
            for member in audience.members.values():
                member.interests -= {interest_id}

    def import_member(
        self,
        list_id: str,
        email: str,
        status: str = "subscribed",
        first_name: str = "",
        last_name: str = "",
        interests: Iterable[str] = (),
        tags: Iterable[str] = (),
        last_changed: datetime | None = None,
        *,
        merge_fields: Mapping[str, object] | None = None,
        left: bool = False,
        subscriber_id: str | None = None,
    ) -> None:
        """Put a member there without rules, mails or webhooks.

        `left` says that an unsubscribed one went by themselves, so that the API may not
        subscribe them again. `subscriber_id` is for old members whose id is no lower-case hash.
        """
        if status not in STATUSES:
            raise ValueError(f"no such status: {status}")
        with self.working() as now:
            audience = self.audiences[list_id]
            at = int(last_changed.timestamp()) if last_changed else now
            key = subscriber_id or subscriber_hash(email)
            if key in audience.members:
                raise ValueError(f"{email} is already a member")
            member = Member(key, email, self.next_order(), status, at, source="Import")
            names = {"FNAME": first_name, "LNAME": last_name, **(merge_fields or {})}
            member.merge = {tag: value for tag, value in names.items() if value != ""}
            member.interests = frozenset(interests)
            member.tags = {audience.tag(name).id: at for name in tags}
            _seed_status(member, status, at, left)
            audience.add(member)

    # People

    def sign_up(
        self,
        list_id: str,
        email: str,
        first_name: str = "",
        last_name: str = "",
        interests: Iterable[str] = (),
    ) -> None:
        """Somebody fills in the hosted form: anyone may come back that way.

        With double opt-in they are pending until `confirm`, else subscribed at once. Who was
        deleted for good comes back as another contact, with new ids.
        """
        with self.working() as now:
            audience = self.audience(list_id)
            audience.forgotten.discard(subscriber_hash(email))
            member = audience.by_address(email)
            known = member is not None and member.status == "subscribed"
            values: rules.Values = {"ip_signup": HOME_IP, "timestamp_signup": now}
            values |= _profile_values(member, first_name, last_name, dict.fromkeys(interests, True))
            if not known:
                values |= _sign_up_status(audience.double_optin, now)
            if member is None:
                member = Member(subscriber_hash(email), email, self.next_order(), "archived", 0)
                member.source = "Hosted Signup Form"
                member.erasures = audience.erasures.get(member.id, 0)
                member.barred = audience.barred.get(member.id, "")
                values.setdefault("barred", member.barred)
                rules.add(self, audience, member, values, "user", now)
            else:
                rules.apply(self, audience, member, values, "user", now)

    def confirm(self, list_id: str, email: str) -> None:
        """Somebody pending follows the link in the confirmation mail."""
        with self.working() as now:
            audience, member = self._who(list_id, email)
            if member.status != "pending":
                raise ValueError(f"{email} is {member.status}, not pending")
            values = _sign_up_status(False, now)
            rules.apply(self, audience, member, values, "user", now)

    def leave(self, list_id: str, email: str, reason: str = "manual") -> None:
        """Somebody unsubscribes; `reason` is what webhooks tell: manual or abuse.

        Who was unsubscribed by the API or by staff may still do so, by the link in an old mail:
        it becomes their own word, with another reason and `last_changed`.
        """
        with self.working() as now:
            audience, member = self._who(list_id, email)
            values: rules.Values = {
                "status": "unsubscribed",
                "unsubscribe_reason": NO_REASON_GIVEN,
                "unsubscribed_at": now,
                "barred": member.barred or "left",
            }
            rules.apply(self, audience, member, values, "user", now, reason)

    def complain(self, list_id: str, email: str) -> None:
        """Somebody marks a mail as spam, which unsubscribes them."""
        self.leave(list_id, email, "abuse")

    def bounce(self, list_id: str, email: str, reason: str = "hard") -> None:
        """A mail comes back, and the address is cleaned; `reason` is hard or abuse."""
        with self.working() as now:
            audience, member = self._who(list_id, email)
            values: rules.Values = {
                "status": "cleaned", "unsubscribe_reason": "", "barred": "bounced",
            }  # fmt: skip
            rules.apply(self, audience, member, values, "user", now, reason)

    def edit_profile(
        self,
        list_id: str,
        email: str,
        first_name: str | None = None,
        last_name: str | None = None,
        interests: Mapping[str, bool] | None = None,
        *,
        merge_fields: Mapping[str, object] | None = None,
        origin: str = "user",
    ) -> None:
        """Somebody edits their profile; None leaves a name as it is."""
        with self.working() as now:
            audience, member = self._who(list_id, email)
            values = _profile_values(member, first_name, last_name, interests or {}, merge_fields)
            rules.apply(self, audience, member, values, origin, now)

    def buy(self, list_id: str, email: str, first_name: str = "", last_name: str = "") -> None:
        """Somebody buys in a connected shop and does not sign up: transactional.

        Whoever is there already, or was deleted for good, stays as they are.
        """
        with self.working() as now:
            audience, key = self.audience(list_id), subscriber_hash(email)
            if audience.by_address(email) is not None or key in audience.forgotten:
                return
            member = Member(key, email, self.next_order(), "archived", 0)
            member.source = "E-commerce"
            values = _profile_values(member, first_name, last_name, {})
            rules.add(self, audience, member, {**values, "status": "transactional"}, "user", now)

    def change_address(self, list_id: str, old: str, new: str) -> None:
        """Somebody changes their address in their profile."""
        with self.working() as now:
            audience, member = self._who(list_id, old)
            if audience.by_address(new) is not None:
                raise ValueError(f"{new} is already a member")
            rules.apply(self, audience, member, {"email": new}, "user", now)

    # Staff

    def staff_unsubscribe(self, list_id: str, email: str) -> None:
        """Staff unsubscribe somebody."""
        with self.working() as now:
            audience, member = self._who(list_id, email)
            values: rules.Values = {
                "status": "unsubscribed", "unsubscribe_reason": BY_ADMIN, "unsubscribed_at": now,
            }  # fmt: skip
            rules.apply(self, audience, member, values, "admin", now)

    def staff_archive(self, list_id: str, email: str) -> None:
        """Staff archive somebody, whatever their status."""
        with self.working() as now:
            audience, member = self._who(list_id, email)
            values: rules.Values = {"status": "archived", "unsubscribe_reason": ""}
            rules.apply(self, audience, member, values, "admin", now)

    def staff_delete_permanently(self, list_id: str, email: str) -> None:
        """Staff delete somebody for good."""
        with self.working() as now:
            audience, member = self._who(list_id, email)
            rules.delete_permanently(self, audience, member, "admin", now)

    def staff_tag(self, list_id: str, email: str, name: str, active: bool = True) -> None:
        """Staff put a tag on somebody or take it off."""
        with self.working() as now:
            audience, member = self._who(list_id, email)
            rules.write_tags(audience, member, [(name, active)], now)

    def send_campaign(self, list_id: str, subject: str = "News from Bedrock") -> None:
        """Staff send a campaign to an audience."""
        with self.working() as now:
            audience = self.audience(list_id)
            audience.last_campaign_at = now
            self.emit(campaign_event(audience, self.new_id(), subject), now)

    # Looking

    def member(self, list_id: str, email: str) -> Mapping[str, object] | None:
        """A member as the API shows it, without `_links`; None if there is none."""
        with self.working():
            audience = self.audience(list_id)
            found = audience.by_address(email)
            return render_member(audience, found) if found else None

    def members(self, list_id: str) -> dict[str, Mapping[str, object]]:
        """All members by address, archived ones too, without `_links`."""
        with self.working():
            audience = self.audience(list_id)
            return {m.email: render_member(audience, m) for m in audience.members.values()}

    def _account(self, api_key: str) -> Account:
        account = self.account_of(api_key)
        if account is None:
            raise KeyError("that key opens no account")
        return account

    def _who(self, list_id: str, email: str) -> tuple[Audience, Member]:
        audience = self.audience(list_id)
        member = audience.by_address(email)
        if member is None:
            raise KeyError(f"{email} is no member of {list_id}")
        return audience, member


def _seed_status(member: Member, status: str, at: int, left: bool) -> None:
    if status == "subscribed":
        member.timestamp_opt = at
    elif status == "pending":
        member.pending_since = at
    elif status == "cleaned":
        member.barred = "bounced"
    elif status == "unsubscribed":
        member.timestamp_opt = member.unsubscribed_at = at
        member.unsubscribe_reason = NO_REASON_GIVEN if left else BY_ADMIN
        member.barred = "left" if left else ""


def _sign_up_status(double_optin: bool, now: int) -> rules.Values:
    if double_optin:
        return {"status": "pending", "pending_since": now, "unsubscribe_reason": ""}
    return {
        "status": "subscribed",
        "timestamp_opt": now,
        "ip_opt": HOME_IP,
        "barred": "",
        "unsubscribe_reason": "",
    }


def _profile_values(
    member: Member | None,
    first_name: str | None,
    last_name: str | None,
    interests: Mapping[str, bool],
    merge_fields: Mapping[str, object] | None = None,
) -> rules.Values:
    old = member.merge if member else {}
    names = {"FNAME": first_name, "LNAME": last_name, **(merge_fields or {})}
    merge = old | {tag: value for tag, value in names.items() if value is not None}
    held = member.interests if member else frozenset()
    on = {key for key, value in interests.items() if value}
    return {
        "merge": {tag: value for tag, value in merge.items() if value != ""},
        "interests": (held | on) - (interests.keys() - on),
    }
