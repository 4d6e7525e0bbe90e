#!/bin/sh
# Mailchimp's webhooks without a server of mcsync's own: a CGI script. Save it where your web server
# looks for such scripts, as mailchimp.cgi, mode 0755. Its address, with the secret, is the config's
# "webhookUrl": "https://hooks.example.org/cgi-bin/mailchimp.cgi/webhook?secret=..."
# CiviCRM's hook leads to ".../mailchimp.cgi/civicrm-hook?secret=...", with civicrm.hookSecret.
#
# Have it run as the user mcsync, by suEXEC or by a process manager of its own: the cache of another
# user is refused. Keep its address out of the web server's logs, because it holds the secret:
# mcsync sample apache, and mcsync sample nginx, show how.
#
# The keys stand in the config, or in a file that the config names with "environmentFile".

MCSYNC_CONFIG=/etc/mcsync/config.json
export MCSYNC_CONFIG
exec /usr/local/bin/mcsync webhook
