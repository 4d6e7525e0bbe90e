"""A simulated CiviCRM site that speaks APIv4 over HTTP."""

from mcsync.sandbox.civicrm.api import ApiWrite
from mcsync.sandbox.civicrm.endpoint import LoggedError
from mcsync.sandbox.civicrm.simulator import CivicrmSimulator
from mcsync.sandbox.civicrm.state import Backup
from mcsync.sandbox.civicrm.users import User
from mcsync.sandbox.civicrm.views import ContactView, EmailView, HistoryView

__all__ = [
    "ApiWrite",
    "Backup",
    "CivicrmSimulator",
    "ContactView",
    "EmailView",
    "HistoryView",
    "LoggedError",
    "User",
]
