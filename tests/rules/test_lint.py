"""Lint names everything that a person should look at, with file and line."""

import time

import pytest
from concept_encoder import concept_vectors
from PIL import Image

from kdsl.audio.transcript import Transcript
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import OcrPage, Sidecars
from kdsl.rules.lint import LONGEST_WORDING, lint
from kdsl.rules.rule import Rule
from kdsl.rules.rule_file import rule_text
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import RuleStatistics, TrainingCounts, statistics_path, write_statistics
from kdsl.sample import Label, Sample, Task, Turn

TASK = Task("returns", (Label("退款"), Label("换货")))


def sample(id: str, text: str, label: str | None = None) -> Sample:
    return Sample(id, "returns", (Turn("user", text),), label=label)


@pytest.fixture
def base(tmp_path):
    base = RuleBase(tmp_path, TASK.name)

    def add(number: int, *conditions, label="退款", **fields) -> Rule:
        rule = Rule(id=f"r-{number:04d}", label=label, when={"all": list(conditions)}, **fields)
        base.save(rule)
        return rule

    base.add = add
    return base


def found(base, *samples, vectors=None):
    """(rule, check, severity, line) of every finding, sorted."""
    findings = lint(base.folder, TASK, samples, Sidecars(vectors=vectors))
    return sorted((finding.rule, finding.check, finding.severity, finding.line) for finding in findings)


def test_a_clean_rule_base_has_no_findings(base):
    base.add(1, {"user": ["退钱", "退款"]}, {"turns": ">1"}, tests={"hit": ["1"], "miss": ["2"]})
    base.add(2, {"user": ["换"]}, {"not": {"agent": ["退"]}}, label="换货")
    samples = [
        Sample("1", "returns", (Turn("user", "退款吧"), Turn("agent", "好"))),
        sample("2", "退款"),
    ]
    assert found(base, *samples) == []
    assert lint(base.folder / "none", TASK) == []


def test_what_is_wrong_inside_one_rule(base):
    base.add(1, {"user": ["退"]}, label="未知")
    base.add(2, {"turns": ">1"}, {"user": ["退货", "ＡB", "ab"]})
    base.add(3, {"user": ["退款", "款"]})
    base.add(4, {"user": ["手机退"]}, {"turns": ">9"}, {"not": {"dialogue": ["机退"]}})
    base.add(5, {"turns": ">3"}, {"turns": "<2"})
    base.add(6, {"not": {"user": ["谢谢"]}})
    base.add(7, {"user": ["坏了"]}, {"dialogue": ["坏"]})
    assert found(base) == [
        ("r-0001", "unknown label", "error", 3),
        ("r-0002", "duplicate term", "warning", 8),
        ("r-0003", "redundant term", "warning", 7),
        ("r-0004", "contradiction", "error", 9),
        ("r-0005", "contradiction", "error", 8),
        ("r-0006", "only negated", "warning", 5),
        ("r-0007", "redundant condition", "warning", 8),
    ]


def test_what_is_wrong_between_rules(base):
    base.add(1, {"user": ["退款"]})
    base.add(2, {"user": ["退 款"]})
    base.add(3, {"user": ["退款"]}, label="换货")
    base.add(4, {"last_user": ["要退款"]}, {"turns": ">2"})
    assert found(base) == [
        ("r-0001", "conflict", "error", 5),
        ("r-0002", "duplicate rule", "warning", 5),
        ("r-0004", "subsumed rule", "warning", 5),
    ]


@pytest.mark.parametrize(
    ("special", "general", "superfluous"), [(0.6, 0.5, False), (0.5, 0.5, True), (None, 0.5, True)]
)
def test_a_special_rule_that_is_the_more_reliable_one_says_something(base, special, general, superfluous):
    rules = base.add(1, {"user": ["退"]}), base.add(2, {"user": ["退"]}, {"turns": ">2"})
    counts = TrainingCounts(hits=3, correct=2, positives=4, samples=9)
    write_statistics(
        statistics_path(base.folder, TASK.name),
        [
            RuleStatistics(
                id=rule.id, when=rule.when_hash, training=counts, reliability=value, base_rate=0.1, candidates=1
            )
            for rule, value in zip(rules, (general, special), strict=True)
        ],
    )
    assert found(base) == ([("r-0002", "subsumed rule", "warning", 5)] if superfluous else [])


def means(wording="退钱给我", at=0.6, **encoder):
    return {"means": {"user": wording, "at": at, **encoder}}


def test_a_meaning_for_another_encoder_or_without_one_never_holds(base):
    base.add(1, {"user": ["退"]}, means(encoder="concepts"), means("灯"))
    assert found(base, vectors=concept_vectors()) == []
    assert found(base) == [("r-0001", "no encoder", "error", 8), ("r-0001", "no encoder", "error", 9)]
    assert found(base, vectors=concept_vectors("other")) == [("r-0001", "other encoder", "error", 8)]
    [finding] = lint(base.folder, TASK, (), Sidecars(vectors=concept_vectors("other")))
    assert finding.message == (
        "`user means 退钱给我 (at 0.6)` is meant for the encoder 'concepts', and the project has 'other': the rule "
        "never hits; choose `at` anew and name the encoder, or set `encoder:` in kdsl.yaml"
    )


def test_a_wording_says_one_thing(base):
    base.add(1, means("退" * LONGEST_WORDING))
    base.add(2, means(["退款", "退 " * (LONGEST_WORDING + 1)]))
    assert found(base, vectors=concept_vectors()) == [("r-0002", "long wording", "warning", 7)]


def test_a_meaning_that_most_samples_have_says_little(base):
    samples = [sample("1", "退款"), sample("2", "退钱"), sample("3", "灯"), sample("4", "快递")]
    base.add(1, {"turns": ">0"}, {"not": means()})
    assert found(base, *samples, vectors=concept_vectors()) == []
    samples += [sample("5", "退款了")]
    assert found(base, *samples, vectors=concept_vectors()) == [("r-0001", "vague meaning", "warning", 8)]


def test_of_two_meanings_that_differ_in_how_near_the_looser_one_is_superfluous(base):
    base.add(1, means(at=0.7), means(at=0.6))
    base.add(2, means("灯", 0.9), {"not": means("灯", 0.8)})
    assert found(base, vectors=concept_vectors()) == [
        ("r-0001", "redundant condition", "warning", 8),
        ("r-0002", "contradiction", "error", 8),
    ]


def test_statistics_that_cannot_be_read_are_a_finding(base):
    base.add(1, {"user": ["退"]})
    path = statistics_path(base.folder, TASK.name)
    path.write_text("{}\n")
    [finding] = lint(base.folder, TASK)
    assert (finding.check, finding.file, finding.line) == ("unreadable", path, 1)
    assert finding.message.endswith("run `kdsl mine` again")


def test_rejected_and_disabled_rules_do_not_conflict(base):
    base.add(1, {"user": ["退款"]}, status="rejected")
    base.add(2, {"user": ["要退款"]})
    base.add(3, {"user": ["要退款"]}, label="换货", status="disabled")
    assert found(base) == []


def test_rules_of_two_labels_that_hit_the_same_samples(base):
    base.add(1, {"user": ["退"]})
    base.add(2, {"user": ["钱"]}, label="换货")
    samples = [sample(str(i), "退钱") for i in range(4)] + [sample("5", "钱")]
    [two, one] = lint(base.folder, TASK, samples)
    assert (one.rule, two.rule) == ("r-0001", "r-0002")
    assert one.message == (
        "4 of its 4 hits are hits of r-0002 too, whose label is '换货'; make one of the two more special"
    )
    assert found(base, *samples[:2]) == []


def test_reviews_of_other_conditions_are_stale(base):
    rule = base.add(1, {"user": ["退"]}, status="accepted", review={"by": "Li", "of": "0" * 16})
    base.add(2, {"user": ["钱"]}, status="accepted", review={"by": "Li", "of": rule.when_hash})
    assert found(base) == [
        ("r-0001", "stale review", "error", 9),
        ("r-0002", "stale review", "error", 9),
    ]


def test_a_review_of_the_present_conditions_is_fine(base):
    rule = base.add(1, {"user": ["退"]})
    base.save(rule.model_copy(update={"review": rule.review.model_copy(update={"of": rule.when_hash})}))
    assert found(base) == []


def test_failing_tests(base):
    base.add(1, {"user": ["退"]}, tests={"hit": ["1", "2", "none"], "miss": ["1"]})
    findings = lint(base.folder, TASK, [sample("1", "退"), sample("2", "换")])
    assert [(finding.check, finding.message) for finding in findings] == [
        ("forbidden hit", "must not hit sample '1' but does"),
        ("missing hit", "must hit sample '2' but does not"),
        ("unknown sample", "the test names sample 'none', which is not among the samples of the task"),
    ]


def test_files_that_cannot_be_read_are_findings_and_the_others_are_looked_at(base):
    rule = base.add(1, {"not": {"user": ["退"]}})
    text = rule_text(rule)
    folder = base.path(rule).parent
    broken = {
        "colon": (text.replace("status: ", "status："), 4, "full-width colon after 'status'"),
        "field": (text.replace("not: {user:", "not: {users:"), 7, "unknown field 'users'"),
        "no": (text.replace('["退"]', "[no]"), 7, "YAML does not take no without quotes for text"),
        "tail": (text.replace('"退款"', "退款 #1"), 3, "for a comment; put the text in double quotes"),
        "twice": (text + 'notes: ""\n', 12, "the key 'notes' is given twice"),
        "zempty": (text.replace('["退"]', '[" "]'), 7, "is empty once normalised"),
    }
    for name, (content, _, _) in broken.items():
        (folder / f"{name}.yaml").write_text(content, "utf-8")
    (folder / "x.yml").write_text(text, "utf-8")
    findings = {finding.file.name: finding for finding in lint(base.folder, TASK)}
    for name, (_, line, message) in broken.items():
        finding = findings[f"{name}.yaml"]
        assert (finding.check, finding.severity, finding.line) == ("unreadable", "error", line), name
        assert message in finding.message
        assert str(folder) not in finding.message
    assert findings[base.path(rule).name].check == "only negated"
    assert findings["x.yml"].check == "ignored file"


def test_misplaced_files_and_ids_given_twice(base):
    rule = base.add(1, {"user": ["退"]})
    copy = base.folder / TASK.name / "换货" / "copy.yaml"
    copy.parent.mkdir()
    copy.write_bytes(base.path(rule).read_bytes())
    other = copy.with_name("other.yaml")
    other.write_text(rule_text(rule).replace("r-0001", "r-0002").replace('退"]', '换"]'))
    # The file that is named after the id counts, although the folder 换货 comes before 退款.
    assert found(base) == [("r-0001", "duplicate id", "error", 2), ("r-0002", "misplaced file", "warning", 3)]
    assert {finding.file for finding in lint(base.folder, TASK)} == {copy, other}


@pytest.mark.parametrize("label", ["-", "...", "CON", "很长" * 100])
def test_a_rule_of_an_odd_label_lies_where_it_belongs(tmp_path, label):
    base = RuleBase(tmp_path, TASK.name)
    base.save(Rule(id="r-0001", label=label, when={"all": [{"user": ["退"]}]}))
    task = Task(TASK.name, (Label(label), Label("换货")))
    assert lint(tmp_path, task) == []


def test_folders_that_the_file_system_takes_for_one_are_one(tmp_path, monkeypatch):
    """As one with small letters for capitals does; here two methods of paths play it."""
    base = RuleBase(tmp_path, TASK.name)
    base.save(Rule(id="r-0001", label="Refund", when={"all": [{"user": ["退"]}]}))
    path = next(tmp_path.rglob("*.yaml"))
    path.write_text(path.read_text("utf-8").replace("Refund", "REFUND"), "utf-8")
    task = Task(TASK.name, (Label("Refund"), Label("REFUND")))
    assert [finding.check for finding in lint(tmp_path, task)] == ["misplaced file"]
    monkeypatch.setattr(type(path), "samefile", lambda self, other: str(self).lower() == str(other).lower())
    exists = type(path).exists
    monkeypatch.setattr(type(path), "exists", lambda self: self.name == "REFUND" or exists(self))
    assert lint(tmp_path, task) == []


def test_thousands_of_rules_take_seconds():
    from kdsl.rules.implication import subsumed

    letters = [chr(0x4E00 + i) for i in range(400)]
    rules = [
        Rule(
            id=f"r-{i:05d}",
            label=f"label {i % 20}",
            when={
                "all": [
                    {"user": [letters[i % 400] + letters[(7 * i) % 397]]},
                    {"not": {"agent": [letters[(3 * i) % 389], letters[(5 * i) % 383] + "款"]}},
                ]
            },
        )
        for i in range(5000)
    ]
    begun = time.process_time()
    pairs = list(subsumed(rules))
    assert time.process_time() - begun < 10
    assert all(special.label == general.label for special, general in pairs)


def test_a_share_that_nothing_has_is_impossible(base):
    def colour(share):
        return {"image.colour": {"zone": "top", "colour": "red", "share": share}}

    for number, share in enumerate([">1", ">=1.2", "<0", "=1.5", "=-1"], start=1):
        base.add(number, colour(share))
    base.add(6, {"ocr.size": {"terms": ["退款"], "height": ">1"}})
    base.add(7, {"image.text_area": ">1"})
    impossible = [finding for finding in found(base) if finding[1] == "impossible share"]
    assert impossible == [(f"r-{number:04d}", "impossible share", "error", 7) for number in range(1, 8)]


def test_a_share_that_something_has_or_that_is_negated_is_possible(base):
    for number, share in enumerate([">0.99", ">=1", "<=0", "<0.1", "=0.3", "=1"], start=1):
        base.add(number, {"image.colour": {"zone": "top", "colour": "red", "share": share}})
    base.add(7, {"user": ["退"]}, {"not": {"image.text_area": ">1"}})
    base.add(8, {"image.text_lines": ">1"}, {"image.aspect": ">2"})
    assert {check for _, check, _, _ in found(base)} <= {"subsumed rule"}


def test_a_condition_on_images_that_no_sample_has_is_told(base, tmp_path):
    base.add(1, {"image.kind": "photo"})
    base.add(2, {"user": ["退"]}, {"ocr.size": {"terms": ["退款"], "height": ">0.1"}})
    base.add(3, {"user": ["退"]}, {"not": {"image.kind": "photo"}})
    told = [("r-0001", "no images", "warning", 7), ("r-0002", "no images", "warning", 8)]
    with_image = Sample("2", "returns", images=("a.png",))
    assert found(base) == []
    assert found(base, sample("1", "你好"), with_image) == told
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    seen = Sidecars(pictures=Pictures(tmp_path))
    read = Sidecars({"a.png": OcrPage("a.png", (9, 9), ())})
    for sidecars, left in ((seen, told[1:]), (read, told[:1])):
        findings = lint(base.folder, TASK, [sample("1", "你好"), with_image], sidecars)
        assert [(each.rule, each.check, each.severity, each.line) for each in findings] == left
    assert "name data.images" in findings[0].message


def test_a_condition_on_voice_messages_that_no_sample_has_is_told(base):
    base.add(1, {"voice": ["退款"]})
    base.add(2, {"user": ["退"]}, {"audio.seconds": "<9"})
    base.add(3, {"means": {"voice": "退钱给我", "at": 0.6}})
    base.add(4, {"user": ["退"]}, {"not": {"voice": ["换"]}}, {"audio.count": "=0"})
    spoken = Sample("1", "returns", (Turn("user", "", audio=("a.wav",)),), audio=("a.wav",))
    told = [("r-0001", 7), ("r-0002", 8), ("r-0003", 7)]

    def no_transcripts(*samples: Sample, known: tuple[str, ...] = ()) -> list[tuple[str | None, int | None]]:
        sidecars = Sidecars(transcripts={name: Transcript(name, 2.0, "") for name in known})
        findings = lint(base.folder, TASK, samples, sidecars)
        return sorted((each.rule, each.line) for each in findings if each.check == "no transcripts")

    assert no_transcripts() == no_transcripts(spoken, known=("a.wav",)) == []
    assert no_transcripts(sample("1", "你好"), known=("a.wav",)) == no_transcripts(spoken) == told
    [first, *_] = [each for each in lint(base.folder, TASK, [spoken]) if each.check == "no transcripts"]
    assert (first.severity, "run `kdsl transcribe`" in first.message) == ("warning", True)


def test_a_field_that_is_left_out_is_told_as_that_and_not_as_missing_images(base):
    base.add(1, {"image.kind": "photo"})
    findings = lint(base.folder, TASK, [sample("1", "你好")], Sidecars(left_out=frozenset({"image.kind"})))
    assert len(findings) == 1
    assert findings[0].check != "no images"
