"""Fills sentence slots and makes text look typed: homophones, dropped characters, emoji, full-width punctuation."""

from random import Random

THINGS = (
    "外套", "卫衣", "羽绒服", "牛仔裤", "床单四件套", "枕头", "保温杯", "奶瓶", "电饭煲", "加湿器", "台灯",
    "扫地机", "洗面奶", "面膜", "运动鞋", "雨伞", "收纳箱", "背包", "净水壶", "吹风机", "儿童水杯", "毛巾",
    "帐篷", "键盘",
)  # fmt: skip
CITIES = ("杭州", "义乌", "郑州", "武汉", "成都", "西安", "东莞", "南京", "长沙", "沈阳", "昆明", "合肥")
PLACES = ("驿站", "门口", "快递柜", "物业", "超市代收点")
COLORS = ("黑色", "白色", "米色", "雾蓝", "粉色", "墨绿", "咖色", "灰色")
SIZES = ("S码", "M码", "L码", "XL", "2XL", "38码", "40码", "110的", "120的")
DAYS = ("今天", "明天", "周五", "周末", "下周一", "15号", "月底", "后天", "昨天")
VERSIONS = ("升级版", "标准版", "旗舰款", "青春版", "二代", "一代", "Pro款", "普通款", "加厚款", "常规款")

HOMOPHONES = (
    ("什么", "神马"), ("什么", "啥"), ("怎么", "咋"), ("怎么", "怎末"), ("多久", "多九"), ("快递", "快弟"),
    ("发", "法"), ("退", "褪"), ("尺码", "尺马"), ("掉色", "吊色"), ("优惠", "优会"), ("区别", "区分"),
    ("到账", "到帐"), ("寄", "记"), ("签收", "千收"), ("漏水", "露水"), ("券", "卷"), ("起球", "起求"),
    ("吗", "嘛"), ("的", "得"), ("码", "马"), ("质量", "治量"), ("机洗", "几洗"), ("有货", "有或"),
    ("上架", "上价"), ("洗", "喜"), ("换", "唤"), ("贵", "跪"),
)  # fmt: skip
EMOJI = ("😭", "😅", "🙏", "😂", "👌", "🌹", "/:-S", "/:?", "[流泪]", "[疑问]")
TAILS = ("？", "?", "??", "！", "。", "，谢谢", "~", "…", " 。")
HEADS = ("亲，", "你好，", "请问", "那个", "客服，", "在不，", "麻烦问下", "哎", "老板 ", "我想问")


def fill(template: str, rng: Random) -> str:
    """The template with every slot filled at random."""
    if "{" not in template:
        return template
    version, version2 = rng.sample(VERSIONS, 2)
    return template.format(
        thing=rng.choice(THINGS),
        city=rng.choice(CITIES),
        place=rng.choice(PLACES),
        color=rng.choice(COLORS),
        size=rng.choice(SIZES),
        day=rng.choice(DAYS),
        version=version,
        version2=version2,
        n=rng.choice("两三四五67"),
        age=rng.choice("一二三四567"),
        kg=rng.choice(("{}斤", "{}kg", "{}公斤")).format(rng.randint(45, 75)),
        cm=rng.choice(("1{}cm", "身高1{}", "一米{}")).format(rng.randint(52, 85)),
        price=rng.choice(("{}块", "{}元", "¥{}")).format(rng.randint(9, 260)),
    )


def typed(text: str, rng: Random, typos: float = 0.2) -> str:
    """The text as somebody in a hurry types it; `typos` is the share of texts with a mistake."""
    if rng.random() < typos:
        present = [pair for pair in HOMOPHONES if pair[0] in text]
        if present and rng.random() < 0.65:
            right, wrong = rng.choice(present)
            text = text.replace(right, wrong, 1)
        elif len(text) > 5:
            drop = rng.randrange(len(text))
            text = text[:drop] + text[drop + 1 :]
    if rng.random() < 0.3:
        text = rng.choice(HEADS) + text
    if rng.random() < 0.5:
        text = text + rng.choice(TAILS)
    if rng.random() < 0.12:
        text = text + rng.choice(EMOJI)
    if rng.random() < 0.1:
        text = text.translate(str.maketrans("0123456789,?!", "０１２３４５６７８９，？！"))
    return text
