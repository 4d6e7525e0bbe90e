"""The webhooks of a new config: made at Mailchimp by `mcsync init`, where their address answers.

Mailchimp asks an address before it takes it, and signs what it sends there with a secret that it
tells once. So the config is written first, that whatever is to answer may read it; then the
webhooks are made, by the fixes of `mcsync check --fix`; then the secrets are put into the config.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mcsync.check.findings import Finding
from mcsync.check.look import Report
from mcsync.check.webhook_findings import FixKind, find_where_secrets_go
from mcsync.cli.check import Deeds
from mcsync.cli.init.draft import can_be_written
from mcsync.cli.show_check import show_secret, show_secret_hint
from mcsync.cli.state import State
from mcsync.config import Config

Keep = Callable[[tuple[str, ...]], Config | None]


@dataclass(frozen=True, slots=True)
class Registered:
    """What became of the webhooks: the config if it has their secrets now, and what went wrong.

    `is_told`: the secrets were shown instead, for somebody to put them in.
    """

    config: Config | None
    failed: list[Finding]
    is_told: bool

    def amend(self, report: Report) -> Report:
        """What a check found afterwards, with what went wrong."""
        if self.is_told:
            report.findings = find_where_secrets_go(report.findings)
        report.findings += self.failed
        return report


def can_register(report: Report) -> bool:
    """Whether webhooks are wanted, none of ours is there yet, and their addresses answer.

    One that is there belongs to another config, or to an earlier try: whoever runs check --fix
    has decided about it.
    """
    codes = {finding.code for finding in report.findings}
    kinds = {fix.kind for _, fix in report.fixes}
    return kinds == {FixKind.CREATE} and "webhook-silent" not in codes


def register(state: State, report: Report, keep: Keep) -> Registered:
    """Make the webhooks, and have `keep` put their signing secrets into the config.

    That demands signatures from then on, so it is done only when all came with one.
    """
    deeds = Deeds()
    for mailchimp, fix in report.fixes:
        deeds.do(state, mailchimp, fix)
    secrets = tuple(str(each["secret"]) for each in deeds.secrets)
    can_keep = bool(secrets) and deeds.all_signed and all(map(can_be_written, secrets))
    config = keep(secrets) if can_keep else None
    is_told = bool(secrets) and config is None
    if is_told and not state.wants_json:
        for each in deeds.secrets:
            show_secret(str(each["where"]), str(each["secret"]))
        show_secret_hint()
    state.answer |= {
        "fixes": deeds.told,
        "signing_secrets": deeds.secrets if is_told else [],
        "signing_secrets_at": "accounts.*.signingSecrets" if config is not None else None,
    }
    return Registered(config, deeds.failed, is_told)
