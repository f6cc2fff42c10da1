"""Keys of a record that no reader reads: most mean nothing, but a misnamed one loses a text or a label."""

import re
from collections.abc import Set
from difflib import get_close_matches
from functools import lru_cache

from kdsl.data.record import Record
from kdsl.sample import Sample

_CONTENT = ("instruction", "messages", "conversations", "turns", "text")
"""Each holds what is said, in one of the forms: of two, only the first is read."""

_OTHER_NAMES = {
    "text": "ask body chat comment comments content contents context conv conversation conversations data desc "
    "description details dialog dialogs dialogue dialogues doc document example feedback history input inputs "
    "instruction message messages msg note notes passage prompt query question remark remarks review sentence "
    "sentences subject summary title turn turns tweet txt utterance utterances "
    "产品名称 产品标题 内容 反馈 句子 商品名称 商品标题 备注 客户留言 客户问题 对话 描述 文本 文案 标题 正文 消息 "
    "用户 用户问题 用户消息 留言 咨询 评论 话术 详情 说明 问句 问题",
    "label": "annotation annotations answer answers category class classes cls emotion gold groundtruth intent "
    "intents labels output response sentiment tag tags target targets topic y "
    "主题 分类 情感 意图 标签 标注 类别 答案 类型",
    "images": "filename files img imgs image imagefile imagepath imagepaths imageurl imageurls photo photos pic pics "
    "picture pictures screenshot screenshots 图 图像 图片 截图",
    "audio": "audiofile audiofiles audiopath audiopaths audios audiourl audiourls recording recordings "
    "soundfile soundfiles voicemail voicemessage voicemessages wav wavs wavfile "
    "录音 录音文件 语音 语音文件 语音消息 音频 音频文件",
    "id": "conversationid customid dialogid guid identifier itemid key msgid number sampleid sessionid sid sku "
    "ticketid uid uuid 会话id 工单号 序号 订单号 编号",
}
_MEANT = {name: key for key, names in _OTHER_NAMES.items() for name in (key, *names.split())}
_OTHER_MEDIA = ("video", "videos")
_ALIKE, _LONG = 0.8, 3
"""Share of common characters, as difflib counts, from which a key of so many is a mistyped one."""
_LONG_NAMES = ("label", "image", "images", *_CONTENT)
_WORD = re.compile(r"[A-Z]?[^\W\d_A-Z]+|[A-Z]+")
"""A word of a name, in which capitals or signs part words."""
_FILES = {
    "images": re.compile(r"\.(?:png|jpe?g|webp|gif|bmp|tiff?)\b", re.IGNORECASE),
    "audio": re.compile(r"\.(?:wav|mp3|og[ga]|opus|flac|amr|m4a|aac|aiff?|wma|3gp|webm)\b", re.IGNORECASE),
}
"""What the value of a key holds that may be meant for one of these."""


def note_keys(record: Record, known: Set[str], sample: Sample) -> None:
    """Note every key of `record` beside the `known` ones of its form: what may be lost by it, and what is not used."""
    if record.value.keys() <= known:
        return
    has = {
        "text": any(turn.text for turn in sample.turns),
        "label": sample.answer is not None,
        "images": bool(sample.images),
        "audio": bool(sample.audio),
        "id": record.value.get("id") is not None,
    }
    read = next((key for key in _CONTENT if key in record.value and key in known), None)
    for key, value in record.value.items():
        if key in known or value is None or value in ("", [], {}):
            continue
        meant = meant_key(key)
        if key in _OTHER_MEDIA:
            record.notes.note(f"values of {key!r} left out", record.where)
        elif key in _CONTENT and read is not None:
            record.notes.note_unread(key, f"{read!r} is read instead: keep one of the two", record.where)
        elif meant is not None and not has[meant] and (meant not in _FILES or _FILES[meant].search(str(value))):
            record.notes.note_unread(key, advice(key, known), record.where)
        else:
            record.notes.unused[key] += 1


def advice(key: str, known: Set[str]) -> str:
    """What to do about an unknown key that `meant_key` knows, in a form with the `known` keys."""
    meant, plain = meant_key(key), _plain(key)
    right = "output" if meant == "label" and "output" in known else plain if plain in _CONTENT else meant
    return f"if it is the {meant}, call it {right!r}"


@lru_cache(maxsize=1024)
def meant_key(key: str) -> str | None:
    """Which of `text`, `label`, `images`, `audio` and `id` an unknown key probably stands for; None for none of them.

    >>> meant_key("Text"), meant_key("lable"), meant_key("image_path"), meant_key("source")
    ('text', 'label', 'images', None)
    """
    plain, exactly = _plain(key), meant_exactly(key)
    if exactly is not None or len(plain) < _LONG:
        return exactly
    alike = get_close_matches(plain, _LONG_NAMES, 1, _ALIKE)
    return _MEANT[alike[0]] if alike else None


def meant_exactly(key: str) -> str | None:
    """The same by names alone, none of them mistyped; of `a.b`, a key within an object, the last one counts."""
    return _MEANT.get(_plain(key.rpartition(".")[2]))


def meant_by_name(key: str) -> str | None:
    """The same of a column, whose name may say more than that: its last word tells what it holds.

    >>> meant_by_name("customerMessage"), meant_by_name("问题类型"), meant_by_name("content type")
    ('text', 'label', None)
    """
    exactly = meant_exactly(key)
    if exactly is not None:
        return exactly
    words = _WORD.findall(key.rpartition(".")[2])
    last = words[-1].casefold() if words else ""
    ends = [name for name in _MEANT if not name.isascii() and len(name) > 1 and last.endswith(name)]
    return _MEANT.get(last) or (_MEANT[max(ends, key=len)] if ends else None)


def _plain(key: str) -> str:
    return re.sub(r"[\W_\d]+", "", key.casefold())
