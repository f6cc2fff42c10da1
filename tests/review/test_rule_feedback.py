"""What feedback to the service says about rules: it speaks against one that held where people say another label."""

import pytest
from made_decisions import TEXT
from shop_on_disk import TASK, write_lines, write_page, write_rule
from shop_with_service import FEEDBACK, LABELS, asked, say, write_served_shop

from kdsl.data.feedback import FeedbackLog
from kdsl.errors import KdslError
from kdsl.project.project import Project
from kdsl.review.live import open_live
from kdsl.review.rule_feedback import RuleFeedback, feedback_values
from kdsl.sample import Label, Sample, Task, Turn


@pytest.fixture
def folder(tmp_path):
    write_served_shop(tmp_path)
    return tmp_path


def open_site(folder):
    return open_live(Project.open(folder), "小王").site


def about(folder):
    """Rule → (ids of the samples that speak against it, how many speak for it)."""
    site = open_site(folder)
    found = site.service.feedback.about_rules(site, TASK)
    return {id: ([word.sample.id for word in said.against], said.agreeing) for id, said in found.items()}


def test_without_feedback_nothing_is_said(folder):
    assert about(folder) == {} and not open_site(folder).service.feedback.there


def test_another_label_speaks_against_a_rule_and_its_own_for_it(folder):
    say(folder, "a", "材质", rules=("r-lamp", "r-linen"))
    say(folder, "b", "调光", rules=("r-lamp",))
    say(folder, "c", "材质", rules=("r-lamp",))
    assert about(folder) == {"r-lamp": (["c", "a"], 1), "r-linen": ([], 1)}


def test_it_speaks_against_a_rule_that_was_not_listened_to(folder):
    say(folder, "a", "材质", predicted="材质")
    assert about(folder) == {"r-lamp": (["a"], 0)}


def test_only_the_last_word_about_a_sample_counts(folder):
    say(folder, "a", "材质", by="李雷")
    say(folder, "a", "调光")
    assert about(folder) == {"r-lamp": ([], 1)}
    FeedbackLog(folder / FEEDBACK).undo("小王")
    assert about(folder) == {"r-lamp": (["a"], 0)}


def test_a_rule_that_is_gone_or_was_never_there_is_not_spoken_of(folder):
    say(folder, "a", "材质", rules=("r-gone", "r-lamp", "r-lamp"))
    assert about(folder) == {"r-lamp": (["a"], 0)}


def test_who_edits_the_rule_has_heard_what_was_said(folder):
    say(folder, "a", "材质")
    say(folder, "b", "材质", text="亮度能调一点吗")
    assert about(folder) == {"r-lamp": (["b", "a"], 0)}
    (folder / "rules" / TASK / "调光" / "亮度能调--r-lamp.yaml").unlink()
    write_rule(folder, "r-lamp", "调光", "user", "能调一点")
    assert about(folder) == {"r-lamp": (["b"], 0)}


def test_a_rule_that_is_edited_while_the_page_is_open_is_asked_again(folder):
    say(folder, "a", "材质")
    site = open_site(folder)
    assert [*site.service.feedback.about_rules(site, TASK)] == ["r-lamp"]
    (folder / "rules" / TASK / "调光" / "亮度能调--r-lamp.yaml").unlink()
    write_rule(folder, "r-lamp", "调光", "user", "能调一点")
    site.store.refresh()
    assert [*site.service.feedback.about_rules(site, TASK)] == []


def test_of_an_image_that_was_not_read_here_what_the_service_found_counts(folder):
    task = Task(TASK, tuple(map(Label, LABELS)))
    sample = Sample("a", TASK, (Turn("user", "这是什么"),), ("a.png",))
    FeedbackLog(folder / FEEDBACK).give(sample, "调光", "小王", task, "材质", ["r-cccc"])
    assert about(folder) == {"r-cccc": (["a"], 0)}
    write_page(folder, "a.png", "没有那个词")
    assert about(folder) == {}
    write_page(folder, "a.png", "成分：棉")
    assert about(folder) == {"r-cccc": (["a"], 0)}


def test_of_a_sound_that_was_not_transcribed_here_what_the_service_heard_counts(folder):
    task = Task(TASK, tuple(map(Label, LABELS)))
    sample = Sample("a", TASK, (Turn("user", "", (), ("a.wav",)),), audio=("a.wav",))
    FeedbackLog(folder / FEEDBACK).give(sample, "材质", "小王", task, "调光", ["r-lamp"])
    assert about(folder) == {"r-lamp": (["a"], 0)}
    write_lines(folder / "transcripts.jsonl", [{"file": "a.wav", "transcript": "没有那个词"}])
    assert about(folder) == {}
    write_lines(folder / "transcripts.jsonl", [{"file": "a.wav", "transcript": "亮度能调吗"}])
    assert about(folder) == {"r-lamp": (["a"], 0)}


def test_what_is_said_while_the_page_is_open_is_heard(folder):
    site = open_site(folder)
    assert site.service.feedback.about_rules(site, TASK) == {}
    say(folder, "a", "材质")
    assert [*site.service.feedback.about_rules(site, TASK)] == ["r-lamp"]
    assert site.service.feedback.about_rules(site, TASK) is site.service.feedback.about_rules(site, TASK)


def test_another_sample_of_the_same_id_is_not_taken_for_it(folder):
    write_lines(folder / "train.jsonl", [{"id": "a", "turns": [{"role": "user", "text": "别的话"}], "label": "调光"}])
    say(folder, "a", "材质")
    site = open_site(folder)
    [(word, shown, has_page)] = values(site)["said_against"]
    assert (word.sample.id, shown.sample.id[:2], has_page) == ("a", "a~", True)
    assert shown.turns[0].pieces[1].text == "亮度能调"  # the evidence


def test_since_when_is_the_first_of_those_against(folder):
    first = say(folder, "a", "材质")
    say(folder, "b", "调光")
    say(folder, "c", "材质")
    site = open_site(folder)
    assert site.service.feedback.about_rules(site, TASK)["r-lamp"].since == first.time


def values(site):
    return feedback_values(site, site.store.get(TASK, "r-lamp"), "en")


def test_the_page_of_a_rule_shows_the_latest_with_the_evidence(folder):
    for i in range(23):
        say(folder, f"a{i}", "材质", text=f"{TEXT}{i}")
    shown = values(open_site(folder))
    assert len(shown["said"].against) == 23 and len(shown["said_against"]) == 20
    assert shown["said_against"][0][0].sample.id == "a22"
    assert all("亮度能调" in [piece.text for piece in each.turns[0].pieces if piece.marked]
               for _, each, _ in shown["said_against"])  # fmt: skip


def test_a_sample_that_the_project_does_not_have_is_shown_too(folder):
    site = open_site(folder)
    say(folder, "new", "材质")
    [(word, shown, has_page)] = values(site)["said_against"]
    assert (word.sample.id, has_page, shown.sample.turns) == ("new", False, asked("new").turns)


def test_a_damaged_log_is_told_and_the_rule_is_shown(folder):
    site = open_site(folder)
    (folder / FEEDBACK).write_text("{}\n", encoding="utf-8")
    shown = values(site)
    assert shown["said"] == RuleFeedback() and f"{folder / FEEDBACK}, line 1" in shown["feedback_problem"]
    with pytest.raises(KdslError, match="line 1"):
        site.service.feedback.words(TASK)


def test_a_log_that_is_a_link_is_refused(folder, tmp_path):
    site = open_site(folder)
    (tmp_path / "foreign").write_text("", encoding="utf-8")
    (folder / FEEDBACK).symlink_to(tmp_path / "foreign")
    assert "is a link" in values(site)["feedback_problem"]
