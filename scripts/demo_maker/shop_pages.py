"""Pages before the purchase: product, options, cart, shop, coupons, reviews."""

from random import Random

from .drawing import GREY, PALE, PAPER, WIDTH, Page
from .page_parts import (
    SPECIFICATIONS,
    choice_of,
    feed,
    item,
    moment,
    price,
    product,
    promotion,
    shop,
    shop_row,
    status_bar,
    title,
)
from .wording import COLORS, SIZES, VERSIONS

BUY = ("立即购买", "马上抢", "直接买", "领券购买", "立即下单", "付定金")
ADD = ("加入购物车", "加购", "加入购物袋", "放入菜篮")
REVIEWS = (
    "物流很快，第二天就到了", "料子摸着舒服，颜色也正", "申请退款商家处理得挺快", "比实体店划算，券用上了",
    "客服态度好，有问必答", "尺码偏小，建议大一号", "包装破了一个角，不过东西没事", "用了半个月来追评，没坏",
    "跟图片差不多", "回购第三次了", "有点掉色，洗的时候注意", "发货慢，等了一周", "给妈妈买的她很喜欢",
    "静音效果一般般", "价保补了差价，满意", "换货来回折腾，心累", "质量对得起这个价", "孩子天天抱着",
)  # fmt: skip


def product_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.5:
        small = tuple(rng.sample(("店铺", "客服", "收藏"), rng.randint(2, 3)))
        page.bar(small, (rng.choice(ADD), rng.choice(BUY)) if rng.random() < 0.75 else (rng.choice(BUY),))
    status_bar(page)
    kind = rng.random()
    if kind < 0.35:  # the lower part of a product page: pictures with words, parameters
        title(page, ("宝贝 评价 详情 推荐", "商品 详情", "图文详情"), shown=0.6)
        for name in rng.sample(
            ("材质", "品牌", "产地", "货号", "适用季节", "功率", "容量", "风格", "净含量", "保修期"), rng.randint(3, 6)
        ):
            page.line(
                name, rng.choice(("详见包装", "中国大陆", "其他", number_with_unit(rng), "通用", "聚酯纤维", "棉"))
            )
        while page.y < page.bottom - 190:
            page.centered(
                180, page.y, rng.choice(("细节展示", "产品特点", "一物多用", "贴心设计", "实拍对比", "尺寸说明")), 20
            )
            page.y += 36
            page.picture(0, page.y, WIDTH, 140)
            page.y += 150
        return
    page.picture(0, page.y, WIDTH, rng.randint(180, 300))
    page.y += 300 if rng.random() < 0.5 else 240
    promotion(page, 0.4)
    page.heading(price(rng), 22, page.accent)
    if rng.random() < 0.6:
        page.right(WIDTH - 14, page.y - 30, f"已售{rng.randint(10, 9000)}", 12, GREY)
    page.text(16, page.y, product(rng) + product(rng)[:4], 15)
    page.y += 30
    for name, value in rng.sample(product_rows(rng), rng.randint(2, 4)):
        if page.y < page.bottom - 26:
            page.line(name, value)
    if rng.random() < 0.5 and page.y < page.bottom - 60:
        page.heading(f"{rng.choice(('宝贝评价', '商品评价', '大家说'))}({rng.randint(3, 999)})", 14)
        page.text(16, page.y, rng.choice(REVIEWS), 12)
        page.y += 26
    feed(page, 0.4)


def product_rows(rng: Random) -> list[tuple[str, str]]:
    return [
        ("选择", rng.choice(SPECIFICATIONS)),
        ("发货", rng.choice(("48小时内发货 | 快递免运费", "现货 次日达", "预售 付款后7天"))),
        ("保障", rng.choice(("7天无理由退货·退货包运费", "假一赔四·极速退款", "正品保证"))),
        ("参数", rng.choice(("品牌 材质 产地", "功率 容量 型号", "面料 厚薄"))),
        ("优惠", rng.choice(("满199减20", "淘金币抵3%", "领券减10"))),
        ("服务", rng.choice(("送货上门", "破损包赔", "免费安装"))),
    ]


def number_with_unit(rng: Random) -> str:
    return f"{rng.randint(2, 900)}{rng.choice(('g', 'ml', 'W', 'cm', 'L'))}"


def options_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.5:
        page.bar((), rng.choice((("确定",), ("完成",), (rng.choice(ADD), rng.choice(BUY)), (rng.choice(BUY),))))
    status_bar(page)
    page.picture(0, page.y, WIDTH, 90)
    page.draw.rectangle((0, page.y + 90, WIDTH, page.height - 52), fill=PAPER)
    page.y += 104
    page.picture(16, page.y, 90, 90)
    page.text(120, page.y + 8, price(rng), 18, page.accent)
    if rng.random() < 0.5:
        page.text(
            120, page.y + 36, rng.choice(("库存{}件", "仅剩{}件", "剩余{}")).format(rng.randint(1, 400)), 12, GREY
        )
    prefix = rng.choice(("已选：", "已选择 ", "请选择 ", ""))
    page.text(120, page.y + 58, prefix + choice_of(rng), 12)
    page.y += 104
    promotion(page, 0.3)
    for name, values in rng.sample(((SPECIFICATIONS[0], COLORS), (SPECIFICATIONS[2], SIZES), ("款式", VERSIONS)), 2):
        if rng.random() < 0.6:
            page.heading(name, 14)
        count = rng.randint(3, 7)
        extra = [text + rng.choice(("", "", "（缺货）", "【送杯刷】", "+滤芯")) for text in rng.sample(values, count)]
        page.chips(extra, rng.randrange(count))
    if rng.random() < 0.5:
        page.line(rng.choice(("购买数量", "数量")), "-  1  +")
    feed(page, 0.1)


def cart_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.5:
        left = f"{rng.choice(('全选', '已选2件', ''))} {rng.choice(('合计', '总计', '共'))}{price(rng)}"
        page.bar((), (rng.choice(("结算", "去结算(2)", "领券结算", "下单", "提交订单")),), left)
    status_bar(page)
    title(page, ("购物车(12)", "购物车", "购物袋", "我的菜篮", "全部 降价 常买"), shown=0.25)
    promotion(page, 0.45)
    for _ in range(rng.randint(1, 3)):
        if page.y > page.bottom - 130:
            break
        shop_row(page)
        for _ in range(rng.randint(1, 2)):
            if page.y < page.bottom - 86:
                page.draw.ellipse((2, page.y + 28, 14, page.y + 40), outline=GREY)
                item(page, with_count=rng.random() < 0.5)
        if rng.random() < 0.35:
            page.line(rng.choice(("再买18元可减20", "去凑单 >", "已免运费", "满2件9折", "比加入时降5元")))
    if rng.random() < 0.25 and page.y < page.bottom - 40:
        page.line(rng.choice(("失效宝贝3件", "已下架", "看相似", "移入收藏")), "清空")
    feed(page, 0.5)


def shop_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.5:
        page.bar(("首页", "宝贝", "新品", "分类", "会员", "客服")[: rng.randint(3, 6)], ())
    status_bar(page)
    page.draw.rounded_rectangle((12, page.y, 300, page.y + 28), 14, fill=PALE)
    page.text(26, page.y + 5, rng.choice(("搜索本店商品", "搜店内宝贝", product(rng))), 12, GREY)
    page.y += 42
    page.text(16, page.y, shop(rng), 18)
    page.right(WIDTH - 16, page.y + 2, rng.choice(("+ 关注", "已关注", "订阅")), 13, page.accent)
    page.y += 28
    if rng.random() < 0.6:
        page.line(rng.choice(("粉丝数{}万", "{}万人关注", "好评率9{}%", "开店{}年")).format(rng.randint(2, 9)))
    if rng.random() < 0.6:
        page.chips(rng.sample(("首页", "宝贝", "新品", "活动", "买家秀", "全部分类"), rng.randint(3, 5)))
    promotion(page, 0.5)
    if rng.random() < 0.45:
        for x in (14, 130, 246):
            coupon(page, x, 100)
        page.y += 70
    page.picture(0, page.y, WIDTH, rng.randint(70, 150))
    page.y += 160
    feed(page, 0.85)


def coupon(page: Page, x: int, width: int) -> None:
    rng = page.rng
    page.draw.rounded_rectangle((x, page.y, x + width, page.y + 60), 6, fill="#fde8e4", outline=page.accent)
    page.text(x + 8, page.y + 6, f"¥{rng.choice((3, 5, 10, 20, 30, 50, 100))}", 18, page.accent)
    page.text(x + 8, page.y + 36, f"满{rng.choice((39, 99, 199, 299, 500))}可用", 11)
    if width > 200:
        page.text(x + 90, page.y + 8, rng.choice(("店铺券", "平台补贴", "品类券", "满减券", "会员专享")), 13)
        page.text(x + 90, page.y + 34, rng.choice(("有效期至", "限时", "仅剩1天 ")) + moment(rng)[:5], 11, GREY)
        page.right(
            x + width - 10, page.y + 22, rng.choice(("立即领取", "领", "去使用", "已领取", "马上抢", "领取")), 13
        )


def coupon_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.3:
        page.bar((), (rng.choice(("一键领取", "去凑单", "完成", "全部领取")),))
    status_bar(page)
    title(page, ("优惠", "领券中心", "优惠券", "领取优惠", "卡券包"), shown=0.25)
    promotion(page, 0.4)
    if rng.random() < 0.35:
        page.text(16, page.y, shop(rng), 16)
        page.y += 30
    if rng.random() < 0.35:
        item(page, with_count=False)
    for _ in range(rng.randint(1, 5)):
        if page.y < page.bottom - 66:
            coupon(page, 14, 332)
            page.y += 72
    feed(page, 0.5)


def review_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.4:
        left, buttons = rng.choice((("", ("我要评价",)), ("说点什么", ()), ("", (rng.choice(ADD), rng.choice(BUY)))))
        page.bar((), buttons, left)
    status_bar(page)
    title(page, ("评价", "全部评价", "宝贝 评价 详情 推荐", "问大家", "买家秀"), shown=0.25)
    if rng.random() < 0.4:
        page.chips(
            rng.sample(("全部", "有图", "追评", "好评98%", "质量好", "物流快", "差评", "最新"), rng.randint(3, 5))
        )
    if rng.random() < 0.3:
        item(page, with_count=False)
    while page.y < page.bottom - 110:
        name = f"{rng.choice('小阿大李王匿青t')}**{rng.choice('猫7鱼a风y')}"
        page.text(16, page.y, name, 13)
        if rng.random() < 0.6:
            page.right(WIDTH - 16, page.y, rng.choice((moment(rng)[:5], "已购：" + choice_of(rng), "昨天")), 11, GREY)
        page.y += 24
        page.paragraph(16, 320, "。".join(rng.sample(REVIEWS, rng.randint(1, 3))), 13)
        if rng.random() < 0.35 and page.y < page.bottom - 90:
            page.picture(16, page.y, 100, 80)
            page.y += 88
        if rng.random() < 0.25 and page.y < page.bottom - 20:
            page.text(16, page.y, rng.choice(("商家回复：感谢您的支持", "追加评论", "有用(3)", "浏览 32")), 12, GREY)
            page.y += 22
        page.y += 8
