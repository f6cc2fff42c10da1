"""What a checkpoint predicts: every task by its own classifier, rules and arbiter, in the order of the samples."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from concept_encoder import concept_vectors

from kdsl.arbiter.arbiter import Arbiter, Quality
from kdsl.arbiter.predictor import Predictor
from kdsl.arbiter.state import PredictorState, changes
from kdsl.arbiter.weighing import Standing
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.embedded import LINEAR, Embedded, EmbeddedTrainer
from kdsl.models.recorded import RecordedTrainer, read_recorded
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Sample, Task, Turn

SHOP = Task("shop", (Label("调光"), Label("材质")))
DESK = Task("desk", (Label("退款"), Label("发票")))
WORDS = {"调光": "亮度", "材质": "棉麻", "退款": "退钱", "发票": "抬头"}
LAMP = Rule(id="r-lamp", label="调光", when=When(all=(Condition(field="user", terms=("台灯",)),)))
NEITHER = "您好"


def sample(id_: str, task: Task, text: str, label: str | None = None) -> Sample:
    return Sample(id_, task.name, (Turn("user", text),), label=label)


def arbiter(task: Task, *rules: Rule) -> Arbiter:
    standings = tuple(
        Standing(
            id=rule.id,
            when=rule.when_hash,
            label=rule.label,
            reliability=0.99,
            hits=9,
            correct=9,
            weight=float(np.log(99)),
            accepted_weight=float(np.log(99)),
        )
        for rule in rules
    )
    return Arbiter(
        task=task.name, labels=task.label_names, a=1.0, b_people=1.0, b_mined=1.0, mean_people=2.0, model_a=1.0,
        samples=8, model=Quality(log_loss=1, weighted_f1=0.5), both=Quality(log_loss=1, weighted_f1=0.5),
        base_rates=(0.5, 0.5), rules=standings, overlaps=(),
    )  # fmt: skip


class Project:
    """Checkpoint and rule base of two tasks below a folder."""

    def __init__(self, folder, embedded: Embedded = LINEAR, vectors=None) -> None:
        self.checkpoint, self.rules, self.embedded = folder / "checkpoint", folder / "rules", embedded
        for task in (SHOP, DESK):
            names = task.label_names * 4
            rows = [sample(f"s{i}", task, f"{'，' * i}{WORDS[name]}", name) for i, name in enumerate(names)]
            labels = np.array([task.label_names.index(name) for name in names])
            trained = EmbeddedTrainer(task, embedded).fit(FieldTable(rows, Sidecars(vectors=vectors)), labels, 2)
            trained.save(self.checkpoint / task.name)
            arbiter(task, *([LAMP] if task is SHOP else [])).save(self.checkpoint / task.name)
        self.save(LAMP)

    def save(self, rule: Rule) -> None:
        RuleBase.load(self.rules, "shop").save(rule)

    def predictor(self, tasks=(SHOP, DESK), recorded=None, large=None, sidecars=None) -> Predictor:
        known = sidecars or Sidecars()
        return Predictor(tasks, self.checkpoint, self.base_of, recorded, known, large, embedded=self.embedded)

    def base_of(self, task) -> RuleBase:
        return RuleBase.load(self.rules, task.name)


@pytest.fixture
def project(tmp_path) -> Project:
    return Project(tmp_path)


def test_every_sample_is_decided_by_its_task_in_its_place(project):
    asked = [
        sample("a", DESK, "退钱"),
        sample("b", SHOP, "棉麻"),
        sample("c", DESK, "抬头"),
        sample("a", SHOP, "亮度"),
    ]
    decisions = project.predictor().decide(asked)
    assert [decision.sample for decision in decisions] == asked
    assert [decision.label for decision in decisions] == ["退款", "材质", "发票", "调光"]
    assert [decision.labels for decision in decisions[:2]] == [DESK.label_names, SHOP.label_names]
    assert {decision.by for decision in decisions} == {"model"}


def test_rules_speak_beside_the_classifier(project):
    [decision] = project.predictor().decide([sample("a", SHOP, "棉麻台灯")])
    assert decision.label == "调光"
    assert decision.by == "rules"
    assert decision.model_label == "材质"
    [hit] = decision.rules
    assert (hit.hit.rule.id, hit.reliability) == ("r-lamp", 0.99)
    assert hit.weight == pytest.approx(np.log(99))


def test_the_heaviest_hit_comes_first(project):
    light = Rule(id="r-tall", label="调光", when=When(all=(Condition(field="user", terms=("灯",)),)))
    project.save(light)
    both = arbiter(SHOP, light, LAMP)
    standings = (both.rules[0].model_copy(update={"weight": float(np.log(4))}), both.rules[1])
    both.model_copy(update={"rules": standings, "overlaps": ((0, 1, 0.5),)}).save(project.checkpoint / "shop")
    [decision] = project.predictor().decide([sample("a", SHOP, "台灯")])
    assert [hit.hit.rule.id for hit in decision.rules] == ["r-lamp", "r-tall"]
    assert [hit.weight for hit in decision.rules] == pytest.approx([np.log(99), np.log(4)])
    [[model, _], [merged, _]] = [[*decision.model], [*decision.merged]]
    raised = np.log(merged / (1 - merged)) - np.log(model / (1 - model))
    assert raised == pytest.approx(np.log(99) + np.log(4) * (1 - 0.25))


def test_where_rules_do_not_count_a_decision_says_so(project):
    arbiter(SHOP, LAMP).model_copy(update={"b_people": 0.0, "b_mined": 0.0}).save(project.checkpoint / "shop")
    [decision] = project.predictor().decide([sample("a", SHOP, "棉麻台灯")])
    assert (decision.label, decision.by, decision.listens_to) == ("材质", "model", "none")
    assert decision.reason.endswith("; 1 rule holds: rules do not count, as they did not help in training")


def test_the_shares_of_labels_in_training_are_those_of_tasks_that_have_learned_from_some(project):
    rare = arbiter(SHOP).model_copy(update={"base_rates": (0.9, 0.1)})
    rare.save(project.checkpoint / "shop")
    assert project.predictor().label_shares() == {
        "shop": {"调光": 0.9, "材质": 0.1},
        "desk": {"退款": 0.5, "发票": 0.5},
    }
    rare.model_copy(update={"samples": 0, "model": None, "both": None}).save(project.checkpoint / "shop")
    assert list(project.predictor((SHOP, DESK, Task("other", SHOP.labels))).label_shares()) == ["desk"]


def test_an_untrained_task_is_named(project):
    other = Task("other", SHOP.labels)
    with pytest.raises(KdslError, match=r"other/arbiter\.json: no such file; call project\.train\(\) first"):
        project.predictor((other,)).decide([sample("a", other, NEITHER)])


def test_a_task_that_has_other_labels_now_needs_training(project):
    changed = Task("shop", (Label("调光"), Label("物流")))
    with pytest.raises(
        KdslError, match=r"shop: trained for other labels than shop has now; call project\.train\(\) again$"
    ):
        project.predictor((changed,)).decide([sample("a", changed, NEITHER)])


def test_rules_that_training_did_not_know_are_counted_with_an_example(project, caplog):
    project.predictor().decide([sample("a", SHOP, NEITHER)])
    assert caplog.messages == []
    for id_ in ("r-new2", "r-new3"):
        project.save(Rule(id=id_, label="材质", when=When(all=(Condition(field="user", terms=(id_,)),))))
    predictor = project.predictor()
    predictor.decide([sample("a", SHOP, NEITHER)])
    predictor.decide([sample("b", SHOP, NEITHER)])
    assert caplog.messages == [
        "shop: 2 rules were added or edited since training and are shown but do not count, the first being r-new2; "
        "call project.train() again"
    ]


def test_rules_for_labels_that_the_task_does_not_have_are_left_out_and_counted(project, caplog):
    project.save(Rule(id="r-gone", label="物流", when=When(all=(Condition(field="user", terms=("台灯",)),))))
    [decision] = project.predictor().decide([sample("a", SHOP, "台灯")])
    assert [hit.hit.rule.id for hit in decision.rules] == ["r-lamp"]
    assert caplog.messages == [
        "shop: 1 rules are for labels that the task does not have and are left out; `kdsl rules lint` lists them"
    ]


def test_rules_on_fields_that_are_left_out_do_not_count_and_are_counted(project, caplog):
    """Even a negated one, which an empty field would have hold everywhere."""
    no_answer = Condition(field="last_agent", terms=("好的",), negated=True)
    some_answer = Condition(field="last_agent", terms=("好的",))
    for number, condition in enumerate((no_answer, some_answer)):
        project.save(Rule(id=f"r-blind{number}", label="调光", when=When(all=(condition,))))
    arbiter(SHOP, LAMP).model_copy(update={"left_out": ("last_agent",)}).save(project.checkpoint / "shop")
    sidecars = Sidecars(left_out=frozenset({"last_agent"}))
    predictor = Predictor((SHOP,), project.checkpoint, project.base_of, None, sidecars)
    [decision] = predictor.decide([sample("a", SHOP, "台灯")])
    assert [hit.hit.rule.id for hit in decision.rules] == ["r-lamp"]
    assert caplog.messages == [
        "shop: 2 rules test last_agent, which `fields:` in kdsl.yaml leaves out, and do not count; "
        "`kdsl rules lint` lists them"
    ]


@pytest.mark.parametrize(
    ("trained", "now", "told"),
    [
        (("last_agent",), (), "training left out last_agent, but `fields:` in kdsl.yaml now leaves out no field"),
        ((), ("last_agent",), "training left out no field, but `fields:` in kdsl.yaml now leaves out last_agent"),
    ],
)
def test_what_was_trained_on_other_fields_does_not_predict(project, trained, now, told):
    arbiter(SHOP, LAMP).model_copy(update={"left_out": trained}).save(project.checkpoint / "shop")
    sidecars = Sidecars(left_out=frozenset(now))
    with pytest.raises(KdslError) as error:
        Predictor((SHOP,), project.checkpoint, project.base_of, None, sidecars).decide([sample("a", SHOP, "台灯")])
    assert str(error.value) == (f"{project.checkpoint / 'shop'}: {told}; set it back, or call project.train() again")


def on_meaning(id_: str, **encoder: str) -> Rule:
    return Rule(id=id_, label="调光", when=When(all=({"means": {"user": "灯", "at": 0.5, **encoder}},)))


@pytest.mark.parametrize(
    ("vectors", "left", "why"),
    [
        (concept_vectors(), 1, "1 rules on meaning do not count, the first being r-othr, made with the encoder other: "
                               "the encoder is concepts"),
        (concept_vectors("other"), 2, None),
        (None, 0, "2 rules on meaning do not count, the first being r-mean: there is no encoder"),
    ],
)  # fmt: skip
def test_rules_on_meaning_count_with_their_encoder_only_and_are_counted(project, caplog, vectors, left, why):
    project.save(on_meaning("r-mean"))
    project.save(on_meaning("r-othr", encoder="other"))
    [decision] = project.predictor(sidecars=Sidecars(vectors=vectors)).decide([sample("a", SHOP, "亮度")])
    assert len(decision.rules) == left
    told = [message for message in caplog.messages if "on meaning" in message]
    assert told == ([] if why is None else [f"shop: {why}; set `encoder:` in kdsl.yaml"])


def test_all_texts_of_a_batch_are_encoded_at_once(tmp_path, monkeypatch):
    """Those that classifier and rules compare, of every field: an encoder's time is by calls where texts are few."""
    vectors = concept_vectors()
    project = Project(tmp_path, vectors=vectors)
    project.save(on_meaning("r-mean"))
    predictor = project.predictor(sidecars=Sidecars(vectors=vectors))
    predictor.decide([sample("a", SHOP, "亮度")])
    calls = []
    encode = vectors.encoder.encode
    monkeypatch.setattr(vectors.encoder, "encode", lambda texts: (calls.append(sorted(texts)), encode(texts))[1])
    turns = (Turn("user", "灯坏了。怎么退？"), Turn("agent", "请稍等"), Turn("user", "快点"))
    predictor.decide([Sample("b", "shop", turns)])
    assert calls == [sorted(["灯坏了。怎么退?", "灯坏了。", "怎么退?", "快点"])]


def test_what_the_classifier_looked_at(tmp_path):
    near = Project(tmp_path, Embedded(("linear", "neighbours"))).predictor()
    looked = near.explain(sample("a", SHOP, "棉麻"))
    assert looked.near and {each.label for each in looked.near} == {1}
    assert set(looked.weights) == {"linear", "neighbours"}


def answers(project, *labels: str | None):
    path = project.checkpoint.parent / "answers.jsonl"
    lines = [{"id": f"s{i}", "label": label} for i, label in enumerate(labels)]
    path.write_text("\n".join(json.dumps(line, ensure_ascii=False) for line in lines), "utf-8")
    return path


@pytest.fixture
def recorded(project):
    """The file of a recorded model that training was done with."""
    path = answers(project, *SHOP.label_names * 4)
    rows = [sample(f"s{i}", SHOP, NEITHER) for i in range(8)]
    trainer = RecordedTrainer(read_recorded(path, SHOP))
    trainer.fit(FieldTable(rows, Sidecars()), np.arange(8) % 2, 2).save(project.checkpoint / "shop")
    return path


def test_a_recorded_model_answers_by_sample_and_rules_decide_where_it_does_not(project, recorded):
    predictor = project.predictor((SHOP,), recorded)
    known, lost, silent = predictor.decide(
        [sample("s1", SHOP, NEITHER), sample("zz", SHOP, "台灯"), sample("zz", SHOP, NEITHER)]
    )
    assert (known.label, known.by, known.answered) == ("材质", "model", True)
    assert (lost.label, lost.by, lost.answered) == ("调光", "rules", False)
    assert silent.reason.startswith("the model has no answer")
    assert predictor.explain(sample("s1", SHOP, NEITHER)) is None


def test_a_large_model_gives_the_classifier_and_counts_what_it_costs(project):
    asked, usage = [], object()
    large = SimpleNamespace(load_classifier=lambda task: asked.append(task), usage=usage)
    predictor = project.predictor(large=large)
    predictor.explain(sample("a", DESK, NEITHER))
    assert asked == [DESK]
    assert predictor.usage is usage
    assert project.predictor().usage is None


def test_the_state_is_that_of_all_that_predictions_depend_on(project):
    def state() -> PredictorState:
        return project.predictor().state()

    seen = [state()]
    assert changes(seen[0], state()) == []

    def told() -> list[str]:
        seen.append(state())
        return changes(seen[-2], seen[-1])

    for task, name in (("shop", "arbiter.json"), ("desk", "arbiter.json"), ("desk", "embedded.json"),
                       ("shop", "linear.npz")):  # fmt: skip
        path = project.checkpoint / task / name
        path.write_bytes(path.read_bytes() + b"\n")
        assert told() == [f"{task} was trained again"]
    for change, what in (
        ({"status": "accepted"}, "accepted"),
        ({"status": "accepted", "label": "材质"}, "edited"),
        ({"status": "accepted", "when": When(all=(Condition(field="user", terms=("吊灯",)),))}, "edited"),
        ({"status": "rejected"}, "edited"),
    ):
        project.save(LAMP.model_copy(update=change))
        assert told() == [f"1 rule was {what}"]
    project.save(LAMP.model_copy(update={"status": "rejected", "notes": "不对", "label": "材质"}))
    assert told() == []  # a rule that does not count may be noted as one likes


def test_the_state_of_a_recorded_model_is_of_its_answers_and_calibration(project, recorded):
    def state() -> PredictorState:
        return project.predictor((SHOP,), recorded).state()

    first = state()
    (project.checkpoint / "shop" / "linear.npz").unlink()  # the embedded classifier is not asked
    assert state() == first
    calibration = project.checkpoint / "shop" / "recorded.json"
    calibration.write_bytes(calibration.read_bytes() + b"\n")
    second = state()
    assert changes(first, second) == ["shop was trained again"]
    answers(project, "材质")
    assert changes(second, state()) == ["the recorded answers have changed"]


def test_the_state_of_a_large_model_is_of_its_calibration(project):
    path = project.checkpoint / "shop" / "large.json"
    path.write_text("{}")
    predictor = project.predictor((SHOP,), large=SimpleNamespace(usage=None))
    before = predictor.state()
    path.write_text("{ }")
    assert changes(before, predictor.state()) == ["shop was trained again"]


def test_tasks_that_were_not_trained_are_no_part_of_it_but_one_must_be(project):
    other = Task("other", SHOP.labels)
    assert project.predictor((SHOP, other)).state() == project.predictor((SHOP,)).state()
    with pytest.raises(
        KdslError, match=r"checkpoint: none of the project's tasks was trained; call project\.train\(\) first"
    ):
        project.predictor((other,)).state()
