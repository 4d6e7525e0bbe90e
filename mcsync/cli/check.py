"""mcsync check."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from mcsync.assemble import build_check
from mcsync.check.findings import Finding, Severity, Trouble
from mcsync.check.look import Check, MailchimpSide, Report, carry_out, look
from mcsync.check.webhook_findings import Fix, FixKind, find_unsigned, find_where_secrets_go
from mcsync.cli.options import global_options
from mcsync.cli.output import write_answer
from mcsync.cli.session import load
from mcsync.cli.show_check import (
    show_no_fix,
    show_report,
    show_secret,
    show_secret_hint,
)
from mcsync.cli.state import State
from mcsync.cli.tables import show_gap, show_line
from mcsync.config import AudienceConfig
from mcsync.errors import PartialFailure, UsageError
from mcsync.text import count_of


@click.command(name="check", short_help="Check config and services, and list every problem.")
@click.option("--fix", is_flag=True, help="Create or correct mcsync's webhooks at Mailchimp.")
@click.option(
    "--replace-extension",
    is_flag=True,
    help="With --fix: delete the webhooks of mailchimpsync or uk.co.vedaconsulting.mailchimp too.",
)
@click.option("--dry-run", is_flag=True, help="With --fix: show what it would do, and do nothing.")
@click.option(
    "--account",
    metavar="NAME",
    help='Print an account for "accounts", by name or ${NAME}; - reads a key from stdin.',
)
@click.option("--notify", is_flag=True, help="Try notify.command and notify.pingUrl instead.")
@global_options
def command(
    state: State,
    fix: bool,
    replace_extension: bool,
    dry_run: bool,
    account: str | None,
    notify: bool,
) -> None:
    """Check the config with both services and list every problem.

    Exits with 3 if there is a problem; warnings and notes do not count. Writes nothing, except
    mcsync's webhooks at Mailchimp with --fix; needs no lock. An extension's webhooks are left alone
    without --replace-extension; "mcsync help moving" says when their turn comes.

    \b
    Examples:
      mcsync check
      mcsync check --fix --dry-run
      mcsync check --fix --replace-extension
      mcsync check --json
      mcsync check --account '${MAILCHIMP_API_KEY}'
      mcsync check --notify
    """
    if dry_run and not fix:
        raise UsageError("--dry-run needs --fix", hint="mcsync check --fix --dry-run")
    if replace_extension and not fix:
        raise UsageError(
            "--replace-extension needs --fix", hint="mcsync check --fix --replace-extension"
        )
    if account is not None and fix:
        raise UsageError("--account cannot be combined with --fix", hint="mcsync check --fix")
    if notify and (fix or account is not None):
        raise UsageError("--notify cannot be combined with others", hint="mcsync check --notify")
    if notify:
        try_notify(state)
    elif account is not None:
        print_account(state, account)
    else:
        check(state, fixes=fix, replaces=replace_extension, is_dry_run=dry_run)


# --- the steps ------------------------------------------------------------------------------------


def check(
    state: State, *, fixes: bool = False, replaces: bool = False, is_dry_run: bool = False
) -> None:
    """Look at everything and report it; `replaces`: an extension's webhooks go, too.

    Raises: PartialFailure when there is a problem, left after `fixes` if these were asked for.
    """
    state.is_dry_run = is_dry_run
    config, audiences = load(state)
    wanted = build_check(config, audiences, state.cache or config.cache)
    report = look(wanted)
    if fixes:
        if replaces:
            report.fixes += report.replacements
        report = _put_right(state, wanted, report, is_dry_run)
    answer_report(state, wanted, report, audiences)
    problems = report.count(Severity.PROBLEM)
    if problems:
        raise PartialFailure(
            f"{count_of(problems, 'problem was', 'problems were')} found",
            hint="mcsync check --fix" if report.fixes and not fixes else None,
        )


def answer_report(
    state: State, wanted: Check, report: Report, audiences: Sequence[AudienceConfig]
) -> None:
    """The answer of a check, as a table or in the document."""
    state.audiences = [
        {
            "list_id": audience.list_id,
            "name": audience.name,
            "group_id": audience.group_id,
            **{f"{each}s": report.count(each, audience.list_id) for each in Severity},
        }
        for audience in audiences
    ]
    state.answer |= {
        "findings": [finding.as_dict() for finding in report.findings],
        "accounts": report.accounts,
        "civicrm": report.site or None,
        "plugins": [
            {"name": each.name, "version": each.version or None, "source": each.source}
            for each in wanted.plugins
        ],
    }
    if not state.wants_json:
        show_report(wanted, report)


# --- putting right --------------------------------------------------------------------------------


@dataclass(slots=True)
class Deeds:
    """What fixes did: as `--json` has them, the signing secrets that came, and what failed."""

    told: list[dict[str, object]] = field(default_factory=list)
    secrets: list[dict[str, object]] = field(default_factory=list)
    failed: list[Finding] = field(default_factory=list)

    @property
    def all_signed(self) -> bool:
        """Whether a signing secret came with every webhook that was made."""
        made = [each for each in self.told if each["is_done"] and each["kind"] == FixKind.CREATE]
        return len(made) == len(self.secrets)

    def has_failed(self, where: str, list_id: str) -> bool:
        """Whether one of ours could not be put right there."""
        return any((each.where, each.list_id) == (where, list_id) for each in self.failed)

    def leave(self, state: State, fix: Fix) -> None:
        """Leave an extension's webhook until ours is there."""
        self.told.append({**fix.as_dict(), "is_done": False})
        verb = "would not" if state.is_dry_run else "did not"
        _show_done(state, fix, f"{verb} {fix.sentence}, because mcsync's own is not ready")

    def do(self, state: State, mailchimp: MailchimpSide, fix: Fix) -> str | None:
        """Do a fix and tell it; the signing secret, which nobody will tell again."""
        self.told.append({**fix.as_dict(), "is_done": False})
        outcome = carry_out(mailchimp, fix)
        if isinstance(outcome, Trouble):
            finding = Finding("fix-failed", fix.where, outcome.message, outcome.hint, fix.list_id)
            self.failed.append(finding)
            _show_done(state, fix, f"could not {fix.sentence}")
            return None
        self.told[-1]["is_done"] = True
        _show_done(state, fix, fix.deed)
        if outcome is None and fix.is_unsigned:
            self.failed.append(find_unsigned(fix))
        if outcome is not None:
            where = {"where": fix.where, "list_id": fix.list_id or None}
            self.secrets.append({**where, "secret": outcome})
        return outcome


def _show_done(state: State, fix: Fix, told: str) -> None:
    if not state.wants_json:
        show_line(f"{fix.where}: {told}.")


def _put_right(state: State, wanted: Check, report: Report, is_dry_run: bool) -> Report:
    """Do each fix and tell it, or in a dry run only tell it; what is left afterwards.

    A signing secret is told at once: Mailchimp never shows it again.
    """
    deeds = Deeds()
    state.answer |= {"fixes": deeds.told, "signing_secrets": deeds.secrets}
    for mailchimp, fix in report.fixes:
        place = (fix.where, fix.list_id)
        if fix.kind is FixKind.REPLACE and (place in report.unready or deeds.has_failed(*place)):
            deeds.leave(state, fix)
            continue
        if is_dry_run:
            deeds.told.append({**fix.as_dict(), "is_done": False})
            _show_done(state, fix, f"would {fix.sentence}")
            continue
        secret = deeds.do(state, mailchimp, fix)
        if secret is not None and not state.wants_json:
            show_secret(fix.where, secret)
    if not state.wants_json:
        if deeds.secrets:
            show_secret_hint()
        if not deeds.told:
            show_no_fix(report)
        show_gap()
    if is_dry_run or not deeds.told:
        return report
    after = look(wanted)
    if deeds.secrets:
        after.findings = find_where_secrets_go(after.findings)
    after.findings += deeds.failed
    return after


# --- an account for the config --------------------------------------------------------------------


def print_account(state: State, named: str) -> None:
    """The `accounts` part of a config, as Mailchimp has it now; no key and no secret in it.

    Raises: UsageError when no account is meant; RemoteRefused, RemoteUnavailable, ProtocolError.
    """
    from mcsync.cli.account import draw_account

    blob = {"accounts": draw_account(state, named)}
    state.answer["config"] = blob
    if not state.wants_json:
        is_whole = "utf" in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
        write_answer(json.dumps(blob, indent=2, ensure_ascii=not is_whole))


# --- whom to tell ---------------------------------------------------------------------------------


def try_notify(state: State) -> None:
    """Tell both that this is a test, and report what came of it.

    Raises: UsageError when nobody is to be told; PartialFailure when somebody could not be.
    """
    from mcsync.cli.notifying import send_test

    config, _ = load(state)
    outcomes = send_test(state, config.notify)
    if not outcomes:
        raise UsageError(
            "the config names nobody to notify",
            hint='add "notify": {"command": ["/path/to/program"]} or "pingUrl"; see mcsync help'
            " running",
        )
    state.answer["notify"] = {
        key: {"is_done": not trouble, "trouble": trouble or None}
        for key, trouble in outcomes.items()
    }
    failed = [trouble for trouble in outcomes.values() if trouble]
    if not state.wants_json:
        for key, trouble in outcomes.items():
            if not trouble:
                show_line(f"{key}: told.")
    if failed:
        raise PartialFailure("; ".join(failed), hint="correct notify in the config")
