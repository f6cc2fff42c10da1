"""From a person's word to the service to a rule and a decision: what the commands make of feedback."""

import json

from small_shop import write_project

from kdsl.project.project import Project
from kdsl.sample import Sample, Turn

WORDS = ("雨伞", "防风吗", "结实吗", "几根骨", "怎么折", "伞布", "会翻吗", "多重")


def test_check_tells_of_it_and_mining_and_training_learn_from_it_until_it_is_taken_back(kdsl, tmp_path):
    shop = write_project(tmp_path / "shop")
    project = Project.open(shop)
    task = project.task()
    before = kdsl("check", shop)
    assert before.code == 0 and "feedback" not in before.out
    assert json.loads(kdsl("check", shop, "--format", "json").out)["feedback"] == {}
    # Rules know nothing of umbrellas until eight people ask about the stuff that they are made of.
    for number, word in enumerate(WORDS):
        asked = Sample(f"q{number}", "shop", (Turn("user", f"{word}雨伞{number}"),))
        project.feedback_log.give(asked, "材质", "小王" if number else "小李", task, predicted="物流")
    told = kdsl("check", shop)
    assert told.code == 0 and "train: 8 samples from feedback (小王 7, 小李 1)" in told.out
    assert "68" in told.out
    assert json.loads(kdsl("check", shop, "--format", "json").out)["feedback"] == {"小王": 7, "小李": 1}
    assert kdsl("mine", shop).code == 0
    assert any("雨伞" in path.read_text("utf-8") for path in (shop / "rules" / "shop").rglob("*.yaml"))
    assert kdsl("train", shop).code == 0
    decided = json.loads(kdsl("predict", shop, "--text", "雨伞", "--format", "json").out)
    assert decided["label"] == "材质"

    project.feedback_log.give(Sample("q0", "shop", (Turn("user", f"{WORDS[0]}雨伞0"),)), "物流", "小王", task)
    apart = kdsl("check", shop)
    assert apart.code == 1 and "feedback-apart" in apart.out and "q0: 小李 材质, 小王 物流" in apart.out
    project.feedback_log.undo("小李")
    while project.feedback_log.undo("小王"):
        pass
    assert kdsl("check", shop).out == before.out
