"""kdsl rules: the commands that people and CI use on a rule base."""

import json

import pytest
from PIL import Image

from kdsl.rules.rule import Rule, rule_id
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.statistics import RuleStatistics, statistics_path, write_statistics


@pytest.fixture
def project(tmp_path):
    """Two labels, six labelled dialogues and three rules."""
    (tmp_path / "returns.yaml").write_text("name: returns\nlabels: [{name: 退款}, {name: 换货}]\n", "utf-8")
    (tmp_path / "kdsl.yaml").write_text("tasks: [returns.yaml]\ndata: {train: train.jsonl}\n")
    dialogues = [
        ("我要退款", "退款"),
        ("退款多久到", "退款"),
        ("退款还是换货", "换货"),
        ("换货", "换货"),
        ("换一件", "换货"),
        ("你好", "退款"),
    ]
    with (tmp_path / "train.jsonl").open("w") as file:
        for index, (text, label) in enumerate(dialogues):
            turns = [{"role": "user", "text": text}, {"role": "agent", "text": "好的"}]
            file.write(json.dumps({"id": f"s{index}", "task": "returns", "turns": turns, "label": label}) + "\n")
    base = RuleBase(tmp_path / "rules", "returns")
    base.config = tmp_path / "kdsl.yaml"
    for label, terms in (("退款", ["退款"]), ("换货", ["换货", "换一"]), ("换货", ["没有这个"])):
        rule = Rule(id="r-0000", label=label, when={"all": [{"user": terms}]}, provenance={"source": "mcts"})
        base.save(rule.model_copy(update={"id": rule_id("returns", label, rule.conditions)}))
    return base


def by_term(base, term):
    return next(rule for rule in base.rules if term in rule.conditions[0].terms)


def test_list_shows_words_and_counts(project, kdsl):
    rule = by_term(project, "退款")
    entry = RuleStatistics(
        id=rule.id,
        when=rule.when_hash,
        training={"hits": 3, "correct": 2, "positives": 3, "samples": 6},
        reliability=0.61,
        base_rate=0.5,
        candidates=10,
    )
    write_statistics(statistics_path(project.folder, "returns"), [entry])
    result = kdsl("rules", "list", project.config)
    assert result.code == 0
    [line] = [line for line in result.out.splitlines() if rule.id in line]
    for part in ("退款", "proposed", "user has 退款", "2/3 (0.21-0.94)", "n/a", "0.61"):
        assert part in line
    [other] = [line for line in result.out.splitlines() if "没有这个" in line]
    assert other.count("n/a") == 3


def test_statistics_of_other_conditions_count_as_missing(project, kdsl):
    rule = by_term(project, "退款")
    entry = RuleStatistics(
        id=rule.id, when="0" * 16, training={"hits": 3, "correct": 2, "positives": 3, "samples": 6}, base_rate=0.5,
        candidates=10,
    )  # fmt: skip
    write_statistics(statistics_path(project.folder, "returns"), [entry])
    listed = json.loads(kdsl("rules", "list", project.config, "--format", "json").out)
    assert {item["id"]: item["statistics"] for item in listed}[rule.id] is None


def test_list_filters(project, kdsl):
    listed = json.loads(kdsl("rules", "list", project.config, "--label", "换货", "--format", "json").out)
    assert {item["label"] for item in listed} == {"换货"} and len(listed) == 2
    assert json.loads(kdsl("rules", "list", project.config, "--status", "accepted", "--format", "json").out) == []
    result = kdsl("rules", "list", project.config, "--task", "other")
    assert (result.code, result.err) == (2, "error: --task other: the project has no such task; it has returns\n")
    assert kdsl("rules", "list", project.config, "--label", "另外").code == 2


def test_show_tells_what_a_rule_hits_and_why(project, kdsl):
    rule = by_term(project, "退款")
    result = kdsl("rules", "show", rule.id, project.config)
    assert result.code == 0
    for part in (
        "退款 if all of these hold:",
        "user has 退款",
        str(project.path(rule)),
        "3 training samples hit, 1 of them",
    ):
        assert part in result.out
    assert result.out.index("✗ s2") < result.out.index("✓ s0")
    assert "user (turn 0, user): 我要退款" in result.out
    hits = json.loads(kdsl("rules", "show", rule.id, project.config, "--format", "json").out)["hits"]
    assert [(hit["sample"], hit["correct"]) for hit in hits] == [("s0", True), ("s1", True), ("s2", False)]
    assert hits[0]["evidence"] == [{"condition": 0, "field": "user", "term": "退款", "turn": 0, "span": [2, 4]}]


def test_show_of_an_unknown_rule(project, kdsl):
    result = kdsl("rules", "show", "r-none", project.config)
    assert result.code == 2
    assert "no rule has the id 'r-none'; `kdsl rules list` shows all ids" in result.err


def test_lint_exits_with_1_on_findings_only(project, kdsl):
    result = kdsl("rules", "lint", project.config)
    assert (result.code, result.out) == (0, "No findings.\n")
    path = project.path(by_term(project, "退款"))
    path.write_text(path.read_text("utf-8").replace("user", "users"), "utf-8")
    result = kdsl("rules", "lint", project.config)
    assert result.code == 1
    assert f"{path}:7: error: when.all.1: unknown field 'users'" in result.out
    [finding] = json.loads(kdsl("rules", "lint", project.config, "--format", "json").out)
    assert (finding["check"], finding["line"], finding["severity"]) == ("unreadable", 7, "error")


def test_a_broken_rule_is_told_once_and_all_others_still_work(project, kdsl, caplog):
    whole = kdsl("rules", "list", project.config, "--format", "json").out
    path = project.path(by_term(project, "退款"))
    path.write_text(path.read_text("utf-8").replace("user", "users"), "utf-8")
    told = f"{path}, line 7: when.all.1: unknown field 'users'"
    listed = json.loads(kdsl("rules", "list", project.config, "--format", "json").out)
    assert len(listed) == len(json.loads(whole)) - 1 > 0
    assert [kdsl("rules", command, project.config).code for command in ("list", "stats", "test")] == [0, 0, 0]
    assert caplog.text.count(told) == 1 and "1 rule file is left out: " in caplog.text
    result = kdsl("rules", "fmt", project.config)
    assert result.code == 1 and f"left out: {told}" in result.out
    exported = kdsl("rules", "export", project.config)
    assert exported.code == 0 and listed[0]["id"] in exported.out and path.stem.split("--")[1] not in exported.out
    assert caplog.text.count(told) == 2


def test_tests_in_rule_files_are_run(project, kdsl):
    assert kdsl("rules", "test", project.config).out == "No rule has tests.\n"
    rule = by_term(project, "退款")
    project.save(rule.model_copy(update={"tests": rule.tests.model_copy(update={"hit": ["s0"], "miss": ["s3"]})}))
    result = kdsl("rules", "test", project.config)
    assert (result.code, result.out) == (0, "2 tests passed, 0 failed.\n")
    project.save(rule.model_copy(update={"tests": rule.tests.model_copy(update={"hit": ["s3"]})}))
    result = kdsl("rules", "test", project.config)
    assert result.code == 1
    assert f"failed {rule.id} must hit sample 's3' but does not" in result.out


def test_diff_against_a_folder(project, kdsl, tmp_path):
    other = RuleBase(tmp_path / "before", "returns")
    rule = by_term(project, "退款")
    other.save(rule)
    project.save(rule.model_copy(update={"status": "rejected"}))
    changes = json.loads(kdsl("rules", "diff", other.folder, project.config, "--format", "json").out)
    assert sorted((change["kind"], change["details"]) for change in changes) == [
        ("added", []),
        ("added", []),
        ("changed", ["status: proposed → rejected"]),
    ]
    assert "status: proposed → rejected" in kdsl("rules", "diff", other.folder, project.config).out
    assert "returns: no rule differs." in kdsl("rules", "diff", project.folder, project.config).out


def test_stats_count_as_snorkel_does(project, kdsl):
    rows = {row["id"]: row for row in json.loads(kdsl("rules", "stats", project.config, "--format", "json").out)}
    row = rows[by_term(project, "退款").id]
    assert (row["hits"], row["correct"], row["incorrect"]) == (3, 2, 1)
    assert row["coverage"] == pytest.approx(3 / 6)
    assert row["overlaps"] == row["conflicts"] == pytest.approx(1 / 6)
    assert row["precision"] == pytest.approx(2 / 3)
    silent = by_term(project, "没有这个").id
    assert rows[silent]["precision"] is None
    [line] = [line for line in kdsl("rules", "stats", project.config).out.splitlines() if silent in line]
    assert line.count("n/a") == 3


def test_fmt_writes_the_one_form(project, kdsl):
    path = project.path(by_term(project, "退款"))
    wanted = path.read_text("utf-8")
    path.write_text(wanted.replace('label: "退款"', "label: 退款").replace("\nschema: 1", ""), "utf-8")
    result = kdsl("rules", "fmt", "--check", project.config)
    assert result.code == 1
    assert result.out == f"{path}: would be rewritten\n1 of 3 rule files would be rewritten.\n"
    assert path.read_text("utf-8") != wanted
    assert kdsl("rules", "fmt", project.config).code == 0
    assert path.read_text("utf-8") == wanted
    assert kdsl("rules", "fmt", "--check", project.config).out == "0 of 3 rule files would be rewritten.\n"


def test_show_tells_what_is_seen_and_where(project, kdsl):
    folder = project.config.parent
    (folder / "images").mkdir()
    Image.new("RGB", (50, 100), "red").save(folder / "images/red.png")
    page = {"image": "red.png", "size": [100, 200], "lines": [{"text": "已退款", "box": [0, 100, 50, 110]}]}
    (folder / "ocr.jsonl").write_text(json.dumps(page))
    with (folder / "train.jsonl").open("a") as file:
        print(json.dumps({"id": "red", "text": "看图", "label": "退款", "images": ["red.png"]}), file=file)
    project.save(
        Rule(
            id="r-sees",
            label="退款",
            when={
                "all": [
                    {"image.colour": {"zone": "top", "colour": "red", "share": ">0.3"}},
                    {"not": {"image.kind": "photo"}},
                    {"ocr.size": {"terms": ["退款"], "height": ">0.03"}},
                ]
            },
        )
    )
    data = [f"data.images={folder / 'images'}", f"data.ocr={folder / 'ocr.jsonl'}"]
    out = kdsl("rules", "show", "r-sees", project.config, *data).out
    for part in (
        "image.colour top red >0.3 (red.png, 0,0 to 100,40): red 1.00, >0.3",
        "not image.kind photo (red.png, 0,0 to 100,200): screenshot",
        "ocr.size (red.png): 已退款 (height 0.050, >0.03)",
    ):
        assert part in out
    colour = {"image.colour": {"zone": "top", "colour": "red", "share": ">0.3"}}
    project.save(Rule(id="r-none", label="退款", when={"all": [{"not": {"image.kind": "photo"}}, {"not": colour}]}))
    unseen = kdsl("rules", "show", "r-none", project.config, *data).out
    assert "not image.kind photo: no image that can be looked at" in unseen
    assert "not image.colour top red >0.3: no image that can be looked at" in unseen
    hits = json.loads(kdsl("rules", "show", "r-sees", project.config, *data, "--format", "json").out)["hits"]
    assert [each.get("box") for each in hits[0]["evidence"]] == [[0, 0, 100, 40], [0, 0, 100, 200], [0, 100, 50, 110]]


def test_show_tells_in_which_sound_a_rule_hits_and_when(project, kdsl):
    folder = project.config.parent
    words = [{"word": "不要了", "start": 63.2, "end": 64.0}]
    sidecar = {"file": "v.amr", "seconds": 70, "transcript": "这个不要了", "words": words}
    (folder / "transcripts.jsonl").write_text(json.dumps(sidecar), "utf-8")
    turns = [{"role": "agent", "text": "您好"}, {"role": "user", "text": "", "audio": "v.amr"}]
    with (folder / "train.jsonl").open("a") as file:
        for id, said in (("v0", {"turns": turns}), ("v1", {"audio": "v.amr"})):
            file.write(json.dumps({"id": id, "label": "退款", **said}) + "\n")
    project.save(Rule(id="r-voice", label="退款", when={"all": [{"last_user": ["不要"]}]}))
    data = f"data.transcripts={folder / 'transcripts.jsonl'}"
    out = kdsl("rules", "show", "r-voice", project.config, data).out
    assert "last_user (turn 1, user): 这个不要了 (1:03 in v.amr)" in out
    assert "last_user (v.amr): 这个不要了 (1:03 in v.amr)" in out
    hits = json.loads(kdsl("rules", "show", "r-voice", project.config, data, "--format", "json").out)["hits"]
    found = [hit["evidence"][0] for hit in hits]
    assert [(each.get("turn"), each["audio"], each["seconds"]) for each in found] == [
        (1, "v.amr", [63.2, 64.0]), (None, "v.amr", [63.2, 64.0]),
    ]  # fmt: skip
