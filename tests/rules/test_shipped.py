"""The rules that ship: whole, decided, explained, and right on made-up dialogues without a training sample."""

from functools import cache

import pytest

from kdsl.arbiter.fit import unfitted_arbiter
from kdsl.arbiter.weighing import WeighedRules
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.rules.engine import Engine
from kdsl.rules.lint import lint
from kdsl.rules.rule_file import rule_text
from kdsl.rules.rulebase import RuleBase
from kdsl.rules.shipped import SHIPPED, copy_shipped, shipped_rules
from kdsl.sample import Sample, Task, Turn
from kdsl.tasks import load_task, shipped_tasks

TASKS = sorted(task for task in shipped_tasks() if (SHIPPED / task).is_dir())
ASKED = {
    "反馈密封性不好": [
        "水杯倒过来一直往下滴",
        "保温壶盖子怎么拧都拧不死，包里都湿透了",
        "瓶口往外渗东西",
        "此处有液体渗出",
        "瓶盖无法旋紧",
    ],
    "是否好用": [
        "这个好使吗",
        "买回去能管用不",
        "这款产品使用体验怎样",
        "这个是否实用",
    ],
    "是否会生锈": [
        "放浴室会不会长锈",
        "用久了会氧化吗",
        "这才用一个月就锈成这样",
        "这里是锈了吗",
        "长时间使用是否会出现锈迹",
    ],
    "排水方式": [
        "你们这个洗衣机是往上排水还是往下排",
        "排水管能接地漏吗",
        "水从哪里排出去",
        "这款是下排水还是上排水",
        "请问排水管道如何连接",
    ],
    "包装区别": [
        "为啥这次的瓶子跟上次不一样",
        "你们换包装了吗",
        "新旧包装随机发吗",
        "两款包装为何存在差异",
        "这个包装与图片上的不同",
    ],
    "发货数量": [
        "拍一份发几瓶",
        "付款后一共能拿到几包",
        "这个是两只还是一只",
        "购买一份是否包含三瓶",
        "下单后会寄送几盒",
    ],
    "反馈用后症状": [
        "涂完脸火辣辣的",
        "宝宝喝了一直拉肚子",
        "戴了眼睛又干又涩",
        "使用之后皮肤出现泛红",
        "服用完感觉肚子不适",
    ],
    "商品材质": [
        "这是什么料子的",
        "枕芯里面是什么填充的",
        "是不是真皮",
        "请问它是用何种材料制作的",
        "这款面料是什么",
    ],
    "功效功能": [
        "这个有啥用",
        "能不能去黑头",
        "这款面霜能美白吗",
        "这个产品具备哪些功能",
        "它能起到什么作用",
    ],
    "是否易褪色": [
        "洗了会掉色吗",
        "衣服第一次洗就褪色了",
        "项链戴久了会不会变色",
        "清洗之后颜色会不会变浅",
        "这款会出现掉色情况吗",
    ],
    "适用季节": [
        "现在这个天气穿会热吗",
        "夏天盖合适吗",
        "冬天能穿不",
        "请问适合什么季节使用",
        "冬季穿会不会冷",
    ],
    "能否调光": [
        "灯可以调亮暗吗",
        "这个台灯有几档亮度",
        "是不是三色变光的",
        "请问亮度能否调节",
        "灯光颜色可以更换吗",
    ],
    "版本款型区别": [
        "A款跟B款差在哪儿",
        "pro和标准版有啥不一样",
        "两个型号怎么选",
        "请问这两者之间有何差异",
        "豪华款与普通款差别在哪里",
    ],
    "单品推荐": [
        "有没有适合油皮的洗面奶推荐",
        "发个链接给我",
        "这件衣服你们店里有卖吗",
        "能否推荐一款适合的",
        "请提供该商品的链接",
    ],
    "用法用量": [
        "这个咋用啊",
        "一天吃几粒",
        "饭前吃还是饭后吃",
        "请问应该如何操作",
        "每次需要用多少",
    ],
    "控制方式": [
        "能用手机控制吗",
        "有遥控器没",
        "可以连小爱同学吗",
        "是否支持手机操控",
        "请问是使用遥控器吗",
    ],
    "上市时间": [
        "这手机哪年出的",
        "什么时候上市的",
        "是今年的新款吗",
        "请问这款产品何时上市",
        "是哪一年推出的",
    ],
    "商品规格": [
        "一瓶多少毫升",
        "净含量多少",
        "一包有多少抽",
        "请问容量有多大",
        "这个重量是多少",
    ],
    "信号情况": [
        "手机一到家就没信号",
        "隔两堵墙还能收到信号吗",
        "为什么老断网",
        "为什么没有信号",
        "手机网络不稳定怎么办",
    ],
    "养护方法": [
        "真皮沙发平时怎么保养",
        "这花多久浇一次水",
        "可以放洗衣机洗吗",
        "请问日常应如何保养",
        "这种植物需要怎样照料",
    ],
    "套装推荐": [
        "有没有水乳套装推荐",
        "想买一整套的护肤品",
        "礼盒有哪些",
        "请推荐一套护肤品",
        "是否有组合优惠",
    ],
    "何时上货": [
        "什么时候补货",
        "黑色还有货吗",
        "L码断货了什么时候有",
        "请问何时会有货",
        "此款是否还会补货",
    ],
    "气泡": [
        "贴完膜好多气泡",
        "边上有个泡怎么都挤不出来",
        "钢化膜有小气泡咋弄",
        "贴膜后出现气泡该怎么处理",
        "这些泡泡如何去除",
    ],
}
ANSWERED = {
    "反馈密封性不好": "请检查一下密封圈有没有装好，拧紧之后再试试",
    "排水方式": "亲，这款是下排水的，接地漏就可以",
    "包装区别": "新旧包装随机发，里面的东西是一样的",
    "商品材质": "面料是100%棉的",
    "何时上货": "暂时缺货，可以点到货提醒",
    "气泡": "膜下面的气泡一两天会自己消失",
}
"""What an agent answers to a picture with a word that says nothing."""


@cache
def rules_alone() -> tuple[Task, WeighedRules, Engine]:
    """The task of intents, and what its rules weigh without a training sample."""
    task, rules = load_task("mire_intent"), shipped_rules("mire_intent")
    return task, unfitted_arbiter(task, FieldTable([], Sidecars()), rules, {}).weigh(rules), Engine(rules)


def decided(*turns: Turn) -> tuple[str | None, bool]:
    """What the rules for intents alone say about a dialogue, None where it is nothing; and whether they are torn."""
    task, weighed, engine = rules_alone()
    table = FieldTable([Sample("a", task.name, turns)], Sidecars())
    [evidence] = weighed.evidence(engine.matrix(table), len(task.labels)).people
    if not evidence.any():
        return None, False
    return task.label_names[int(evidence.argmax())], bool((evidence == evidence.max()).sum() > 1)


def test_there_is_a_rule_base_for_intents():
    rules = shipped_rules("mire_intent")
    assert "mire_intent" in TASKS
    assert 60 <= len(rules) <= 125
    assert {rule.label for rule in rules} == set(load_task("mire_intent").label_names)


@pytest.mark.parametrize("name", TASKS)
def test_every_rule_is_decided_and_says_why(name):
    task = load_task(name)
    base = RuleBase.load(SHIPPED, name, problems="raise")
    assert len(base) > 0
    for file in base.files:
        rule = file.rule
        assert rule.approved and rule.review.by and rule.review.at and rule.review.of == rule.when_hash, file.path
        assert rule.notes.strip(), file.path
        assert rule.label in task.label_names
        assert file.text == rule_text(rule), f"{file.path}: not in the standard form"
    assert lint(SHIPPED, task) == []


@pytest.mark.parametrize(("label", "text"), [(label, text) for label, texts in ASKED.items() for text in texts])
def test_what_customers_say_is_decided_by_the_rules_alone(label, text):
    assert decided(Turn("user", "", ("a.jpg",)), Turn("agent", "您好，请问有什么可以帮您"), Turn("user", text)) == (
        label,
        False,
    )


@pytest.mark.parametrize(("label", "answer"), ANSWERED.items())
def test_what_the_agent_answers_decides_where_the_customer_names_nothing(label, answer):
    assert decided(Turn("user", "这样呢"), Turn("agent", answer)) == (label, False)


def test_what_the_customer_says_last_beats_what_was_said_before():
    turns = Turn("user", "会不会掉色"), Turn("agent", "不会的亲"), Turn("user", "那是什么材质的呀")
    assert decided(*turns) == ("商品材质", False)
    assert decided(*turns[:2], Turn("user", "就是图片里这个")) == ("是否易褪色", False)


def test_politeness_decides_nothing():
    assert decided(Turn("user", "在吗"), Turn("agent", "亲亲，很高兴为您服务，祝您生活愉快")) == (None, False)


def test_a_stainless_pan_is_a_material_and_its_rust_is_not():
    assert decided(Turn("user", "这口锅是不锈钢的吗"))[0] == "商品材质"
    assert decided(Turn("user", "不锈钢的锅会不会生锈"))[0] == "是否会生锈"


def test_copies_never_touch_what_is_there(tmp_path):
    [kept, changed, *_] = shipped_rules("mire_intent")
    base = RuleBase.load(tmp_path, "mire_intent")
    base.save(changed.model_copy(update={"status": "rejected"}))
    mine = kept.model_copy(update={"id": "r-mine0001", "notes": "mine"})
    base.save(mine)
    copy_shipped("mire_intent", tmp_path)
    after = RuleBase.load(tmp_path, "mire_intent", problems="raise")
    assert len(after) == len(shipped_rules("mire_intent"))
    assert after.get(changed.id).status == "rejected"
    assert after.get("r-mine0001") == mine  # its conditions are in the base: no second rule says the same
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")}
    copy_shipped("mire_intent", tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.yaml")} == before


def test_mining_keeps_them_all(tmp_path):
    copy_shipped("mire_intent", tmp_path)
    report = RuleBase.load(tmp_path, "mire_intent").update_mined([])
    assert (len(report.kept), report.removed) == (len(shipped_rules("mire_intent")), ())


def test_a_task_without_rules_that_ship_copies_none(tmp_path):
    copy_shipped("returns", tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert shipped_rules("returns") == []


def test_no_rule_is_about_one_character_that_only_asks():
    """Terms that are wanted, not those of exceptions."""
    asking = set("吗么呢吧?的了是有")
    for rule in shipped_rules("mire_intent"):
        first = next(condition for condition in rule.conditions if not condition.negated)
        assert not asking & set(first.terms), rule.id
