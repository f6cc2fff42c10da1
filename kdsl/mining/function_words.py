"""Words that carry grammar alone, in Chinese and English: rules on them hold by chance."""

import re

# Words that ask, deny, greet, or say what is possible or wanted (怎么, 不, 谢谢, 能, how, not, thanks, can) are not
# among them: they tell intents apart.
_CHINESE = (
    "的 地 得 了 着 过 呢 吗 吧 啊 呀 嘛 么 哦 噢 喔 嗯 哈 呗 啦 哎 喂 诶 唉 呃 之 所 "  # particles
    "我 你 您 他 她 它 咱 们 自己 大家 "  # pronouns
    "这 那 此 该 这样 那样 这么 那么 这里 那里 这边 那边 个 款 件 种 些 一 一下 "  # determiners, counters
    "是 有 和 与 跟 及 或 但 而 把 被 给 让 对 从 向 为 于 以 因为 所以 如果 但是 还是 或者 就是 "
    "就 也 都 还 又 再 很 太 更 最 才 "  # adverbs of degree and order
    # and in traditional characters:
    "過 嗎 們 這 這樣 那樣 這麼 那麼 這裡 那裡 這邊 那邊 個 與 給 讓 對 從 為 於 因為 還 還是"
)
_ENGLISH = (
    "a an the this that these those i me my mine you your yours he him his she her it its we us our ours they them "
    "their is am are was were be been being do does did have has had i'm i've it's and or but if so then than as of "
    "at by for from in into on onto to with about up out there here just also too very"
)


def _any_of(words: str) -> str:
    return "|".join(map(re.escape, words.split()))


_NOTHING_ELSE = re.compile(rf"(?:{_any_of(_CHINESE)}|(?<![^\W_])(?:{_any_of(_ENGLISH)})(?![^\W_])|\s)+")


def says_nothing(term: str) -> bool:
    """Whether a normalised term is made of such words alone."""
    return _NOTHING_ELSE.fullmatch(term) is not None
