"""Whatever stands in a file that KDSL reads, it is used or told in a sentence: no reader ends in a traceback."""

import io
import json
import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kept_runs import keep, task_result

from kdsl.arbiter.arbiter import Arbiter, Quality, RuleJudge
from kdsl.arbiter.state import PredictorState
from kdsl.arbiter.stream import predict_stream
from kdsl.arbiter.weighing import Standing
from kdsl.config import load_config
from kdsl.errors import KdslError
from kdsl.evaluate.fold_results import fold_results
from kdsl.evaluate.history import by_series, history
from kdsl.evaluate.history_plot import history_plot
from kdsl.evaluate.predictions import read_results
from kdsl.evaluate.runs import read_run, read_runs
from kdsl.evaluate.side_by_side import side_by_side
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars, page_record, read_captions, read_ocr
from kdsl.fields.table import FieldTable
from kdsl.fields.vqa import read_answers
from kdsl.files import file_hash, read_bytes, read_text
from kdsl.json_file import append_jsonl, read_json, read_jsonl
from kdsl.mining.archive import Archive, ArchivedRule, load_archive
from kdsl.mining.reliability import FEATURES, Reliability, Shown
from kdsl.models.cold_start import ColdStartClassifier, fit_cold_start
from kdsl.models.described import DescribedClassifier, DescribedTrainer
from kdsl.models.embedded import EmbeddedRecord
from kdsl.models.large.export_record import AskedSample, ExportRecord
from kdsl.models.large.record import LargeRecord
from kdsl.models.large.training_record import TrainingRecord
from kdsl.models.linear import LinearClassifier, LinearTrainer
from kdsl.models.neighbours import NeighboursClassifier, NeighboursTrainer
from kdsl.models.out_of_fold_file import load_out_of_fold, rows_of, save_out_of_fold
from kdsl.models.recorded import Recorded, RecordedClassifier, RecordedTrainer, read_recorded
from kdsl.project.step_record import DoneStep, StepRecord
from kdsl.reasons.decided import Decided
from kdsl.reasons.reason_file import ReasonFile
from kdsl.record_file import read_trained
from kdsl.retrieval.knowledge import Passage, read_knowledge
from kdsl.retrieval.memory import Memory
from kdsl.review.journal import Event, Journal
from kdsl.review.quality import QUALITY_FILE, measurements
from kdsl.rules.rule import Rule
from kdsl.rules.rule_file import read_rule, rule_text
from kdsl.rules.statistics import RuleStatistics, TrainingCounts, read_statistics
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.tasks import load_task
from kdsl.training.resuming import last_checkpoint
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.pixels import PixelBudget
from kdsl.yaml_file import read_yaml

TASK = Task("shop", (Label("调光", "亮度"), Label("材质")))
TEXTS = ("亮度能调吗", "灯光太亮", "调光怎么弄", "什么面料", "是纯棉的吗", "面料材质")
SAMPLES = [
    Sample(str(i), "shop", (Turn("user", text),), label=TASK.label_names[i // 3]) for i, text in enumerate(TEXTS)
]
TABLE = FieldTable(SAMPLES, Sidecars())
LABELS = np.array([0, 0, 0, 1, 1, 1])
RULE = Rule(id="r-aaaa", label="调光", when={"all": [{"user": ["亮度"]}, {"turns": ">0"}]}, notes="看过")


def jsonl(*records: object) -> bytes:
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records).encode()


def saved(save: Callable[[Path], object], name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder))
        return (Path(folder) / name).read_bytes()


ARBITER = Arbiter(
    task="shop", labels=TASK.label_names, a=1.0, b_people=1.0, b_mined=0.5, mean_people=2.0, model_a=1.0, samples=6,
    model=Quality(log_loss=0.7, weighted_f1=0.6), both=Quality(log_loss=0.5, weighted_f1=0.7), base_rates=(0.5, 0.5),
    rules=2 * (Standing(
        id="r-aaaa", when=RULE.when_hash, label="调光", reliability=0.9, hits=3, correct=2, weight=2,
        accepted_weight=3,
    ),),
    overlaps=((0, 1, 0.5),),
)  # fmt: skip
SHOWN = Shown(3, 2, 3, 1, 0, 0, 0.5, 0.7)
ARCHIVE = Archive(
    task="shop", seed=0, least_precision=0.6, reliability=Reliability(0.1, (0.2,) * len(FEATURES)),
    base_rates={"调光": 0.5, "材质": 0.5}, samples=("0", "1"), folds=(0, 1),
    held_out=((ArchivedRule(label="调光", when=RULE.conditions, shown=SHOWN),), ()),
)  # fmt: skip
LARGE = LargeRecord(
    labels=TASK.label_names, prompt="", descriptions=False, ocr=False, ocr_tokens=16, neighbours=0, embeddings="text",
    knowledge=0, pixels=(1, 2), max_tokens=64, model="m", answers_only=False, tuned="joint", tuned_weights="w",
    memory=None,
)  # fmt: skip
ANSWERED = Recorded(Path("said.jsonl"), TASK.label_names, {str(i): i // 3 for i in range(6)}, {})
PREDICTED = {
    "id": "0", "task": "shop", "label": "调光", "probabilities": {"调光": 0.75, "材质": 0.25},
    "model": {"label": "调光", "probability": 0.75}, "rules": [{"label": "调光", "reliability": 0.5}],
}  # fmt: skip
NOTES = '{"input": "y", "states": [{"trained": {}, "recorded": null, "rules": {}}]}'
"""What stands beside an output."""
EVENT = Event(number=1, at="2026", by="a", action="skip", task="shop", rule="r-aaaa")
STATISTICS = RuleStatistics(
    id="r-aaaa", when="w", training=TrainingCounts(hits=1, correct=1, positives=2, samples=3), base_rate=0.5,
    candidates=3, synonyms=("亮",),
)  # fmt: skip
PAGE = OcrPage("a.png", (10, 20), (OcrLine("字", 0.5, (0.0, 1.0, 2.0, 3.0)),), (20, 40))


def use_arbiter(path: Path) -> None:
    arbiter = Arbiter.load(path.parent)
    if arbiter.labels == TASK.label_names:  # who uses it makes sure of that
        RuleJudge(arbiter.weigh([RULE]), 2).evidence(TABLE)


def use_archive(path: Path) -> None:
    archive = load_archive(path)
    for fold in range(len(archive.held_out)):
        _, archived = archive.held_out_rules(fold)
        assert np.isfinite(archive.reliability.estimate([each.shown for each in archived])).all()


def use_unseen(path: Path) -> None:
    found = load_out_of_fold(path.parent, TASK)
    assert found is not None
    rows_of(found, SAMPLES, 2)


def use_fold_results(path: Path) -> None:
    with fold_results(path, "x") as results:
        results.get("shop", 0, ["model"])


def use_journal(path: Path) -> None:
    journal = Journal(path)
    journal.refresh()
    assert journal.next_number > 0 and len(journal.done) + len(journal.unfinished) <= 2


def use_reasons(path: Path) -> None:
    ReasonFile.read(path, [TASK]).of_samples(SAMPLES)


def use_adapter(path: Path) -> None:
    beside = {"processor_config.json": "README.md", "train.yaml": "args.json"}.get(path.name)
    if beside is not None:
        (path.parent / beside).write_bytes(READERS[beside][0])
    (path.parent / "adapter_config.json").write_text("{}")
    record = TrainingRecord.of(str(path.parent))
    assert record is not None
    list(record.doubts(record.budget(PixelBudget(), is_default=True), sees=True))


def use_memory(path: Path) -> None:
    memory = Memory.load(path.parent)
    memory.nearest(TABLE.rows[0], 2)
    memory.known(TABLE.rows[0], 2)


def use_output(path: Path) -> None:
    predict_stream(iter(SAMPLES[:1]), lambda samples: [], path, "y", PredictorState({}, None, {}), 1)


def use_notes(path: Path) -> None:
    (path.parent / "p.jsonl").write_bytes(jsonl(PREDICTED | {"fingerprint": SAMPLES[0].fingerprint}))
    use_output(path.parent / "p.jsonl")


def use_steps(path: Path) -> None:
    StepRecord(path).add("check", DoneStep("x", "y", ["done"]))


def kept_run(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return (keep(Path(folder), [task_result([0, 0, 1, 1, 2, 0])]).folder / name).read_bytes()


def use_runs(folder: Path) -> None:
    runs, _ = read_runs(folder)
    rows = history(runs)
    if rows:
        assert rows[0].record() and history_plot(by_series(rows))


def use_predictions(path: Path) -> None:
    (path.parent / "run.json").write_bytes(kept_run("run.json"))
    run = read_run(path.parent)
    if run.predictions:
        side_by_side(run, run, seed=0)


def classified(kind: type) -> Callable[[Path], object]:
    def use(path: Path) -> None:
        probabilities = kind.load(path.parent).predict(TABLE).probabilities
        assert np.isfinite(probabilities).all()

    return use


def trained(trainer: object, name: str) -> bytes:
    return saved(trainer.fit(TABLE, LABELS, 2).save, name)


EXPORT = ExportRecord(
    trainer="swift", whole=True, pixels=(784, 3136), held_out=(AskedSample(task="shop", id="0", fingerprint="f"),)
)

READERS: dict[str, tuple[bytes, Callable[[Path], object]]] = {
    "rule.yaml": (rule_text(RULE).encode() + b"# note\n", read_rule),
    "any.yaml": (b"a: [1, 2.5, {b: true}]\n'c': |\n  text\n", read_yaml),
    "task.yaml": ("name: shop\nlabels:\n  - {name: 调光, description: 亮度}\n  - name: 材质\nprompt: 问\n".encode(),
                  lambda path: load_task(path.name, path.parent)),
    "kdsl.yaml": (b"tasks: [task.yaml]\ndata: {train: a.jsonl}\nseed: 1\ntraining: {epochs: 2, learning_rate: 0.1}\n",
                  load_config),
    "any.json": (b'{"a": [1, 2.5, {"b": true}]}', read_json),
    "statistics.jsonl": (jsonl(STATISTICS.record()), read_statistics),
    "a.jsonl": (jsonl(EVENT.model_dump(mode="json"), {"end": 1, "done": True}), use_journal),
    "arbiter.json": (ARBITER.model_dump_json(indent=1).encode(), use_arbiter),
    "mining.json": (ARCHIVE.model_dump_json().encode(), use_archive),
    "large.json": (LARGE.model_dump_json().encode(), lambda path: LargeRecord.load(path.parent)),
    "kdsl.json": (EXPORT.model_dump_json().encode(), use_adapter),
    "README.md": (b"---\ntags:\n- llama-factory\n---\n", use_adapter),
    "processor_config.json": (b'{"image_processor": {"size": {"shortest_edge": 784, "longest_edge": 1000}}}',
                              use_adapter),
    "args.json": (b'{"swift_version": "4.6.0", "template": "qwen2_vl", "system": null}', use_adapter),
    "train.yaml": (b"ENV: {MIN_PIXELS: '784', MAX_PIXELS: '3136'}\n", use_adapter),
    "embedded.json": (b'{"version": 1, "weights": {"linear": 1.0, "described": 0.5}, "cleaned": false}',
                      lambda path: read_trained(EmbeddedRecord, path)),
    "recorded.json": (saved(RecordedTrainer(ANSWERED).fit(TABLE, LABELS, 2).save, "recorded.json"),
                      lambda path: RecordedClassifier.load(path.parent, ANSWERED).predict(TABLE)),
    "said.jsonl": (jsonl({"id": "0", "label": "调光", "probabilities": {"调光": 0.5, "材质": 0.5}},
                         {"id": "1", "label": "材质"}),
                   lambda path: read_recorded(path, TASK)),
    "linear.npz": (trained(LinearTrainer(), "linear.npz"), classified(LinearClassifier)),
    "neighbours.npz": (trained(NeighboursTrainer(), "neighbours.npz"), classified(NeighboursClassifier)),
    "described.npz": (trained(DescribedTrainer(TASK), "described.npz"), classified(DescribedClassifier)),
    "cold_start.npz": (saved(fit_cold_start(TASK, TABLE, None).save, "cold_start.npz"),
                       lambda path: ColdStartClassifier.load(path.parent, 2).predict(TABLE)),
    "memory.npz": (saved(Memory.fit(TABLE, [s.label for s in SAMPLES], [Passage("灯", "亮度可调", "a.md")]).save,
                         "memory.npz"), use_memory),
    "out_of_fold.npz": (saved(
        lambda folder: save_out_of_fold(folder, TASK, "linear", TABLE, np.full((6, 2), 0.5), LABELS == 0),
                         "out_of_fold.npz"), use_unseen),
    "ocr.jsonl": (jsonl(page_record(PAGE)), read_ocr),
    "captions.jsonl": (jsonl({"image": "a.png", "caption": "灯"}), read_captions),
    "questions.jsonl": (jsonl({"image": "a", "model": "m", "answers": {"有灯吗？": 0.7}},
                              {"question": "有灯吗？", "model": "m", "threshold": 0.4}),
                        lambda path: read_answers(path).probabilities()),
    "reasons.jsonl": (jsonl({"id": "0", "task": "shop", "label": "调光", "reason": "问亮度", "model": "m"}),
                      use_reasons),
    "decided.jsonl": (jsonl({"task": "shop", "id": "0", "label": "调光", "model": "m", "verdict": "written",
                             "said": "", "reason": "问"}), Decided),
    "answers.jsonl": (jsonl({"key": "k", "answer": {"text": "是", "output_tokens": 1, "calls": 1, "dropped": 0}},
                            {"key": "l", "answer": {"vector": "AAA=", "calls": 1, "dropped": 0}},
                            {"key": "m", "answer": {"log_probabilities": [-0.5], "lengths": [1], "output_tokens": 0,
                                                    "calls": 1, "dropped": 0, "estimated": False}}),
                      lambda path: CachedModel(None, path)),
    "know.jsonl": (jsonl({"title": "灯", "text": "亮度可调"}), lambda path: read_knowledge(path.parent)),
    "know.md": ("# 灯\n亮度可调\n## 台灯\n```\n# no\n```\n".encode(), lambda path: read_knowledge(path.parent)),
    "predictions.jsonl": (jsonl(PREDICTED), lambda path: read_results(path, Path("truth"), SAMPLES[:1], [TASK])),
    "output.jsonl": (jsonl(PREDICTED | {"fingerprint": SAMPLES[0].fingerprint}), use_output),
    "p.jsonl.meta.json": (NOTES.encode(), use_notes),
    "folds.jsonl": (jsonl({"fingerprint": "x"}, {"task": "shop", "fold": 0, "steps": ["model"],
                                                "probabilities": [[0.5, 0.5]]}), use_fold_results),
    "run.json": (b'{"check": {"inputs": "x", "outputs": "y", "lines": ["a"]}}', use_steps),
    "kept/run.json": (kept_run("run.json"), lambda path: use_runs(path.parent.parent)),
    "kept/predictions.jsonl.gz": (kept_run("predictions.jsonl.gz"), use_predictions),
    QUALITY_FILE: (jsonl({"at": "2026", "accepted_rules": 1, "model": 0.5, "accepted": 0.6, "active": 0.7}),
              lambda path: measurements(path.parent.parent, path.parent.name)),
    "checkpoint-1/trainer_state.json": (b'{"global_step": 3, "log_history": []}',
                                        lambda path: last_checkpoint(path.parent.parent)),
    "hashed": (b"anything", file_hash),
}  # fmt: skip

RAW = [
    "null", "true", "-1", "0", "1", "1.5", "-0.0", "NaN", "Infinity", "-Infinity", "1e999", "9" * 400, "9" * 5000,
    '""', '"x"', '"\\ud800"', '"\\u0000"', '"../../x"', '"/etc/hostname"', "[]", "{}", "[null]", "[1, 2, 3]",
    '{"a": 1, "a": 2}', "[" * 500 + "]" * 500, "[" * 100_000, '{"a":' * 2000, '"' + "长" * 300 + '"',
]  # fmt: skip
PLACEHOLDER = "@@placeholder@@"


def places(value: object, path: tuple = ()) -> list[tuple]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in inner for place in places(each, (*path, key)))]


def replaced(value: object, path: tuple, new: object) -> object:
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def with_raw(text: str, draw: st.DrawFn) -> str:
    """JSON with another value in one place."""
    value = json.loads(text)
    path = draw(st.sampled_from(places(value)))
    return json.dumps(replaced(value, path, PLACEHOLDER), ensure_ascii=False).replace(
        f'"{PLACEHOLDER}"', draw(st.sampled_from(RAW))
    )


def other_arrays(content: bytes, draw: st.DrawFn) -> bytes:
    """An npz file with another array, another header, or one array less."""
    with np.load(io.BytesIO(content)) as found:
        arrays = {name: found[name] for name in found.files}
    name = draw(st.sampled_from(sorted(arrays)))
    array = arrays[name]
    made: list[Callable[[], object]] = [
        lambda: array * np.nan, lambda: array - 10**6, lambda: array.astype(str), lambda: array.astype(float) * 1e300,
        lambda: array.reshape(-1)[:-1], lambda: np.append(array.ravel(), array.ravel()), lambda: array.astype(object),
        lambda: np.array(array.ravel()[:1].sum()), lambda: np.zeros((0, 3)), lambda: array[None],
        lambda: array.astype(complex), lambda: array.astype(bool), lambda: np.full(array.shape, np.inf),
        lambda: array.astype(np.int8),
    ]  # fmt: skip
    if name == "header" and draw(st.booleans()):
        text = with_raw(array.tobytes().decode(), draw)
        arrays[name] = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
    elif draw(st.integers(0, 9)) == 0:
        del arrays[name]
    else:
        try:
            arrays[name] = draw(st.sampled_from(made))()
        except (TypeError, ValueError, OverflowError):
            arrays[name] = np.array("nothing")
    buffer = io.BytesIO()
    (np.savez_compressed if draw(st.integers(0, 9)) == 0 else np.savez)(buffer, **arrays)
    return buffer.getvalue()


@st.composite
def damaged(draw: st.DrawFn, name: str) -> bytes:
    content = READERS[name][0]
    kind = draw(st.sampled_from(["values", "values", "values", "cut", "garbled", "inserted", "twice"]))
    if kind == "values" and name.endswith(".npz"):
        return other_arrays(content, draw)
    if kind == "values" and name.endswith((".json", ".jsonl")):
        lines = [content.decode()] if name.endswith(".json") else content.decode().splitlines()
        number = draw(st.integers(0, len(lines) - 1))
        lines[number] = with_raw(lines[number], draw)
        return "\n".join(lines).encode("utf-8", "surrogatepass")
    at, to = sorted((draw(st.integers(0, len(content))), draw(st.integers(0, len(content)))))
    if kind == "cut":
        return content[:at]
    if kind == "garbled":
        return content[:at] + draw(st.binary(min_size=1, max_size=20)) + content[at + draw(st.integers(0, 20)) :]
    if kind == "twice":
        return content[:at] + content[at:to] * 2 + content[to:]
    pieces = [b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\n", b": ", b"\t", b"'", b'"', b"&a *a", b"!!binary x",
              b"\xe2\x80\xa8", b"{", b"}", b"- " * 3000, b"? ", b"|\n", b"%YAML 9\n", b"---\n",
              *(raw.encode() for raw in RAW)]  # fmt: skip
    return content[:at] + draw(st.sampled_from(pieces)) + content[at:]


@pytest.mark.parametrize("name", READERS)
def test_what_is_whole_is_read(tmp_path, name):
    """Else the next test would try nothing."""
    path = tmp_path / "folder" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(READERS[name][0])
    if name == "output.jsonl":
        (path.parent / "output.jsonl.meta.json").write_text(NOTES)
    READERS[name][1](path)


@pytest.mark.parametrize("name", READERS)
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_is_damaged_is_used_or_told(name, data):
    content = data.draw(damaged(name))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "folder" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        if name == "output.jsonl":
            (path.parent / "output.jsonl.meta.json").write_text(NOTES)
        try:
            READERS[name][1](path)
        except KdslError as error:
            sentence = str(error)
            assert len(sentence.replace(folder, "")) < 1000, sentence[:2000]


@pytest.mark.parametrize("kind", ["pipe", "folder", "socket", "device", "link to nothing", "loop", "long name", "NUL"])
@pytest.mark.parametrize(
    "read", [read_text, read_bytes, read_json, read_jsonl, file_hash, read_yaml, read_rule, append_jsonl]
)
def test_what_is_no_file_is_told_and_never_waited_for(tmp_path, kind, read):
    path = tmp_path / "x"
    listening = socket.socket(socket.AF_UNIX)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
        if read is file_hash:
            return  # that of what is in it
    elif kind == "socket":
        listening.bind(str(path))
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "link to nothing":
        path.symlink_to("nowhere" if read is not append_jsonl else "no/where")
    elif kind == "loop":
        path.symlink_to("x")
    else:
        path = tmp_path / {"long name": "长" * 200, "NUL": "a\0b"}[kind]

    def everything() -> None:
        found = read(path)
        if read is append_jsonl:
            with found:
                pass
        elif read is read_jsonl:
            list(found)

    with pytest.raises(KdslError) as error:
        everything()
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    listening.close()
