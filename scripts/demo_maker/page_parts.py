"""What pages of every kind share: status bar, banners, promotions, recommendations, product rows, cuts."""

from random import Random

from .drawing import GREY, PALE, PAPER, WIDTH, Page
from .wording import CITIES, COLORS, SIZES, THINGS

SHOPS = (
    "木里日用",
    "青禾家居",
    "鹿野户外",
    "小满优选",
    "南巷服饰",
    "云朵母婴",
    "北岸数码",
    "半夏护肤",
    "山月厨具",
    "拾光生活",
)
SUFFIXES = ("旗舰店", "专营店", "的小店", "官方店", "生活馆")
ADJECTIVES = (
    "轻薄",
    "加厚",
    "便携",
    "静音",
    "大容量",
    "ins风",
    "家用",
    "儿童",
    "新款",
    "防滑",
    "复古",
    "宽松",
    "可折叠",
    "秋冬",
)
BANNERS = (
    "您的包裹已到驿站，请凭取件码领取", "退款到账提醒：{}元已原路返回", "您有一张优惠券即将过期",
    "您有1个订单待付款", "商家给你发来一条消息", "您关注的店铺上新了", "物流提醒：您的快件正在派送",
    "购物车里的宝贝降价了", "支付成功，点此查看订单", "邀请您评价已收到的商品", "卖家已发货，点击查看物流",
    "验证码{}，请勿泄露", "电量低于20%", "今日步数已达标",
)  # fmt: skip
PROMOTIONS = (
    "每满300减50", "领券立减{}元", "立即购买享88折", "限时秒杀 距结束02:14", "跨店满减 点击领取", "新人专享券",
    "收藏加购有礼", "下单返红包最高{}元", "退货包运费", "晚发必赔", "30天价保", "先用后付 0元下单",
    "评价晒图赢好礼", "好友代付", "直播间专享价",
)  # fmt: skip
FEEDS = ("猜你喜欢", "为你推荐", "看了又看", "你可能还喜欢", "买了的人还买", "更多好物")
SPECIFICATIONS = ("颜色分类", "规格", "尺码", "款式", "套餐类型")


def price(rng: Random) -> str:
    return rng.choice(("¥{}", "¥{}.00", "￥{}", "¥{}.9")).format(rng.randint(6, 699))


def product(rng: Random) -> str:
    return "".join(rng.sample(ADJECTIVES, rng.randint(1, 3))) + rng.choice(THINGS)


def shop(rng: Random) -> str:
    return rng.choice(SHOPS) + rng.choice(SUFFIXES)


def choice_of(rng: Random) -> str:
    """A chosen variant, as carts and orders show it."""
    return f"{rng.choice(COLORS)}{rng.choice((';', '；', ' / ', '，'))}{rng.choice(SIZES)}"


def moment(rng: Random) -> str:
    return f"{rng.randint(1, 12):02}-{rng.randint(1, 28):02} {rng.randint(0, 23):02}:{rng.randint(0, 59):02}"


def number(rng: Random, digits: int) -> str:
    return str(rng.randint(10 ** (digits - 1), 10**digits - 1))


def status_bar(page: Page) -> None:
    rng = page.rng
    page.text(18, 6, f"{rng.randint(0, 23)}:{rng.randint(0, 59):02}", 13)
    page.right(WIDTH - 16, 7, rng.choice(("5G", "4G 56%", "HD 5G", "83%", "WiFi 47")), 11)
    page.y = 32
    if rng.random() < 0.4:
        page.draw.rounded_rectangle((8, 28, WIDTH - 8, 72), 12, fill=PAPER, outline=GREY)
        page.text(20, 34, rng.choice(("购物助手", "通知", "短信", "系统消息", "日历")), 11, GREY)
        page.text(20, 50, rng.choice(BANNERS).format(rng.randint(12, 9999)), 12)
        page.y = 82


def title(page: Page, texts: tuple[str, ...], shown: float = 0.35) -> None:
    """The bar with the way back and, on some pages only, the page's name."""
    page.text(14, page.y + 4, back_arrow(page), 16)
    if page.rng.random() < shown:
        page.centered(WIDTH / 2, page.y + 4, page.rng.choice(texts), 16)
    page.y += 36


def back_arrow(page: Page) -> str:
    return page.rng.choice(("<", "‹", "×", "←"))


def promotion(page: Page, chance: float = 0.35) -> None:
    if page.rng.random() < chance and page.y < page.bottom - 40:
        page.draw.rectangle((0, page.y, WIDTH, page.y + 32), fill=page.accent)
        text = page.rng.choice(PROMOTIONS).format(page.rng.randint(5, 100))
        page.text(14, page.y + 7, text, 14, PAPER)
        page.right(WIDTH - 14, page.y + 8, page.rng.choice(("去看看", "领取", "GO>", "立即购买", "去使用")), 13, PAPER)
        page.y += 42


def item(page: Page, with_count: bool = True) -> None:
    """A row with picture, product name, variant and price."""
    rng = page.rng
    page.picture(16, page.y, 70, 70)
    page.text(98, page.y, product(rng)[:15], 13)
    page.text(98, page.y + 24, choice_of(rng), 11, GREY)
    if rng.random() < 0.3:
        page.text(
            98,
            page.y + 42,
            rng.choice(("7天无理由退货", "退货包运费", "极速退款", "假一赔四", "晚发必赔")),
            11,
            page.accent,
        )
    page.right(WIDTH - 14, page.y + 22, price(rng), 14)
    if with_count:
        page.right(WIDTH - 14, page.y + 44, rng.choice(("x1", "x2", "×1", "x3")), 12, GREY)
    page.y += 84


def shop_row(page: Page) -> None:
    page.text(16, page.y, shop(page.rng) + more_arrow(page.rng), 14)
    page.y += 30


def more_arrow(rng: Random) -> str:
    return rng.choice((" >", "", " ›"))


def feed(page: Page, chance: float = 0.5) -> None:
    """Recommendations down to the end of the page, two products a row."""
    rng = page.rng
    if rng.random() > chance:
        return
    if page.y < page.bottom - 60:
        page.gap()
        page.centered(WIDTH / 2, page.y, rng.choice(FEEDS), 14)
        page.y += 30
    while page.y < page.bottom - 150:
        for x in (14, 186):
            page.picture(x, page.y, 160, 110)
            page.text(x, page.y + 116, product(rng)[:12], 12)
            page.text(x, page.y + 134, price(rng), 13, page.accent)
            sold = rng.choice(("已售{}", "{}人付款", "{}+人已买", "回头客{}")).format(rng.randint(2, 900))
            page.right(x + 160, page.y + 136, sold, 10, GREY)
        page.y += 164


def route(page: Page, chance: float) -> None:
    """The one-line state of a delivery that orders, chats and refunds show too."""
    if page.rng.random() < chance:
        where = page.rng.choice(CITIES)
        text = page.rng.choice(
            ("快件已到达{}", "{}转运中心已发出", "已签收，签收人在{}", "包裹正在派送 {}", "运输中 {}")
        ).format(where)
        page.draw.rectangle((10, page.y, WIDTH - 10, page.y + 40), fill=PALE)
        page.text(20, page.y + 4, text, 13)
        page.text(20, page.y + 23, moment(page.rng), 10, GREY)
        page.y += 52


def trim(page: Page, chance: float = 0.5) -> None:
    """Some screenshots are cut: at the top, at the bottom, or to a strip."""
    if page.rng.random() >= chance:
        return
    how = page.rng.random()
    if how < 0.35:
        page.cropped(page.rng.randint(120, 320), page.height)
    elif how < 0.65:
        page.cropped(0, page.height - page.rng.randint(160, 380))
    else:
        top = page.rng.randint(80, 260)
        page.cropped(top, min(page.height, top + page.rng.randint(150, 340)))
