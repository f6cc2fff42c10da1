"""kdsl.yaml: defaults, paths, overrides, and one sentence for every mistake."""

from pathlib import Path

import pytest

from kdsl.config import ProjectConfig, load_config
from kdsl.config_parts import ProjectionConfig
from kdsl.errors import KdslError


def test_everything_but_the_tasks_has_a_default(write, tmp_path):
    config = load_config(write("kdsl.yaml", "tasks: [mire_intent]\n"))
    assert config.tasks == ["mire_intent"]
    assert (config.small, config.large, config.seed) == ("lexical", "linear", 0)
    assert (config.mining.max_conditions, config.mining.iterations) == (3, 2000)
    assert config.rules == tmp_path / "rules"
    assert config.checkpoint == tmp_path / "checkpoints/run"
    assert config.data.train is None
    assert config.recorded is None
    assert config.small_model is None


def test_paths_are_relative_to_the_file(write, tmp_path):
    config = load_config(write("kdsl.yaml", "tasks: [a]\ndata: {train: data/train.json, images: /pictures}\n"))
    assert config.folder == tmp_path
    assert config.data.train == tmp_path / "data/train.json"
    assert config.data.images == Path("/pictures")


def test_a_folder_and_the_current_directory_find_the_file(write, tmp_path, monkeypatch):
    write("kdsl.yaml", "tasks: [a]\nseed: 7\n")
    assert load_config(tmp_path).seed == 7
    monkeypatch.chdir(tmp_path)
    assert load_config(None).seed == 7


def test_overrides_win_and_their_paths_are_relative_to_the_current_directory(write, tmp_path, monkeypatch):
    path = write("kdsl.yaml", "tasks: [a]\ndata: {train: train.json, test: test.json}\n")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    config = load_config(
        path,
        ["data.train=mine.json", "data.test=", "seed=3", "mining.iterations=50", "tasks=[b, t.yaml]",
         "large=recorded:p.jsonl", "checkpoint=2024"],
    )  # fmt: skip
    assert config.data.train == Path("mine.json")
    assert config.data.test is None
    assert (config.seed, config.mining.iterations) == (3, 50)
    assert config.tasks == ["b", str(tmp_path / "elsewhere/t.yaml")]
    assert config.recorded == Path("p.jsonl")
    assert config.checkpoint == Path("2024")
    assert config.rules == tmp_path / "rules"


def test_a_recorded_file_is_relative_to_the_configuration(write, tmp_path):
    assert load_config(write("kdsl.yaml", 'tasks: [a]\nlarge: "recorded:p.jsonl"\n')).recorded == tmp_path / "p.jsonl"


def test_the_small_model_is_lexical_or_named(write, tmp_path):
    config = load_config(write("kdsl.yaml", "tasks: [a]\ndata: {questions: q.jsonl}\nsmall: Qwen/Qwen2-VL-2B\n"))
    assert config.small_model == "Qwen/Qwen2-VL-2B"
    assert config.data.questions == tmp_path / "q.jsonl"
    assert (config.mining.questions, config.mining.calls) == (2, 2000)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("none", "none"),
        ("use", "use"),
        ("BAAI/bge-m3", "BAAI/bge-m3"),
        ("http://localhost:8000/v1#bge", "http://localhost:8000/v1#bge"),
        ("./gone", "{folder}/gone"),
        ("models/tiny", "{folder}/models/tiny"),
    ],
)
def test_an_encoder_is_embedded_a_directory_a_hub_id_or_a_server(write, tmp_path, name, meant):
    (tmp_path / "models/tiny").mkdir(parents=True)
    (tmp_path / "use").mkdir()  # is named as ./use
    config = load_config(write("kdsl.yaml", f'tasks: [a]\nencoder: "{name}"\n'))
    assert config.encoder == meant.format(folder=tmp_path)
    assert config.typed_models == ()
    assert len(load_config(tmp_path, [f"encoder={name}"]).typed_models) == 1


def test_there_is_no_encoder_unless_one_is_named(write):
    assert load_config(write("kdsl.yaml", "tasks: [a]\n")).encoder == "none"


def test_the_small_model_by_meaning_is_embedded_and_needs_an_encoder(write):
    path = write("kdsl.yaml", "tasks: [a]\nencoder: use\nsmall: meaning\n")
    assert load_config(path).small_model is None
    path = write("kdsl.yaml", "tasks: [a]\n")
    with pytest.raises(KdslError, match=r"^small=meaning on the command line: small: 'meaning' needs an encoder"):
        load_config(path, ["small=meaning"])
    for changes in (["small=meaning", "encoder=use"], ["encoder=use", "small=meaning"]):
        config = load_config(path, changes)
        assert (config.encoder, config.small) == ("use", "meaning")
    with pytest.raises(KdslError, match=r"^seed=-1 on the command line: seed is -1"):
        load_config(path, ["small=meaning", "encoder=use", "seed=-1"])
    with pytest.raises(KdslError, match=r"^mining=3 on the command line: mining is 3"):
        load_config(path, ["mining=3", "mining.focus=0.1"])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("linear", None),
        ("recorded:p.jsonl", None),
        ("Qwen/Qwen2-VL-7B-Instruct", "Qwen/Qwen2-VL-7B-Instruct"),
        ("http://localhost:8000/v1", "http://localhost:8000/v1"),
        ("./gone", "{folder}/gone"),
        ("models/tiny", "{folder}/models/tiny"),
    ],
)
def test_a_large_model_is_a_directory_a_hub_id_or_a_server(write, tmp_path, name, meant):
    (tmp_path / "models/tiny").mkdir(parents=True)
    config = load_config(write("kdsl.yaml", f"tasks: [a]\nlarge: {name}\n"))
    assert config.large_model == (meant and meant.format(folder=tmp_path))


def test_keys_of_the_large_model(write):
    keys = "adapters: per_task\npixels: {max: 100352}\ntraining: {learning_rate: 1e-5, method: full, vision: true}\n"
    config = load_config(write("kdsl.yaml", "tasks: [a]\n" + keys), ["limits.tokens=null", "prompt.ocr=true"])
    assert (config.adapters, config.pixels.min, config.pixels.max) == ("per_task", 3136, 100352)
    assert (config.training.learning_rate, config.limits.calls, config.limits.tokens) == (1e-5, 3, None)
    assert config.prompt.ocr


def test_a_projection_stands_beside_its_model(write, tmp_path):
    (tmp_path / "models/ears").mkdir(parents=True)
    text = "tasks: [a]\nlarge:\n  model: org/words\n  projection:\n    encoder: models/ears\n"
    config = load_config(write("kdsl.yaml", text))
    assert (config.large, config.large_model) == ("org/words", "org/words")
    assert config.projection == ProjectionConfig(encoder=str(tmp_path / "models/ears"), tokens=4)
    changed = load_config(tmp_path / "kdsl.yaml", ["projection.tokens=8", "large=org/others"])
    assert (changed.large, changed.projection.tokens, changed.projection.encoder) == (
        "org/others", 8, str(tmp_path / "models/ears"),
    )  # fmt: skip
    encoder = load_config(tmp_path / "kdsl.yaml", ["projection.encoder=org/ears"])
    assert "org/ears" in encoder.typed_models
    assert load_config(write("kdsl.yaml", "tasks: [a]\nlarge: {model: org/words}\n")).projection is None


def test_only_a_project_of_dialogues_may_have_no_tasks(write, tmp_path):
    config = load_config(write("kdsl.yaml", "chat: {train: dialogues.json}\n"))
    assert (config.tasks, config.chat.train) == ([], tmp_path / "dialogues.json")
    with pytest.raises(KdslError, match="the key 'tasks' is missing"):
        load_config(write("kdsl.yaml", "chat: {}\n"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "kdsl.yaml: holds nothing; expected `key: value` lines"),
        ("- a\n", "kdsl.yaml: holds .*; expected `key: value` lines"),
        ("seed: 1\n", "kdsl.yaml: the key 'tasks' is missing"),
        ("tasks: []\n", "line 1: tasks has 0 items; it must have at least 1"),
        ("tasks: mire_intent\n", "line 1: tasks is 'mire_intent'; it must be a list like \\[a, b\\]"),
        ("tasks: [a, a]\n", "line 1: tasks: 'a' is listed twice"),
        ("tasks: [a, 3]\n", "line 1: tasks.2 is 3; it must be text"),
        ("tasks: [a]\nsead: 1\n", "line 2: unknown key 'sead'; did you mean 'seed'\\?"),
        ("tasks: [a]\nzzz: 1\n", "line 2: unknown key 'zzz'; keys here are tasks, data, encoder"),
        ("tasks: [a]\ndata:\n  trian: x\n", "line 3: unknown key 'data.trian'; did you mean 'train'\\?"),
        ("tasks: [a]\ndata:\n  train: 3\n", "line 3: data.train: 3 is not a path"),
        ('tasks: [a]\ndata:\n  train: "a\\0b"\n', r"line 3: data.train: 'a\\x00b' is not a path; no name of a file"),
        ("tasks: [a]\ndata: x\n", "line 2: data is 'x'; it must be a mapping"),
        ("tasks: [a]\nseed: one\n", "line 2: seed is 'one'; it must be a whole number"),
        ("tasks: [a]\nseed: true\n", "line 2: seed is True; it must be a whole number"),
        ("tasks: [a]\nseed: -1\n", "line 2: seed is -1; it must be greater than or equal to 0"),
        ("tasks: [a]\nsmall:\n", "line 2: small is empty; it must be text"),
        ("tasks: [a]\npixels: {min: 5000, max: 4000}\n", "line 2: pixels: max 4000 is below min 5000; swap them"),
        ("tasks: [a]\nencoder: ''\n", r"line 2: encoder: is empty; name the embedded part \(`encoder: use`\) or"),
        ("tasks: [a]\nencoder: recorded:x\n", "line 2: encoder: 'recorded:x' is not possible here; write `encoder: u"),
        ("tasks: [a]\nsmall: meaning\n", "line 2: small: 'meaning' needs an encoder; write `encoder: use` too"),
        ("tasks: [a]\ntraining: {vision: true}\n", "training: vision: true goes with `method: full` only"),
        ("tasks: [a]\nprojection: {encoder: x}\n", "line 2: projection stands beside its model; write `large: {model"),
        ("large:\n  model: a/b\n  projection:\n    tokens: 3\n", "line 3: the key 'projection.encoder' is missing"),
        ("large:\n  model: a/b\n  projection:\n    encoder: a/b\n    tokens: 0\n", "line 5: projection.tokens is 0"),
        ("large:\n  model: a/b\n  projektion:\n    tokens: 0\n", "line 3: unknown key 'projektion'; did you mean 'p"),
        ("large:\n  projection: {encoder: http://x}\n  model: a/b\n", "line 2: projection.encoder: 'http://x' is no"),
        ("tasks: [a]\nlarge: {model: ''}\n", "line 2: large: is empty; name the embedded part"),
        ("tasks: [a]\nlarge: {projection: {encoder: a/b}}\n", "line 2: the key 'model' is missing"),
        ("tasks: [a]\nlarge: 'recorded:'\n", "line 2: large: 'recorded:' is not possible here"),
        ("tasks: [a]\nmining: {iterations: 0}\n", "line 2: mining.iterations is 0; it must be greater than"),
        ("tasks: [a]\nseed: 1\nseed: 2\n", "line 3: the key 'seed' is given twice"),
        ("tasks: [a\n", "a bracket or a quotation mark is opened before and not closed"),
        ("tasks: [a]\n\tseed: 1\n", "line 2: a tab is used for spacing"),
        ("tasks: [a]\nsmall：lexical\n", "line 2: full-width colon after 'small'; write `small: ` instead"),
        ("small：lexical\ntasks: [a]\n", "line 1: full-width colon after 'small'"),
        ("tasks: [a]\ndata:\n  train：x\n", "line 3: full-width colon after 'train'"),
        ("tasks: [a]\nmining: {iterations：5}\n", "line 2: full-width colon after 'iterations'"),
        ("tasks: [a]\n---\nseed: 1\n", "a second document begins with `---`"),
        ("tasks: a: b\n", "line 1: a second \": \" or a wrong indentation"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence(write, text, message):
    with pytest.raises(KdslError, match=message) as error:
        load_config(write("kdsl.yaml", text))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("seed", "'seed' is not an override; write key=value"),
        ("=1", "'=1' is not an override"),
        ("seed=x", "seed=x on the command line: seed is 'x'; it must be a whole number"),
        ("data.trian=x", "data.trian=x on the command line: unknown key 'data.trian'; did you mean 'train'"),
        ("seed.x=1", "seed.x=1 on the command line: there is no part 'seed' with a key 'x'"),
        ("tasks=[a", "tasks=\\[a on the command line: while parsing"),
        ("small=", "small= on the command line: small: is empty"),
    ],
)
def test_a_wrong_override_is_one_sentence(write, override, message):
    with pytest.raises(KdslError, match=message) as error:
        load_config(write("kdsl.yaml", "tasks: [a]\n"), [override])
    assert "\n" not in str(error.value)


def test_a_missing_file_says_how_to_make_one(tmp_path):
    with pytest.raises(
        KdslError, match=r"no such file; name a project.s kdsl\.yaml, or make one with kdsl\.Project\.create"
    ):
        load_config(tmp_path)


def test_a_configuration_made_in_code_keeps_its_paths():
    assert ProjectConfig(tasks=["a"]).rules == Path("rules")
