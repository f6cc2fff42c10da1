"""Words that shops' customers and agents use for one another. They may be exchanged whatever is asked about."""

_GROUPS = """
怎么 如何 怎样 咋
怎么样 咋样
什么 啥
什么时候 啥时候 何时
为什么 为啥
多久 多长时间
能不能 可不可以 能否
是不是 是否
有没有 有无
会不会 是否会 会否
可以吗 行吗 可不可以
这个 这款
那个 那款
哪个 哪款
哪里 哪儿 什么地方
这里 这儿
商品 产品 宝贝
老板 店家 掌柜
您好 你好
请问 问一下 想问下 咨询一下
谢谢 感谢 多谢
麻烦 劳烦 辛苦
帮我 替我
收到 拿到
买 购买 入手
想买 打算买
下单 拍下 下订单
付款 支付 付钱
发货 寄出 出货
快递 物流
包裹 快件
退货 退回
退款 退钱
换货 调换
坏 损坏
坏了 损坏了 出问题了
破 破损
便宜 划算 实惠
价格 价钱
优惠 折扣
质量 品质
尺寸 大小
好用 好使
方法 办法 方式
区别 差别
不一样 不同
一样 相同
合适 适合
适合 适用于
需要 要
不需要 不用 无需
想要 想
喜欢 中意
知道 清楚 晓得
不知道 不清楚
告诉我 跟我说 和我说
看看 看下 看一下
试试 试一下
现在 目前 眼下
马上 立刻 立即
一直 始终 总是
经常 常常 老是
已经 早已
刚刚 刚才
然后 接着
但是 可是 不过
因为 由于
所以 因此
如果 要是 假如
或者 或是
而且 并且
非常 特别 十分
很 挺 蛮
比较 较为
大概 大约 差不多
全部 所有
漂亮 好看
孩子 小孩
老人 长辈
家里 家中
衣服 衣物
图片 图
清洗 清洁 洗
擦 擦拭
放 放置
打开 开启
关闭 关掉
掉色 褪色
生锈 锈
漏水 渗水
漏 渗漏
"""
# For the first word of a line the others may stand, not the other way round. "_" is a space.
_ONE_WAY = """
好的 好 嗯
可以 能
没有 没
不能 不可以
使用 用
这样 这么
那样 那么
亲爱的 亲
截图 图
安装 装
今天 今日
明天 明日
buy purchase order
bought purchased ordered
item product
product item
package parcel
parcel package
delivery shipping
shipped sent dispatched
broken damaged
damaged broken
cheap inexpensive
picture photo
photo picture
need want
repair fix
maybe perhaps
because since
but however
very really
thanks thank_you
hello hi
hi hello
problem issue
issue problem
wrong incorrect
choose pick
"""


def _table() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for line in _GROUPS.split("\n"):
        group = line.split()
        for word in group:
            found.setdefault(word, {}).update(dict.fromkeys(other for other in group if other != word))
    for line in _ONE_WAY.split("\n"):
        for word, *others in [line.split()] if line else ():
            found.setdefault(word, {}).update(dict.fromkeys(other.replace("_", " ") for other in others))
    return {word: tuple(others) for word, others in found.items()}


SYNONYMS = _table()
"""word → other words for it."""
LONGEST = 3
"""Words of a segmented text that one entry may stand for: 能不能 is cut into two."""
