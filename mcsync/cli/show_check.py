"""How `mcsync check` looks: what there is, what was found, and what it did about it."""

from collections.abc import Iterator

from mcsync.check.findings import Finding, Severity
from mcsync.check.look import Check, Report
from mcsync.cli.tables import is_terminal, show_fields, show_gap, show_line, show_table
from mcsync.text import count_of


def show_report(wanted: Check, report: Report) -> None:
    """All of it: problems first, then warnings, then notes."""
    show_fields(_text_of_what_there_is(wanted, report), indent=0)
    order = list(Severity)
    findings = sorted(report.findings, key=lambda each: order.index(each.severity))
    if findings:
        show_gap()
        if is_terminal():
            show_table(("severity", "finding"), _rows(findings))
        else:
            columns = ("severity", "code", "where", "finding")
            show_table(columns, [_line(each) for each in findings])
    show_gap()
    show_line(_sum_up(report))


def _text_of_what_there_is(wanted: Check, report: Report) -> Iterator[tuple[str, str]]:
    yield "CiviCRM", _text_of_site(wanted, report)
    for account in report.accounts:
        yield "Mailchimp", _text_of_account(account)
    plugins = [f"{p.name} {p.version}".strip() + f" ({p.source})" for p in wanted.plugins]
    yield "plugins", ", ".join(plugins)


def _text_of_site(wanted: Check, report: Report) -> str:
    if not report.site:
        return f"{wanted.place}: could not be reached"
    told = f"{wanted.place}, as contact {report.site['contact_id']}"
    offset_s = report.site.get("utc_offset_s")
    if not isinstance(offset_s, int):
        return told
    minutes = abs(offset_s) // 60
    sign = "-" if offset_s < 0 else "+"
    return f"{told}, on UTC{sign}{minutes // 60:02}:{minutes % 60:02}"


def _text_of_account(account: dict[str, object]) -> str:
    told = f"{account['name']} at {account['place']}"
    if account["role"] is None and "audiences" not in account:
        return f"{told}: could not be reached"
    told += f", as {account['role']}" if account["role"] else ""
    count = account.get("audiences")
    return f"{told}, with {count_of(count, 'audience')}" if isinstance(count, int) else told


def _rows(findings: list[Finding]) -> Iterator[tuple[str, str]]:
    """For a terminal, which may be narrow: what to do stands below what was found."""
    for each in findings:
        yield each.severity.value, f"{each.where}: {each.message} ({each.code})"
        if each.hint:
            yield "", f"-> {each.hint}"


def _line(finding: Finding) -> tuple[str, ...]:
    """For a pipe: everything in one line."""
    told = f"{finding.message}; {finding.hint}" if finding.hint else finding.message
    return finding.severity.value, finding.code, finding.where, told


def _sum_up(report: Report) -> str:
    counts = {each: report.count(each) for each in Severity}
    if not counts[Severity.PROBLEM] and not counts[Severity.WARNING]:
        notes = counts[Severity.NOTE]
        told = f", with {count_of(notes, 'note')}" if notes else ""
        return f"All is well{told}."
    told = ", ".join(f"{count_of(count, each.value)}" for each, count in counts.items() if count)
    return f"{told}."


def show_no_fix(report: Report) -> None:
    """That nothing was done to any webhook: none needed it, or something is in the way."""
    in_the_way = [
        each
        for each in report.findings
        if each.severity is Severity.PROBLEM
        and each.code not in ("webhook-silent", "extension-webhook", "extension-batch-webhook")
        and ("webhook" in each.code or each.code.startswith("mailchimp-"))
    ]
    if in_the_way:
        show_line("No webhook could be changed, for the reason listed below.")
    else:
        show_line("No webhook needed a change.")


def show_secret(where: str, secret: str) -> None:
    """A signing secret, at once: nobody will be able to show it again."""
    show_line(f"{where}: the signing secret of this webhook is {secret}")


def show_secret_hint() -> None:
    """What signing secrets are for."""
    show_line(
        "Mailchimp never shows a signing secret again. To have signatures checked, add it to"
        " signingSecrets of the account in the config. From then on every unsigned webhook of the"
        " account is refused, so add the secrets of all its webhooks. Older webhooks have none:"
        " delete them at Mailchimp, and mcsync check --fix creates them again.",
        hanging=0,
    )
