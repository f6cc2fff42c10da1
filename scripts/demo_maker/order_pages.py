"""Pages around and after the purchase: failed orders, orders, payment, delivery, refunds, chat, photos."""

from PIL import ImageFilter

from .drawing import ACCENTS, GREY, PALE, PAPER, PASTELS, WIDTH, Page
from .intents import INTENTS
from .page_parts import (
    choice_of,
    feed,
    item,
    moment,
    number,
    price,
    product,
    promotion,
    route,
    shop,
    shop_row,
    status_bar,
    title,
)
from .shop_pages import cart_page, options_page, product_page
from .wording import CITIES, PLACES, fill

FAILURES = (
    "商品已售罄", "超出限购数量", "该地区暂不支持配送", "系统繁忙，请稍后再试", "库存不足", "您已购买过该商品",
    "活动太火爆了", "提交失败，请重试", "不在销售时间内", "账号存在风险", "请勿重复提交", "该宝贝不能购买",
)  # fmt: skip
STATES = ("等待买家付款", "待发货", "卖家已发货", "交易成功", "交易关闭", "已完成", "退款成功", "待收货", "部分退款")
REFUND_STATES = (
    "退款成功",
    "退款中",
    "等待商家处理",
    "商家已同意",
    "请寄回商品",
    "退款关闭",
    "待商家收货",
    "交易关闭",
    "已完成",
)
REASONS = ("不喜欢", "拍错了", "质量问题", "尺寸不符", "少件漏发", "七天无理由", "物流太慢", "与商家协商一致")


def failure_page(page: Page) -> None:
    rng = page.rng
    rng.choice((confirm_page, cart_page, options_page, product_page))(page)
    page.toast(rng.choice(FAILURES))


def confirm_page(page: Page) -> None:
    rng = page.rng
    page.bar((), (rng.choice(("提交订单", "立即支付", "确认下单")),), f"合计{price(rng)}")
    status_bar(page)
    title(page, ("确认订单", "填写订单"), shown=0.5)
    address(page)
    shop_row(page)
    item(page)
    for name in rng.sample(("配送方式", "运费险", "优惠券", "订单备注", "发票", "红包"), rng.randint(2, 4)):
        page.line(name, rng.choice(("快递 免邮", "无可用", "-10", "不开发票", "选填")))
    feed(page, 0.1)


def address(page: Page) -> None:
    rng = page.rng
    page.text(16, page.y, f"{rng.choice('张李王赵陈林')}**  1{rng.randint(30, 99)}****{number(rng, 4)}", 13)
    page.text(
        16,
        page.y + 22,
        f"{rng.choice(CITIES)}市{rng.choice(('和平', '建设', '人民', '新华'))}路{rng.randint(1, 300)}号",
        12,
        GREY,
    )
    page.y += 50


def order_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.45:
        texts = (
            "更多",
            "申请售后",
            "查看物流",
            "确认收货",
            "再买一单",
            "评价",
            "取消订单",
            "加入购物车",
            "退款详情",
            "联系商家",
        )
        page.bar((), tuple(rng.sample(texts, rng.randint(2, 3))))
    status_bar(page)
    title(page, ("订单详情", "订单", "我的订单"), shown=0.25)
    if rng.random() < 0.6:
        page.heading(rng.choice(STATES))
    route(page, 0.5)
    if rng.random() < 0.6:
        address(page)
    page.gap()
    shop_row(page)
    for _ in range(rng.randint(1, 2)):
        item(page)
    if rng.random() < 0.3:
        page.right(WIDTH - 16, page.y, rng.choice(("退款成功", "申请退款", "退换", "查看退款")), 13, page.accent)
        page.y += 28
    amounts = ("商品总价", "运费", "店铺优惠", "红包", "实付款", "需付款", "运费险")
    for name in rng.sample(amounts, rng.randint(1, 4)):
        page.line(name, price(rng))
    for name in rng.sample(("订单编号", "创建时间", "付款时间", "交易号", "发货时间", "成交时间"), rng.randint(1, 4)):
        page.line(name, number(rng, 16) if "号" in name else "2026-" + moment(rng))
    promotion(page, 0.3)
    feed(page, 0.5)


def payment_page(page: Page) -> None:
    rng = page.rng
    kind = rng.random()
    if kind < 0.45:
        page.bar(
            (), (rng.choice(("确认付款", "立即支付", "确认支付", "付款")),), price(rng) if rng.random() < 0.4 else ""
        )
        status_bar(page)
        title(page, ("收银台", "确认付款", "支付订单", "选择付款方式"), shown=0.25)
        page.centered(180, page.y + 10, price(rng), 30)
        page.y += 60
        if rng.random() < 0.5:
            page.centered(
                180,
                page.y,
                rng.choice(("支付剩余时间 {}:59", "请在{}分钟内完成")).format(rng.randint(1, 29)),
                12,
                GREY,
            )
            page.y += 30
        ways = (
            "账户余额",
            "储蓄卡(尾号{})",
            "信用卡(尾号{})",
            "月付",
            "分3期免息",
            "找朋友帮忙付",
            "零钱",
            "添加银行卡",
            "数字人民币",
        )
        for way in rng.sample(ways, rng.randint(3, 5)):
            page.line(way.format(number(rng, 4)), rng.choice(("", "", "推荐", "立减2元", ">")), 14, "#222222")
    elif kind < 0.75:
        status_bar(page)
        title(page, ("支付成功", "付款结果", "完成"), shown=0.25)
        page.centered(180, page.y + 16, rng.choice(("支付成功", "付款成功", "已付款", "交易成功")), 20)
        page.centered(180, page.y + 50, price(rng), 24)
        page.y += 92
        page.button(40, 170, rng.choice(("查看订单", "订单详情")), filled=False)
        page.button(190, 320, rng.choice(("返回首页", "完成", "继续逛")))
        page.y += 50
        promotion(page, 0.6)
        feed(page, 0.7)
    else:  # looks like an order: what was paid, how, and when
        status_bar(page)
        title(page, ("账单详情", "付款详情", "订单详情"), shown=0.25)
        page.centered(180, page.y, shop(rng), 15)
        page.centered(180, page.y + 28, "-" + price(rng), 26)
        page.y += 76
        page.heading(rng.choice(("交易成功", "已付款", "支付成功")), 14)
        rows = ("付款方式", "商品说明", "创建时间", "订单号", "付款时间", "商户单号", "实付款")
        for name in rng.sample(rows, rng.randint(3, 6)):
            page.line(name, number(rng, 14) if "号" in name else rng.choice(("储蓄卡", product(rng)[:9], moment(rng))))


def delivery_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.4:
        texts = ("联系快递", "确认收货", "催一催", "查看订单", "联系商家", "投诉", "修改地址")
        page.bar((), tuple(rng.sample(texts, 2)))
    status_bar(page)
    title(page, ("物流详情", "查看物流", "包裹", "订单跟踪"), shown=0.25)
    if rng.random() < 0.4:
        page.picture(0, page.y, WIDTH, 150)
        page.text(rng.randint(40, 240), page.y + 60, rng.choice(CITIES), 13)
        page.y += 160
    if rng.random() < 0.35:
        item(page)
    if rng.random() < 0.6:
        company = rng.choice(("飞燕速递", "通达快运", "百路快递", "蓝鸟物流"))
        page.line(f"{company} {number(rng, 12)}", rng.choice(("复制", "打电话", "")))
    events = (
        "【{0}】快件已到达{0}转运中心", "离开{0}，发往{1}", "{0}派件员正在派送", "已签收，放在{2}", "揽收成功",
        "包裹正在等待揽收", "您的订单已出库", "已到{2}，请及时领取", "商家已发货", "运输中 {0}", "清关完成",
        "派送失败，改日再派", "仓库处理中",
    )  # fmt: skip
    for event in rng.sample(events, rng.randint(2, 7)):
        if page.y < page.bottom - 44:
            page.draw.ellipse((16, page.y + 4, 24, page.y + 12), fill=GREY)
            text = event.format(*rng.sample(CITIES, 2), rng.choice(PLACES))
            page.text(34, page.y, text, 13)
            page.text(34, page.y + 20, moment(rng), 11, GREY)
            page.y += 44
    if rng.random() < 0.35:
        address(page)
    promotion(page, 0.25)
    feed(page, 0.5)


def refund_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.4:
        texts = (
            "联系商家",
            "平台介入",
            "撤销申请",
            "修改申请",
            "填写单号",
            "查看物流",
            "再买一单",
            "删除",
            "钱款去向",
        )
        page.bar((), tuple(rng.sample(texts, rng.randint(2, 3))))
    status_bar(page)
    title(page, ("退款详情", "售后详情", "服务单", "退货退款"), shown=0.25)
    if rng.random() < 0.75:
        page.heading(rng.choice(REFUND_STATES))
    if rng.random() < 0.4:
        page.paragraph(
            16,
            320,
            rng.choice(
                (
                    "退回账户余额",
                    "商家逾期未处理将自动通过",
                    "如有疑问请联系商家",
                    "钱款已原路返回储蓄卡",
                    "请在6天内寄回",
                )
            ),
            13,
        )
    route(page, 0.3)
    page.gap()
    if rng.random() < 0.4:
        shop_row(page)
    item(page)
    rows = (
        "退款金额",
        "退款原因",
        *(f"申请{what}" for what in ("件数", "时间")),
        "退款编号",
        "订单编号",
        "协商历史",
        "实付款",
        "运费",
        "货物状态",
    )
    for name in rng.sample(rows, rng.randint(2, 6)):
        value = number(rng, 14) if "编号" in name else price(rng) if name[-1] in "额款费" else rng.choice(REASONS)
        page.line(name, moment(rng) if name == "申请时间" else value)
    promotion(page, 0.25)
    feed(page, 0.5)


def chat_page(page: Page) -> None:
    rng = page.rng
    if rng.random() < 0.6:
        page.bar((), (rng.choice(("发送", "+", "语音")),), rng.choice(("", "说点什么", "按住说话")))
    status_bar(page)
    title(page, (shop(rng), "官方客服", "在线客服", "消息"), shown=0.7)
    while page.y < page.bottom - 70:
        kind = rng.random()
        if kind < 0.15:
            item(page, with_count=False)
            page.button(250, 346, rng.choice(("发送宝贝", "立即购买", "查看订单", "去支付")), height=26)
            page.y += 36
        elif kind < 0.25:
            route(page, 1.0)
        elif kind < 0.32:
            page.centered(
                180,
                page.y,
                rng.choice((moment(rng), "以上是历史消息", "客服小满为您服务", "请对本次服务评价")),
                11,
                GREY,
            )
            page.y += 26
        else:
            bubble(page)


def bubble(page: Page) -> None:
    rng = page.rng
    mine = rng.random() < 0.5
    intent = rng.choice(INTENTS)
    text = fill(rng.choice(intent.asks if mine else intent.replies), rng)
    if not mine and rng.random() < 0.3:
        text = rng.choice(("您好，在的", "亲，请稍等", "已读", "感谢您的咨询"))
    size, x = 13, 90 if mine else 50
    lines = (len(text) - 1) // 17 + 1
    fill_color = "#b7e38a" if mine else PAPER
    page.draw.rounded_rectangle((x - 8, page.y - 4, x + 236, page.y + lines * (size + 6) + 4), 8, fill=fill_color)
    page.draw.rectangle(
        (WIDTH - 30, page.y, WIDTH - 8, page.y + 22) if mine else (8, page.y, 30, page.y + 22), fill=PALE
    )
    page.paragraph(x, 17 * size, text, size)
    page.y += 14


def photo(page: Page) -> None:
    """Stands for a camera picture: light, blur, a thing on a table, now and then a label with a few words."""
    rng, draw = page.rng, page.draw
    draw.rectangle((0, 0, WIDTH, page.height), fill=rng.choice(PASTELS))
    for _ in range(rng.randint(6, 14)):
        x, y = rng.randint(-60, WIDTH), rng.randint(-60, page.height)
        box = (x, y, x + rng.randint(40, 220), y + rng.randint(40, 260))
        rng.choice((draw.ellipse, draw.rectangle))(box, fill=rng.choice(PASTELS + ACCENTS))
    page.image = page.image.filter(ImageFilter.GaussianBlur(rng.randint(3, 7)))
    page.draw = type(draw)(page.image)
    if rng.random() < 0.5:
        page.draw.rectangle((60, 200, 300, 330), fill="#f4f2ea")
        page.y = 210
        words = (
            f"{rng.choice(('飞燕速递', '通达快运'))} {number(rng, 8)}", f"收件人 {rng.choice('张李王')}**",
            product(rng), "合格证", "洗涤说明", "净含量 500g", choice_of(rng), "生产日期见瓶底",
            f"建议零售价{price(rng)}", "退货联", "感谢您的购买 好评返现",
        )  # fmt: skip
        for text in rng.sample(words, rng.randint(1, 3)):
            page.text(74, page.y, text, 15)
            page.y += 34
