"""Mailchimp's Marketing API v3, as far as mcsync needs it: the adapter, and what it relies on.

The code cites it as (mailchimp: Batches). Sources: Mailchimp's documentation and its OpenAPI file
(3.0.55), answers recorded from the live service in 2021 and 2022, and reports of other tools'
makers where nothing else tells.

Errors: `application/problem+json`; some lack `type`, so `status` and `title` decide. 400 is a
refusal of one person: "Member In Compliance State" (left by themselves, or bounced: only
`pending` is taken then), "Forgotten Email Not Subscribed" (deleted for good: only a form brings
them back), "looks fake or invalid" for good, "signed up to a lot of lists" for some days. 401 and
403 as JSON end the account; 403, 502 and 504 as HTML are the network's, and 502 is a time-out
there.

Limits: 10 connections a user, 120 s a call, 1,000 rows a page (fewer where 504 comes), texts of
255 bytes. No Retry-After is promised. A call that timed out may still run.

Members: the default list leaves out archived members; `fields` begin with `members.`; times are
UTC, and an offset in `since_last_changed` is ignored: the clock time is read as UTC. The lower
bound is exclusive, many members share a second, and who changes while we page moves to the end.
Interests and merge fields may be absent or null.

Identity: `id` is the MD5 of the lower-cased address, but for old audiences, where it may be that
of the address as typed: take the id that Mailchimp gave. `contact_id` outlives a change of
address.

Writing: PUT with `status` and `status_if_new` makes or changes, and follows the body where the
path's id is unknown; PATCH changes who is there. An address changes only for `subscribed`
members. DELETE archives, but not who is pending or cleaned (405). `pending` sends one mail, which
identical repetitions do not. An address merge field needs addr1, city, state and zip; a missing
required field is refused unless `skip_merge_validation=true`, which in a batch has no documented
place.

Batches: no order is promised in one or between two. `finished_operations` counts failures too.
The archive's URL is good for 10 minutes, the results for 7 days; it is a gzipped tar of JSON
arrays, its first entry `./`, several results a file, files empty or `[]`. Nothing is idempotent:
whether a batch was taken is seen in GET /batches only. Poll after 5 s, at last every 60 s.

Webhooks: form-encoded; registered only where a GET answers within 10 s. `fired_at` is UTC without
a zone. Signed ones carry X-Mailchimp-Signature, whose secret is told once, when they are made.
"""
