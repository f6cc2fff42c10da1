"""What the large model is asked."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from kdsl.audio.transcript import Transcript
from kdsl.data.dialogue import fill_prompt
from kdsl.errors import KdslError
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable, SampleFields
from kdsl.models.large.prompts import NO_TEXT, NO_TRANSCRIPT, Prompts
from kdsl.retrieval.knowledge import Passage
from kdsl.retrieval.memory import Memory
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.tasks import load_task
from kdsl.vlm.conversation import Audio, Conversation, Instruction, Picture, drop_earliest

PLAIN = Prompts(Path("images"))
TURNS = (Turn("user", "能调光吗", ("a.png",)), Turn("agent", ""), Turn("user", "多谢\n再问", ("b.png", "c.png")))


def pieces(task: Task, sample: Sample, prompts: Prompts = PLAIN, sidecars: Sidecars | None = None) -> tuple:
    [message] = prompts.conversation(task, SampleFields(sample, sidecars or Sidecars()))
    assert message.role == "user"
    return message.pieces


def written(found: tuple) -> str:
    return "".join("<image>" if isinstance(piece, Picture) else piece for piece in found)


def as_conversation(prompts: Prompts, task: Task, sample: Sample) -> Conversation:
    return prompts.conversation(task, SampleFields(sample, Sidecars()))


def test_the_challenge_s_prompt_for_scenes_is_kept_to_the_letter():
    task = load_task("mire_scene", Path())
    found = pieces(task, Sample("1", "mire_scene", (), ("a.png",)))
    assert [type(piece) for piece in found] == [Instruction, Picture, Instruction]
    assert found[:2] == ("Picture 1: ", Picture(Path("images/a.png")))
    assert written(found) == task.prompt
    assert "消费者与客服聊天页面" in found[2]


def test_the_challenge_s_prompt_for_intents_holds_dialogue_pictures_and_labels():
    task = load_task("mire_intent", Path())
    found = pieces(task, Sample("1", "mire_intent", TURNS, ("a.png", "b.png", "c.png")))
    names = json.dumps(task.label_names, ensure_ascii=False, separators=(",", ":"))
    assert written(found) == (
        "你是一个电商客服专家，请根据用户与客服的多轮对话判断用户的意图分类标签。\n<用户与客服的对话 START>\n"
        "用户: 能调光吗<image>\n客服: \n用户: 多谢\n再问<image><image>\n<用户与客服的对话 END>\n"
        f"请直接只输出分类标签结果，不需要其他多余的话。以下是可以参考的分类标签为：{names}\n"
    )
    assert [piece.path.name for piece in found if isinstance(piece, Picture)] == ["a.png", "b.png", "c.png"]


def test_an_english_task_is_asked_in_english_alone():
    task = Task("t", (Label("refund", "asks for money back"), Label("exchange")))
    words = Sidecars(ocr={"a.png": OcrPage("a.png", (600, 1200), (OcrLine("paid", 1.0, (0, 90, 80, 105)),))})
    known = FieldTable([Sample("s", "t", (Turn("user", "give me money back"),))], Sidecars())
    sample = Sample("1", "t", (Turn("user", "money back please", ("a.png",)), Turn("agent", "sure")), ("a.png",))
    prompts = Prompts(Path("images"), descriptions=True, ocr=True, neighbours=1).fitted([(task, known, ["refund"])])
    found = written(pieces(task, sample, prompts, words))
    assert "A similar sample: the user says: give me money back" in found
    assert "User: money back please<image>\nAgent: sure\n" in found
    assert "Text on the pictures:\npaid\n" in found
    assert found.isascii()


def test_of_a_long_prompt_the_earliest_turns_can_be_dropped_but_not_the_question():
    task = load_task("mire_intent", Path())
    whole = as_conversation(PLAIN, task, Sample("1", "mire_intent", TURNS, ("a.png", "b.png", "c.png")))
    [message], dropped = drop_earliest(whole, 2)
    assert (dropped, written(message.pieces).count("能调光吗"), written(message.pieces).count("再问")) == (2, 0, 1)
    [message], dropped = drop_earliest(whole, 99)
    assert dropped == 8
    assert written(message.pieces).startswith("你是一个电商客服专家")
    assert "标签为：[" in written(message.pieces)


@pytest.mark.parametrize("images", [(), ("a.png",), ("a.png", "b.png")])
@pytest.mark.parametrize(
    "prompt", ["", "<image>看图：{labels}", "{dialogue}", "<image>{dialogue}<image>？", "{dialogue}{dialogue}"]
)
@pytest.mark.parametrize("said", ["<image>", "<ima<image>ge>", "标签", "{labels}"])
def test_joined_pieces_are_the_filled_prompt_with_as_many_pictures_as_images(prompt, images, said):
    task = Task("t", (Label("甲"), Label("乙")), prompt or "{dialogue}")
    sample = Sample("1", "t", (Turn("user", said), Turn("agent", "好")), images)
    found = pieces(task, sample)
    assert written(found) == fill_prompt(task, sample)
    assert sum(isinstance(piece, Picture) for piece in found) == len(images)


def test_a_task_without_a_prompt_gets_one_that_names_the_labels():
    found = written(pieces(Task("t", (Label("甲"), Label("乙"))), Sample("1", "t", (Turn("user", "在吗"),))))
    assert "在吗" in found
    assert '["甲","乙"]' in found


def test_a_task_without_any_chinese_is_asked_in_english():
    task = Task("t", (Label("price", "what it costs"), Label("size", "how large it is")))
    words = ("what does the lamp cost", "is the lamp large")
    table = FieldTable([Sample(str(n), "t", (Turn("user", text),)) for n, text in enumerate(words)], Sidecars())
    page = OcrPage("a.png", (9, 9), (OcrLine("special offer", 1.0, (0, 0, 9, 9)),))
    asked = Sample("new", "t", (Turn("user", "how much does this lamp cost"),), ("a.png",))
    prompts = Prompts(
        Path("images"), True, True, neighbours=1, knowledge=1, passages={"t": [Passage("Lamp", "it costs 9", "a")]}
    )
    found = pieces(task, asked, prompts.fitted([(task, table, ["price", "size"])]), Sidecars(ocr={"a.png": page}))
    assert found[:4] == (
        "Known: Lamp: it costs 9\n",
        "A similar sample: the user says: what does the lamp cost\nIts class: price\n",
        "Text on the pictures:\nspecial offer\n",
        "What the classes mean:\nprice: what it costs\nsize: how large it is\n",
    )
    assert 'Answer with the class only. Classes: ["price","size"]' in written(found)
    assert pieces(replace(task, prompt="哪一类？{labels}"), asked, prompts)[0].startswith("分类标签的含义")


def test_descriptions_and_text_on_pictures_are_added_on_request(image_task):
    pages = {"a.png": OcrPage("a.png", (9, 9), (OcrLine("退款中", 1.0, (0, 0, 9, 9)),))}
    sample = Sample("1", "scene", (), ("a.png", "b.png"))
    prompts = Prompts(Path("images"), descriptions=True, ocr=True)
    ocr, descriptions, *rest = pieces(image_task, sample, prompts, Sidecars(ocr=pages))
    assert ocr == "图片中的文字：\n退款中\n"
    assert not isinstance(ocr, Instruction)
    assert descriptions == Instruction("分类标签的含义：\n支付页面：支付方式\n退款页面：退款信息\n")
    assert tuple(rest) == pieces(image_task, sample)


def test_a_model_that_takes_no_pictures_is_shown_the_text_on_them(image_task):
    pages = Sidecars(ocr={"a.png": OcrPage("a.png", (9, 9), (OcrLine("退款中", 1.0, (0, 0, 9, 9)),))})
    sample = Sample("1", "scene", (), ("a.png", "b.png"))
    blind = Prompts(None, ocr=True, sees=lambda: False)
    with_pictures = pieces(image_task, sample, Prompts(Path("images"), ocr=True), pages)
    assert pieces(image_task, sample, blind, pages) == tuple(p for p in with_pictures if not isinstance(p, Picture))
    assert blind.unshown(image_task, SampleFields(sample, pages)) is None
    unread = Sample("2", "scene", (Turn("user", "看图"),), ("b.png",))
    assert blind.unshown(image_task, SampleFields(unread, pages)) == NO_TEXT
    assert Prompts(None, ocr=True).unshown(image_task, SampleFields(unread, pages)) is None
    assert blind.unshown(image_task, SampleFields(Sample("3", "scene", (Turn("user", "你好"),)), pages)) is None
    assert replace(blind, ocr=False).unshown(image_task, SampleFields(sample, pages)) == NO_TEXT


def test_images_without_a_folder_are_told(image_task):
    with pytest.raises(KdslError, match=r"sample '1' has the image a.png, but data.images is not set"):
        pieces(image_task, Sample("1", "scene", (), ("a.png",)), Prompts(None))


def test_a_link_out_of_the_folder_is_not_followed(image_task, tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/a.png").symlink_to(tmp_path / "secret.png")
    with pytest.raises(KdslError, match=r"'a.png' leads outside .*images; give a name below that folder"):
        pieces(image_task, Sample("1", "scene", (), ("a.png",)), Prompts(tmp_path / "images"))


def said(id: str, *turns: Turn, label: str | None = None) -> Sample:
    return Sample(id, "intent", turns, label=label)


WORDS = ("台灯亮度可以调吗", "这个灯亮度能调吗", "裤子是什么面料", "面料纯棉吗")
TRAINED = FieldTable([said(str(n), Turn("user", text)) for n, text in enumerate(WORDS)], Sidecars())
PASSAGES = {"intent": [Passage("台灯", "亮度三档可调", "a"), Passage("裤子", "面料是纯棉", "b")]}


def retrieving(task: Task, neighbours: int = 1, knowledge: int = 1) -> Prompts:
    names = [task.label_names[place] for place in (0, 0, 1, 1)]
    prompts = Prompts(None, neighbours=neighbours, knowledge=knowledge, passages=PASSAGES)
    return prompts.fitted([(task, TRAINED, names)])


def test_neighbours_and_passages_stand_before_the_prompt_and_can_be_dropped(dialogue_task):
    new = said("new", Turn("user", "台灯的亮度可以调一调吗"))
    found = pieces(dialogue_task, new, retrieving(dialogue_task, neighbours=2))
    plain = pieces(dialogue_task, new)
    assert found[: -len(plain)] == (
        "参考知识：台灯：亮度三档可调\n",
        "相似的样本：用户：这个灯亮度能调吗\n它的分类标签：能否调光\n",
        "相似的样本：用户：台灯亮度可以调吗\n它的分类标签：能否调光\n",
    )
    assert found[-len(plain) :] == plain
    [message], dropped = drop_earliest(as_conversation(retrieving(dialogue_task, 2), dialogue_task, new), 3)
    assert (message.pieces, dropped) == (plain, 3)


def test_a_sample_that_was_trained_on_is_asked_as_in_prediction_but_for_itself(dialogue_task):
    prompts = retrieving(dialogue_task, neighbours=4)
    for row in TRAINED.rows:
        [message] = prompts.conversation(dialogue_task, row)
        shown = [piece for piece in message.pieces if piece.startswith("相似的样本")]
        assert shown
        assert not any(row.sample.turns[0].text in piece for piece in shown)
        copied = replace(row.sample, id="copy", copy_of=row.sample.id)
        assert prompts.conversation(dialogue_task, SampleFields(copied, Sidecars())) == (message,)


def test_prompts_that_were_saved_and_loaded_are_the_same_to_the_letter(dialogue_task, tmp_path):
    prompts = retrieving(dialogue_task)
    prompts.memories["intent"].save(tmp_path)
    loaded = replace(prompts, memories={"intent": Memory.load(tmp_path)}, passages={})
    for row in TRAINED.rows:
        assert loaded.conversation(dialogue_task, row) == prompts.conversation(dialogue_task, row)


def test_text_on_pictures_is_cleaned_and_keeps_to_its_tokens(image_task):
    lines = [OcrLine("9:41", 1.0, (0, 5, 30, 25))]
    lines += [
        OcrLine(f"第{'一二三四五六七八'[n]}行¥1{n}.00", 1.0, (0, 99 + 40 * n, 80, 120 + 40 * n)) for n in range(8)
    ]
    sidecars = Sidecars(ocr={"a.png": OcrPage("a.png", (600, 1200), tuple(lines))})
    sample = Sample("1", "scene", (), ("a.png",))

    def text(**options) -> str:
        return pieces(image_task, sample, Prompts(Path("images"), ocr=True, **options), sidecars)[0]

    assert text().startswith("图片中的文字：\n第一行¥<价格>\n第二行¥<价格>\n")
    assert "9:41" not in text()
    assert text(ocr_tokens=20) == "图片中的文字：\n第一行¥<价格>\n第二行¥<价格>\n"
    assert text(ocr_tokens=3, count=lambda line: 1).count("\n") == 4


def test_prompts_that_show_nothing_learned_learn_nothing(dialogue_task):
    assert PLAIN.fitted([(dialogue_task, TRAINED, ["能否调光"] * 4)]) is PLAIN


SPOKEN = (Turn("user", "看图", ("a.png",), ("1.amr", "2.amr")), Turn("agent", "好"), Turn("user", "", (), ("3.amr",)))
HEARD = Sidecars(
    transcripts={"1.amr": Transcript("1.amr", 2.0, "我要退货"), "3.amr": Transcript("3.amr", 1.0, "谢谢")}
)
HEARS = Prompts(Path("images"), audio=Path("audio"), hears=lambda: True)


def spoken(**more) -> Sample:
    return Sample("1", "intent", SPOKEN, ("a.png",), audio=("1.amr", "2.amr", "3.amr"), **more)


def test_a_model_that_hears_is_given_each_sound_behind_what_is_said_in_it(dialogue_task):
    found = pieces(dialogue_task, spoken(), HEARS, HEARD)
    picture, first, second, third = Picture(Path("images/a.png")), *(Audio(Path("audio") / f"{n}.amr") for n in "123")
    assert found[1:-1] == ("用户: 看图\n", "我要退货", picture, first, second, "\n", "客服: 好\n", "用户: 谢谢", third)
    assert not any(isinstance(piece, Instruction) for piece in found[1:-1])
    shown = "".join("<audio>" if isinstance(piece, Audio) else written((piece,)) for piece in found)
    row = SampleFields(spoken(), HEARD)
    assert shown == fill_prompt(dialogue_task, row.heard, audio=True)
    [message], dropped = drop_earliest(HEARS.conversation(dialogue_task, row), 4)
    assert dropped == 4 and message.pieces[1:3] == (second, "\n")


def test_a_model_that_does_not_hear_is_given_what_is_said_alone(dialogue_task):
    deaf = Prompts(Path("images"))
    found = pieces(dialogue_task, spoken(), deaf, HEARD)
    hearing = pieces(dialogue_task, spoken(), HEARS, HEARD)
    assert written(found) == written(tuple(piece for piece in hearing if not isinstance(piece, Audio)))
    assert not any(isinstance(piece, Audio) for piece in found)
    assert "用户: 看图\n我要退货" in written(found)


def test_sounds_are_asked_about_where_there_are_any(dialogue_task):
    """A server is not asked whether it hears for samples without sounds."""

    def asked() -> bool:
        raise AssertionError("it was asked")

    without = Sample("1", "intent", (Turn("user", "能调光吗<audio>"),))
    found = pieces(dialogue_task, without, replace(HEARS, hears=asked))
    assert "能调光吗<audio>" in written(found)
    with pytest.raises(AssertionError, match="it was asked"):
        pieces(dialogue_task, spoken(), replace(HEARS, hears=asked))


def test_a_sound_of_no_turn_stands_first(dialogue_task):
    loose = Sample("1", "intent", (Turn("user", "你好"),), audio=("1.amr",))
    found = pieces(dialogue_task, loose, HEARS, HEARD)
    assert found[0] == Audio(Path("audio/1.amr"))
    assert "你好\n我要退货" in written(found[1:])


def test_a_sample_nothing_of_whose_sounds_is_known_is_not_asked_about(dialogue_task):
    row = SampleFields(spoken(), HEARD)
    assert Prompts(Path("images")).unshown(dialogue_task, row) == NO_TRANSCRIPT
    assert HEARS.unshown(dialogue_task, row) is None
    silent = Sidecars(transcripts={**HEARD.transcripts, "2.amr": Transcript("2.amr", 1.0, "")})
    assert Prompts(Path("images")).unshown(dialogue_task, SampleFields(spoken(), silent)) is None


def test_sounds_without_a_folder_and_outside_it_are_told(dialogue_task, tmp_path):
    with pytest.raises(KdslError, match=r"sample '1' has the sound 1.amr, but data.audio is not set; name the folder"):
        pieces(dialogue_task, spoken(), replace(HEARS, audio=None), HEARD)
    outside = Sample("1", "intent", audio=("../1.amr",))
    with pytest.raises(KdslError, match=r"'../1.amr' leads outside"):
        pieces(dialogue_task, outside, replace(HEARS, audio=tmp_path))
