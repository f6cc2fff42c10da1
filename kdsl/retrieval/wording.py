"""How what is shown beside a sample is introduced, in Chinese, or in English where a task holds no Chinese."""

from dataclasses import dataclass

from kdsl.fields.table import SampleFields, last_user_turn
from kdsl.language import in_chinese
from kdsl.sample import Sample, Task


@dataclass(frozen=True, slots=True)
class ShownWording:
    """Templates of one language."""

    prompt: str
    """For a task without a prompt of its own."""
    passage: str
    neighbour: str
    pages: str
    labels: str
    """Stands before the labels' descriptions, each of which is `titled`."""
    titled: str
    said: str
    read: str
    between: str
    """Stands between what was said and what was read."""
    nothing: str


CHINESE = ShownWording(
    prompt="请判断下面的内容属于哪个分类标签。\n{dialogue}\n请直接只输出分类标签结果，不需要其他多余的话。"
    "以下是可以参考的分类标签为：{labels}\n",
    passage="参考知识：{}\n",
    neighbour="相似的样本：{text}\n它的分类标签：{label}\n",
    pages="图片中的文字：\n{}\n",
    labels="分类标签的含义：\n{}\n",
    titled="{}：{}",
    said="用户：{}",
    read="图中文字：{}",
    between="；",
    nothing="（无文字）",
)
ENGLISH = ShownWording(
    prompt="Which class does the following belong to?\n{dialogue}\nAnswer with the class only. Classes: {labels}\n",
    passage="Known: {}\n",
    neighbour="A similar sample: {text}\nIts class: {label}\n",
    pages="Text on the pictures:\n{}\n",
    labels="What the classes mean:\n{}\n",
    titled="{}: {}",
    said="the user says: {}",
    read="text on the pictures: {}",
    between="; ",
    nothing="(no text)",
)


def wording_of(task: Task) -> ShownWording:
    """The language of the task's prompt and labels."""
    return CHINESE if in_chinese(task) else ENGLISH


LONGEST_OPENING = 40
"""Characters."""


def last_words(sample: Sample, most: int) -> str:
    """The last turn in which the user says something, in one line of at most `most` characters; "" without one."""
    last = last_user_turn(sample)
    return "" if last is None else beginning(sample.turns[last].text, most)


def opening(row: SampleFields) -> str:
    """What a person knows the sample by, in one line: the user's last words, else the first ones on its images."""
    said = last_words(row.heard, LONGEST_OPENING)
    return said or beginning(
        " ".join(line.text for page in row.cleaned.pages for line in page.lines), LONGEST_OPENING
    )  # fmt: skip


def beginning(text: str, most: int) -> str:
    """The text in one line, cut to `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"
