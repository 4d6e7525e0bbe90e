"""Whatever people and staff do, and whenever: the last human word holds at both sides.

Hypothesis lets people at Mailchimp and staff in CiviCRM act at random times: between runs,
between our look and our write, and while a batch runs. When they stop, at most three runs bring
both sides to what was said last, one more writes nothing, and nobody was mailed twice.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mcsync.sandbox.server import Request
from mcsync.sandbox.town import Town
from tests.scenario.bedrock import GROUP, LIST, VOLUNTEERING, VOLUNTEERS, Bedrock

NAMES = ("wilma", "barney", "betty", "fred")
ACTS = (
    "sign up",
    "leave",
    "staff unsubscribe",
    "staff archive",
    "bounce",
    "add",
    "remove",
    "opt out",
    "opt in",
    "want to volunteer",
    "stop volunteering",
    "add volunteer",
    "remove volunteer",
)


@dataclass
class Word:
    """What was last said about somebody by a human, as far as it can be seen afterwards."""

    is_in: bool | None = None
    volunteers: bool | None = None
    said_in_civicrm: int = 0  # how often staff asked for them


class LastWord(RuleBasedStateMachine):
    """A town of four people whom others keep subscribing, removing and muting."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.town = Town(datetime(2026, 11, 22, 6, 0, tzinfo=UTC)).__enter__()
        self.town.mailchimp.settings.batch_delay_polls = 0
        self.bedrock = Bedrock(self.town, Path(self.folder.name))
        self.contacts: dict[str, int] = {}
        self.words = {name: Word() for name in NAMES}
        self.pending_acts: list[tuple[str, str]] = []
        # Mailchimp tells only what is there now: of two acts between two of our looks the
        # first leaves no trace, so each of them acts at most once there between two runs.
        self.acted: set[tuple[str, str]] = set()

    def teardown(self) -> None:
        self.settle()
        self.town.__exit__(None, None, None)
        self.folder.cleanup()

    @initialize(member=st.sets(st.sampled_from(NAMES)), contact=st.sets(st.sampled_from(NAMES)))
    def people(self, member: set[str], contact: set[str]) -> None:
        for name in NAMES:
            email = f"{name}@example.org"
            if name in member:
                self.bedrock.add_member(email)
                self.words[name].is_in = True
            self.bedrock.pass_time(seconds=2)
            self.contacts[name] = self.bedrock.add_contact(email, group=name in contact)
            if name in contact:
                self.words[name].is_in = True
                self.words[name].said_in_civicrm += 1
            self.bedrock.pass_time(seconds=2)
        self.bystander = self.bedrock.add_both("pearl@example.org")
        self.pearl = dict(self.town.mailchimp.member(LIST, "pearl@example.org") or {})
        self.bedrock.sync()

    @rule(name=st.sampled_from(NAMES), act=st.sampled_from(ACTS))
    def human(self, name: str, act: str) -> None:
        self.do(name, act)

    @rule()
    def run(self) -> None:
        self.sync()

    @rule(
        acts=st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(ACTS)), max_size=3),
        after=st.integers(min_value=0, max_value=8),
    )
    def run_while_humans_act(self, acts: list[tuple[str, str]], after: int) -> None:
        """The acts come between two requests of our run."""
        waiting, count = list(acts), 0

        def before_request(_request: Request) -> None:
            nonlocal count
            count += 1
            if count > after and waiting:
                self.do(*waiting.pop())

        servers = (self.town.mailchimp_server, self.town.civicrm_server)
        for server in servers:
            server.before_request = before_request
        self.sync()
        for server in servers:
            server.before_request = None

    @rule(name=st.sampled_from(NAMES), act=st.sampled_from(ACTS))
    def run_while_a_batch_runs(self, name: str, act: str) -> None:
        """The act comes between two operations of our batch."""

        def before_operation(_operation: object) -> None:
            self.town.mailchimp.before_operation = None
            self.do(name, act)

        self.town.mailchimp.before_operation = before_operation
        self.sync()
        self.town.mailchimp.before_operation = None

    @invariant()
    def nobody_is_mailed_twice_for_one_decision(self) -> None:
        mails = Counter(mail.partition("@")[0] for mail in self.bedrock.confirmation_mails)
        for name, count in mails.items():
            assert count <= self.words[name].said_in_civicrm, f"{name} was mailed {count} times"

    # --- acting -------------------------------------------------------------------------------

    def sync(self) -> None:
        self.acted = set()
        self.bedrock.sync()

    def do(self, name: str, act: str) -> None:
        self.bedrock.pass_time(seconds=2)
        side = "status" if act in ACTS[:5] else "interest"
        if act in (*ACTS[:5], "want to volunteer", "stop volunteering"):
            if (name, side) in self.acted:
                return
            if self.act_at_mailchimp(name, act):
                self.acted.add((name, side))
        else:
            self.act_in_civicrm(name, act)
        self.bedrock.pass_time(seconds=2)

    def act_at_mailchimp(self, name: str, act: str) -> bool:
        """Whether the act was possible, and made a difference."""
        email, mailchimp = f"{name}@example.org", self.town.mailchimp
        status = self.bedrock.member_status(email)
        is_in = status in ("subscribed", "pending")
        word = self.words[name]
        if act == "sign up" and not is_in and status != "cleaned":
            mailchimp.sign_up(LIST, email)
            word.is_in = True
        elif act == "leave" and status == "subscribed":
            mailchimp.leave(LIST, email)
            word.is_in = False
        elif act == "staff unsubscribe" and status == "subscribed":
            mailchimp.staff_unsubscribe(LIST, email)
            word.is_in = False
        elif act == "staff archive" and status == "subscribed":
            mailchimp.staff_archive(LIST, email)
            word.is_in = False
        elif act == "bounce" and status == "subscribed":
            mailchimp.bounce(LIST, email)
            word.is_in = False
        elif act in ("want to volunteer", "stop volunteering") and is_in:
            wants = act == "want to volunteer"
            if self.bedrock.has_interest(email) == wants:
                return False
            mailchimp.edit_profile(LIST, email, interests={VOLUNTEERING: wants})
            word.volunteers = wants
        else:
            return False
        return True

    def act_in_civicrm(self, name: str, act: str) -> None:
        contact, word, civicrm = self.contacts[name], self.words[name], self.town.civicrm
        if act == "add":
            civicrm.add_to_group(contact, GROUP)
            word.is_in = True
            word.said_in_civicrm += 1
        elif act == "remove" and civicrm.group_status(contact, GROUP) is not None:
            civicrm.remove_from_group(contact, GROUP)
            word.is_in = False
        elif act == "opt out":
            civicrm.update_contact(contact, is_opt_out=True)
        elif act == "opt in":
            civicrm.update_contact(contact, is_opt_out=False)
        elif act == "add volunteer":
            civicrm.add_to_group(contact, VOLUNTEERS)
            word.volunteers = True
        elif act == "remove volunteer" and civicrm.group_status(contact, VOLUNTEERS) is not None:
            civicrm.remove_from_group(contact, VOLUNTEERS)
            word.volunteers = False

    # --- the end ------------------------------------------------------------------------------

    def settle(self) -> None:
        """Nobody acts any more: both sides come to the last word, and stay there."""
        self.bedrock.pass_time(seconds=2)
        for _ in range(3):
            self.bedrock.sync()
        assert self.bedrock.sync() == 0, "one more run wrote something"
        self.nobody_is_mailed_twice_for_one_decision()
        for name in NAMES:
            self.check(name)
        # Pearl, whom nobody talked about, was not touched.
        assert self.town.mailchimp.member(LIST, "pearl@example.org") == self.pearl
        assert len(self.town.civicrm.history(self.bystander, GROUP)) == 1

    def check(self, name: str) -> None:
        word, contact = self.words[name], self.contacts[name]
        email = f"{name}@example.org"
        status = self.bedrock.member_status(email)
        is_member_in = status in ("subscribed", "pending")
        place = self.bedrock.group_status(contact)
        is_muted = self.town.civicrm.contact(contact).is_opt_out  # type: ignore[union-attr]
        story = f"{name}: {word}, {status} at Mailchimp, {place} in the group, muted {is_muted}"
        if word.is_in is None or not word.is_in:
            assert not is_member_in, story
            assert place != "Added", story
        else:
            assert place == "Added", story
            if status == "cleaned":
                return
            if not is_muted:
                assert is_member_in, story
        if is_member_in and word.volunteers is not None and not is_muted:
            volunteers = self.bedrock.group_status(contact, VOLUNTEERS) == "Added"
            assert volunteers == self.bedrock.has_interest(email), story


TestLastWord = LastWord.TestCase
TestLastWord.settings = settings(
    max_examples=40,
    stateful_step_count=12,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
