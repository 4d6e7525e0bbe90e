"""mcsync keeps Mailchimp audiences and CiviCRM groups in agreement, both ways."""

__version__ = "0.2.0"
