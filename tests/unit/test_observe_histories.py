"""Whole histories of one member, as looks show them, held against a small model of the rules.

A history: humans act at Mailchimp, updates of ours are sent, carried out (late, twice, in the
wrong order, never) and their results come in, late or never; in between pages are looked at.
The product learns look by look. The model keeps everything that was shown, puts it in the order
in which it happened, and reads the words off from the beginning. Both must agree.

The model's reading of the rules: a value that is new is ours if an update of ours that may have
been carried out writes it, else a human's; an own reason for being out is always a human's word.
Ours carries the time of the human who caused it, and is no word where a newer one stands, or
where it was written for the gate. A shop order says nothing. Who is not there says out.
"""

from dataclasses import dataclass, field

from hypothesis import assume, given
from hypothesis import strategies as st

from mcsync.reconcile.observe import LONG_AGO, Data, Look, Value, Written, is_said_in, observe
from tests.fuzz import law

FIELDS = ("status", "first_name", "interest-c")
IN = ("subscribed", "pending")
START = 100
LONG_BEFORE = -1


def at(minute: int) -> str:
    if minute == LONG_BEFORE:
        return LONG_AGO
    return f"2026-11-22T{minute // 60:02}:{minute % 60:02}:00Z"


# --- what happens ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shown:
    """What Mailchimp shows of a member at one moment; `values` is None when nobody is there."""

    at: int
    values: dict[str, Value] | None
    has_left: bool = False


@dataclass
class Update:
    """One update of ours, caused at `cause`; `runs` are what each carrying out left behind."""

    values: dict[str, Value]
    cause: int
    is_gate: bool
    runs: list[Shown] = field(default_factory=list)
    is_closed: bool = False

    def written(self) -> Written:
        return Written(self.values, dict.fromkeys(self.values, at(self.cause)), self.is_gate)


class Ambiguous(Exception):
    """What nobody can tell who remembers only the newest look.

    A word whose time is not known is compared with a time in between; or a late result reveals
    that there was a word, and it has been overwritten already, or the member is gone since.
    """


@dataclass(frozen=True)
class Word:
    """What was said, and when: not before `since`, not after `until`."""

    value: Value
    since: int
    until: int


@dataclass(frozen=True)
class Exhibit:
    """Something shown, and the updates that may have been the cause of it, the newest last.

    `done`: it is the result of this update. `heard_at`: of when the newest look was when this
    came in too late.
    """

    shown: Shown
    under_way: tuple[Update, ...] = ()
    done: Update | None = None
    heard_at: int | None = None

    def writer(self, name: str, value: Value) -> Update | None:
        """The update of ours that wrote this value, as far as one can tell."""
        for update in (self.done, *reversed(self.under_way)):
            if update is not None and update.values.get(name) == value and name in update.values:
                return update
        return None


# --- the model ------------------------------------------------------------------------------------


class Reading:
    """One field of a member, read from its exhibits in the order in which they happened."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.word: Word | None = None
        self.value: Value = None
        self.is_known = False
        self.has_left = False
        self.is_humans = False
        self._late: int | None = None  # a result that came in after what happened next was seen
        self._unsure_until = 0

    def read(self, exhibit: Exhibit, *, is_first: bool) -> None:
        shown = exhibit.shown
        if shown.values is None:
            self._read_absence(shown.at)
            return
        if self.name not in shown.values:
            return
        value = shown.values[self.name]
        is_status, is_late = self.name == "status", exhibit.heard_at is not None
        has_left_now = is_status and not is_late and shown.has_left and not self.has_left
        is_new = not self.is_known or value != self.value
        if is_new and shown.at <= self._unsure_until:
            raise Ambiguous
        self.is_known, self.value = True, value
        if has_left_now:
            self._hear(shown.at)
        elif is_new:
            self._read_change(exhibit, value, is_first=is_first)
        if is_status and not is_late:
            self.has_left = shown.has_left
        self._late = exhibit.heard_at if is_late else None

    def _read_change(self, exhibit: Exhibit, value: Value, *, is_first: bool) -> None:
        update = exhibit.writer(self.name, value)
        if update is not None:
            self._write(update)
        elif is_first and (exhibit.under_way or exhibit.done) and not value:
            self.word = Word(value, LONG_BEFORE, LONG_BEFORE)
        elif value != "transactional":
            self._hear(exhibit.shown.at)

    def _read_absence(self, noticed_at: int) -> None:
        if self.name != "status":
            return
        was_out = self.word is not None and not self.word.value and self.value not in IN
        self.is_known, self.value, self.has_left = True, None, False
        if not was_out:
            self._hear(noticed_at)
        elif self._late is not None and self.word is not None:  # that was not known in time
            self.word = Word(False, self.word.since, max(noticed_at, self.word.until))
        self._late = None

    def _hear(self, since: int) -> None:
        until = since if self._late is None else max(since, self._late)
        self._unsure_until = 0 if self._late is None else until
        self.word, self.is_humans = Word(self._as_word(), since, until), True

    def _write(self, update: Update) -> None:
        if update.is_gate and self.name == "status":
            return
        cause, word, before = update.cause, self._as_word(), self.word
        if before is None:
            self.word = Word(word, cause, cause)
        elif before.value == word:
            self.word = Word(word, max(cause, before.since), max(cause, before.until))
        elif before.until <= cause:
            self.word = Word(word, cause, cause)
        elif before.since <= cause:
            raise Ambiguous
        self.is_humans = False

    def _as_word(self) -> Value:
        return self.value in IN if self.name == "status" else self.value


def read(exhibits: list[Exhibit]) -> dict[str, Reading]:
    readings = {name: Reading(name) for name in FIELDS}
    is_first = True
    for exhibit in sorted(exhibits, key=lambda e: e.shown.at):
        for reading in readings.values():
            reading.read(exhibit, is_first=is_first)
        is_first = is_first and exhibit.heard_at is not None
    return readings


# --- a history ------------------------------------------------------------------------------------


class History:
    """One member at Mailchimp, what we do to them, and what we have learned."""

    def __init__(self, more: st.DataObject) -> None:
        self.more = more
        self.now = START
        self.there: dict[str, Value] | None = None
        self.has_left = False
        self.changed_at = START
        self.updates: list[Update] = []
        self.known: Data | None = None
        self.known_at: int | None = None
        self.exhibits: list[Exhibit] = []
        self.last_act: tuple[int, bool, bool] | None = None  # when, in or out, was it shown

    def live(self) -> None:
        """One more thing happens."""
        moves = [self.act, self.act, self.look, self.look, self.send]
        if self.open_updates():
            moves += [self.carry_out, self.carry_out, self.hear_result, self.lose]
        self.more.draw(st.sampled_from(moves), label="move")()

    def open_updates(self) -> list[Update]:
        return [update for update in self.updates if not update.is_closed]

    def pick(self, options, label: str):
        return self.more.draw(st.sampled_from(list(options)), label=label)

    def act(self) -> None:
        """A human does something that none of our updates under way would do."""
        self.now += 1
        if self.there is None:
            options = [("status", "subscribed"), ("status", "transactional")]
        else:
            options = [("status", v) for v in ("subscribed", "unsubscribed", "cleaned", "archived")]
            options += [("status", "left"), ("status", "gone")]
            options += [("first_name", v) for v in ("", "Fred", "Wilma")]
            options += [("interest-c", v) for v in (True, False)]
        ours = [(n, v) for update in self.open_updates() for n, v in update.values.items()]
        here = {**(self.there or {}), "left": self.has_left}
        fit = [(n, v) for n, v in options if (n, v) not in ours and here.get(n) != v]
        fit = [(n, v) for n, v in fit if v != "left" or not self.has_left]
        if fit:
            self._do(*self.pick(fit, "act"))

    def _do(self, name: str, value: Value) -> None:
        self.changed_at = self.now
        was_in = self.there is not None and self.there["status"] in IN
        if value == "gone":
            self.there, self.has_left = None, False
        elif self.there is None:
            self.there = {"status": value, "first_name": "Fred", "interest-c": False}
        else:
            self.there = {**self.there, name: "unsubscribed" if value == "left" else value}
        if name == "status":
            self.has_left = value == "left"
            is_word = value != "transactional" and (value != "gone" or was_in)
            self.last_act = (self.now, value in IN, False) if is_word else None

    def send(self) -> None:
        """We send an update of what is not as it should be, as far as we know."""
        if len(self.open_updates()) == 2:
            return
        self.now += 1
        known = self.known or {}
        wanted: dict[str, Value] = {}
        if self.known is None or known.get("status") is None:
            wanted["status"] = "subscribed"
        else:
            leaving = (None, "unsubscribed", "archived")
            is_in = known["status"] in IN
            status = self.pick(leaving if is_in else (None, "subscribed"), "status")
            name, interest = (
                self.pick((None, "Fred", "Barney"), "name"),
                self.pick((None, True, False), "interest"),
            )
            asked = {"status": status, "first_name": name, "interest-c": interest}
            wanted = {n: v for n, v in asked.items() if v is not None and v != known.get(n)}
        asked_already = [item for update in self.open_updates() for item in update.values.items()]
        wanted = {n: v for n, v in wanted.items() if (n, v) not in asked_already}
        if not wanted:
            return
        says_in = known.get("status!", known.get("status") in IN)
        may_be_gate = wanted.get("status") in ("unsubscribed", "archived") and says_in
        is_gate = may_be_gate and self.pick((True, False), "gate")
        cause = self.more.draw(st.integers(START - 20, self.now - 1), label="cause")
        self.updates.append(Update(wanted, cause, bool(is_gate)))
        self._forget_what_was_not_shown(wanted)

    def carry_out(self) -> None:
        """Mailchimp carries out an update, perhaps for the second time, if it will."""
        self.now += 1
        update = self.pick(self.open_updates(), "carried out")
        status = update.values.get("status")
        if self.there is None and status != "subscribed":
            return
        if self.has_left and status == "subscribed":
            return  # compliance state
        blank = {"status": "subscribed", "first_name": "", "interest-c": False}
        self.there = {**(self.there or blank), **update.values}
        self.has_left = self.has_left and self.there["status"] == "unsubscribed"
        self.changed_at = self.now
        update.runs.append(self.show())
        self._forget_what_was_not_shown(update.values)

    def _forget_what_was_not_shown(self, values: dict[str, Value]) -> None:
        """Nobody could tell any more what a human did, or that it was not our doing."""
        if "status" in values and self.last_act and not self.last_act[2]:
            self.last_act = None

    def lose(self) -> None:
        """An update turns out never to have been carried out: refused, aborted, settled."""
        never = [update for update in self.open_updates() if not update.runs]
        if never:
            self.pick(never, "lost").is_closed = True

    def show(self) -> Shown:
        if self.there is None:
            return Shown(self.now, None)
        return Shown(self.changed_at, dict(self.there), self.has_left)

    def look(self) -> None:
        """A page, or a single member that is read."""
        if self.there is None:
            self.now += 1
            if self.known is None:
                return
        self._learn(Exhibit(self.show(), tuple(self.open_updates())))

    def hear_result(self) -> None:
        ran = [update for update in self.open_updates() if update.runs]
        if not ran:
            return
        done = self.pick(ran, "result")
        ran_at = done.runs[-1].at
        newer = [u for u in self.updates if u.is_closed and u.runs and u.runs[-1].at > ran_at]
        others = [u for u in self.updates if u is not done and (not u.is_closed or u in newer)]
        done.is_closed = True
        self._learn(Exhibit(done.runs[-1], tuple(others), done))

    def _learn(self, exhibit: Exhibit) -> None:
        shown = exhibit.shown
        under_way = tuple(update.written() for update in exhibit.under_way)
        done = exhibit.done.written() if exhibit.done else None
        look = Look(shown.values, at(shown.at), shown.has_left, under_way, done)
        before = read(self.exhibits)
        is_late = self.known_at is not None and shown.at < self.known_at
        if is_late:
            since = [e.shown.values for e in self.exhibits if e.shown.at > shown.at]
            if since[-1] is None and any(values is not None for values in since):
                raise Ambiguous
            values = {n: v for n, v in (shown.values or {}).items() if n in exhibit.done.values}
            late = Shown(shown.at, values)
            exhibit = Exhibit(late, exhibit.under_way, exhibit.done, self.known_at)
        self.exhibits.append(exhibit)
        known_at = None if self.known_at is None else at(self.known_at)
        found = observe(self.known, known_at, look)
        self._note_shown(exhibit)
        self.known = found.data
        self.known_at = max(shown.at, self.known_at or 0)
        self.check(before, found.is_news)

    def _note_shown(self, exhibit: Exhibit) -> None:
        """The last thing that a human did to the status is seen before it was changed again."""
        if self.last_act is None or exhibit.heard_at is not None:
            return
        when, is_in, _ = self.last_act
        status = exhibit.shown.values["status"] if exhibit.shown.values else None
        is_visible = status != (self.known or {}).get("status", "nothing")
        if exhibit.shown.at >= when and is_visible and (status in IN) is is_in:
            self.last_act = (when, is_in, True)

    def check(self, before: dict[str, Reading], is_news: bool) -> None:
        """The product has learned what the model reads from everything that was shown."""
        for name, reading in read(self.exhibits).items():
            assert_same(name, reading, self.known or {})
            old, new = before[name].word, reading.word
            is_new_word = new is not None and (old is None or old.value != new.value)
            assert is_news or not (is_new_word and reading.is_humans)
        self.check_that_the_last_word_stands()

    def check_that_the_last_word_stands(self) -> None:
        """What a human said last, and what was shown, is outvoted by no update with an older cause.

        This is held against what really happened, not against what can be told from looks.
        """
        when, is_in, was_shown = self.last_act or (0, False, False)
        newest_cause = max((update.cause for update in self.updates), default=LONG_BEFORE)
        if was_shown and newest_cause < when:
            assert is_said_in(self.known or {}) is is_in


def assert_same(name: str, reading: Reading, data: Data) -> None:
    assert data.get(name) == reading.value
    time = data.get(f"{name}@")
    if reading.word is None:
        assert time is None
        return
    value = data[name] in IN if name == "status" else data.get(name)
    assert data.get(f"{name}!", value) == reading.word.value
    assert at(reading.word.since) <= str(time) <= at(reading.word.until)


@law(250)
@given(st.data())
def test_look_by_look_one_learns_what_the_whole_history_tells(more: st.DataObject):
    history = History(more)
    try:
        for _ in range(more.draw(st.integers(2, 25), label="length")):
            history.live()
    except Ambiguous:
        assume(False)
