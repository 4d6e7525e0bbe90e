"""Every refusal that is documented, recorded or reported, with its title and its wording."""

from collections.abc import Callable, Mapping

from mcsync.sandbox.mailchimp.wire import Problem, invalid, not_found

NOT_REMOVABLE = (
    "This list member cannot be removed. "
    "Can not archive a contact that is bounced, pending or archived"
)


def member_exists(email: str) -> Problem:
    """400 in the recorded wording."""
    return Problem(
        400,
        "Member Exists",
        f"{email} is already a list member. Use PUT to insert or update list members.",
    )


def in_compliance_state(email: str) -> Problem:
    """400 for somebody only they themselves may subscribe."""
    return Problem(
        400,
        "Member In Compliance State",
        f"{email} is in a compliance state due to unsubscribe, bounce, or compliance review "
        "and cannot be subscribed.",
    )


def forgotten(email: str) -> Problem:
    """400 for a permanently deleted address."""
    return Problem(
        400,
        "Forgotten Email Not Subscribed",
        f"{email} was permanently deleted and cannot be re-imported. "
        "The contact must re-subscribe to get back on the list.",
    )


def looks_fake(email: str) -> Problem:
    """400 for role addresses, disposable ones and the like; for good."""
    return invalid(f"{email} looks fake or invalid, please enter a real email address.")


def too_many_lists(email: str) -> Problem:
    """400 that passes by itself, after minutes or days."""
    return invalid(
        f"{email} has signed up to a lot of lists very recently; "
        "we're not allowing more signups for now"
    )


def not_subscribed(status: str) -> Problem:
    """400 for a new address of somebody who is not subscribed."""
    return invalid(
        f'This member\'s status is "{status}." You can only update email addresses '
        'for members with a status of "subscribed."'
    )


def not_removable() -> Problem:
    """405 for archiving somebody who is bounced, pending or archived."""
    return Problem(405, "Method Not Allowed", NOT_REMOVABLE, headers={"Allow": "GET, PUT"})


def invalid_merge_fields(*errors: tuple[str, str]) -> Problem:
    """400 with each merge field and what is wrong with its value."""
    return invalid("Your merge fields were invalid.", *errors)


# The details of those that have a title and nothing else in the guide are guesses.
PROBLEMS: Mapping[str, Callable[[str], Problem]] = {
    "member-exists": member_exists,
    "compliance-state": in_compliance_state,
    "forgotten": forgotten,
    "fake": looks_fake,
    "no-address": lambda email: invalid("Please provide a valid email address."),
    "too-many-lists": too_many_lists,
    "not-subscribed": lambda email: not_subscribed("cleaned"),
    "merge-fields": lambda email: invalid_merge_fields(("LTV", "Please enter a number")),
    "required-field": lambda email: invalid_merge_fields(("LNAME", "Please enter a value")),
    "json": lambda email: Problem(
        400, "JSON Parse Exception", "Your JSON is formatted incorrectly."
    ),
    "bad-request": lambda email: Problem(400, "Bad Request", "Your request could not be read."),
    "invalid-action": lambda email: Problem(
        400, "Invalid Action", "The action requested was not valid."
    ),
    "key-invalid": lambda email: Problem(401, "API Key Invalid", "Your API key may be invalid."),
    "forbidden": lambda email: Problem(403, "Forbidden", "You are not permitted to do that."),
    "user-disabled": lambda email: Problem(403, "User Disabled", "This account is deactivated."),
    "authorization-failure": lambda email: Problem(
        403, "Authorization Failure", "Your plan does not include that."
    ),
    "not-found": lambda email: not_found(),
    "not-removable": lambda email: not_removable(),
    "too-many-requests": lambda email: Problem(
        429, "Too Many Requests", "You have exceeded the limit of simultaneous connections."
    ),
    "internal-server-error": lambda email: Problem(
        500, "Internal Server Error", "An unexpected internal error has occurred."
    ),
}
