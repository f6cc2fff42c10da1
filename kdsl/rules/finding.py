"""A finding of lint: which check, where, and the values that its sentence names. All its words, in two languages."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Formatter
from typing import Any, Literal

from kdsl.rules.condition import Condition
from kdsl.rules.wording import Language, rule_words

Check = Literal[
    "unreadable", "ignored file", "duplicate id", "unreadable original", "unknown label", "misplaced file",
    "stale review", "only negated", "duplicate term", "redundant term", "contradiction", "redundant condition",
    "long wording", "other encoder", "no encoder", "vague meaning", "impossible share", "no images",
    "no transcripts", "duplicate rule", "conflict", "overlap", "subsumed rule", "missing hit", "forbidden hit",
    "unknown sample", "left out field",
]  # fmt: skip
Severity = Literal["error", "warning"]
Value = str | int | Condition | tuple[Condition, ...]
Values = Mapping[str, Value]
"""By names that the sentences of the check use; `other` is always the id of another rule."""

SENTENCES: Mapping[Language, Mapping[Check, str]] = {
    "en": {
        "unreadable": "{reason}",
        "ignored file": "only .yaml files are read, and this one ends in {ending}; rename it",
        "duplicate id": "the id {id} is already that of {file}; give one a new id",
        "unreadable original": "the id {id} is that of {file}, which cannot be read; mend that one",
        "unknown label": "the label {label!r} is not one of task {task}; `kdsl rules list` shows labels in use",
        "misplaced file": "lies in the folder {folder!r}, but its label is {label!r}; the label counts",
        "stale review": "the conditions have changed since the review; review the rule again",
        "only negated": "all conditions are negated, so the rule hits whatever holds none of the terms; add a "
                        "positive one",
        "duplicate term": "the term {term!r} is given twice; keep one of the two",
        "redundant term": "the term {term!r} says nothing beside {shorter!r}, which it contains; delete it",
        "contradiction": "`{condition}` contradicts `{earlier}`: the rule never hits; delete one of the two",
        "redundant condition": "`{weaker}` says nothing beside `{stronger}`; delete it",
        "long wording": "the wording {wording!r} has {length} characters, and hardly any turn is near to so much at "
                        "once; write one short sentence",
        "other encoder": "`{condition}` is meant for the encoder {encoder!r}, and the project has {own!r}: the rule "
                         "never hits; choose `at` anew and name the encoder, or set `encoder:` in kdsl.yaml",
        "no encoder": "`{condition}` needs a sentence encoder, and the project has none: the rule never hits; set "
                      "`encoder:` in kdsl.yaml",
        "vague meaning": "`{condition}` is compared at so low a similarity that {hits} of {samples} samples are near "
                         "enough; raise `at`",
        "impossible share": "`{condition}` never holds, as shares lie between 0 and 1; compare with a number between",
        "no images": "`{condition}` never holds here, as no sample of the task has an image that was read; name "
                     "data.images and run `kdsl ocr`, or delete the condition",
        "no transcripts": "`{condition}` never holds here, as no sample of the task has a sound with a transcript; "
                          "name data.audio and data.transcripts and run `kdsl transcribe`, or delete the condition",
        "duplicate rule": "has the conditions and the label of {other}; keep one of the two",
        "conflict": "has the conditions of {other}, whose label is {label!r}; keep one of the two",
        "overlap": "{shared} of its {hits} hits are hits of {other} too, whose label is {label!r}; make one of the "
                   "two more special",
        "subsumed rule": "hits only where {other} (`{conditions}`) hits too; delete it or make it say more",
        "missing hit": "must hit sample {sample!r} but does not",
        "forbidden hit": "must not hit sample {sample!r} but does",
        "unknown sample": "the test names sample {sample!r}, which is not among the samples of the task",
        "left out field": "`{condition}` tests what `fields:` in kdsl.yaml leaves out, so the rule does not count; "
                          "switch the field on, or delete the condition",
    },
    "zh": {
        "unreadable": "文件无法读取：{reason}",
        "ignored file": "文件名以 {ending} 结尾，不会被读取；请改为 .yaml",
        "duplicate id": "编号 {id} 已属于 {file}；请给其中一条换个编号",
        "unreadable original": "编号 {id} 属于 {file}，而那个文件无法读取；请先修好它",
        "unknown label": "任务 {task} 没有“{label}”这个标签",
        "misplaced file": "文件在文件夹“{folder}”里，标签却是“{label}”；以标签为准",
        "stale review": "审核之后条件又改过；请重新审核",
        "only negated": "所有条件都是否定的，凡没有这些词的样本都会命中；请加一个肯定的条件",
        "duplicate term": "词语“{term}”写了两次；留一个即可",
        "redundant term": "已有“{shorter}”，更长的“{term}”不起作用；可以删去",
        "contradiction": "条件“{condition}”与“{earlier}”矛盾，规则永远不会命中；请删去一个",
        "redundant condition": "已有条件“{stronger}”，条件“{weaker}”不起作用；可以删去",
        "long wording": "说法“{wording}”有 {length} 个字，很少有话会与这么长的内容接近；请写一句短话",
        "other encoder": "条件“{condition}”是为编码器“{encoder}”写的，而项目用的是“{own}”，规则永远不会命中；"
                         "请重新选定相似度并写明编码器，或在 kdsl.yaml 里设置 encoder",
        "no encoder": "条件“{condition}”需要句子编码器，而项目没有，规则永远不会命中；请在 kdsl.yaml 里设置 encoder",
        "vague meaning": "条件“{condition}”的相似度定得太低，{samples} 个样本里有 {hits} 个都够接近；请调高",
        "impossible share": "条件“{condition}”永远不成立：占比在 0 与 1 之间；请改用其间的数",
        "no images": "条件“{condition}”在这里不会成立：任务的样本都没有读得出的图片；"
                     "请设置图片文件夹并识别图中文字，或删去它",
        "no transcripts": "条件“{condition}”在这里不会成立：任务的样本都没有转写过的语音；"
                          "请设置语音文件夹并转写，或删去它",
        "duplicate rule": "与 {other} 的条件和标签都相同；留一条即可",
        "conflict": "与 {other} 条件相同，标签却是“{label}”；留一条即可",
        "overlap": "{hits} 个命中里有 {shared} 个也被 {other} 命中，而它的标签是“{label}”；请把其中一条改得更具体",
        "subsumed rule": "凡它命中的，{other}（{conditions}）也命中；可以删去，或改得更具体",
        "missing hit": "必须命中样本“{sample}”，却没有命中",
        "forbidden hit": "不得命中样本“{sample}”，却命中了",
        "unknown sample": "测试用到样本“{sample}”，但任务里没有这个样本",
        "left out field": "条件“{condition}”所看的字段在项目配置里已关闭，规则不起作用；请重新打开，或删去条件",
    },
}  # fmt: skip

CHINESE_NAMES: Mapping[Check, str] = {
    "unreadable": "无法读取", "ignored file": "未读取的文件", "duplicate id": "重复编号",
    "unreadable original": "原文件无法读取", "unknown label": "未知标签", "misplaced file": "文件位置不对",
    "stale review": "审核已过期", "only negated": "只有否定条件", "duplicate term": "重复词语",
    "redundant term": "多余词语", "contradiction": "条件矛盾", "redundant condition": "多余条件",
    "long wording": "说法过长", "other encoder": "编码器不同", "no encoder": "没有编码器", "vague meaning": "意思过宽",
    "impossible share": "占比不可能", "no images": "没有图片", "no transcripts": "没有转写",
    "duplicate rule": "重复规则", "conflict": "标签冲突", "overlap": "命中重叠", "subsumed rule": "被其他规则包含",
    "missing hit": "漏命中", "forbidden hit": "误命中", "unknown sample": "样本不存在",
    "left out field": "关闭的字段",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to look at; docs/rules.md lists all checks."""

    check: Check
    severity: Severity
    file: Path
    line: int | None
    rule: str | None
    values: Values = field(default_factory=dict)

    @property
    def place(self) -> str:
        return f"{self.file}, line {self.line}" if self.line else str(self.file)

    @property
    def message(self) -> str:
        return sentence(self.check, self.values)

    def record(self) -> dict[str, Any]:
        """The JSON object of `kdsl rules lint`; conditions stand in it as in rule files."""
        return {
            "check": self.check,
            "severity": self.severity,
            "file": str(self.file),
            "line": self.line,
            "rule": self.rule,
            "values": {name: _plain(value) for name, value in self.values.items()},
            "message": self.message,
        }


def check_name(check: Check, language: Language) -> str:
    return CHINESE_NAMES[check] if language == "zh" else check


def sentence(check: Check, values: Values, language: Language = "en") -> str:
    return "".join(text for text, _ in pieces(check, values, language))


def pieces(check: Check, values: Values, language: Language) -> Iterator[tuple[str, str | None]]:
    """The sentence in parts, and for each part the name of the value that it tells; None for plain words."""
    formatter = Formatter()
    for words, name, _, conversion in formatter.parse(SENTENCES[language][check]):
        if words:
            yield words, None
        if name is not None:
            yield str(formatter.convert_field(_told(values[name], language), conversion)), name


def _told(value: Value, language: Language) -> str | int:
    """English names fields and conditions as rule files and tables do."""
    if isinstance(value, Condition):
        value = (value,)
    if not isinstance(value, tuple):
        return value
    return rule_words(value, language) if language == "zh" else " and ".join(map(str, value))


def _plain(value: Value) -> Any:
    if isinstance(value, Condition):
        return value.mapping()
    return [condition.mapping() for condition in value] if isinstance(value, tuple) else value
