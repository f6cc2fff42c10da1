"""Ablation: each step alone and all together against none, with nothing of a fold in what predicts it."""

import json
import random
from dataclasses import dataclass

import numpy as np
import pytest

from kdsl.config import load_config
from kdsl.errors import KdslError
from kdsl.evaluate.ablation import combinations, rows
from kdsl.evaluate.fold_results import fold_results
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.mining.miner import MiningSettings
from kdsl.mining.search import SearchSettings
from kdsl.models.classifier import Predicted
from kdsl.models.linear import LinearTrainer
from kdsl.project.ablation import ablate, parse_steps, with_steps
from kdsl.project.small_parts import SmallParts
from kdsl.project.task import TaskProject
from kdsl.sample import Label, Sample, Task, Turn, label_indices

TASK = Task("shop", (Label("调光"), Label("材质")))
SETTINGS = MiningSettings(SearchSettings(iterations=20), folds=2)


def samples(n=32):
    source = random.Random(0)
    texts = ["".join(source.choices("春夏秋冬东南西北金木水火山石", k=8)) + ("亮度", "棉麻")[i % 2] for i in range(n)]
    return [
        Sample(f"s{i}", "shop", (Turn("user", text),), label=TASK.label_names[i % 2]) for i, text in enumerate(texts)
    ]


def shop(trainer, **options) -> TaskProject:
    labels = np.array(label_indices(samples(), TASK))
    table = FieldTable(samples(), Sidecars())
    return TaskProject(TASK, table, labels, SETTINGS, learn=lambda rules: trainer, **options)


@dataclass
class Ignorant:
    """Learns nothing."""

    trained: list[set[str]]

    def fit(self, table, labels, n_labels):
        self.trained.append({row.sample.id for row in table.rows})
        return self

    def predict(self, table):
        return Predicted(np.tile([0.51, 0.49], (len(table), 1)))


def test_every_step_stands_alone_and_all_stand_together():
    assert combinations(["ocr", "rules"]) == [(), ("ocr",), ("rules",), ("ocr", "rules")]
    assert combinations(["ocr"]) == [(), ("ocr",)]


def test_the_table_tells_what_each_step_brings_over_none():
    trained = []
    tasks = {(): shop(Ignorant(trained)), ("ocr",): shop(LinearTrainer(0))}
    found = ablate(tasks, combinations(["ocr", "rules"]), 2, workers=1)
    table = {row.steps: row for row in rows([found], [2], seed=0)}
    assert list(table) == [(), ("ocr",), ("rules",), ("ocr", "rules")]
    assert table[()].gain == 0.0
    assert table["ocr",].pooled > 0.9 > 0.4 > table[()].pooled
    assert table["rules",].gain > 0.4, "rules know what the classifier does not"
    assert table["ocr",].gain_interval.low > 0
    assert table["ocr",].f1 == (table["ocr",].pooled,)
    assert all(len(ids) <= 16 for ids in trained), "a classifier was trained on the fold that it predicts"


def test_rules_are_searched_once_a_fold(monkeypatch):
    from kdsl.project import mining

    searched = []
    mine = mining.mine_task

    def counted(task, table, *arguments, **options):
        searched.append({row.sample.id for row in table.rows})
        return mine(task, table, *arguments, **options)

    monkeypatch.setattr(mining, "mine_task", counted)
    tasks = {(): shop(LinearTrainer(0)), ("ocr",): shop(LinearTrainer(0))}
    wanted = combinations(["ocr", "rules"])
    again = ablate(tasks, wanted, 2, workers=1)
    assert len(searched) == 2
    assert np.array_equal(again["rules",].probabilities, again["ocr", "rules"].probabilities)


@pytest.fixture
def project(tmp_path):
    (tmp_path / "shop.yaml").write_text("name: shop\nlabels:\n  - name: 调光\n  - name: 材质\n", encoding="utf-8")
    lines = [
        json.dumps({"id": s.id, "task": "shop", "text": s.turns[0].text, "label": s.label}, ensure_ascii=False) + "\n"
        for s in samples()
    ]
    (tmp_path / "train.jsonl").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "kdsl.yaml").write_text(
        "tasks: [shop.yaml]\ndata: {train: train.jsonl}\nprompt: {neighbours: 3}\n", encoding="utf-8"
    )
    return tmp_path


def test_a_step_is_on_as_configured_and_the_others_that_are_measured_are_off(project):
    config = load_config(project)
    both = with_steps(config, ("retrieval", "augment"), ["retrieval", "augment", "ocr"])
    assert (both.prompt.neighbours, both.prompt.knowledge, both.augment.copies, both.prompt.ocr) == (3, 0, 4, False)
    neither = with_steps(config, (), ["retrieval", "augment", "ocr"])
    assert (neither.prompt.neighbours, neither.prompt.knowledge, neither.augment.copies) == (0, 0, 0)
    assert with_steps(config, (), ["augment"]).prompt.neighbours == 3, "what is not measured stays as it is"
    assert both.folder == project


def test_the_command_prints_a_row_a_combination_and_leaves_the_table(project, kdsl):
    steps = "reasons,rules,distill,ocr"
    result = kdsl("evaluate", project, "--ablate", steps, "--cross-validate", "2", "--workers", "1",
                  "mining.iterations=20")  # fmt: skip
    assert result.code == 0, result.err
    assert [line.split()[0] for line in result.out.splitlines() if line.startswith(("none", "rules "))] == [
        "none", "rules",
    ]  # fmt: skip
    assert "reasons: n/a, `large: linear` writes no reasons; name a model that is fine-tuned" in result.out
    assert "distill: n/a, there are no distilled samples" in result.out
    assert "ocr: n/a, no text on an image is known; name data.images and data.ocr, and run `kdsl ocr`" in result.out
    written = (project / "checkpoints" / "run" / "ablation" / "ablation.md").read_text(encoding="utf-8")
    assert "| rules | " in written and "| reasons | n/a" in written
    record = json.loads((project / "checkpoints" / "run" / "ablation" / "ablation.json").read_text(encoding="utf-8"))
    assert [row["steps"] for row in record["rows"]] == [[], ["rules"]]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["large=http://localhost:9/v1"], "augment: `large: http://localhost:9/v1` is used as it stands, and learns"),
        (["augment={text: false, images: false}"], "augment: text and images are both false; switch one of them on"),
        (["large=recorded:train.jsonl"], "augment: a recorded model cannot be fed anything"),
        (["large=neighbours"], "distill: `large: neighbours` learns nothing from a teacher"),
        (["large=neighbours"], "teaching: `large: neighbours` learns nothing from what rules say"),
        ([], "teaching: data.unlabelled is not set; name the file of samples without labels"),
        (["data.unlabelled=train.jsonl"], "teaching: no rule is accepted yet; accept some with `kdsl review`"),
    ],
)
def test_steps_that_would_change_nothing_are_not_measured(project, kdsl, options, why):
    (project / "distilled.jsonl").write_text("", "utf-8")
    result = kdsl("evaluate", project, "--ablate", why.partition(":")[0],
                  f"data.distilled={project / 'distilled.jsonl'}", *options)  # fmt: skip
    assert (result.code, why in result.err) == (2, True), result.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "ocr,magic",
            "'magic' is no step; choose from augment,ocr,meaning,visual,reasons,retrieval,distill,teaching,rules",
        ),
        ("ocr,ocr", "ocr stands there twice"),
        (",", "nothing is no step"),
    ],
)
def test_steps_that_there_are_not_are_named(text, message):
    with pytest.raises(KdslError, match=message):
        parse_steps(text)


def test_what_cannot_go_together_is_said(project, kdsl):
    assert "--ablate is an evaluation of its own; leave --truth out" in kdsl(
        "evaluate", project, "--ablate", "rules", "--truth", "x.json"
    ).err  # fmt: skip
    assert "leave --ablate out" in kdsl("evaluate", project, "--ablate", "rules", "--seesaw").err
    result = kdsl("evaluate", project, "--ablate", "reasons")
    assert result.code == 2 and "reasons: `large: linear` writes no reasons" in result.err


def test_after_an_interruption_the_same_command_goes_on(project, kdsl, monkeypatch):
    from kdsl.project import ablation

    command = "evaluate", project, "--ablate", "retrieval,rules", "--cross-validate", "2", "--workers", "1"
    settings = "mining.iterations=20", "--format", "json"
    whole = json.loads(kdsl(*command, *settings, f"checkpoint={project / 'other'}").out)
    resume_file = project / "checkpoints" / "run" / "ablation.resume.jsonl"
    done: list[str] = []
    fit_alone, fit = ablation.fit_alone, ablation.fit

    def interrupted(*arguments, **options):
        if len(done) == 3:
            raise KeyboardInterrupt
        done.append("rules")
        return fit(*arguments, **options)

    def counted(*arguments):
        done.append("alone")
        return fit_alone(*arguments)

    monkeypatch.setattr(ablation, "fit_alone", counted)
    monkeypatch.setattr(ablation, "fit", interrupted)
    stopped = kdsl(*command, *settings)
    assert stopped.code == 130 and "what was measured is kept" in stopped.err
    with resume_file.open("a", encoding="utf-8") as file:
        file.write('{"task": "sh')  # as a kill leaves it
    done.clear()
    monkeypatch.setattr(ablation, "fit", fit)
    resumed = kdsl(*command, *settings)
    assert resumed.code == 0, resumed.err
    assert json.loads(resumed.out) == whole
    assert len(done) < 4, "what was done before the interruption was done again"
    assert not resume_file.exists()


def test_another_run_s_results_are_forgotten(tmp_path):
    path = tmp_path / "resume.jsonl"
    with pytest.raises(RuntimeError), fold_results(path, "first") as results:
        results.add("shop", 0, ("ocr",), np.array([[0.25, 0.75]]))
        raise RuntimeError
    with pytest.raises(RuntimeError), fold_results(path, "first") as results:
        assert results.get("shop", 0, ("ocr",)).tolist() == [[0.25, 0.75]]
        assert results.get("shop", 1, ("ocr",)) is None
        raise RuntimeError
    with fold_results(path, "second") as results:
        assert results.get("shop", 0, ("ocr",)) is None
    assert not path.exists()


def test_the_small_model_is_shown_only_samples_that_are_not_predicted():
    from kdsl.mining.proposer import LexicalProposer

    shown = []

    def small(table, labels):
        shown.append({row.sample.id for row in table.rows})
        return SmallParts(LexicalProposer())

    wanted = combinations(["rules"])
    ablate({(): shop(LinearTrainer(0), small=small)}, wanted, 2, workers=1)
    assert [len(ids) for ids in shown] == [16, 16]
    assert shown[0].isdisjoint(shown[1])


def test_of_a_recorded_model_the_samples_that_its_file_covers_take_part(project, kdsl):
    answered = [{"id": s.id, "label": s.label} for s in samples()[:24]]
    (project / "answers.jsonl").write_text(
        "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in answered), encoding="utf-8"
    )
    recorded = f"large=recorded:{project / 'answers.jsonl'}"
    result = kdsl("evaluate", project, "--ablate", "rules", "--cross-validate", "2", "--workers", "1",
                  "mining.iterations=20", recorded, "--format", "json")  # fmt: skip
    assert result.code == 0, result.err
    assert json.loads(result.out)["samples"] == 24


def test_teaching_is_what_accepted_rules_say_about_unlabelled_samples(project):
    # Mining looks at these samples with it and without it.
    config = load_config(project, ["data.unlabelled=more.jsonl"])
    assert with_steps(config, (), ["teaching"]) == with_steps(config, ("teaching",), ["teaching"]) == config


def test_meaning_is_an_encoder_and_what_needs_one(project):
    config = load_config(project, ["encoder=use", "small=meaning"])
    off = with_steps(config, (), ["meaning"])
    assert (off.encoder, off.small) == ("none", "lexical")
    on = with_steps(config, ("meaning",), ["meaning"])
    assert (on.encoder, on.small) == ("use", "meaning")
    assert with_steps(config, (), ["ocr"]).encoder == "use", "what is not measured stays as it is"


def test_where_no_encoder_is_configured_meaning_is_measured_with_the_embedded_one(project):
    assert with_steps(load_config(project), ("meaning",), ["meaning"]).encoder == "use"
    other = load_config(project, ["encoder=some/encoder"])
    assert with_steps(other, ("meaning",), ["meaning"]).encoder == "some/encoder"
    large = load_config(project, ["encoder=use", "small=org/model"])
    assert with_steps(large, (), ["meaning"]).small == "org/model"


def test_visual_is_what_images_look_like(project):
    config = load_config(project)
    assert with_steps(config, ("visual",), ["visual"]).fields.visual
    off = with_steps(config, (), ["visual"])
    assert not off.fields.visual and off.fields.last_agent


def test_rules_are_mined_anew_with_what_they_can_test(monkeypatch):
    from kdsl.project import ablation

    mined = []
    mine = ablation.mine_in_memory
    monkeypatch.setattr(ablation, "mine_in_memory", lambda own, workers: mined.append(len(own.table)) or mine(own, 1))
    own = shop(LinearTrainer(0))
    fed = ((), ("meaning",), ("visual",), ("ocr",), ("meaning", "visual", "ocr"))
    wanted = [
        ("rules",),
        ("meaning", "rules"),
        ("visual", "rules"),
        ("ocr", "rules"),
        ("meaning", "visual", "ocr", "rules"),
    ]
    ablate({steps: own for steps in fed}, wanted, 2, workers=1)
    assert mined == [16] * 8, "for none, meaning, visual and both, in two folds; ocr changes no condition"


@pytest.mark.parametrize(
    ("step", "why"),
    [
        ("meaning", "meaning: there is no sentence encoder; install `kdsl[meaning]`, or name one in `encoder:`"),
        ("visual", "visual: no image is known; name data.images, and samples with images"),
    ],
)
def test_what_cannot_be_seen_or_compared_is_not_measured(project, kdsl, monkeypatch, step, why):
    monkeypatch.setattr("kdsl.embeddings.use.UniversalSentenceEncoder.lacks", "the package")
    result = kdsl("evaluate", project, "--ablate", step)
    assert (result.code, why in result.err) == (2, True), result.err


def test_meaning_is_measured(project, kdsl, monkeypatch):
    from concept_encoder import ConceptEncoder

    monkeypatch.setattr("kdsl.embeddings.load.UniversalSentenceEncoder", ConceptEncoder)
    result = kdsl("evaluate", project, "--ablate", "meaning,rules", "--cross-validate", "2", "--workers", "1",
                  "mining.iterations=20")  # fmt: skip
    assert result.code == 0, result.err
    record = json.loads((project / "checkpoints" / "run" / "ablation" / "ablation.json").read_text(encoding="utf-8"))
    assert [row["steps"] for row in record["rows"]] == [[], ["meaning"], ["rules"], ["meaning", "rules"]]
