"""Customers who speak: what they say is mined, learned and predicted by, and decisions tell when it is said."""

import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from sounds import save_wav, tone
from tones import Tones

from kdsl.audio import transcribe
from kdsl.audio.transcript import Transcript, Word, read_transcripts, transcript_record
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.project.soft_labels import soft_labelled_samples
from kdsl.project.steps import Pipeline
from kdsl.sample import Sample, Turn

WORDS = {"退款": "退款", "物流": "where is my parcel"}
"""Label → what customers say who mean it."""
PITCHES = {"退款": 300.0, "物流": 1200.0}
"""Label → the tone that stands for speech where a sound is really transcribed."""
FILLER = "春夏秋冬东南西北金木水火山石田土日月星云风雨"
CONFIG = """\
tasks: [task.yaml]
data: {train: train.jsonl, test: test.jsonl, audio: voices, transcripts: transcripts.jsonl}
speech: org/tones
mining: {max_conditions: 2, iterations: 60}
"""


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    """A project of 40 voice messages with transcripts, some beside a typed turn, and 8 to test with."""
    pytest.importorskip("av")
    tones = Tones({PITCHES[label]: words for label, words in WORDS.items()})
    monkeypatch.setattr(transcribe, "load_recogniser", lambda speech, consent=None: tones)
    labels = "".join(f"  - {{name: {label}}}\n" for label in WORDS)
    (tmp_path / "task.yaml").write_text(f"name: shop\nlabels:\n{labels}", "utf-8")
    (tmp_path / "kdsl.yaml").write_text(CONFIG, "utf-8")
    (tmp_path / "voices").mkdir()
    records, transcripts = messages(40, 0)
    write(tmp_path / "train.jsonl", records)
    write(tmp_path / "transcripts.jsonl", [transcript_record(each) for each in transcripts])
    records, _ = messages(8, 1, "t")
    for record in records:
        save_wav(tmp_path / "voices" / record["audio"], tone(2.0, PITCHES[record["label"]]))
    write(tmp_path / "test.jsonl", records)
    return tmp_path


def messages(n: int, seed: int, prefix: str = "s") -> tuple[list[dict], list[Transcript]]:
    source = random.Random(seed)
    records, transcripts = [], []
    for index in range(n):
        label, name = list(WORDS)[index % 2], f"{prefix}{index}.wav"
        before = "".join(source.choices(FILLER, k=40))
        words = (Word(before, 0.2, 3.0), Word(WORDS[label], 3.5, 4.2))
        transcripts.append(Transcript(name, 5.0, f"{before} {WORDS[label]}", words))
        record = {"id": f"{prefix}{index}", "audio": name, "label": label}
        if index % 4 == 3 and prefix == "s":
            record = {
                **record,
                "turns": [{"role": "user", "text": "在吗"}, {"role": "user", "text": "", "audio": name}],
            }
            del record["audio"]
        records.append(record)
    return records, transcripts


def write(path: Path, records: list[dict]) -> None:
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), "utf-8")


def test_rules_and_model_learn_what_customers_say_and_decisions_tell_when_they_say_it(shop):
    project = Project.open(shop)
    project.mine(workers=1)
    rules = project.rules()
    assert {rule.label for rule in rules} == set(WORDS)
    for rule in rules:
        if rule.status == "proposed":
            rules.save(rule.model_copy(update={"status": "accepted"}))
    project.train()
    new = Sample("new", "shop", (Turn("user", "在吗", audio=("new.wav",)),), audio=("new.wav",))
    save_wav(shop / "voices/new.wav", tone(2.0, PITCHES["退款"]))
    predictor = ProjectPredictor.open(project)
    [decision] = predictor.decide([new])
    assert decision.label == "退款"
    found = [evidence for hit in decision.rules for evidence in hit.evidence if evidence.term == "退款"]
    assert found
    assert {(each.turn, each.audio, each.span, each.seconds) for each in found} == {
        (0, "new.wav", (2, 4), (1.0, 1.5))
    }  # fmt: skip
    assert "0:01 in new.wav" in decision._repr_html_()
    record = next(each for each in decision.record()["rules"][0]["evidence"] if "audio" in each)
    assert (record["audio"], record["seconds"], record["span"]) == ("new.wav", [1.0, 1.5], [2, 4])
    assert read_transcripts(shop / "transcripts.jsonl")["new.wav"].text == "喂 退款"


def test_the_service_forgets_and_writes_nothing(shop):
    project = Project.open(shop)
    project.mine(workers=1)
    project.train()
    before = (shop / "transcripts.jsonl").read_bytes()
    save_wav(shop / "voices/new.wav", tone(2.0, PITCHES["物流"]))
    predictor = ProjectPredictor.open(project, keeping=False)
    [decision] = predictor.decide([Sample("new", "shop", audio=("new.wav",))])
    predictor.close()
    assert decision.likeliest == "物流"
    assert (shop / "transcripts.jsonl").read_bytes() == before


def test_a_run_transcribes_test_sounds_and_another_transcript_has_it_learn_again(shop):
    told: list[str] = []
    summary = Pipeline(Project.open(shop), 1, told.append).run()
    assert summary is not None
    assert set(read_transcripts(shop / "transcripts.jsonl")) >= {f"t{index}.wav" for index in range(8)}
    predictions = [json.loads(line) for line in (shop / "checkpoints/run/predictions.jsonl").read_text().splitlines()]
    assert [each["label"] for each in predictions] == list(WORDS) * 4
    told.clear()
    Pipeline(Project.open(shop), 1, told.append).run()
    assert all(f"{step} (unchanged)" in "\n".join(told) for step in ("transcribe", "mine", "train", "evaluate")), told
    lines = (shop / "transcripts.jsonl").read_text("utf-8").splitlines()
    (shop / "transcripts.jsonl").write_text("\n".join([lines[0].replace("退款", "换货"), *lines[1:]]) + "\n", "utf-8")
    told.clear()
    Pipeline(Project.open(shop), 1, told.append).run()
    assert [line for line in told if line.startswith(("mine (", "train (", "evaluate ("))] == []


def test_distilled_samples_that_say_aloud_what_a_labelled_one_says_are_left_out(shop, caplog):
    known = read_transcripts(shop / "transcripts.jsonl")["s0.wav"]
    more = [replace(known, file="again.wav"), Transcript("other.wav", 1.0, "风雨云石退款不休")]
    with (shop / "transcripts.jsonl").open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(transcript_record(each)) + "\n" for each in more)
    names = ("again", "other", "unknown")
    write(shop / "distilled.jsonl", [{"id": name, "audio": f"{name}.wav", "label": "退款"} for name in names])
    project = Project.open(shop, {"data.distilled": str(shop / "distilled.jsonl")})
    [learned] = soft_labelled_samples(project, project.sidecars()).values()
    assert [row.sample.id for row in learned.table.rows] == ["other", "unknown"]
    assert "1 of 3 samples are like one that people labelled" in caplog.text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda shop: (shop / "transcripts.jsonl").write_text(
                "".join((shop / "transcripts.jsonl").read_text("utf-8").splitlines(True)[1:]), "utf-8"
            ),
            "transcripts.jsonl: 1 of 40 sounds of the training samples are not there and count as without words, the "
            "first being s0.wav; call project.transcribe()",
        ),
        (
            lambda shop: (shop / "kdsl.yaml").write_text(
                CONFIG.replace(", transcripts: transcripts.jsonl", ""), "utf-8"
            ),
            "data.transcripts is not set, so 40 sounds of the training samples count as without words; name the file, "
            "and call project.transcribe()",
        ),
    ],
)
def test_sounds_whose_words_nobody_knows_are_counted_in_one_warning(shop, caplog, change, told):
    change(shop)
    project = Project.open(shop)
    project.learned_sidecars()
    project.learned_sidecars()
    [message] = caplog.messages
    assert message.endswith(told)
