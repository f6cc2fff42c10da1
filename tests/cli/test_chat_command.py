"""kdsl chat against a real server process and a real, tiny model."""

import io
import json
import re
import shutil
import signal
import sys
from pathlib import Path

import pytest
from interrupted import run_interrupted
from model_server import RunningServer
from tiny_hearing import write_tone

CONFIG = "large: {model}\nchat: {{system: 'Be short.'}}\n"
DIALOGUES = [
    {"id": "cat", "turns": ["What is it?", "A cat.", "And now?", "A dog."]},
    {"id": "shoe", "turns": ["Which size?", "A large one."]},
]


def write(path: Path, value: object) -> Path:
    path.write_text(json.dumps(value, ensure_ascii=False), "utf-8")
    return path


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    """Says what the right answer is, but to one question; tells no log-probabilities."""
    shared_server.become(answer="A cat.", replies=[("size", "A large shoe.")])
    return shared_server


@pytest.fixture
def shop(tmp_path: Path, server: RunningServer) -> Path:
    (tmp_path / "kdsl.yaml").write_text(CONFIG.format(model=server.url))
    write(tmp_path / "dialogues.json", DIALOGUES)
    return tmp_path


def run(shop: Path, *more: object, output: str = "answers.jsonl") -> list[object]:
    return ["chat", "run", shop, "--input", shop / "dialogues.json", "--output", shop / output, *more]


def lines(shop: Path) -> list[dict]:
    return [json.loads(line) for line in (shop / "answers.jsonl").read_text("utf-8").splitlines()]


def test_answers_are_written_and_scored(kdsl, shop):
    result = kdsl(*run(shop))
    assert result.code == 0, result.err
    assert "answers.jsonl: 2 dialogues answered, 0 were there" in result.out
    assert sorted((line["id"], line["turn"], line["answer"], line["reference"]) for line in lines(shop)) == [
        ("cat", 1, "A cat.", "A cat."),
        ("cat", 3, "A cat.", "A dog."),
        ("shoe", 1, "A large shoe.", "A large one."),
    ]
    pytest.importorskip("nltk", reason="needs the extra chat")
    scored = kdsl("chat", "evaluate", "--answers", shop / "answers.jsonl", "--format", "json")
    found = json.loads(scored.out)
    assert found["types"]["text"]["weight"] == 0.1
    assert found["all"]["answers"] == 3
    assert found["all"]["meteor"] == pytest.approx((1 + 1 / 2 + 2 / 3) / 3)
    assert found["integral"] is None, "the server tells no perplexities"


def test_a_server_without_log_probabilities_is_told_of_once(kdsl, shop, caplog):
    result = kdsl(*run(shop))
    assert caplog.text.count("the server tells no log-probabilities of a prompt") == 1
    assert "The answers have no perplexities" in result.out
    assert {line["perplexity"] for line in lines(shop)} == {None}


def test_the_system_message_and_the_models_own_answers_are_what_is_asked(kdsl, shop, server):
    before = len(server.requests())
    assert kdsl(*run(shop, "chat.max_new_tokens=7")).code == 0
    bodies = [each["body"] for each in server.requests()[before:] if each["path"].endswith("completions")]
    asked = next(body for body in bodies if body["messages"][-1]["content"] == "And now?" and "n" not in body)
    assert [(message["role"], message["content"]) for message in asked["messages"]] == [
        ("system", "Be short."),
        ("user", "What is it?"),
        ("assistant", "A cat."),
        ("user", "And now?"),
    ]
    assert asked["max_tokens"] == 7


def test_the_same_command_asks_nothing_again_and_another_one_is_refused(kdsl, shop, server):
    assert kdsl(*run(shop)).code == 0
    before, asked = (shop / "answers.jsonl").read_bytes(), len(server.requests())
    again = kdsl(*run(shop, "--format", "json"))
    assert json.loads(again.out)["answered_before"] == 2
    assert not [each for each in server.requests()[asked:] if each["path"].endswith("completions")]
    for change, told in (
        (("seed=5",), "with other settings"),
        (("--base", "2"), "with other settings"),
        (("--distractors", "1"), "with other settings"),
        (("chat.system=Be long.",), "with other settings"),
    ):
        refused = kdsl(*run(shop, *change))
        assert (refused.code, told in refused.err) == (2, True), refused.err
    write(shop / "dialogues.json", DIALOGUES[:1])
    assert "to another file of dialogues" in kdsl(*run(shop)).err
    assert (shop / "answers.jsonl").read_bytes() == before


def test_an_interrupted_run_goes_on(kdsl, shop):
    many = [{"id": str(n), "turns": ["What is it?", "A cat."]} for n in range(40)]
    write(shop / "dialogues.json", many)
    result = run_interrupted(signal.SIGINT, shop, "answers.jsonl", 3, *run(shop))
    assert result.returncode == 130
    assert "interrupted: the answers to " in result.stderr
    assert "run again to go on" in result.stderr
    done = len(lines(shop))
    assert 3 <= done < 40
    assert f"{40 - done} dialogues answered, {done} were there" in kdsl(*run(shop)).out
    assert sorted(line["id"] for line in lines(shop)) == sorted(each["id"] for each in many)


def test_a_dialogue_with_a_missing_picture_is_counted_and_the_others_are_answered(kdsl, shop):
    broken = {"id": "gone", "turns": [[{"type": "image", "content": "gone.png"}], "What is it?"]}
    broken["turns"][1] = [{"type": "text", "content": "What is it?"}]
    write(shop / "dialogues.json", [*DIALOGUES, broken])
    result = kdsl(*run(shop))
    assert result.code == 1
    assert "1 of 3 dialogues have no answer; the same command asks them again:" in result.err
    assert "gone.png: no such image file" in result.err
    assert {line["id"] for line in lines(shop)} == {"cat", "shoe"}


def test_sounds_that_a_model_does_not_hear_are_read_from_transcripts(kdsl, shop, server, caplog):
    for package in ("av", "pocketsphinx"):
        pytest.importorskip(package, reason="needs the extra voice")
    server.become(answer="yes", lacks=["sounds"])
    sounds = [
        [{"type": "audio", "content": name}, {"type": "text", "content": "What?"}] for name in ("a.wav", "b.wav")
    ]
    write(shop / "dialogues.json", [[sounds[0]], [sounds[1]]])
    heard = {"file": "a.wav", "seconds": 2, "transcript": "where is my order"}
    (shop / "transcripts.jsonl").write_text(json.dumps(heard) + "\n")
    result = kdsl(*run(shop, f"data.transcripts={shop / 'transcripts.jsonl'}"))
    assert result.code == 0, result.err
    assert "b.wav: not transcribed: " in caplog.text
    assert "Sounds that were not heard: 1, such as b.wav" in result.out
    said = [each["body"]["messages"][-1]["content"] for each in server.requests() if "messages" in each["body"]]
    assert "[sound: “where is my order”]\nWhat?" in said
    assert {line["kind"] for line in lines(shop)} == {"audio"}


def test_what_is_said_in_sounds_is_written_down_first_where_nobody_did(kdsl, shop, server):
    for package in ("av", "pocketsphinx"):
        pytest.importorskip(package, reason="needs the extra voice")
    server.become(answer="yes", lacks=["sounds"])
    write_tone(shop / "quiet.wav", hertz=0)
    write(shop / "dialogues.json", [[[{"type": "audio", "content": "quiet.wav"}]]])
    result = kdsl(*run(shop))
    assert result.code == 0, result.err
    assert "not heard" not in result.out
    assert "[a sound without words]" in [
        each["body"]["messages"][-1]["content"] for each in server.requests() if "messages" in each["body"]
    ]
    (sidecar,) = (shop / "checkpoints/run").glob("transcripts.*.jsonl")
    assert json.loads(sidecar.read_text())["file"] == "quiet.wav"
    assert kdsl(*run(shop)).code == 0, "its own transcripts are not another setting"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["large=linear"], "large: linear chooses labels and writes no answers; name a model"),
        (["--input", "gone.json"], "gone.json: no such file"),
        (["--base", "3"], "'3' is neither e nor 2"),
        (["--output", "dialogues.json"], "is the input too; give the answers a file of their own"),
        (["--output", "-"], "is the standard output"),
    ],
)
def test_what_cannot_be_run_is_one_sentence(kdsl, shop, monkeypatch, arguments, told):
    monkeypatch.chdir(shop)
    result = kdsl("chat", "run", "--input", "dialogues.json", "--output", "answers.jsonl", *arguments)
    assert result.code == 2
    assert told in " ".join(result.err.split())
    assert not (shop / "answers.jsonl").exists()


@pytest.fixture
def pictures(tmp_path: Path, tiny_model: Path) -> Path:
    """A project of a real model, and dialogues about pictures and texts whose answers it knows."""
    import tiny_qwen2vl

    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "kdsl.yaml").write_text(f"large: {tiny_model}\nchat: {{max_new_tokens: 16}}\n")
    for name, colour in (("red", "红"), ("blue", "蓝")):
        tiny_qwen2vl.draw_page(folder / f"{name}.png", colour, False)

    def about(name: str, colour: str) -> list[object]:
        picture = [{"type": "image", "content": f"{name}.png"}, {"type": "text", "content": "描述图片。"}]
        return [picture, [{"type": "text", "content": f"{colour}色页面"}]]

    write(folder / "dialogues.json", [about("red", "红"), about("blue", "蓝"), [["我要退货。"], ["退"]]])
    return folder


def test_a_local_model_answers_and_finds_right_answers_more_probable(kdsl, pictures, monkeypatch):
    pytest.importorskip("nltk", reason="needs the extra chat")
    result = kdsl(*run(pictures))
    assert result.code == 0, result.err
    seen = [line for line in lines(pictures) if line["kind"] == "image"]
    assert [line["answer"] for line in seen] == ["红色页面", "蓝色页面"]
    assert all(1 <= line["perplexity"] < min(line["others"]) for line in seen)
    monkeypatch.setenv("COLUMNS", "80")
    scored = kdsl("chat", "evaluate", "--answers", pictures / "answers.jsonl")
    assert scored.code == 0, scored.err
    assert max(map(len, scored.out.splitlines()[:8])) <= 80
    assert re.search(r"^image +0\.2 +2 +0\.\d+ +1\.000 +1\.\d+ +1\.000 +1\.000$", scored.out, re.MULTILINE)
    assert "Integral score: 0.200, the sum of weight x score of the types" in scored.out
    assert "No score for text, audio, image and audio, which count as 0" in scored.out
    assert "by the weights of the others alone it is 1.000" in scored.out
    assert "in 2 comparisons; 0.500 by chance" in scored.out


def test_a_model_that_hears_hears_the_sounds(kdsl, tmp_path):
    pytest.importorskip("torch", reason="needs the extra vlm")
    pytest.importorskip("av", reason="needs the extra voice")
    import tiny_hearing

    tiny_hearing.build_qwen2_audio(tmp_path / "model")
    (tmp_path / "kdsl.yaml").write_text("large: ./model\nchat: {max_new_tokens: 2}\n")
    for name, hertz in (("low", 300), ("high", 1800)):
        write_tone(tmp_path / f"{name}.wav", hertz)
    asked = [[[{"type": "audio", "content": f"{name}.wav"}], ["标签？"], ["低"]] for name in ("low", "high")]
    write(tmp_path / "dialogues.json", asked)
    assert kdsl(*run(tmp_path)).code == 0
    low, high = lines(tmp_path)
    assert low["kind"] == high["kind"] == "audio"
    assert low["perplexity"] != high["perplexity"], "but for the sound both ask the same"


def test_base_2_changes_the_numbers_alone(kdsl, pictures):
    assert kdsl(*run(pictures)).code == 0
    by_e = {(line["id"], line["turn"]): line["perplexity"] for line in lines(pictures)}
    (pictures / "answers.jsonl").unlink()
    assert kdsl(*run(pictures, "--base", "2")).code == 0
    for line in lines(pictures):
        assert line["perplexity"] < by_e[line["id"], line["turn"]]


def test_the_dialogues_tell_what_was_not_answered(kdsl, shop):
    pytest.importorskip("nltk", reason="needs the extra chat")
    assert kdsl(*run(shop)).code == 0
    more = write(shop / "more.json", [*DIALOGUES, {"id": "new", "turns": ["And?", "No."]}])
    result = kdsl("chat", "evaluate", "--answers", shop / "answers.jsonl", "--input", more)
    assert "Questions with a right answer but without an answer, left out: 1" in result.out
    assert "No accuracy and no score: the answers hold no perplexities to compare" in result.out


def test_without_nltk_evaluating_is_one_sentence(kdsl, shop, monkeypatch):
    assert kdsl(*run(shop)).code == 0
    monkeypatch.setitem(sys.modules, "nltk.corpus", None)
    result = kdsl("chat", "evaluate", "--answers", shop / "answers.jsonl")
    assert (result.code, result.err.count("\n")) == (2, 1)
    assert "METEOR needs NLTK" in result.err


def test_a_model_plays_the_game(kdsl, shop):
    result = kdsl("chat", "ask", shop, "--input", shop / "dialogues.json")
    assert result.code == 0, result.err
    assert "Question 1 of 3, within 60 seconds; a later answer does not count" in result.out
    assert "  User: What is it?\nAnswer: A cat.\n  In time, after " in result.out
    assert "  User: What is it?\n  Agent: A cat.\n  User: And now?\nAnswer: A cat.\n" in result.out
    assert "  The right answer: A dog." in result.out
    assert "Answered in time: 3 of 3" in result.out


def test_a_model_that_is_too_slow_is_told_so(kdsl, shop, server):
    server.become(answer="A cat.", delay=0.2)
    result = kdsl("chat", "ask", shop, "--input", shop / "dialogues.json", "--seconds", "0.1", "--questions", "1")
    assert "of 0.1 seconds: the answer does not count" in result.out
    assert "Answered in time: 0 of 1" in result.out


def test_a_person_plays_the_game_through_a_pipe_without_a_model(kdsl, shop, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("A cat.\nNo idea.\n"))
    result = kdsl("chat", "ask", shop, "large=linear", "--typed", "--input", shop / "dialogues.json")
    assert result.code == 0, result.err
    assert "Answer: A cat.\n  In time" in result.out
    assert "Answer: No idea.\n  In time" in result.out
    assert "  No answer came in time, so there is none." in result.out
    assert "Nobody answers any more: the game ends here.\nAnswered in time: 2 of 3" in result.out


def test_what_there_is_to_look_at_is_shown_and_control_characters_are_not_obeyed(kdsl, pictures, monkeypatch):
    shutil.copyfile(pictures / "red.png", pictures / "\x1b[31m.png")
    asked = [[{"type": "image", "content": "\x1b[31m.png"}, {"type": "text", "content": "那是什么？\x1b[2J"}]]
    write(pictures / "dialogues.json", [asked])
    monkeypatch.setattr(sys, "stdin", io.StringIO("红色\n"))
    result = kdsl("chat", "ask", pictures, "--typed", "--input", pictures / "dialogues.json")
    assert "  用户: 那是什么？␛[2J\n  With picture ␛[31m.png: 56 x 56 pixels\nAnswer: 红色\n" in result.out
