"""CiviCRM's APIv4 over HTTP, as far as mcsync needs it: the adapter, and what it relies on.

The code cites it as (civicrm: Answers). Sources: measured with CiviCRM 6.17.2 on WordPress and
Standalone, and compared with the source of 5.77. Drupal, Backdrop and Joomla were read, not run.

Answers: HTTP 200 is not success. Success is 200, JSON and `values`; an error may be a page of
HTML with 200, or hide in one element of a request with several calls. Messages are hidden from
the API user: the Error ID leads to them in CiviCRM's log. Unknown fields in `select` or `values`
are silently ignored. `params` are form-encoded: a JSON body is ignored.

Address: `/civicrm/ajax/api4/Entity/action`; on WordPress without it `?civiwp=CiviCRM&q=...`, on
Drupal 7 `?q=...`, on Joomla `?option=com_civicrm&task=...`. A redirect is a wrong address. The
key goes in `X-Civi-Auth: Bearer KEY`; "Must satisfy guard" wants `authenticate with api key`, or
the site's key in `X-Civi-Key`.

Permissions: a missing one reads as emptiness. `access CiviCRM`, `view all contacts`, `edit all
contacts`, `add contacts`, `access deleted contacts`, and for mapped custom fields `access all
custom data`. A user limited by ACLs sees some contacts, and its own always; contact 1, the site's
own organisation, is in nobody's group: who sees it sees all. `checkAccess` answers rows of
`access` and `id`. What such a user creates may come back as `values: []` although it was created.

Reading: no default limit; page by id and stop at a short page. 10,000 rows a page are read at
some 50,000 rows a second, more connections read no faster. 1,000 to 5,000 ids or addresses fit
into one request. Addresses are matched without regard to case, accents and trailing blanks:
compare again.

Time: dates have no zone, and are in today's UTC offset whatever their season; an offset is
measured as NOW() against the `Date` header. The text of an unchanged date changes at a switch of
the clocks.

Groups: `GroupContact` has the static rows, all statuses; a smart group is resolved by `groups
IN`, after `Group.refresh`. That also finds who is in a group inside the one asked for, at any
depth; a group's `children` are their ids as texts, or null. Each write adds a row of history, also
when nothing changed; `method` has at most 8 characters, or the row is lost. A merge moves history
with its old ids; a deletion for good leaves no trace.

Writing: `save` is not atomic and stops at the first bad record; with `match` it looks before it
writes any. 200 memberships or 50 contacts stay within a slow host's 30 s, 500 or 100 are the most;
addresses go at 200 to 220 a second, names in one `save` with ids at 73, in single updates at 55.
Over one, two and four connections a site of 2 cores writes 240, 358 and 457 memberships a second,
and 48, 76 and 67 new contacts. Names are cut to 64 characters, the last three dots.
"""
