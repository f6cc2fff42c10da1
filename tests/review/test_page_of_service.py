"""The page about the prediction service, from the log of its decisions and the feedback to them."""

import re
import threading
from dataclasses import replace

import pytest
from made_decisions import decision, several
from reviewed_shop import MARKUP, ORIGIN
from shop_on_disk import TASK
from shop_with_service import FEEDBACK, LOG, ago, log, say, write_served_shop

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.data.feedback import FeedbackLog
from kdsl.project.project import Project
from kdsl.review import service_decisions
from kdsl.review.app import create_app
from kdsl.review.live import open_live
from kdsl.review.page import chinese
from kdsl.review.service_routes import BY_WORDS
from kdsl.sample import Label, Sample, Task, Turn

PAGE = f"/t/{TASK}/service"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(service_decisions, "_PATIENCE", 60.0)
    write_served_shop(tmp_path)
    return tmp_path


def show(folder, address=PAGE, language="en", status=200, **headers):
    """What stands behind an address of the shop's page, as it is now."""
    app = create_app(open_live(Project.open(folder), "小王"), ["testserver"], background=False)
    client = TestClient(app, headers={**ORIGIN, **headers}, cookies={"kdsl_language": language})
    answer = client.get(address)
    assert answer.status_code == status, answer.text
    return re.sub(r"\s+", " ", answer.text)


def section(text, heading):
    """The part of the page below a heading."""
    return text[text.index(f"<h2>{heading}") :].split("</section>")[0]


def cells(part):
    """The cells of the rows of a table, without markup."""
    rows = re.findall(r"<tr>(.*?)</tr>", part.split("<tbody>")[1])
    return [[re.sub(r"<[^>]*>", "", cell).strip() for cell in re.findall(r"<td.*?>(.*?)</td>", row)] for row in rows]


def test_only_a_project_with_a_service_links_to_the_page(folder):
    rules = f"/t/{TASK}/rules"
    assert f'href="{PAGE}"' not in show(folder, rules)
    log(folder, decision())
    assert f'href="{PAGE}"' in show(folder, rules)
    assert f'href="{PAGE}" aria-current="page"' in show(folder)


def test_feedback_alone_has_the_page_too(folder):
    say(folder, "a", "材质")
    assert f'href="{PAGE}"' in show(folder, f"/t/{TASK}/rules")
    assert "Nothing was decided since then." in show(folder) and "Feedback 1" in show(folder)


def test_without_a_service_it_says_how_to_start_one(folder):
    text = show(folder)
    assert "No service has decided anything yet" in text and "<code>kdsl serve</code>" in text
    assert "<table" not in text


def test_it_counts_decisions_by_whom_and_by_confidence(folder):
    log(
        folder, decision("a", (0.9, 0.1), labels=("调光", "材质")), decision("b", (0.7, 0.3), (0.2, 0.8), ["r-lamp"]),
        decision("c", (0.4, 0.35, 0.25), below=0.5), decision("d", (0.2, 0.8), other="材质"),
    )  # fmt: skip
    text = show(folder)
    cards = re.findall(r"<li><b>(\d+)</b> ([a-z ]+)", text)
    assert [(number, words.strip()) for number, words in cards] == [
        ("4", "decisions"), ("1", "by the model"), ("1", "by rules"), ("1", "belongs to none"),
        ("1", "handed to a person"), ("3", "without a rule"),
    ]  # fmt: skip
    seen = [words for words in re.findall(r"<title>(0\.\d\d–[^<]*)", text) if not words.endswith(" 0")]
    assert sorted(seen) == [
        "0.40–0.45: handed to a person 1", "0.70–0.75: by rules 1", "0.80–0.85: belongs to none 1",
        "0.90–0.95: by the model 1",
    ]  # fmt: skip


def test_labels_stand_beside_their_share_in_training(folder):
    log(folder, *(decision(f"{i}", (0.1, 0.9)) for i in range(3)), decision("m", (0.9, 0.1)))
    chart = section(show(folder), "Labels decided and in training")
    assert re.findall(r"<title>(\w+: [^<]*)", chart) == ["材质: 3 (75.0%)", "调光: 1 (25.0%)"]
    # 3 of the 5 training samples are 调光; the bar of 0.75 fills the scale of 230
    assert re.findall(r'class="marker" x1="([\d.]+)"', chart) == [f"{150 + 230 * 0.4 / 0.75:.1f}",
                                                                  f"{150 + 230 * 0.6 / 0.75:.1f}"]  # fmt: skip


def test_the_least_sure_decisions_are_listed_with_their_texts_where_the_log_holds_them(folder):
    log(folder, decision("sure", (0.9, 0.1), text="听得见"), texts=True)
    log(folder, decision("unsure", (0.45, 0.55), text="听不见"))
    rows = cells(section(show(folder), "Least sure decisions"))
    assert [row[:3] for row in rows] == [["0.55", "材质", "unsure"], ["0.90", "调光", "sure 听得见"]]


def test_a_sample_of_the_project_has_a_link_and_another_one_of_its_id_has_none(folder):
    known = Project.open(folder).samples("train")[1]
    log(folder, decision("s0", text="别的话"), replace(decision(), sample=known))
    links = re.findall(r'href="[^"]*/sample\?id=(\w+)"', show(folder))
    assert set(links) == {"s1"} and "<code>s0</code>" in show(folder)


def test_samples_without_a_rule_are_counted_by_label_and_listed_the_latest_first(folder):
    log(folder, decision("a", (0.9, 0.1)), decision("b", (0.9, 0.1), rules=["r-lamp"]), decision("c", (0.1, 0.9)))
    part = section(show(folder), "Samples without a rule 2")
    assert re.findall(r"<title>(\w+: [^<]*)", part) == ["调光: 1 (50.0%)", "材质: 1 (100.0%)"]
    assert [row[2] for row in cells(part)] == ["c", "a"]


def test_rules_are_listed_by_how_often_they_held_and_those_that_never_did(folder):
    log(folder, *(decision(f"{i}", rules=["r-lamp", "r-linen"][: 1 + (i == 0)]) for i in range(4)))
    (folder / "rules" / TASK / "调光" / "棉麻的？--r-linen.yaml").unlink()
    with (folder / "rules" / TASK / "调光" / "面料--r-bbbb.yaml").open("a", encoding="utf-8") as rule:
        rule.write("status: rejected\n")
    part = section(show(folder), "Rules by how often they held")
    table, silent = part.split("<details>")
    assert cells(table) == [
        ["user turns contain 亮度能调 proposed", "调光", "4", "100.0 %"],
        ["r-linen the rule is gone", "", "1", "25.0 %"],
    ]
    assert "never held (2)" in silent and "r-lamp" not in silent
    assert sorted(re.findall(r"/rules/(r-\w+)\?", silent)) == ["r-aaaa", "r-cccc"]


def test_a_period_is_chosen(folder):
    for days in (3, 0.5, 0):
        log(folder, decision(), at=ago(days=days))
    counts = {last: re.search(r"<b>(\d+)</b> decisions", show(folder, f"{PAGE}?last={last}"))[1]
              for last in ("hour", "day", "week")}  # fmt: skip
    assert counts == {"hour": "1", "day": "2", "week": "3"}
    assert f'href="{PAGE}?last=day" aria-current="page"' in show(folder)
    assert MARKUP not in show(folder, f"{PAGE}?last={MARKUP}", status=422)
    assert "is none of hour, day, week" in show(folder, f"{PAGE}?last=year", status=422)


def test_feedback_against_rules_is_listed_the_most_contradicted_first(folder):
    say(folder, "a", "材质", rules=("r-lamp", "r-linen"))
    say(folder, "b", "材质")
    say(folder, "c", "调光", rules=("r-lamp", "r-linen"))
    today = FeedbackLog(folder / FEEDBACK).events()[0].time.strftime("%Y-%m-%d")
    rows = cells(section(show(folder), "Feedback that speaks against rules"))
    assert rows == [
        ["user turns contain 亮度能调 proposed", "调光", "2", "1", today],
        ["user turns contain 棉麻的？ proposed", "材质", "1", "1", today],
    ]
    assert f"/t/{TASK}/rules/r-lamp?status=all#feedback" in show(folder)


def test_feedback_is_listed_the_latest_first(folder):
    say(folder, "a", "材质", by="李雷")
    say(folder, "b", "调光")
    say(folder, "c", "材质", predicted=None)
    part = section(show(folder), "Feedback 3")
    assert [row[1:] for row in cells(part)] == [
        ["小王", "c 这灯的亮度能调吗，灯罩是棉麻的？", "handed to a person", "材质"],
        ["小王", "b 这灯的亮度能调吗，灯罩是棉麻的？", "调光", "调光"],
        ["李雷", "a 这灯的亮度能调吗，灯罩是棉麻的？", "调光", "材质"],
    ]
    words = re.sub("<[^>]*>", "", part)
    assert "confirmed 1, corrected 1, where nothing was decided 1; 小王 2, 李雷 1" in words


def test_the_page_of_a_rule_says_what_speaks_against_it(folder):
    page = f"/t/{TASK}/rules/r-lamp"
    assert "Feedback" not in show(folder, page)
    say(folder, "a", "调光")
    assert "no answer speaks against it, 1 speak for it" in show(folder, page)
    event = say(folder, "b", "材质", by="李雷", text="亮度能调吗？我要退货")
    text = show(folder, page)
    assert f"1 answer speaks against it since {event.at[:10]}</a>, 1 speak for it" in text
    part = text[text.index("Feedback against this rule 1") :].split("</section>")[0]
    assert "<mark>亮度能调</mark>吗？我要退货" in part and "李雷: <b>材质</b>" in part
    assert "the service had decided</span> 调光" in part and part.count("<article") == 1
    say(folder, "c", "材质")
    assert "2 answers speak against it since" in show(folder, page)


def test_damage_is_told_and_the_rest_is_shown(folder):
    log(folder, decision())
    [path] = (folder / LOG).iterdir()
    with path.open("ab") as file:
        file.write(b"\xff\n{}\n")
    assert "Damaged lines of the log, left out: 2" in show(folder)
    say(folder, "a", "材质")
    live = open_live(Project.open(folder), "小王")
    with (folder / FEEDBACK).open("a", encoding="utf-8") as file:
        file.write("{}\n")
    text = TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN).get(PAGE).text
    assert f"{FEEDBACK}, line 2" in text and "<b>1</b> decisions" in text


def test_a_log_that_is_a_link_is_refused(folder, tmp_path_factory):
    foreign = tmp_path_factory.mktemp("foreign")
    log(foreign, decision("secret"), texts=True)
    (folder / LOG).symlink_to(foreign / LOG)
    text = show(folder)
    assert "is a link; set serve.log to the folder that it leads to" in text and "secret" not in text


def test_ids_and_names_are_text(folder):
    log(folder, decision(f"a{MARKUP}", text=MARKUP), texts=True)
    say(folder, f"a{MARKUP}", "材质", by=MARKUP, text=f"亮度能调{MARKUP}")
    for address in (PAGE, f"/t/{TASK}/rules/r-lamp"):
        assert MARKUP not in show(folder, address) and "&lt;script&gt;" in show(folder, address)


def test_several_labels_have_no_one_confidence(folder):
    (folder / "task.yaml").write_text(
        f"name: {TASK}\nmulti: true\nlabels:\n  - {{name: 调光}}\n  - {{name: 材质}}\n", encoding="utf-8"
    )
    text_of = '{"id": "s0", "turns": [{"role": "user", "text": "亮度"}], "label": ["调光"]}\n'
    (folder / "train.jsonl").write_text(text_of, encoding="utf-8")
    log(folder, several("调光", "材质", task=TASK), several(id="b", task=TASK))
    task = Task(TASK, (Label("调光"), Label("材质")), multi=True)
    sample = Sample("a", TASK, (Turn("user", "亮度能调"),))
    FeedbackLog(folder / FEEDBACK).give(sample, [], "小王", task, ["调光"], ["r-lamp"])
    text = show(folder)
    assert "each with a probability of its own" in text and "Least sure" not in text
    assert [row[1] for row in cells(section(text, "Samples without a rule 2"))] == ["no label", "调光 + 材质"]
    assert cells(section(text, "Feedback 1"))[0][3:] == ["调光", "no label"]
    assert cells(section(text, "Feedback that speaks"))[0][2:4] == ["1", "0"]


def test_it_speaks_chinese(folder):
    log(folder, decision(rules=["r-lamp"]))
    say(folder, "a", "材质")
    text = show(folder, language="zh")
    assert "<h1>服务</h1>" in text and "最近一天" in text and "由模型判断" in text and "更正" in text
    assert [
        words for words in (*BY_WORDS.values(), "last hour", "last day", "last week") if words not in chinese()
    ] == []


def test_the_page_asks_again_while_the_log_is_being_read(folder, monkeypatch):
    log(folder, decision())
    done = threading.Event()
    monkeypatch.setattr(service_decisions, "_PATIENCE", 0.0)
    monkeypatch.setattr(service_decisions.ServiceDecisions, "_catch_up", lambda self: done.wait(60))
    text = show(folder)
    done.set()
    assert "The log is being read; so far: 0" in text
    assert f'role="status" hx-get="{PAGE}?last=day" hx-trigger="load delay:1500ms" hx-target="#decisions"' in text
    monkeypatch.undo()
    monkeypatch.setattr(service_decisions, "_PATIENCE", 60.0)
    text = show(folder)
    assert "being read" not in text and f'hx-get="{PAGE}' not in text
