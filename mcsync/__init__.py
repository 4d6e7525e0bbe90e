"""mcsync keeps Mailchimp audiences and CiviCRM groups in agreement, both ways.

A member's page goes through the rooms like this: `mailchimp` fetches it, `cache/looks` takes it in,
`reconcile` decides, `pipeline/carry_out` writes to CiviCRM and queues for Mailchimp, `submit` sends
a batch, `process_batches` takes the results in, again by `cache/looks`.

    cli          one thin file a command; options, session, output, tables; init is the wizard
    assemble     from the config to adapters, rules, a run, a check
    pipeline     the stages that write, in the documents' steps; ports are what they ask of adapters
    answers      status, explain, history: from the cache, read-only, no network
    check        the config against both services: look, and judge what was seen
    webhooks     from Mailchimp's request to the queue and the thread that empties it
    reconcile    pure: what was heard, which rule decided, what is to be done
    cache        the SQLite file; rows.py owns every mark of a row, with the table of transitions
    mailchimp    one adapter each; the docstring of the package says what is known of the service
    civicrm
    config       the blob, read and checked as a whole
    plugins      what the data step asks: tags, fields, groups, and anybody's own
    sandbox      both services simulated over loopback
    docs         the manual and the ready files
    model, decision, safety, errors, text, clock, logs, lock, ownership, notify, http, exchange

Arrows: cli knows assemble, answers, check and pipeline; these know cache and reconcile; reconcile
knows model and decision only. Adapters have the shape of the ports and do not import them; only
assemble builds them. Nothing points back up, and no two files import each other.

Where to begin: a flag: `cli/options.py` or the command's file. An option of an audience:
`config/values.py`, `config/builder.py`, `assemble.build_policy`, the rule in `reconcile`. A
webhook's type: `webhooks/payload.py`, `pipeline/handle_webhooks.py`. A column:
`cache/migrations.py`, then the one file that writes it. A guard: `reconcile/guards.py`,
`config/values.py`. An exit code: `errors.py`. A finding of check: `check/findings.py`,
`check/look.py`.

Words: a *look* is whatever was learned about a member; a *word* what a human last said, and when;
a *place* where a contact stands in a group; *agreed* what was right the last time; a row is *due*
when it is to be judged; *muted*: out only because they may not be mailed; *held*: a plan that a
guard keeps back; an *update* is queued for Mailchimp, an *operation* sent; *webhooks* are
Mailchimp's, *hooks* a plugin's; *who may be mailed*: the mail gate.
"""

__version__ = "0.2.0"
