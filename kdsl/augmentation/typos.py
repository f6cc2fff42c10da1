"""Slips of the pen: characters that sound or look alike, and letters in the wrong order."""

import random

_ALIKE = """
的得地 在再 做作 吗嘛 哪那 他她它 己已 即既 象像 带戴 帐账 坐座 应因 有又 是事 和合 收受 到道 货获 气汽
请清 情请 晴睛 未末 拔拨 币市 侯候 竟竞 历厉 辩辨 赔陪 培赔 捡检 检捡 签鉴 练炼 密蜜 排派 平评 其期 起启
让嚷 如入 时是 实时 使试 式试 说书 送松 随虽 提题 题提 同通 完玩 忘望 为位 文问 想响 小晓 心新 需须 选先
样洋 要药 用佣 由油 于与 原员 愿原 怎总 张章 这着 真针 正整 只支 址纸 种重 装状 最再 发法 快块 换唤 质制
格各 码马 包抱 多夺 少稍 盖该 干赶 搞稿 给跟 够购 过国 还换 会回 机鸡
"""
_TABLE: dict[str, str] = {}
for _group in _ALIKE.split():
    for _character in _group:
        _TABLE[_character] = _TABLE.get(_character, "") + _group.replace(_character, "")

_SHORTEST = 4
"""Letters of a word in which two may change places: its first and last stay."""


def mistyped(word: str, source: random.Random) -> str | None:
    """`word` with one slip; None where it offers none."""
    if word.isascii():
        if len(word) < _SHORTEST or not word.isalpha():
            return None
        places = [i for i in range(1, len(word) - 2) if word[i] != word[i + 1]]
        if not places:
            return None
        place = source.choice(places)
        return word[:place] + word[place + 1] + word[place] + word[place + 2 :]
    places = [i for i, character in enumerate(word) if character in _TABLE]
    if not places:
        return None
    place = source.choice(places)
    return word[:place] + source.choice(_TABLE[word[place]]) + word[place + 1 :]
