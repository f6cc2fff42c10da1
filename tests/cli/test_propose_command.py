"""kdsl propose against a real server process: checked, counted, refined, resumed, and patient with failures."""

import json
import signal

import numpy as np
import pytest
from interrupted import run_interrupted
from model_server import RunningServer
from shop_of_drafts import write_draft_shop

from kdsl.models.out_of_fold_file import save_out_of_fold
from kdsl.project.project import Project
from kdsl.rules.rulebase import RuleBase

MARKUP = "<script>alert(1)</script>"


def rule(label: str, *conditions: dict, why: str = "") -> dict:
    return {"label": label, "all": list(conditions), "why": why}


DIMMING = [
    rule("调光", {"user": ["变暗", MARKUP]}, why=f"想变暗{MARKUP}"),
    rule("调光", {"user": ["亮度"]}),  # is there, and accepted
    rule("调光", {"user": ["不存在的词"]}),
    rule("调光", {"user": ["请问"]}),  # everybody says so
    rule("退货", {"user": ["变暗"]}),
    rule("调光", {"user": ["请问变暗"]}),  # the same samples as the first
    rule("调光", {"ocr.bottom": ["购买"]}),
    rule("调光", {"user": ["变" * 31]}),
]
FABRIC = [rule("材质", {"user": ["面料", "棉麻"]}, why="说面料")]


def replies(**answers: object) -> list[tuple[str, str]]:
    return [
        (f"为标签“{label}”", answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False))
        for label, answer in answers.items()
    ]


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(replies=replies(调光=DIMMING, 材质=FABRIC))
    return shared_server


@pytest.fixture
def shop(tmp_path):
    return write_draft_shop(tmp_path)


def propose(kdsl, shop, server, *options):
    return kdsl("propose", shop, "--model", server.url, "--format", "json", "--retries", 0, *options)


def found(result) -> dict:
    return json.loads(result.out)["shop"]


def asked(server: RunningServer) -> int:
    return sum(request["path"].endswith("completions") for request in server.requests())


def added(shop) -> dict[str, object]:
    return {each.id: each for each in RuleBase.load(shop / "rules", "shop").rules if each.provenance.source == "draft"}


def test_drafts_that_the_samples_speak_for_enter_as_proposed_with_their_author(kdsl, shop, server):
    result = propose(kdsl, shop, server)
    assert result.code == 0, result.err
    counts = found(result)
    assert (counts["asked"], counts["drafts"]) == (2, 6)
    assert counts["dropped"] == {
        "a term too long": 1, "hits nothing": 1, "hits the same as another rule": 1, "in the rule base already": 1,
        "no better than chance": 1, "unknown field": 1, "unknown label": 1,
    }  # fmt: skip
    rules = added(shop).values()
    assert {(each.status, each.provenance.proposer) for each in rules} == {("proposed", server.url)}
    assert {each.label for each in rules} == {"调光", "材质"}
    assert len(counts["added"]) == len(rules)


def test_a_draft_is_refined_where_that_is_better_held_out_and_its_notes_say_so(kdsl, shop, server):
    server.become(replies=replies(调光=[rule("调光", {"user": ["变暗"]}, why="想变暗")], 材质=[]))
    assert found(propose(kdsl, shop, server))["refined"] == 1
    [made] = added(shop).values()
    assert "亮度" in made.conditions[0].terms
    assert made.notes.split("\n")[0] == "想变暗" and '+ "亮度" (用户的话)' in made.notes


def test_a_draft_that_no_edit_makes_better_stays_as_it_was_written(kdsl, shop, server):
    written = rule("材质", {"user": ["面料", "不错", "棉麻"]})
    server.become(replies=replies(材质=[written], 调光=[]))
    assert found(propose(kdsl, shop, server))["refined"] == 0
    [made] = added(shop).values()
    assert [each.mapping() for each in made.conditions] == written["all"]  # 棉麻 hits nothing here, and stays


def test_what_was_answered_is_not_asked_again_and_a_budget_is_gone_on_from(kdsl, shop, server):
    before = asked(server)
    first = found(propose(kdsl, shop, server, "--calls", 1))
    assert (first["asked"], first["left"]) == (1, 1) and asked(server) == before + 1
    second = found(propose(kdsl, shop, server, "--calls", 1))
    assert (second["asked"], second["known_before"], second["left"]) == (1, 1, 0) and asked(server) == before + 2
    rules = added(shop)
    third = found(propose(kdsl, shop, server))
    assert (third["asked"], third["known_before"], third["added"]) == (0, 2, []) and asked(server) == before + 2
    assert added(shop) == rules


def test_the_budget_is_one_for_all_tasks(kdsl, shop, server):
    (shop / "other.yaml").write_text(
        (shop / "task.yaml").read_text("utf-8").replace("shop", "other").replace("咨询", "关于"), "utf-8"
    )
    config = (shop / "kdsl.yaml").read_text("utf-8").replace("[task.yaml]", "[task.yaml, other.yaml]")
    (shop / "kdsl.yaml").write_text(config, "utf-8")
    lines = [json.loads(line) for line in (shop / "train.jsonl").read_text("utf-8").splitlines()]
    both = [{**each, "id": f"{task}{each['id']}", "task": task} for task in ("shop", "other") for each in lines]
    (shop / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in both), "utf-8")
    result = json.loads(propose(kdsl, shop, server, "--calls", 1).out)
    assert [(result[task]["asked"], result[task]["left"]) for task in ("shop", "other")] == [(1, 1), (0, 2)]


def test_a_rejected_draft_is_not_proposed_again_and_mining_deletes_none(kdsl, shop, server):
    propose(kdsl, shop, server)
    base = RuleBase.load(shop / "rules", "shop")
    rejected, *others = added(shop).values()
    base.save(rejected.model_copy(update={"status": "rejected"}))
    assert found(propose(kdsl, shop, server))["added"] == []
    assert kdsl("mine", shop, "--workers", 1).code == 0
    after = added(shop)
    assert after[rejected.id].status == "rejected" and all(each.id in after for each in others)


def test_a_server_that_fails_part_of_the_time_costs_nothing_but_another_run(kdsl, shop, server):
    server.become(replies=replies(调光=DIMMING, 材质=FABRIC), mischief=["500", "500", "500", "500", ""])
    failures = 0
    for _ in range(12):
        result = propose(kdsl, shop, server)
        failures += result.code != 0
        if result.code == 0:
            break
        assert "labels have no answer; the same command asks them again" in result.err
    assert failures and found(result)["failed"] == {}
    assert {each.label for each in added(shop).values()} == {"调光", "材质"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [("天气很好。", "no JSON"), ('[{"label": "调光", "all": [{"user": ["变', "no JSON"), ("[1, 2]", "no JSON")],
)
def test_broken_answers_are_counted_and_write_nothing(kdsl, shop, server, answer, reason):
    server.become(answer=answer)
    result = propose(kdsl, shop, server)
    assert result.code == 0 and found(result)["added"] == [] and set(found(result)["dropped"]) == {reason}
    assert added(shop) == {}


def test_samples_that_the_model_was_shown_do_not_speak_for_its_draft(kdsl, shop, server):
    """Each of four samples has a word of its own; a draft of just these words hits nothing else."""
    lines = [json.loads(line) for line in (shop / "train.jsonl").read_text("utf-8").splitlines()]
    for number, place in enumerate((0, 5, 10, 15)):
        lines[place]["text"] += f"第{number}次"
    (shop / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    server.become(replies=replies(调光=[rule("调光", {"user": [f"第{n}次" for n in range(4)]})], 材质=[]))
    assert found(propose(kdsl, shop, server))["dropped"]["hits nothing"] == 1


def test_what_the_classifier_confuses_comes_first_and_is_told(kdsl, shop, server):
    project = Project.open(shop)
    [task] = project.tasks
    table = project.field_table(task)
    probabilities = np.tile([0.9, 0.1], (30, 1))  # 调光 for all: 14 of 材质 are taken for it
    known = np.arange(30) != 29  # nothing is known of the last
    save_out_of_fold(project.config.checkpoint / "shop", task, "linear", table, probabilities, known)
    before = len(server.requests())
    assert propose(kdsl, shop, server, "--calls", 1).code == 0
    [question] = [each["body"] for each in server.requests()[before:] if each["path"].endswith("completions")]
    text = json.dumps(question["messages"], ensure_ascii=False)
    assert "为标签“材质”" in text and "分类器把“材质”误判成“调光”：13 次。" in text
    assert text.count("[材质] ") == 4 and text.count("[调光] ") == 2


@pytest.mark.parametrize(("turns", "told", "untold"), [(1, "text", "last_user"), (2, "last_user", "text")])
def test_a_draft_is_asked_for_on_the_fields_that_mining_reads(kdsl, shop, server, turns, told, untold):
    lines = [json.loads(line) for line in (shop / "train.jsonl").read_text("utf-8").splitlines()]
    for each in lines:
        said = each.pop("text")
        each["turns"] = [{"role": "user", "text": said}, {"role": "user", "text": said}][:turns]
    (shop / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    before = len(server.requests())
    assert propose(kdsl, shop, server, "--calls", 1).code == 0
    [question] = [each["body"] for each in server.requests()[before:] if each["path"].endswith("completions")]
    text = json.dumps(question["messages"], ensure_ascii=False)
    assert f"- {told}: " in text and f"- {untold}: " not in text


def test_long_samples_are_cut_before_they_are_shown(kdsl, shop, server):
    lines = [json.loads(line) for line in (shop / "train.jsonl").read_text("utf-8").splitlines()]
    for each in lines:
        each["text"] += "。" + "长" * 500
    (shop / "train.jsonl").write_text("".join(json.dumps(each) + "\n" for each in lines), "utf-8")
    before = len(server.requests())
    propose(kdsl, shop, server)
    bodies = [each["body"] for each in server.requests()[before:] if each["path"].endswith("completions")]
    assert bodies and all("长" * 121 not in json.dumps(each, ensure_ascii=False) for each in bodies)


def test_the_table_says_what_happened_and_where_it_went(kdsl, shop, server):
    result = kdsl("propose", shop, "--model", server.url)
    assert "rules added" in result.out and "dropped: unknown label" in result.out
    assert f"{shop / 'rules'}, to be reviewed" in result.err and "drafts.answers.jsonl" in result.err


def test_without_a_model_nothing_is_asked(kdsl, shop):
    result = kdsl("propose", shop)
    assert result.code == 2 and "name a model, such as --model http://localhost:8000/v1" in result.err


def test_ctrl_c_keeps_the_answers_says_where_they_are_and_the_next_run_goes_on(kdsl, shop, server):
    before, checkpoint = asked(server), shop / "checkpoints" / "run"
    server.become(replies=replies(调光=DIMMING, 材质=FABRIC), delay=0.2)
    command = ["propose", shop, "--model", server.url, "--calls", 1]
    done = run_interrupted(signal.SIGINT, checkpoint, "drafts.answers.jsonl", 1, *command)
    assert done.returncode == 130 and "Traceback" not in done.stderr
    assert f"the answers so far are in {checkpoint / 'drafts.answers.jsonl'}; run again to go on" in done.stderr
    assert added(shop) == {}
    assert found(propose(kdsl, shop, server))["known_before"] == 1
    assert asked(server) == before + 2 and added(shop)
