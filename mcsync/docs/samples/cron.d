# One sync every five minutes. Save as /etc/cron.d/mcsync (no dot in the name), owned by root, mode
# 0644.
#
# The keys stand in the config, or as lines NAME='value' in a file that the config names with
# "environmentFile": "keys.env"; both have mode 0600 and belong to the user mcsync. A crontab is no
# place for them, because cron writes its lines to the system's log. A run prints nothing while all
# is well, so every mail is worth reading. Name in MAILTO who reads them; cron drops its mails where
# no mail program is installed (postfix, exim4, msmtp-mta).

SHELL=/bin/sh
MAILTO=root

*/5 * * * *  mcsync  /usr/local/bin/mcsync sync --config /etc/mcsync/config.json

# A mail an hour while an audience had no complete sync for two hours, whatever the cause.
7 * * * *  mcsync  /usr/local/bin/mcsync status --max-age 2h --config /etc/mcsync/config.json > /dev/null
