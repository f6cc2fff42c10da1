"""Decisions, edits, undo, restarts and changes outside in any order: files are always what the log says."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from rule_files import LABELS, TASK, contents, rule_base

from kdsl.errors import KdslError
from kdsl.review import decisions
from kdsl.review.journal import replay
from kdsl.review.store import RuleStore, StaleVersion
from kdsl.rules.condition import Condition

PEOPLE = st.sampled_from(["小王", "li", "../王"])
WHICH = st.integers(0, 5)
WORDS = st.lists(st.sampled_from(["灯", "亮度", "no", "退款 #1", '"', "棉：麻"]), min_size=1, max_size=3)


class Reviewing(RuleBasedStateMachine):
    @initialize()
    def start(self) -> None:
        self.place = tempfile.TemporaryDirectory()
        self.folder = Path(self.place.name) / "rules"
        rule_base(self.folder)
        self.original = contents(self.folder)
        self.expected = dict(self.original)
        self.store = RuleStore(self.folder, [TASK])
        self.outside = False

    def teardown(self) -> None:
        if hasattr(self, "place"):
            self.place.cleanup()

    def pick(self, which: int):
        stored = self.store.rules(TASK)
        return stored[which % len(stored)] if stored else None

    @rule(by=PEOPLE, which=WHICH, status=st.sampled_from(["accepted", "rejected", "disabled", "proposed"]))
    def decide(self, by: str, which: int, status: str) -> None:
        if stored := self.pick(which):
            decisions.decide(self.store, by, TASK, stored.rule.id, stored.version, status, "因为")
            assert self.store.get(TASK, stored.rule.id).rule.status == status

    @rule(by=PEOPLE, which=WHICH)
    def decide_on_an_old_version(self, by: str, which: int) -> None:
        if stored := self.pick(which):
            try:
                decisions.decide(self.store, by, TASK, stored.rule.id, "0" * 16, "accepted")
            except StaleVersion:
                return
            raise AssertionError("a stale version was overwritten")

    @rule(by=PEOPLE, which=WHICH, words=WORDS, accept=st.booleans())
    def edit(self, by: str, which: int, words: list[str], accept: bool) -> None:
        if stored := self.pick(which):
            condition = Condition(field="user", terms=tuple(words))
            decisions.edit(
                self.store, by, TASK, stored.rule.id, stored.version, [condition], stored.rule.label, accept
            )

    @rule(by=PEOPLE, words=WORDS)
    def create(self, by: str, words: list[str]) -> None:
        try:
            decisions.create(self.store, by, TASK, LABELS[1], [Condition(field="ocr", terms=tuple(words))])
        except KdslError as error:
            assert "is this rule already" in str(error)

    @rule(by=PEOPLE, one=WHICH, two=WHICH)
    def merge(self, by: str, one: int, two: int) -> None:
        first, second = self.pick(one), self.pick(two)
        try:
            decisions.merge(self.store, by, TASK, first.rule.id, first.version, second.rule.id, second.version)
        except KdslError as error:
            assert "cannot be merged" in str(error)

    @rule(by=PEOPLE, which=WHICH)
    def skip(self, by: str, which: int) -> None:
        if stored := self.pick(which):
            decisions.skip(self.store, by, TASK, stored.rule.id)

    @rule(by=PEOPLE)
    def undo(self, by: str) -> None:
        try:
            decisions.undo(self.store, by)
        except StaleVersion:
            pass  # another person changed the rule since
        except KdslError as error:
            assert "nothing that" in str(error)

    @rule()
    def restart(self) -> None:
        self.store = RuleStore(self.folder, [TASK])

    @invariant()
    def files_are_what_the_log_says(self) -> None:
        if not hasattr(self, "store"):
            return
        expected: dict[str, str | None] = {**self.original, **replay(self.store.history())}
        assert contents(self.folder) == {file: text for file, text in expected.items() if text is not None}

    @invariant()
    def the_index_is_what_the_files_say(self) -> None:
        if not hasattr(self, "store"):
            return
        indexed = {each.path.relative_to(self.folder).as_posix(): each.text for each in self.store.rules(TASK)}
        assert indexed == contents(self.folder) and self.store.problems == {}


TestReviewing = Reviewing.TestCase
TestReviewing.settings = settings(max_examples=12, stateful_step_count=25, suppress_health_check=list(HealthCheck))
