# One sync every five minutes. Save as /etc/cron.d/mcsync (no dot in the name), owned by root, mode
# 0644.
#
# The keys stand in keys.env, as lines NAME='value', mode 0600: a crontab is no place for them,
# because cron writes its lines to the system's log. A run prints nothing while all is well, so
# every mail is worth reading.

SHELL=/bin/sh
MAILTO=root

*/5 * * * *  mcsync  set -a; . /etc/mcsync/keys.env; exec /usr/local/bin/mcsync sync --config /etc/mcsync/config.json

# A mail an hour while an audience had no complete sync for two hours, whatever the cause.
7 * * * *  mcsync  set -a; . /etc/mcsync/keys.env; exec /usr/local/bin/mcsync status --max-age 2h --config /etc/mcsync/config.json > /dev/null
