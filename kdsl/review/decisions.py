"""What people do to rules. Every function names the version of the file that the person looked at."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal

from kdsl.errors import KdslError
from kdsl.review.journal import Action, Event, decided_together, undoable
from kdsl.review.store import Act, RuleStore, StoredRule, Wanted
from kdsl.rules.condition import Condition
from kdsl.rules.implication import merged_conditions
from kdsl.rules.rule import Provenance, Review, Rule, Status, Tests, When, rule_id
from kdsl.rules.rule_file import rule_text

PERSON = "person"
"""`provenance.source` of rules that people wrote."""

Seen = tuple[str, str]
"""The id of a rule, and the version of its file that somebody looked at."""

Must = Literal["hit", "miss", "none"]
"""What a rule is to do with a sample: a test of it, or none."""

_ACTIONS: dict[Status, Action] = {
    "accepted": "accept", "rejected": "reject", "proposed": "propose", "disabled": "disable",
}  # fmt: skip


def decide(store: RuleStore, by: str, task: str, id: str, version: str, status: Status, reason: str = "") -> Event:
    """Give the rule a status, and say that its conditions were reviewed. A reason becomes a line of its notes."""
    [event] = store.commit_together(by, [_decision(store, by, task, (id, version), status, reason)])
    return event


def decide_twins(
    store: RuleStore, by: str, task: str, best: Seen, copies: Sequence[Seen], status: Literal["accepted", "rejected"]
) -> Event:
    """Give a rule that status, and reject its near copies. Each is a decision in the log, and one undo takes back all.

    Gives the event about the best rule.
    """
    reason = f"copy of {best[0]}"
    acts = [_decision(store, by, task, copy, "rejected", reason) for copy in copies]
    return store.commit_together(by, [_decision(store, by, task, best, status), *acts])[0]


def accept_together(store: RuleStore, by: str, task: str, rules: Sequence[Seen]) -> Event:
    """Accept rules, at least one, with one undo for all. Gives the event about the first."""
    return store.commit_together(by, [_decision(store, by, task, rule, "accepted") for rule in rules])[0]


def _decision(store: RuleStore, by: str, task: str, seen: Seen, status: Status, reason: str = "") -> Act:
    stored = store.get(task, seen[0])
    rule = stored.rule
    line = f"{status}: {reason.strip()}" if reason.strip() else ""
    known = rule.notes.split("\n") if rule.notes else []
    notes = "\n".join(known if not line or line in known else [*known, line])
    changed = rule.model_copy(update={"status": status, "review": _review(by, rule), "notes": notes})
    return Act(_ACTIONS[status], task, rule.id, [_wanted(stored, changed, seen[1])], reason.strip())


def skip(store: RuleStore, by: str, task: str, id: str) -> Event:
    """Leave the rule for later; nothing changes but the log."""
    store.get(task, id)
    return store.commit(by, "skip", task, id)


def note(store: RuleStore, by: str, task: str, id: str, version: str, text: str) -> Event:
    """Replace the notes of the rule."""
    stored = store.get(task, id)
    changed = stored.rule.model_copy(update={"notes": text.replace("\r\n", "\n").strip()})
    return store.commit(by, "note", task, id, [_wanted(stored, changed, version)])


def pin(store: RuleStore, by: str, task: str, id: str, version: str, sample: str, must: Must) -> Event:
    """Make a sample one that the rule must hit, must miss, or neither."""
    stored = store.get(task, id)
    tests = stored.rule.tests
    hit = [each for each in tests.hit if each != sample] + ([sample] if must == "hit" else [])
    miss = [each for each in tests.miss if each != sample] + ([sample] if must == "miss" else [])
    changed = stored.rule.model_copy(update={"tests": Tests(hit=hit, miss=miss)})
    return store.commit(by, "pin", task, id, [_wanted(stored, changed, version)], f"{must}: {sample}")


def edit(
    store: RuleStore,
    by: str,
    task: str,
    id: str,
    version: str,
    conditions: Sequence[Condition],
    label: str,
    accept: bool = False,
) -> Event:
    """Give the rule other conditions or another label; an earlier approval is then stale, unless `accept`ed anew."""
    stored = store.get(task, id)
    changed = stored.rule.model_copy(update={"when": When(all=tuple(conditions)), "label": label})
    if accept:
        changed = changed.model_copy(update={"status": "accepted", "review": _review(by, changed)})
    return store.commit(by, "edit", task, id, [_wanted(stored, changed, version)])


def written(by: str, task: str, label: str, conditions: Sequence[Condition]) -> Rule:
    """A rule of a person's own, accepted, that is not saved yet."""
    when = When(all=tuple(conditions))
    origin = Provenance(source=PERSON, proposer=by)
    rule = Rule(id=rule_id(task, label, when.all), label=label, when=when, provenance=origin)
    return rule.model_copy(update={"status": "accepted", "review": _review(by, rule)})


def create(
    store: RuleStore, by: str, task: str, label: str, conditions: Sequence[Condition], accept: bool = True
) -> Event:
    """A new rule. Raises KdslError when the base has it already, by the rule of `RuleBase`."""
    rule = written(by, task, label, conditions)
    path = store.new_file(task, rule)
    if not accept:
        rule = rule.model_copy(update={"status": "proposed", "review": Review()})
    return store.commit(by, "new", task, rule.id, [Wanted(path, "", rule_text(rule))])


def merge(store: RuleStore, by: str, task: str, id: str, version: str, other_id: str, other_version: str) -> Event:
    """Let rule `id` say what `other_id` says too, and reject the latter; one event, so one undo.

    Raises KdslError where no single rule says what the two say together.
    """
    first, second = store.get(task, id), store.get(task, other_id)
    if id == other_id or first.rule.label != second.rule.label:
        raise KdslError(f"{id} and {other_id} cannot be merged: choose two different rules with the same label")
    conditions = merged_conditions(first.rule, second.rule)
    if conditions is None:
        raise KdslError(
            f"{id} and {other_id} cannot be merged: no single rule says what they say together, as they differ in "
            "more than the terms of one condition; edit one of them instead"
        )
    one, two = first.rule.tests, second.rule.tests
    tests = Tests(hit=list(dict.fromkeys([*one.hit, *two.hit])), miss=list(dict.fromkeys([*one.miss, *two.miss])))
    kept = first.rule.model_copy(update={"when": When(all=conditions), "tests": tests})
    kept = kept.model_copy(update={"status": "accepted", "review": _review(by, kept)})
    line = f"rejected: merged into {id}"
    gone = second.rule.model_copy(
        update={
            "status": "rejected",
            "review": _review(by, second.rule),
            "notes": f"{second.rule.notes}\n{line}".strip(),
        }
    )
    wanted = [_wanted(first, kept, version), _wanted(second, gone, other_version)]
    return store.commit(by, "merge", task, id, wanted, other_id)


def undo(store: RuleStore, by: str, number: int | None = None) -> Event:
    """Take back the person's last event that is not yet taken back, or the one with that number.

    With it goes what was decided together with it, and the event about the first of these rules is given back.
    Raises StaleVersion when a file was changed since, and KdslError when there is nothing to take back.
    """
    events = undoable(store.journal(by))
    if number is not None:
        events = [event for event in events if event.number == number]
    if not events:
        raise KdslError(f"there is nothing that {by} did and could take back")
    together = decided_together(undoable(store.journal(by)), events[-1])
    return store.commit_together(by, [_taken_back(store, event) for event in reversed(together)])[-1]


def _taken_back(store: RuleStore, event: Event) -> Act:
    wanted = [Wanted(store.folder / change.file, change.version_after, change.before) for change in event.changes]
    return Act("undo", event.task, event.rule, wanted, event.action, event.number)


def _wanted(stored: StoredRule, rule: Rule, version: str) -> Wanted:
    return Wanted(stored.path, version, rule_text(rule, stored.text))


def _review(by: str, rule: Rule) -> Review:
    return Review(by=by, at=datetime.now().isoformat(timespec="seconds"), of=rule.when_hash)
