"""Data sync: what plugin authors import, and the built-in plugins."""

from mcsync.model import DataAudience, DataRow, DataSite, DataUpdate
from mcsync.plugins.hookspec import hookimpl

__all__ = ["DataAudience", "DataRow", "DataSite", "DataUpdate", "hookimpl"]
