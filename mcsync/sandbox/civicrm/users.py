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

# What a sync needs, and no more; the facts' permission table.
SYNC_PERMISSIONS = frozenset({LOG_IN, ACCESS, VIEW, EDIT, ADD, EDIT_GROUPS, TRASH})


@dataclass(slots=True)
class User:
    """An API key and the contact behind it; `user_id` is None for a contact without CMS user.

    `admin` may do everything and sees true error messages.
    """

    contact_id: int
    api_key: str
    user_id: int | None = None
    permissions: set[str] = field(default_factory=set)
    admin: bool = False

    def may(self, permission: str) -> bool:
        """Whether the user has a permission; editing all contacts implies viewing them."""
        if self.admin or permission in self.permissions:
            return True
        return permission == VIEW and EDIT in self.permissions


ANONYMOUS = User(0, "")
