"""What lint finds, in the words of the page: Chinese sentences, and the rules that a sentence names."""

import re

from kdsl.review.wording import Language
from kdsl.rules.lint import Finding

_CHINESE = (
    (r"the label '(.+)' is not one of task (.+); .*", "任务 {1} 没有“{0}”这个标签"),
    (r"lies in the folder '(.+)', but its label is '(.+)'; .*", "文件在文件夹“{0}”里，标签却是“{1}”；以标签为准"),
    (r"the conditions have changed since the review(?: by (.+))?; .*", "审核之后条件又改过；请重新审核"),
    (r"all conditions are negated, .*", "所有条件都是“不含”，凡没有这些词的样本都会命中；请加一个正面的条件"),
    (r"the term '(.+)' is given twice; .*", "词语“{0}”写了两次；留一个即可"),
    (r"the term '(.+)' says nothing beside '(.+)', .*", "已有“{1}”，更长的“{0}”不起作用；可以删去"),
    (r"`(.+)` contradicts `(.+)`: .*", "条件 {0} 与 {1} 矛盾，规则永远不会命中；请删去一个"),
    (r"`(.+)` says nothing beside `(.+)`; .*", "已有条件 {1}，条件 {0} 不起作用；可以删去"),
    (r"has the conditions and the label of (\S+); .*", "与 {0} 的条件和标签都相同；留一条即可"),
    (r"has the conditions of (\S+), whose label is '(.+)'; .*", "与 {0} 条件相同，标签却是“{1}”；留一条即可"),
    (r"hits only where (\S+) \(`.+`\) hits too; .*", "凡它命中的，{0} 也命中；可以删去，或改得不同"),
    (r"the test names sample '(.+)', .*", "测试用到样本 {0}，但任务里没有这个样本"),
    (r"must hit sample '(.+)' but .*", "必须命中样本 {0}，却没有命中"),
    (r"must not hit sample '(.+)' but .*", "不得命中样本 {0}，却命中了"),
    (r"(\d+) of its (\d+) hits are hits of (\S+) too, whose label is '(.+)'; .*",
     "{1} 个命中里有 {0} 个也被 {2} 命中，而它的标签是“{3}”；请把其中一条改得更具体"),
)  # fmt: skip
_ID = re.compile(r"\b(r-[0-9a-z]{8})\b")


def finding_words(finding: Finding, language: Language) -> list[tuple[str, bool]]:
    """The sentence in pieces, and of each whether it is the id of a rule."""
    sentence = finding.message
    if language == "zh":
        for pattern, words in _CHINESE:
            if match := re.fullmatch(pattern, sentence, re.DOTALL):
                sentence = words.format(*match.groups())
                break
    return [(piece, i % 2 == 1) for i, piece in enumerate(_ID.split(sentence)) if piece]
