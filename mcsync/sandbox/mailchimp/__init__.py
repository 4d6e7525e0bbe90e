"""A truthful, stateful Mailchimp Marketing API v3 for tests, benchmarks and the demo."""

from mcsync.sandbox.mailchimp.batches import Oddities
from mcsync.sandbox.mailchimp.holds import HeldBatch
from mcsync.sandbox.mailchimp.problems import PROBLEMS
from mcsync.sandbox.mailchimp.simulator import MailchimpSimulator
from mcsync.sandbox.mailchimp.state import Operation, subscriber_hash, typed_hash
from mcsync.sandbox.mailchimp.troubles import DAMAGES, Damage, Refusal
from mcsync.sandbox.mailchimp.webhooks import Delivery
from mcsync.sandbox.mailchimp.wire import Problem
from mcsync.sandbox.mailchimp.world import ConfirmationMail, LoggedOperation, Settings

__all__ = [
    "DAMAGES",
    "PROBLEMS",
    "ConfirmationMail",
    "Damage",
    "Delivery",
    "HeldBatch",
    "LoggedOperation",
    "MailchimpSimulator",
    "Oddities",
    "Operation",
    "Problem",
    "Refusal",
    "Settings",
    "subscriber_hash",
    "typed_hash",
]
