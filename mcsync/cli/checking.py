"""The steps of `mcsync check`: look, put right what may be, look again, tell."""

import json
import sys
from collections.abc import Sequence

from mcsync.assemble import build_check
from mcsync.check.findings import Finding, Severity, Trouble
from mcsync.check.look import Check, MailchimpSide, Report, carry_out, look
from mcsync.check.webhook_findings import Fix, tell_unsigned
from mcsync.cli.output import write_answer
from mcsync.cli.session import load
from mcsync.cli.show_check import (
    show_fix,
    show_no_fix,
    show_report,
    show_secret,
    show_secret_hint,
)
from mcsync.cli.state import State
from mcsync.cli.tables import show_gap
from mcsync.config import AudienceConfig
from mcsync.errors import PartialFailure
from mcsync.text import count_of


def check(state: State, *, fixes: bool = False, is_dry_run: bool = False) -> None:
    """Look at everything and tell it.

    Raises: PartialFailure when there is a problem, left after `fixes` if these were asked for.
    """
    state.is_dry_run = is_dry_run
    config, audiences = load(state)
    wanted = build_check(config, audiences, state.cache or config.cache)
    report = look(wanted)
    if fixes:
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


def _put_right(state: State, wanted: Check, report: Report, is_dry_run: bool) -> Report:
    """Do each fix and tell it, or in a dry run only tell it; what is left afterwards.

    A signing secret is told at once: Mailchimp never shows it again.
    """
    told: list[dict[str, object]] = []
    secrets: list[dict[str, object]] = []
    state.answer |= {"fixes": told, "signing_secrets": secrets}
    failed: list[Finding] = []
    for mailchimp, fix in report.fixes:
        told.append({**fix.as_dict(), "is_done": False})
        if not is_dry_run:
            told[-1]["is_done"] = _do(state, mailchimp, fix, secrets, failed)
        elif not state.wants_json:
            show_fix(fix, f"would {fix.sentence}")
    if not state.wants_json:
        if secrets:
            show_secret_hint()
        if not told:
            show_no_fix(report)
        show_gap()
    if is_dry_run or not told:
        return report
    after = look(wanted)
    after.findings += failed
    return after


def _do(
    state: State,
    mailchimp: MailchimpSide,
    fix: Fix,
    secrets: list[dict[str, object]],
    failed: list[Finding],
) -> bool:
    outcome = carry_out(mailchimp, fix)
    if isinstance(outcome, Trouble):
        failed.append(Finding("fix-failed", fix.where, outcome.message, outcome.hint, fix.list_id))
        if not state.wants_json:
            show_fix(fix, f"could not {fix.sentence}")
        return False
    if not state.wants_json:
        show_fix(fix, fix.deed)
    if outcome is None and fix.is_unsigned:
        failed.append(tell_unsigned(fix))
    if outcome is not None:
        secrets.append({"where": fix.where, "list_id": fix.list_id or None, "secret": outcome})
        if not state.wants_json:
            show_secret(fix, outcome)
    return True


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
