"""Who may log in, and what they may do."""

from dataclasses import dataclass, field

LOG_IN = "authenticate with api key"
ACCESS = "access CiviCRM"
VIEW = "view all contacts"
EDIT = "edit all contacts"
ADD = "add contacts"
DELETE = "delete contacts"
EDIT_GROUPS = "edit groups"
TRASH = "access deleted contacts"
DEBUG = "view debug output"
CUSTOM = "access all custom data"
VIEW_OWN = "view my contact"
EDIT_OWN = "edit my contact"

# What a sync needs, and no more (civicrm: Permissions).
SYNC_PERMISSIONS = frozenset({LOG_IN, ACCESS, VIEW, EDIT, ADD, EDIT_GROUPS, TRASH})


@dataclass(frozen=True, slots=True)
class Acl:
    """An ACL "Edit": on the contacts of one group, whoever is in it, or on certain contacts."""

    group_id: int | None = None
    contact_ids: frozenset[int] = frozenset()


@dataclass(slots=True)
class User:
    """An API key and the contact behind it; `user_id` is None for a contact without CMS user.

    `admin` may do everything and sees true error messages. Who has an `acl` sees and edits by
    it, and has their own contact besides; the permissions to view and edit all are as if they
    had not been given.
    """

    contact_id: int
    api_key: str
    user_id: int | None = None
    permissions: set[str] = field(default_factory=set)
    admin: bool = False
    acl: Acl | None = None

    def may(self, permission: str) -> bool:
        """Whether the user has a permission; editing all contacts implies viewing them."""
        if self.acl is not None and permission in (VIEW, EDIT, VIEW_OWN, EDIT_OWN):
            return self.admin or permission in (VIEW_OWN, EDIT_OWN)
        if self.admin or permission in self.permissions:
            return True
        return permission == VIEW and EDIT in self.permissions


ANONYMOUS = User(0, "")
