"""What predicting says about its input: a model that learned to go by the agent's answers misses them."""

from dataclasses import dataclass, field

import pytest

from kdsl.project.prediction import ProjectPredictor
from kdsl.sample import Sample, Turn


@dataclass
class Told:
    """Stands for what predicts and for what reads images."""

    views: dict[str, float] = field(default_factory=dict)

    def decide(self, samples):
        return list(samples)

    def shares(self, task):
        return self.views

    def fill(self, samples):
        pass

    def settle(self):
        pass

    def tell(self):
        pass


def dialogue(answered: bool) -> Sample:
    answer = (Turn("agent", "可以退"),) if answered else ()
    return Sample("s", "shop", (Turn("user", "能退吗"), *answer))


def warned(caplog, views: dict[str, float], *batches: list[Sample]) -> list[str]:
    predictor = ProjectPredictor(Told(views), Told())
    for batch in batches:
        predictor.decide(batch)
    predictor.warn()
    return caplog.messages


def test_an_input_without_answers_is_told_of_once(caplog):
    batches = [[dialogue(False), Sample("p", "shop", (), ("a.png",))], [dialogue(False)]]
    assert warned(caplog, {"characters": 0.7, "last_agent": 0.3}, *batches) == [
        "shop: none of 2 dialogues ends with an answer of the agent, by which the model goes to 30 %; if that is "
        "always so, set fields.last_agent: false and train again"
    ]


@pytest.mark.parametrize(
    ("share", "batch"),
    [
        (0.3, [dialogue(False), dialogue(True)]),  # some have one
        (0.049, [dialogue(False)]),  # it hardly counts
        (0.0, [dialogue(False)]),
        (0.3, [Sample("p", "shop", (), ("a.png",))]),  # nothing is said there
    ],
)
def test_where_answers_are_there_or_do_not_count_nothing_is_told(caplog, share, batch):
    assert warned(caplog, {"characters": 1 - share, "last_agent": share}, batch) == []


def test_a_classifier_that_cannot_tell_what_it_goes_by_is_not_warned_of(caplog):
    assert warned(caplog, {}, [dialogue(False)]) == []


def test_every_call_tells_of_its_own_samples(caplog):
    predictor = ProjectPredictor(Told({"last_agent": 1.0}), Told())
    for _ in range(2):
        predictor.decide([dialogue(False)])
        predictor.warn()
    assert [message.split(";")[0] for message in caplog.messages] == [
        "shop: none of 1 dialogues ends with an answer of the agent, by which the model goes to 100 %"
    ] * 2
