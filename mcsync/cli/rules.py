"""From the config to the rules of an audience, without anything that could reach a network."""

from mcsync.config import NAME_FIELDS, AudienceConfig, Duplicates, Reconfirm, Removal
from mcsync.model import InterestPolicy, Policy


def build_policy(audience: AudienceConfig) -> Policy:
    """What the rules need to know of the audience's configuration."""
    return Policy(
        list_id=audience.list_id,
        group_id=audience.group_id,
        interests={
            interest_id: InterestPolicy(group_id, interest_id in audience.push_only_interests)
            for interest_id, group_id in audience.interests.items()
        },
        skips_duplicates=audience.duplicates is Duplicates.SKIP,
        may_reconfirm=audience.reconfirm is not Reconfirm.NEVER,
        removes_by_archiving=audience.removal is Removal.ARCHIVE,
        deleted_contacts=audience.deleted_contacts.value,
        pushes_email_changes=audience.push_email_changes,
        confirms_new=audience.confirm_new,
        name_fields={
            tag: audience.name_fields[key]
            for key, tag in NAME_FIELDS.items()
            if audience.name_fields[key] != tag
        },
    )
