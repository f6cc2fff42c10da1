"""One decision printed for a person, line by line."""

import numpy as np
import pytest
from concept_encoder import concept_vectors
from PIL import Image

from kdsl.arbiter.decision import Decision
from kdsl.arbiter.weighed_hit import WeighedHit
from kdsl.audio.transcript import Transcript, Word
from kdsl.cli.decision_view import print_decision
from kdsl.fields.pictures import Pictures
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.explanation import Explanation, LikeDescription, NearSample
from kdsl.rules.condition import Condition
from kdsl.rules.engine import Engine
from kdsl.rules.rule import Rule, When
from kdsl.sample import Sample, Turn

LABELS = ("调光", "材质", "物流", "退款", "发票", "其他")
BOX = (0, 0, 9, 9)
PAGES = Sidecars(
    ocr={
        "p.png": OcrPage("p.png", (100, 200), (OcrLine("发货", 1.0, BOX), OcrLine("面料：棉麻", 1.0, BOX))),
        "r.png": OcrPage("r.png", (9, 9), ()),
    },
    captions={"r.png": "一块棉麻布", "p.png": "一张网页"},
)
SAMPLE = Sample(
    "a[1]",
    "shop",
    (Turn("user", "灯能调亮度吗\n亮一点"), Turn("agent", "能\r好"), Turn("user", "太亮了")),
    ("p.png", "q.png", "r.png"),
    label="物流",
)


def rule(id_: str, label: str, field: str, *terms: str) -> Rule:
    return Rule(id=id_, label=label, when=When(all=(Condition(field=field, terms=terms),)))


RULES = [
    rule("r-lamp", "调光", "user", "变暗", "亮度"),
    rule("r-both", "调光", "user", "调亮"),
    rule("r-last", "调光", "last_user", "太亮"),
    rule("r-linen", "材质", "ocr", "棉麻"),
    rule("r-seen", "材质", "caption", "棉麻"),
]


def decision(sample: Sample = SAMPLE, rules=RULES, **more) -> Decision:
    found = Engine(rules).hits(FieldTable([sample], PAGES))[0]
    hits = tuple(WeighedHit(hit, 0.9 - 0.125 * i, 2 - 0.25 * i) for i, hit in enumerate(found))
    model, merged = np.array([0.3, 0.5, 0.1, 0.04, 0.04, 0.02]), np.array([0.7, 0.1, 0.1, 0.04, 0.03, 0.03])
    merged = merged if hits else model
    return Decision(sample, LABELS, model, merged, hits, "all", **more)


@pytest.fixture
def printed(capsys, monkeypatch):
    """The lines that a decision is printed as; blanks at their end and the lines of tables are left out."""
    monkeypatch.delenv("COLUMNS", raising=False)

    def lines(*arguments: object) -> list[str]:
        capsys.readouterr()
        print_decision(*arguments)
        found = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
        return [line for line in found if line.strip(" ─")]

    return lines


def test_everything_that_is_known_about_a_decision(printed):
    assert printed(decision(model_reason="因为[灯]"), PAGES) == [
        "a[1]  shop",
        "  0 user   灯能【调亮度】吗 亮一点",
        "  1 agent  能 好",
        "  2 user   【太亮】了",
        "image p.png: 2 lines of text",
        "    line 1  面料：【棉麻】",
        "image q.png: no text was read",
        "image r.png: 0 lines of text",
        "    caption  一块【棉麻】布",
        "                relia-",
        "id       label  bility  weight  holds because",
        "r-lamp   调光     0.90    2.00  user has 变暗|亮度",
        "r-both   调光     0.78    1.75  user has 调亮",
        "r-last   调光     0.65    1.50  last_user has 太亮",
        "r-linen  材质     0.53    1.25  ocr has 棉麻",
        "r-seen   材质     0.40    1.00  caption has 棉麻",
        "label  model alone  with rules",
        "调光         0.300       0.700",
        "材质         0.500       0.100",
        "物流         0.100       0.100",
        "退款         0.040       0.040",
        "发票         0.040       0.030",
        "The model's reason: 因为[灯]",
        "调光 decided by the rules: rules r-lamp (user has 亮度), r-both (user has 调亮) and 1 more speak for 调光 "
        "(0.70 against 0.10 for the model's 材质).",
        "The sample's own label: 物流",
    ]


def test_where_little_is_known_little_is_printed(printed):
    assert printed(decision(Sample("b", "shop", (Turn("user", "在吗"),))), Sidecars())[:3] == [
        "b  shop",
        "  0 user   在吗",
        "No rule holds.",
    ]
    assert not any("own label" in line or "reason" in line for line in printed(decision(Sample("b", "shop")), PAGES))


def test_a_meaning_is_told_with_what_came_nearest(printed):
    near, far = ({"means": {"user": text, "at": 0.5}} for text in ("灯亮吗", "快递"))
    rule = Rule(id="r-means", label="调光", when=When(all=(near, {"not": far})))
    seen = Sidecars(vectors=concept_vectors())
    [found] = Engine([rule]).hits(FieldTable([Sample("b", "shop", (Turn("user", "谢谢。亮度不行"),))], seen))
    hits = tuple(WeighedHit(hit, 0.9, 1.0) for hit in found)
    merged = np.array([1.0, 0, 0, 0, 0, 0])
    lines = printed(Decision(found[0]._row.sample, LABELS, merged, merged, hits, "all"), seen)
    assert lines[1] == "  0 user   谢谢。【亮度不行】"
    told = " ".join(lines)
    assert "user means 灯亮吗 (at 0.5): similarity 1.00 to 灯亮吗" in told
    assert "not user means 快递 (at 0.5): similarity 0.00 to 快递" in told


def test_what_is_said_in_sounds_stands_below_its_turn_and_evidence_tells_the_time(printed):
    known = Sidecars(
        transcripts={
            "v.amr": Transcript("v.amr", 75.0, "灯太亮了", (Word("太亮", 63.2, 64.0),)),
            "silent.wav": Transcript("silent.wav", 3.9, ""),
            "call.mp3": Transcript("call.mp3", 4.0, "能调亮吗"),
        }
    )
    turns = (Turn("user", "在吗", audio=("v.amr", "[new].wav")), Turn("agent", "在", audio=("silent.wav",)))
    sample = Sample("b", "shop", turns, audio=("call.mp3", "v.amr", "[new].wav", "silent.wav"))
    rules = [rule("r-loud", "调光", "voice", "太亮", "刺眼"), rule("r-call", "调光", "user", "调亮")]
    [found] = Engine(rules).hits(FieldTable([sample], known))
    merged = np.array([1.0, 0, 0, 0, 0, 0])
    hits = tuple(WeighedHit(hit, 0.9, 1.0) for hit in found)
    lines = printed(Decision(sample, LABELS, merged, merged, hits, "all"), known)
    assert lines[1:7] == [
        "  0 user   在吗",
        "sound v.amr, 1:15: 灯【太亮】了",
        "sound [new].wav: nobody has written down what is said",
        "  1 agent  在",
        "sound silent.wav, 0:03: nothing is said",
        "sound call.mp3, 0:04: 能【调亮】吗",
    ]
    assert [line.split("  ")[-1] for line in lines if line.startswith("r-")] == [
        "voice has 太亮|刺眼: 1:03 in v.amr",
        "user has 调亮: call.mp3",
    ]


def test_conditions_of_one_rule_are_joined_with_and(printed):
    two = Rule(id="r-two2", label="调光", when=When(all=(RULES[0].conditions[0], RULES[2].conditions[0])))
    row = next(line for line in printed(decision(rules=[two]), PAGES) if line.startswith("r-two2"))
    assert row.endswith("user has 变暗|亮度 and last_user has 太亮")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("春" * 300 + "亮度" + "夏" * 300, "春" * 300 + "【亮度】" + "夏" * 300),
        ("春" * 301 + "亮度" + "夏" * 301, " … " + "春" * 300 + "【亮度】" + "夏" * 300 + " … "),
        ("亮度" + "春" * 600 + "调亮", "【亮度】" + "春" * 600 + "【调亮】"),
        ("亮度" + "春" * 300 + "秋" + "夏" * 300 + "调亮", "【亮度】" + "春" * 300 + " … " + "夏" * 300 + "【调亮】"),
        ("秋" * 300, "秋" * 300),
        ("\ufffd亮度\ufffd", "\ufffd【亮度】\ufffd"),
        ("秋" * 301, "秋" * 300 + " … "),
        ("调亮亮度", "【调亮亮度】"),
        ("调亮度", "【调亮度】"),
        ("调亮 亮度", "【调亮】 【亮度】"),
    ],
)
def test_of_long_texts_what_is_near_the_marks_is_shown(printed, text, shown):
    assert printed(decision(Sample("b", "shop", (Turn("user", text),))), PAGES)[1] == f"  0 user   {shown}".rstrip()


def test_what_the_classifier_looked_at(printed):
    near = NearSample("s[1]", 1, 0.834, "什么\n面料"), NearSample("s2", 0, 0.2, "")
    looked = Explanation(near, LikeDescription(2, 0.456), {"linear": 0.9, "neighbours": 0.25})
    lines = printed(decision(), PAGES, looked)
    assert lines[lines.index("发票         0.040       0.030") + 1 :][:5] == [
        "nearest samples  label  similarity  words",
        "s[1]             材质         0.83  什么 面料",
        "s2               调光         0.20  no words",
        "nearest label description: 物流 (likeness 0.46)",
        "what each opinion of the model counts: linear 0.90, neighbours 0.25",
    ]
    assert "No other training sample is like it." in printed(decision(), PAGES, Explanation(near=()))
    assert not any("like" in line for line in printed(decision(), PAGES, Explanation()))


def test_on_a_terminal_evidence_is_reversed_and_speakers_are_coloured(monkeypatch, capsys):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    print_decision(decision(), PAGES, Explanation(near=(NearSample("s2", 0, 0.2, ""),), weights={"linear": 0.9}))
    out = capsys.readouterr().out
    bold, dim, cyan, marked, off = "\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[1;7;36m", "\x1b[0m"
    for part in (
        f"{bold}a[1]  shop{off}",
        f"{cyan}  0 user   灯能{off}{marked}调亮度{off}{cyan}吗 亮一点{off}",
        f"{dim}  1 agent  能 好{off}",
        f"{dim}image q.png: no text was read{off}",
        f"{bold}调光{off}",
        f"{dim}no words",
        f"{dim}what each opinion of the model counts: linear 0.90{off}",
        f"{dim}The sample's own label: 物流{off}",
    ):
        assert part in out, part
    assert "【" not in out


def test_what_a_terminal_would_obey_is_made_visible(printed):
    hostile = Sample("a\x1b[2J", "shop", (Turn("user", "\x1b]0;title\x07调亮\x9b31m"),))
    text = "\n".join(printed(decision(hostile), PAGES))
    assert not any(character in text for character in "\x1b\x07\x9b")
    assert "a␛[2J" in text and "␛]0;title␇【调亮】\ufffd31m" in text


def test_what_rules_see_on_an_image_is_told_with_its_region(printed, tmp_path):
    Image.new("RGB", (50, 100), "red").save(tmp_path / "p.png")
    known = Sidecars(PAGES.ocr, pictures=Pictures(tmp_path))
    conditions = [
        {"image.colour": {"zone": "top", "colour": "red", "share": ">0.3"}},
        {"image.kind": "screenshot"},
        {"ocr.size": {"terms": ["发货", "收货"], "height": ">0.04"}},
    ]
    rules = [Rule(id="r-sees", label="物流", when={"all": conditions})]
    [hits] = Engine(rules).hits(FieldTable([SAMPLE], known))
    weighed = tuple(WeighedHit(hit, 0.9, 2.0) for hit in hits)
    lines = printed(Decision(SAMPLE, LABELS, np.ones(6) / 6, np.ones(6) / 6, weighed, "all"), known)
    assert lines[4:8] == [
        "image p.png: 2 lines of text",
        "    0,0 to 100,40  【red 1.00, >0.3】",
        "    0,0 to 100,200  【screenshot】",
        "    line 0  【发货】",
    ]
    row = next(line for line in lines if line.startswith("r-sees"))
    assert row.endswith(
        "image.colour top red >0.3: red 1.00, >0.3 and image.kind screenshot and ocr.size has 发货|收货 in lines "
        ">0.04: height 0.045, >0.04"
    )
