"""The scenes of the demo: which page a screenshot shows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from . import order_pages, shop_pages
from .drawing import Page
from .page_parts import trim

LABEL_NOISE = 0.03
FEWEST_TEXTS = 4
STITCHED = 0.3  # share of images with a strip of another page above; the lower page is the one that is labelled


@dataclass(frozen=True)
class Scene:
    name: str
    description: str
    size: int  # samples in train and test together
    draw: Callable[[Page], None]


SCENES = (
    Scene("商品详情", "单个商品的页面：大图、价格、标题、参数、图文介绍，底部可购买", 22, shop_pages.product_page),
    Scene("订单详情", "一笔订单的完整信息：状态、地址、商品、实付款、订单编号", 20, order_pages.order_page),
    Scene("客服聊天", "与商家或平台客服的对话窗口", 18, order_pages.chat_page),
    Scene("物流跟踪", "包裹的运输路径：揽收、转运、派送、签收的时间线", 18, order_pages.delivery_page),
    Scene("退款详情", "退款或退货的处理页面：金额、原因、协商、钱款去向、撤销申请、寄回", 17, order_pages.refund_page),
    Scene("规格选择", "选择颜色、尺码、款式、数量的浮层", 16, shop_pages.options_page),
    Scene("支付页面", "选择付款方式、收银台、支付成功、账单里的一笔付款", 15, order_pages.payment_page),
    Scene("实物照片", "用相机拍的照片，不是软件页面", 15, order_pages.photo),
    Scene("购物车", "准备购买的商品清单，可勾选、凑单、结算，有失效宝贝", 14, shop_pages.cart_page),
    Scene("评价页面", "买家写的评价、追评、买家秀、问大家", 13, shop_pages.review_page),
    Scene("领券页面", "领取或查看优惠券、卡券、红包的页面", 12, shop_pages.coupon_page),
    Scene("店铺首页", "一家店铺的首页：店名、关注、分类、店内搜索", 12, shop_pages.shop_page),
    Scene("下单失败", "下单时弹出失败提示：售罄、限购、库存不足、不支持配送、系统繁忙", 8, order_pages.failure_page),
)


@dataclass(frozen=True)
class Screenshot:
    page: Page
    label: str


def make_screenshots(seed: int, font: Path | None) -> list[Screenshot]:
    """All pages of the scene task in the order of their labels; one seed and one font give one set of pages."""
    rng = Random(f"screenshots {seed}")
    return [Screenshot(draw_page(scene, rng, font), noisy(scene, rng)) for scene in SCENES for _ in range(scene.size)]


def draw_page(scene: Scene, rng: Random, font: Path | None) -> Page:
    page = plain_page(scene, rng, font)
    if rng.random() < STITCHED:
        upper = plain_page(rng.choice(SCENES), rng, font)
        start = rng.randint(0, max(0, upper.height - 420))
        upper.cropped(start, min(upper.height, start + rng.randint(160, 420)))
        page.put_below(upper)
    return page


def plain_page(scene: Scene, rng: Random, font: Path | None) -> Page:
    """One page, drawn again when the cut left nothing on it that could be recognised."""
    seed, height = rng.random(), rng.choice((640, 720, 780, 780, 800))
    for attempt in range(10):
        page = Page(Random(seed + attempt), font, height)
        scene.draw(page)
        if scene.draw is not order_pages.failure_page:
            trim(page)
        if len(page.written) >= FEWEST_TEXTS or scene.draw is order_pages.photo:
            break
    return page


def noisy(scene: Scene, rng: Random) -> str:
    if rng.random() >= LABEL_NOISE:
        return scene.name
    return rng.choice([other.name for other in SCENES if other is not scene])
