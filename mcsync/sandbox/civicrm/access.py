"""Whom a user sees and may change: all contacts by permission, or those that an ACL gives."""

from collections.abc import Collection, Mapping

from mcsync.sandbox.civicrm.schema import CONTACT, Entity
from mcsync.sandbox.civicrm.state import Store
from mcsync.sandbox.civicrm.users import (
    ACCESS,
    ADD,
    DELETE,
    EDIT,
    EDIT_GROUPS,
    EDIT_OWN,
    VIEW,
    VIEW_OWN,
    User,
)

# Entity -> what creating, updating and deleting need; absent: an administrator.
_NEEDS: Mapping[str, tuple[tuple[str, ...], ...]] = {
    "Contact": ((ACCESS, ADD), (EDIT,), (DELETE,)),
    "Email": ((EDIT,),) * 3,
    "Address": ((EDIT,),) * 3,
    "Phone": ((EDIT,),) * 3,
    "Group": ((ACCESS, EDIT_GROUPS),) * 3,
    "GroupContact": ((ACCESS, EDIT),) * 3,
    "Tag": ((ACCESS,),) * 3,
    "EntityTag": ((EDIT,),) * 3,
}
_ACTIONS = ("create", "update", "delete")


def seen_contacts(store: Store, user: User) -> frozenset[int] | None:
    """Ids of the contacts that a user is shown; None means all of them."""
    if user.may(VIEW):
        return None
    own = {user.contact_id} if user.may(VIEW_OWN) or user.may(EDIT_OWN) else set()
    return frozenset(own) | _given(store, user)


def seen_groups(user: User) -> frozenset[int] | None:
    """Ids of the groups that a user is shown; None means all of them."""
    if user.may(VIEW):
        return None
    if user.acl is None:
        return frozenset()
    return None if user.acl.group_id is None else frozenset({user.acl.group_id})


def is_allowed(
    store: Store, entity: Entity, action: str, user: User, contact_ids: Collection[int] = ()
) -> bool:
    """Whether a user may create, update or delete such a record of these contacts."""
    needs = _NEEDS.get(entity.name)
    if user.admin or needs is None:
        return user.admin
    wanted = needs[_ACTIONS.index(action)]
    missing = {permission for permission in wanted if not user.may(permission)}
    if missing != {EDIT}:
        return not missing
    own = {user.contact_id} if user.may(EDIT_OWN) else set()
    return bool(contact_ids) and set(contact_ids) <= own | _given(store, user)


def is_access_granted(
    store: Store, entity: Entity, action: str, values: Mapping[str, object], user: User
) -> bool:
    """What `checkAccess` answers; `save` of a contact without id is false even when allowed."""
    row = store.tables[entity.name].rows.get(_number(values.get("id")))
    if action == "get":
        seen = seen_contacts(store, user)
        return row is not None and (seen is None or row.get(entity.owner) in seen)
    if action == "save" and row is None and entity is CONTACT:
        return False
    how = action if action in _ACTIONS else "create" if row is None else "update"
    about = values if row is None else row
    owner = _number(about.get(entity.owner))
    return is_allowed(store, entity, how, user, {owner} if owner else ())


def _given(store: Store, user: User) -> frozenset[int]:
    """The contacts that an ACL lets a user see and change; those of a group, as it is now."""
    if user.acl is None:
        return frozenset()
    group_id = user.acl.group_id
    if group_id is None:
        return user.acl.contact_ids
    rows = store.members.matching("group_id", group_id)
    added = {row["contact_id"] for row in rows if row["status"] == "Added"}
    return frozenset(added) | store.smart_cache.get(group_id, frozenset())


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
