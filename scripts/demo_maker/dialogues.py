"""Writes the dialogues: a customer wants one thing, and talks about others on the way there."""

from dataclasses import dataclass
from random import Random

from .intents import BORDERLINE, FOLLOW_UPS, INTENTS, TWISTS, Intent
from .wording import fill, typed

USER, AGENT = "用户", "客服"
MOST_TURNS = 14
LABEL_NOISE = 0.03
NAMED, LED_IN = 0.78, 0.15  # shares of questions that name the matter, and that explain the situation first
OFF_TOPIC = 0.4  # share of earlier exchanges that belong to another intent, the others are small talk

SMALL_TALK = (
    "在吗", "你好", "<http>", "这个", "有人吗", "好的", "哦哦", "我看看", "就是这款", "稍等我拍个图", "嗯",
    "亲", "我买的是这个", "页面上没写清楚啊", "刚刚掉线了", "你看这张图", "转人工", "我朋友推荐我来的",
    "你们家{thing}挺多",
)  # fmt: skip
NAMINGS = ("问下*，", "*这块，", "关于*，", "*的事，", "还是*，", "想了解*，", "*？")
CLOSINGS = (
    "好的谢谢",
    "嗯嗯",
    "行吧",
    "知道了",
    "？？",
    "在吗",
    "人呢",
    "回复一下",
    "好，等你",
    "麻烦了",
    "[疑问]",
    "算了我再看看",
)
SMALL_TALK_REPLIES = (
    "您好，请问有什么可以帮您", "亲，在的呢", "请您稍等，我看一下", "欢迎光临，小店全场包邮哦",
    "麻烦您把问题描述得详细一些", "好的呢亲", "已收到您的图片，正在为您查看",
    "亲爱的，客服排队中，请耐心等待/:065", "请问是关于哪个订单呢", "祝您生活愉快，期待您的五星好评",
    "这边帮您看下详情", "感谢支持，活动商品以页面为准 <http>",
)  # fmt: skip


@dataclass(frozen=True)
class Dialogue:
    """Alternating or doubled turns (role, text); always ends with the agent; `label` may be a noisy one."""

    turns: tuple[tuple[str, str], ...]
    label: str
    images: int  # how many `<image>` placeholders the turns hold

    def text(self) -> str:
        """The lines between the START and END markers of the prompt."""
        return "\n".join(f"{role}: {text}" for role, text in self.turns)


def make_dialogues(seed: int) -> list[Dialogue]:
    """All dialogues of the demo in the order of their labels; the same seed gives the same dialogues."""
    rng = Random(f"dialogues {seed}")
    return [make_dialogue(intent, rng) for intent in INTENTS for _ in range(intent.size)]


def make_dialogue(intent: Intent, rng: Random) -> Dialogue:
    core = wish(intent, rng)
    turns: list[tuple[str, str]] = []
    for _ in range(rng.choices((0, 1, 2, 3, 4), weights=(4, 5, 3, 2, 1))[0]):
        turns += detour(intent, rng)
    turns += core
    turns = fit(turns, keep=len(core), rng=rng)
    turns, images = with_images(turns, core_starts=len(turns) - len(core), rng=rng)
    label = intent.name
    if rng.random() < LABEL_NOISE:
        label = rng.choice([other.name for other in INTENTS if other is not intent])
    return Dialogue(tuple(silence(turns, rng)), label, images)


def wish(intent: Intent, rng: Random) -> list[tuple[str, str]]:
    """The turns that bear the intent, up to the end of the dialogue."""
    reply = answer(intent, rng, to_the_point=0.6)
    how = rng.random()
    if how < 0.08:  # said in two turns: what it is about, then a question that could follow anything
        opening, question = f"{rng.choice(intent.openings)}，{rng.choice(intent.words)}", rng.choice(FOLLOW_UPS)
        between = [(AGENT, small_reply(rng))] if rng.random() < 0.7 else []
        return [(USER, said(opening, rng)), *between, (USER, said(question, rng)), (AGENT, reply)]
    question = (USER, said(question_text(intent, rng), rng))
    if how < 0.68:
        return [question, (AGENT, reply)]
    if how < 0.93:  # the same wish again in other words
        return [question, (AGENT, small_reply(rng)), (USER, said(question_text(intent, rng), rng)), (AGENT, reply)]
    if how < 0.98:  # the last user turn is only a politeness
        return [question, (AGENT, reply), (USER, said(rng.choice(CLOSINGS), rng)), (AGENT, small_reply(rng))]
    other = rng.choice([other for other in INTENTS if other is not intent])
    aside = said(rng.choice(other.openings), rng)
    return [question, (AGENT, reply), (USER, aside), (AGENT, small_reply(rng))]


def question_text(intent: Intent, rng: Random) -> str:
    """A question of one clause or two: named by its usual word, led in, or just asked."""
    ask = rng.choice(possible_asks(intent, rng))
    how = rng.random()
    if how < NAMED:
        word = rng.choices(intent.words, weights=(6, 3, 2, 1))[0]
        return rng.choice(NAMINGS).replace("*", word) + ask
    if how < NAMED + LED_IN:
        return f"{rng.choice(intent.openings)}，{ask}"
    return ask


def possible_asks(intent: Intent, rng: Random) -> tuple[str, ...]:
    """The intent's plain questions; now and then those where words mislead, or that fit another label too."""
    kind = rng.random()
    twists = tuple(text for name, text in TWISTS if name == intent.name)
    borderline = tuple(text for first, second, text in BORDERLINE if intent.name in (first, second))
    if kind < 0.17 and twists:
        return twists
    if kind < 0.25 and borderline:
        return borderline
    return intent.asks


def detour(intent: Intent, rng: Random) -> list[tuple[str, str]]:
    """One exchange before the wish: small talk, or a question that belongs to another intent."""
    if rng.random() >= OFF_TOPIC:
        turns = [(USER, said(rng.choice(SMALL_TALK), rng)), (AGENT, small_reply(rng))]
    else:
        other = rng.choice([other for other in INTENTS if other is not intent])
        turns = [
            (USER, said(rng.choice(other.asks + other.openings), rng)),
            (AGENT, answer(other, rng, to_the_point=0.25)),
        ]
    if rng.random() < 0.15:
        turns.insert(0, (USER, said(rng.choice(SMALL_TALK), rng)))
    if rng.random() < 0.1:
        turns.append((AGENT, small_reply(rng)))
    return turns


def answer(intent: Intent, rng: Random, to_the_point: float) -> str:
    return fill(rng.choice(intent.replies), rng) if rng.random() < to_the_point else small_reply(rng)


def small_reply(rng: Random) -> str:
    return fill(rng.choice(SMALL_TALK_REPLIES), rng)


def said(template: str, rng: Random) -> str:
    text = fill(template, rng)
    return text if text.startswith("<") else typed(text, rng)


def fit(turns: list[tuple[str, str]], keep: int, rng: Random) -> list[tuple[str, str]]:
    """Between 4 and 14 turns: the earliest are dropped, greetings are put in front; the last `keep` stay."""
    while len(turns) < 4:
        turns = [(USER, said(rng.choice(SMALL_TALK), rng)), (AGENT, small_reply(rng)), *turns]
    return turns[-max(keep, MOST_TURNS) :]


def with_images(turns: list[tuple[str, str]], core_starts: int, rng: Random) -> tuple[list[tuple[str, str]], int]:
    """Puts 0 to 2 `<image>` placeholders in user turns, as a turn of their own where there is room."""
    wanted = rng.choices((0, 1, 2), weights=(10, 9, 1))[0]
    result, images = list(turns), 0
    for _ in range(wanted):
        if len(result) < MOST_TURNS:
            users = [i for i, (role, _) in enumerate(result[: core_starts + 1 + images]) if role == USER]
            result.insert(rng.choice(users), (USER, "<image>"))
            images += 1
        elif images == 0:
            first = next(i for i, (role, _) in enumerate(result) if role == USER)
            result[first] = (USER, result[first][1] + "<image>")
            images += 1
    return result, images


def silence(turns: list[tuple[str, str]], rng: Random) -> list[tuple[str, str]]:
    """In about 40 % of dialogues one or two agent turns are empty."""
    if rng.random() >= 0.42:
        return turns
    agents = [i for i, (role, _) in enumerate(turns) if role == AGENT]
    empty = set(rng.sample(agents, min(len(agents), rng.choice((1, 1, 2)))))
    return [(role, "" if i in empty else text) for i, (role, text) in enumerate(turns)]
