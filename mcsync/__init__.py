"""mcsync keeps Mailchimp audiences and CiviCRM groups in agreement, both ways.

A member's page goes through the rooms like this: `mailchimp` fetches it, `cache/looks` takes it in,
`reconcile` decides, `pipeline/carry_out` writes to CiviCRM and queues for Mailchimp, `submit` sends
a batch, `process_batches` takes the results in, again by `cache/looks`.

    cli          one thin file a command; options, session, output, tables; init is the wizard
    assemble     from the config to adapters, rules, a run, a check
    pipeline     the stages that write, in the documents' steps; ports are what they ask of adapters
    answers      status, report, explain, history, snapshots: from the cache, read-only
    check        the config against both services: look, and judge what was seen
    webhooks     from Mailchimp's or CiviCRM's request to its queue and the thread that empties it
    reconcile    pure: what was heard, which rule decided, what is to be done
    cache        the SQLite file; rows.py owns every mark of a row, with the table of transitions
    mailchimp    one adapter each; the docstring of the package says what is known of the service
    civicrm
    config       the blob, read and checked as a whole
    plugins      what the data step asks: tags, fields, groups, and anybody's own
    sandbox      both services simulated over loopback
    docs         the manual and the ready files
    model, name_tags, decision, safety, errors, text, clock, logs, lock, ownership, notify, http,
    exchange

Arrows: cli may use any room, and nobody uses cli; assemble, answers, check and pipeline know cache
and reconcile; reconcile knows model, name_tags, decision and safety only. Adapters have the shape
of the ports and do not import them; only assemble builds them. Nothing points back up, and no two
files import each other.

Where to begin:

    a command               cli/NAME.py, GROUPS in cli/main.py
    a flag                  cli/options.py, or the command's own file
    an option for all       config/values.py, _TOP_KEYS in config/builder.py, assemble.build_run
    an option of one        config/values.py, _OPTION_KEYS in config/builder.py, decision.Policy,
      audience              assemble.build_policy, the rule in reconcile
    a webhook's type        model.EventKind, EVENTS in check/webhook_findings.py (what is
                            registered), webhooks/payload.py, pipeline/handle_webhooks.py
    what CiviCRM tells      model.ContactsTold, webhooks/payload.py, cache/told_contacts.py,
                            pipeline/handle_told.py
    a column                cache/migrations.py, the one file that writes it (rows.py for a row's
                            marks), whoever reads it: cache/persons.py, cache/plain_people.py
    a flag of the contact   model.Contact, civicrm/records.py, cache/contacts.py (GATE_FLAGS if it
                            closes the gate), cache/persons.py, reconcile/gate.py
    what a run asks         pipeline/ports.py; of all audiences: pipeline/ahead.py, side by side
    a reason                decision.Reason and REASONS, answers/advice.py, answers/status.py,
                            docs/troubleshooting.md
    what undo puts back     reconcile/taking_back.py; and left_alone.py, which the judge asks
    a guard                 reconcile/guards.py, safety.py, _SAFETY_KEYS in config/builder.py; it
                            counts people, and what has a limit is left to a sync by webhooks
    a refusal               _REFUSALS in mailchimp/wire.py, _NEVER_AGAIN in pipeline/results.py;
                            reconcile/refused_before.py leaves out what was refused
    an exit code            errors.py, docs/commands.md
    a finding of check      check/findings.py; what it needs: check/look.py, assemble.build_check
    a key of the config     docs/config.md too, then `python -m tests.write_docs`

Words: a *look* is whatever was learned about a member; a *word* what a human last said, and when;
a *place* where a contact stands in a group; *agreed* what was right the last time; a row is *due*
when it is to be judged; *muted*: out only because they may not be mailed; *left alone*: as undo
put them back; *held*: a plan that a guard keeps back; an *update* is queued for Mailchimp, an
*operation* sent; *webhooks* are Mailchimp's, *hooks* a plugin's; *who may be mailed*: the mail
gate.
"""

__version__ = "0.2.0"
