"""kdsl reasons against a real server process: checked, thinned, resumed, and patient with failures."""

import json
import re
import shutil
import signal
from pathlib import Path

import pytest
from interrupted import run_interrupted
from model_server import RunningServer, model_server
from PIL import Image
from small_shop import read, write, write_project

LABELS = ("调光", "材质", "物流")
WORDS = {"调光": "灯的亮度", "材质": "面料", "物流": "快递"}
SAID = {
    f"s{number}": f"{WORDS[LABELS[number % 3]]}，第{number}位用户{chr(0x4E00 + 97 * number) * 9}"
    for number in range(12)
}
"""What the customer of each sample says, and the model gives as the reason."""
WHY = [(f"{text}[^\\n]*\\n它的分类标签是", text) for text in SAID.values()]
"""Told the label, the model repeats what the customer says."""
BACK = [(f"理由：[^\\n]*{word}", label) for label, word in WORDS.items()]
"""Told the reason, it knows the label by its word."""


@pytest.fixture(scope="module")
def shared_server():
    with model_server() as running:
        yield running


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(answer="不知道", replies=[*BACK, *WHY])
    return shared_server


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = write_project(tmp_path / "project")
    text = (
        (folder / "kdsl.yaml").read_text("utf-8").replace("train: train.jsonl", "train: train.jsonl, reasons: r.jsonl")
    )
    (folder / "kdsl.yaml").write_text(text, "utf-8")
    samples = [{"id": key, "text": text, "label": LABELS[int(key[1:]) % 3]} for key, text in SAID.items()]
    write(folder / "train.jsonl", samples)
    return folder


def command(shop: Path, server: RunningServer, *options: object) -> list[object]:
    return ["reasons", shop, "--model", server.url, "--format", "json", *options]


def counts(result) -> dict:
    return json.loads(result.out)["shop"]


def answered(server: RunningServer, since: int = 0) -> list[str]:
    """The conversations of chat requests that got an answer."""
    return [
        json.dumps(request["body"]["messages"], ensure_ascii=False)
        for request in server.requests()[since:]
        if request["path"].endswith("completions") and request["fault"] is None
    ]


def test_reasons_from_which_the_label_is_found_again_are_written(kdsl, shop, server):
    result = kdsl(*command(shop, server))
    assert result.code == 0, result.err
    found = counts(result)
    assert (found["asked"], found["recovered"], found["written"]) == (12, 12, 12)
    lines = read(shop / "r.jsonl")
    assert [(line["id"], line["label"], line["reason"]) for line in lines] == [
        (key, LABELS[int(key[1:]) % 3], text) for key, text in SAID.items()
    ]
    assert {line["model"] for line in lines} == {server.url}
    table = kdsl("reasons", shop, "--model", server.url).out
    for counted in (r"samples +┃ shop", r"all +│ +12", r"there before +│ +12", r"written +│ +0", r"failed +│ +0"):
        assert re.search(counted, table)


def test_who_gives_back_the_label_is_not_told_it(kdsl, shop, server):
    """The reason names its label, in traditional characters too: it is masked, and nothing else tells it."""
    before = len(server.requests())
    server.become(
        answer="不知道", replies=[*BACK, (f"{SAID['s1']}[^\n]*\n它的", "問的是材質，也就是面料的材质"), *WHY]
    )
    assert kdsl(*command(shop, server)).code == 0
    [asked] = [text for text in answered(server, before) if "也就是" in text]
    reason = asked.partition("理由：")[2].partition("\\n")[0]
    assert reason == "问的是〇〇,也就是面料的〇〇"
    told = [text for text in answered(server, before) if "它的分类标签是" in text]
    assert len(told) == 12
    assert "它的分类标签是“材质”" in next(text for text in told if SAID["s1"] in text)


def test_what_is_not_good_is_left_out_and_why_is_kept(kdsl, shop, server):
    server.become(answer="不知道", replies=[
        *BACK,
        (f"{SAID['s0']}[^\\n]*\\n它的", "调光。"),
        (f"{SAID['s1']}[^\\n]*\\n它的", "说的是物流，不是面料"),
        (f"{SAID['s2']}[^\\n]*\\n它的", "用户在催促客服"),
        (f"{SAID['s3']}[^\\n]*\\n它的", "用户想知道灯的亮度能不能自己调节到更暗一点"),
        (f"{SAID['s6']}[^\\n]*\\n它的", "用户想知道灯的亮度能不能自己调节到更暗一些"),
        *WHY,
    ])  # fmt: skip
    result = kdsl(*command(shop, server))
    found = counts(result)
    assert {key: found[key] for key in ("says_nothing", "another_label", "not_recovered", "thinned", "written")} == {
        "says_nothing": 1, "another_label": 1, "not_recovered": 1, "thinned": 1, "written": 8,
    }  # fmt: skip
    assert {line["id"] for line in read(shop / "r.jsonl")}.isdisjoint({"s0", "s1", "s2", "s6"})
    verdicts = {line["id"]: line["verdict"] for line in read(shop / "checkpoints/run/reasons.jsonl")}
    assert {verdicts[key] for key in ("s0", "s1", "s2", "s6")} == {
        "says nothing",
        "another label",
        "not recovered",
        "thinned",
    }


def test_accepted_rules_that_hold_are_told_in_words(kdsl, shop, server):
    rule = (
        'schema: 1\nid: r-aaaaaaaa\nlabel: "{}"\nstatus: {}\nwhen:\n  all:\n    - last_user: ["{}", "没有的词"]\n'
        "provenance: {{source: hand}}\n"
    )
    for number, (label, status, word) in enumerate(
        (("调光", "accepted", "亮度"), ("调光", "proposed", "灯的"), ("材质", "accepted", "位用户"))
    ):
        path = shop / f"rules/shop/{label}/a--r-aaaaaaa{number}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(rule.format(label, status, word).replace("r-aaaaaaaa", f"r-aaaaaaa{number}"), "utf-8")
    before = len(server.requests())
    result = kdsl(*command(shop, server))
    assert result.code == 0, result.err
    told = {key: next(text for text in answered(server, before) if said in text) for key, said in SAID.items()}
    assert "已知用户最后的话有“亮度”。" in told["s0"]
    assert "已知用户最后的话有“位用户”。" in told["s1"]
    assert "已知" not in told["s2"]


def test_a_second_run_asks_nothing_and_leaves_people_s_edits_alone(kdsl, shop, server):
    kdsl(*command(shop, server))
    lines = read(shop / "r.jsonl")
    edited = [{**lines[0], "reason": "由人改写"}, {**lines[1], "reason": ""}, *lines[3:]]  # the third is taken out
    write(shop / "r.jsonl", edited)
    before = len(answered(server))
    found = counts(kdsl(*command(shop, server)))
    assert (found["there_before"], found["left_out_before"], found["asked"]) == (11, 1, 0)
    assert read(shop / "r.jsonl") == edited
    assert len(answered(server)) == before


def test_a_corrected_label_gets_a_reason_of_its_own(kdsl, shop, server):
    kdsl(*command(shop, server))
    samples = read(shop / "train.jsonl")
    samples[0]["label"], samples[0]["text"] = "材质", "面料" + samples[0]["text"]
    write(shop / "train.jsonl", samples)
    server.become(answer="不知道", replies=[*BACK, ("面料灯的亮度", "面料摸起来怎么样"), *WHY])
    found = counts(kdsl(*command(shop, server)))
    assert (found["asked"], found["written"]) == (1, 1)
    assert read(shop / "r.jsonl")[-1] == {
        "id": "s0", "task": "shop", "label": "材质", "reason": "面料摸起来怎么样", "model": server.url,
    }  # fmt: skip


def run_and_kill(shop: Path, server: RunningServer, after: int) -> None:
    """Start `kdsl reasons` in a process of its own, and kill it when so many lines are in its file of answers."""
    checkpoint = shop / "checkpoints/run"
    killed = run_interrupted(
        signal.SIGKILL, checkpoint, "reasons.answers.jsonl", after, *command(shop, server)
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL


def test_killed_at_any_step_it_goes_on_and_asks_nothing_twice(kdsl, shop, server):
    server.become(answer="不知道", replies=[*BACK, *WHY], delay=0.1)
    start = len(server.requests())
    for after in (5, 16):
        run_and_kill(shop, server, after)
    result = kdsl(*command(shop, server))
    assert result.code == 0, result.err
    assert [line["id"] for line in read(shop / "r.jsonl")] == list(SAID)
    asked = answered(server, start)
    # What a killed process was waiting for, eight at most, never reached it and is asked again.
    assert len(set(asked)) == 24 <= len(asked) <= 24 + 2 * 8
    kept = [json.loads(line)["key"] for line in (shop / "checkpoints/run/reasons.answers.jsonl").open()]
    assert len(kept) == len(set(kept)) == 24


def test_killed_between_any_two_writes_it_ends_as_if_it_had_not_been(kdsl, shop, server, monkeypatch):
    from kdsl.reasons.decided import Decided

    kdsl(*command(shop, server))
    whole = (shop / "r.jsonl").read_bytes()
    for name in ("r.jsonl", "checkpoints/run/reasons.jsonl"):
        (shop / name).unlink()
    add = Decided.add
    for step in range(3):
        calls = []

        def killed(self, *arguments, step=step, calls=calls):
            calls.append(1)
            if len(calls) > step * 2:
                raise KeyboardInterrupt
            add(self, *arguments)

        monkeypatch.setattr(Decided, "add", killed)
        result = kdsl(*command(shop, server))
        assert (result.code, "the reasons so far are in" in result.err) == (130, True)
        with (shop / "r.jsonl").open("ab") as file:
            file.write(b'{"id": "s9", "re')  # torn
    monkeypatch.setattr(Decided, "add", add)
    before = len(answered(server))
    assert kdsl(*command(shop, server)).code == 0
    assert (shop / "r.jsonl").read_bytes() == whole
    assert len(answered(server)) == before


def test_a_server_that_fails_and_talks_nonsense_part_of_the_time_loses_nothing(kdsl, shop, server):
    faults = ("", "500", "", "drop", "garbage", "", "half", "", "")
    server.become(answer="不知道", replies=[*BACK, *WHY], mischief=faults)
    for _ in range(6):
        result = kdsl(*command(shop, server, "--retries", 2))
        if result.code == 0:
            break
        assert result.code == 1
        assert "samples have no answer; the same command asks them again:" in result.err
    assert result.code == 0
    assert [line["reason"] for line in sorted(read(shop / "r.jsonl"), key=lambda line: int(line["id"][1:]))] == list(
        SAID.values()
    )


def test_nonsense_is_no_reason(kdsl, shop, server):
    server.become(answer="天气很好。")
    found = counts(kdsl(*command(shop, server)))
    assert (found["asked"], found["not_recovered"], found["written"]) == (12, 12, 0)


def test_a_server_that_is_gone_stops_the_command(kdsl, shop, server):
    write(shop / "train.jsonl", [{"id": f"x{i}", "text": f"面料{i}", "label": "材质"} for i in range(20)])
    server.fail("500", forever=True)
    result = kdsl(*command(shop, server, "--retries", 0))
    assert result.code == 2
    assert "the server answers 500 (EngineCore died)" in result.err


def test_a_local_model_looks_at_the_pictures_and_a_missing_one_stops_no_other(kdsl, tmp_path, tiny_model):
    import tiny_qwen2vl

    labels = "".join(f"  - {{name: {label}}}\n" for label in tiny_qwen2vl.LABELS)
    (tmp_path / "task.yaml").write_text(f"name: shop\nlabels:\n{labels}", "utf-8")
    data = "{train: train.jsonl, images: images, reasons: r.jsonl}"
    config = f"tasks: [task.yaml]\ndata: {data}\nsmall: {tiny_model}\npixels: {{min: 784, max: 3136}}\n"
    (tmp_path / "kdsl.yaml").write_text(config, "utf-8")
    for number in range(3):
        tiny_qwen2vl.draw_page(tmp_path / f"images/{number}.png", "红", bar=False)
    (tmp_path / "images/1.png").unlink()
    samples = [{"id": str(n), "text": "我要退货。", "images": [f"{n}.png"], "label": "红退"} for n in range(3)]
    write(tmp_path / "train.jsonl", samples)
    result = kdsl("reasons", tmp_path, "--format", "json")
    found = counts(result)
    assert (result.code, found["asked"], list(found["failed"])) == (1, 2, ["1"])
    assert "1 of 3 samples have no answer; the same command asks them again:\n  1: " in result.err
    assert "images/1.png" in found["failed"]["1"]


def test_a_torn_line_of_what_was_decided_is_told_with_what_to_do(kdsl, shop, server):
    assert kdsl(*command(shop, server)).code == 0
    path = shop / "checkpoints/run/reasons.jsonl"
    path.write_bytes(path.read_bytes()[5:])
    result = kdsl(*command(shop, server))
    assert result.code == 2
    assert "reasons.jsonl, line 1: not valid JSON" in result.err
    assert "; take this line out to decide it anew, or delete the file to decide all anew" in result.err


@pytest.fixture
def pages(shop: Path) -> Path:
    """Every sample is a picture with what the customer said on it; `s0`'s has no text."""
    samples = [{"id": key, "images": [f"{key}.png"], "label": LABELS[int(key[1:]) % 3]} for key in SAID]
    write(shop / "train.jsonl", samples)
    box = [9, 90, 300, 110]
    lines = {key: [{"text": text, "score": 0.9, "box": box}] for key, text in SAID.items()} | {"s0": []}
    write(
        shop / "ocr.jsonl",
        [{"image": f"{key}.png", "size": [400, 400], "lines": found} for key, found in lines.items()],
    )
    (shop / "images").mkdir(exist_ok=True)
    for number, key in enumerate(SAID):
        Image.new("RGB", (56, 56), (9 * number, 0, 0)).save(shop / f"images/{key}.png")
    return shop


def told_why(server: RunningServer, since: int) -> list[str]:
    return [text for text in answered(server, since) if "它的分类标签是" in text]


def test_the_question_shows_the_text_on_pictures_as_prompts_do(kdsl, pages, server):
    for option, shown in (("false", 0), ("true", 11)):
        before = len(server.requests())
        result = kdsl(*command(pages, server, f"prompt.ocr={option}"))
        assert result.code == 0, result.err
        asked = told_why(server, before)
        assert len(asked) == 12
        assert all("data:image/png" in question for question in asked)
        assert sum("图片中的文字：" in question for question in asked) == shown
        (pages / "r.jsonl").unlink()
        shutil.rmtree(pages / "checkpoints")


def test_a_model_that_takes_no_pictures_is_asked_with_the_text_alone(kdsl, pages, server, caplog):
    server.become(answer="不知道", replies=[*BACK, *WHY], lacks=("pictures", "prompt_logprobs"))
    before = len(server.requests())
    result = kdsl(*command(pages, server, "prompt.ocr=true"))
    found = counts(result)
    assert (found["written"], list(found["failed"])) == (11, ["s0"])
    assert "no text on the images is known, and the model takes no pictures; read it by OCR" in found["failed"]["s0"]
    assert result.code == 1
    warnings = [record.getMessage() for record in caplog.records if "pictures" in record.getMessage()]
    assert warnings == ["tiny takes no pictures: of images it is shown the text on them alone (prompt.ocr)"]
    assert not any("data:image/png" in question for question in told_why(server, before))
    before = len(server.requests())
    assert counts(kdsl(*command(pages, server, "prompt.ocr=true")))["there_before"] == 11
    assert told_why(server, before) == []


def test_without_the_text_in_the_prompt_such_a_model_is_refused(kdsl, pages, server):
    server.become(answer="不知道", replies=[*BACK, *WHY], lacks=("pictures", "prompt_logprobs"))
    result = kdsl(*command(pages, server, "prompt.ocr=false"))
    assert result.code != 0
    assert "the server does not take pictures for tiny" in result.out + result.err
