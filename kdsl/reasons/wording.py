"""What a model is asked about reasons, in Chinese, or in English where a task's labels hold no Chinese."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kdsl.fields.table import SampleFields
from kdsl.models.large.prompts import Prompts
from kdsl.rules.condition import Condition
from kdsl.rules.evidence import Hit
from kdsl.sample import Sample, Task
from kdsl.small.wording import CHINESE, Wording, wording_of
from kdsl.vlm.conversation import Conversation, Instruction, ask


@dataclass(frozen=True, slots=True)
class ReasonWording:
    """Templates of one language."""

    why: str
    known: str
    """The rules that hold, in words."""
    between: str
    """Stands between two of them."""
    recover: str
    user: str
    agent: str


_CHINESE = ReasonWording(
    why="它的分类标签是{label}。{known}请用一两句话写出理由：内容中有什么说明它属于这一类。不超过60个字，不要写出标签名称。",
    known="已知{rules}。",
    between="；",
    recover="下面是把一个样本归入某一类的理由，类别的名称用〇〇代替。\n理由：{reason}\n它属于哪一类？请直接只输出分类标签，"
    "不需要其他多余的话。分类标签：{labels}",
    user="用户",
    agent="客服",
)
_ENGLISH = ReasonWording(
    why="Its class is {label}. {known}Say in one or two short sentences what in it shows that it belongs there. At "
    "most 40 words; do not write the name of the class.",
    known="It is known that {rules}. ",
    between="; ",
    recover="Below is the reason why something was put into a class, whose name is replaced by 〇〇.\nReason: "
    "{reason}\nWhich class is it? Answer with the class only. Classes: {labels}",
    user="User",
    agent="Agent",
)


def ask_why(task: Task, row: SampleFields, hits: Sequence[Hit], prompts: Prompts) -> Conversation:
    """The sample, its label, and the rules that hold on it: why does it have the label?

    Of its images and sounds as much as `prompts` show; without a folder of them no picture and no sound.
    """
    wording, small = _of(task)
    label = next(label for label in task.labels if label.name == row.sample.label)
    rules = wording.between.join(dict.fromkeys(small.rule(_as_found(hit)) for hit in hits))
    known = wording.known.format(rules=rules) if rules else ""
    seen = bool(row.shown.images) and prompts.images is not None and prompts.sees()
    pictures = prompts.pictures_of(row.shown) if seen else []
    sounds = prompts.sounds_of(row.shown) if row.shown.audio and prompts.audio is not None and prompts.hears() else []
    question = wording.why.format(label=small.label(label), known=known)
    return ask(*prompts.pages(task, row), *pictures, *sounds, *_lines(row.heard, wording), Instruction(question))


def ask_back(task: Task, masked: str) -> Conversation:
    """The reason without the label's name: which label is it a reason for?"""
    wording, small = _of(task)
    labels = small.either.join(map(small.quoted.format, task.label_names))
    return ask(Instruction(wording.recover.format(reason=masked, labels=labels)))


def _of(task: Task) -> tuple[ReasonWording, Wording]:
    small = wording_of(task)
    return (_CHINESE if small is CHINESE else _ENGLISH), small


def _lines(sample: Sample, wording: ReasonWording) -> Iterable[str]:
    """The dialogue line by line, so that a prompt that is too long loses its earliest lines."""
    names = {"user": wording.user, "agent": wording.agent}
    text = "".join(f"{names[turn.role]}: {turn.text}\n" for turn in sample.turns if turn.text.strip())
    return text.splitlines(keepends=True)


def _as_found(hit: Hit) -> list[Condition]:
    """The rule's conditions, of any-lists only the term that the sample has."""
    return [evidence.as_found for evidence in hit.evidence]
