"""Words that carry grammar alone, in Chinese and English: rules on them hold by chance."""

import re

from kdsl.mining.units import holds_han, segmented

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


_LIGHT = frozenset(
    "有没无不能会要想用买卖发到来去看说问做打开关上下里外前后中内大小多少好坏行对可请亲话人天点号家时年月日次份张条块元件样"
    "只套台盒瓶包双根支片米斤几两一二三四五六七八九十百千万半每各第拿放装带送收付拍选找叫帮等谁啥哪怎何新老高低长短快慢早晚先"
    "真钱货店单名字图手头心面身式型了还沒無會買賣發來說問開關裡後內對請話點號時張條塊樣雙幾兩萬裝帶誰麼長錢貨單圖頭"
)
"""Characters that say little on their own: what is done, how much and in what unit, not what with."""
_NEVER_FIRST = frozenset("的了着过呢吗吧啊呀嘛么過嗎")
_NEVER_LAST = frozenset("的和与跟或把被與")


def says_little(term: str) -> bool:
    """Whether a normalised term is made of function words alone, is a light character, or a single letter.

    Words such as 锈 and 漏 carry an intent on their own; 大 and 用 do not.
    """
    return says_nothing(term) or (len(term) == 1 and (term in _LIGHT or not holds_han(term)))


def is_cut(term: str) -> bool:
    """Whether a term of several words begins with a particle or ends on the way to the next word: 的尺寸, 颜色和."""
    if not (term[0] in _NEVER_FIRST or term[-1] in _NEVER_LAST):
        return False
    words = segmented(term)
    return len(words) > 1 and (words[0] in _NEVER_FIRST or words[-1] in _NEVER_LAST)
