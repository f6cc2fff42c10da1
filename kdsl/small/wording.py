"""What the small model is asked, in Chinese, or in English where a task's labels hold no Chinese."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kdsl.language import labels_in_chinese
from kdsl.rules.condition import Condition
from kdsl.rules.wording import Language, condition_words
from kdsl.sample import Label, Task


@dataclass(frozen=True, slots=True)
class Wording:
    """Templates of one language."""

    language: Language
    yes: str
    no: str
    positive: str
    """Stands before an example of the label, `negative` before a similar sample of another one."""
    negative: str
    quoted: str
    explained: str
    """A label with its description."""
    choose: str
    """What tells the label from others: the answer is one candidate condition."""
    choose_any: str
    """The same without label or examples: how probable each candidate is anyway."""
    tell_apart: str
    """The same for a partial rule, after hits of it that are right and wrong; the answer may be an exception."""
    unless: str
    """A word or question as an exception."""
    write_terms: str
    write_terms_apart: str
    """Terms of the right hits of a partial rule that its wrong ones do not have."""
    write_synonyms: str
    write_questions: str
    answer: str
    describe: str
    judge: str
    has: str
    means: str
    either: str
    both: str
    answered: str
    not_: str
    fields: dict[str, str]

    @property
    def options(self) -> tuple[str, str]:
        """The answers to a yes/no question, yes first."""
        return self.yes, self.no

    def label(self, label: Label) -> str:
        """The label's name, with its description where it has one."""
        name = self.quoted.format(label.words)
        if not label.description:
            return name
        return self.explained.format(name=name, description=label.description.rstrip("。."))

    def rule(self, conditions: Sequence[Condition]) -> str:
        """Conditions in words."""
        return self.both.join(map(self._condition, conditions))

    def _condition(self, condition: Condition) -> str:
        if condition.question is not None:
            words = self.answered.format(self.quoted.format(condition.question))
        elif condition.comparison is not None:
            words = f"{self.fields[condition.field]} {condition.comparison}"
        elif condition.meaning is not None:
            wordings = self.either.join(map(self.quoted.format, condition.meaning.wordings))
            words = self.means.format(field=self.fields[condition.meaning.field], terms=wordings)
        elif condition.colour is not None or condition.image_kind is not None or condition.size is not None:
            words = condition_words(condition.model_copy(update={"negated": False}), self.language)
        else:
            terms = self.either.join(map(self.quoted.format, condition.terms))
            words = self.has.format(field=self.fields[condition.field], terms=terms)
        return self.not_.format(words) if condition.negated else words


CHINESE = Wording(
    language="zh",
    yes="是",
    no="否",
    positive="是：",
    negative="不是：",
    quoted="“{}”",
    explained="{name}（{description}）",
    choose="类别{label}，哪个词或问题最能认出它？",
    choose_any="哪个词或问题最能认出它？",
    tell_apart="规则：如果{rule}，就是{label}。哪个词或问题最能分开“是”和“不是”？",
    unless="除非{}",
    write_terms="类别{label}，写{n}个能认出它的词，每行一个。",
    write_terms_apart="规则：如果{rule}，就是{label}。写{n}个“是”有而“不是”没有的词，每行一个。",
    write_synonyms="类别{label}，“{term}”还可以怎么说？写{n}个，每行一个。",
    write_questions="类别{label}，写{n}个看图回答是或否、能认出它的问题，每行一个。",
    answer="{question}只回答是或否。",
    describe="描述图片。",
    judge="如果{rule}，就是{label}。合理吗？只回答是或否。",
    has="{field}有{terms}",
    means="{field}意思接近{terms}",
    either="或",
    both="且",
    answered="{}答是",
    not_="并非{}",
    fields={
        "text": "文本",
        "last_user": "用户最后的话",
        "user": "用户的话",
        "last_agent": "客服最后的话",
        "agent": "客服的话",
        "dialogue": "对话",
        "ocr": "图中文字",
        "ocr.top": "图上方文字",
        "ocr.bottom": "图下方文字",
        "ocr.header": "图标题栏文字",
        "ocr.body": "图中部文字",
        "ocr.bar": "图底栏文字",
        "caption": "图片描述",
        "voice": "语音内容",
        "audio.seconds": "语音秒数",
        "audio.count": "语音条数",
        "image.aspect": "图片高宽比",
        "image.count": "图片数",
        "image.text_area": "文字占图片的面积",
        "image.text_lines": "图中文字行数",
        "turns": "对话轮数",
    },
)

ENGLISH = Wording(
    language="en",
    yes="yes",
    no="no",
    positive="An example: ",
    negative="Not an example: ",
    quoted='"{}"',
    explained="{name} ({description})",
    choose="Class {label}: which word or question tells it best from others?",
    choose_any="Which word or question tells it best from others?",
    tell_apart="Rule: if {rule}, then the class is {label}. Which word or question best tells the examples from those "
    "that are none?",
    unless="unless {}",
    write_terms="Class {label}: write {n} words that tell it from others, one a line.",
    write_terms_apart="Rule: if {rule}, then the class is {label}. Write {n} words that the examples have and those "
    "that are none have not, one a line.",
    write_synonyms='Class {label}: how else is "{term}" said? Write {n} ways, one a line.',
    write_questions="Class {label}: write {n} yes/no questions about the picture that tell it from others, one a "
    "line.",
    answer="{question} Answer yes or no only.",
    describe="Describe the picture.",
    judge="If {rule}, then the class is {label}. Does this rule make sense? Answer yes or no only.",
    has="{field} contains {terms}",
    means="{field} means nearly {terms}",
    either=" or ",
    both=" and ",
    answered="the answer to {} is yes",
    not_="it is not so that {}",
    fields={
        "text": "the text",
        "last_user": "the user's last message",
        "user": "what the user says",
        "last_agent": "the agent's last message",
        "agent": "what the agent says",
        "dialogue": "the dialogue",
        "ocr": "the text in the picture",
        "ocr.top": "the text at the top of the picture",
        "ocr.bottom": "the text at the bottom of the picture",
        "ocr.header": "the text in the header of the picture",
        "ocr.body": "the text in the body of the picture",
        "ocr.bar": "the text in the bottom bar of the picture",
        "caption": "the caption",
        "voice": "the voice message",
        "audio.seconds": "the length of the voice messages in seconds",
        "audio.count": "the number of voice messages",
        "image.aspect": "the height-to-width ratio of the picture",
        "image.count": "the number of pictures",
        "image.text_area": "the share of the picture covered by text",
        "image.text_lines": "the number of lines of text in the picture",
        "turns": "the number of turns",
    },
)


def wording_of(task: Task) -> Wording:
    """The language of the labels' names and descriptions."""
    return CHINESE if labels_in_chinese(task) else ENGLISH


_MARK = re.compile(r"^\s*(?:[-*•·]|[（(]?\d{1,2}\s*[.、)）:：])\s*")
"""A bullet or a number before the entry."""
_QUOTES = "\"'“”‘’「」《》 \t"


def listed(text: str, separators: str = "\n") -> list[str]:
    """The entries of a list as a model writes it, without numbers, bullets and quotes; each once, in their order."""
    entries = (_MARK.sub("", line).strip(_QUOTES) for line in re.split(f"[{re.escape(separators)}]", text))
    return list(dict.fromkeys(entry for entry in entries if entry))
