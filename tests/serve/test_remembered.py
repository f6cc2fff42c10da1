"""The last decisions are remembered, and take only so much memory."""

from dataclasses import dataclass

from kdsl.sample import Sample, Turn
from kdsl.serve.remembered import LastDecisions


@dataclass(frozen=True)
class Decided:
    """What is remembered of a decision."""

    sample: Sample
    label: str = "退款"
    rules: tuple[object, ...] = ()


def decided(id: str, text: str = "") -> Decided:
    return Decided(Sample(id, "shop", (Turn("user", text),)))


def known(last: LastDecisions, *ids: str) -> list[str]:
    return [id for id in ids if last.of(("shop", id)) is not None]


def test_the_oldest_are_forgotten_first():
    last = LastDecisions(most=2)
    last.add([decided("a"), decided("b")])
    last.add([decided("a"), decided("c")])
    assert known(last, "a", "b", "c") == ["a", "c"]


def test_of_two_with_one_id_the_later_one_is_remembered():
    last = LastDecisions()
    last.add([decided("a", "old"), decided("a", "new")])
    assert last.of(("shop", "a")).sample.turns[0].text == "new"
    assert last.of(("other", "a")) is None


def test_long_samples_make_room_for_others():
    last = LastDecisions(most_characters=2500)
    for number in range(100):
        last.add([decided("same", "x" * 1000), decided(f"{number}", "x" * 1000)])
    assert known(last, *map(str, range(100))) == ["99"]
    assert known(last, "same") == ["same"]
    last.add([decided("turns")])
    last.add([Decided(Sample("many", "shop", (Turn("user", ""),) * 24))])
    assert known(last, "same", "99", "turns", "many") == ["many"]
    last.add([decided("too long", "x" * 3000)])
    assert known(last, "many", "too long") == []
