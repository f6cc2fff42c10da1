"""What a teacher says: probabilities where it tells them, else its label, and nothing where it is nonsense."""

import threading
from collections.abc import Sequence

import numpy as np
import pytest

from kdsl.distillation.teacher import NO_LABEL, ask_teacher
from kdsl.errors import KdslError
from kdsl.fields.sidecar import Sidecars
from kdsl.fields.table import FieldTable
from kdsl.models.large.prompts import Prompts
from kdsl.sample import Label, Sample, Task, Turn
from kdsl.vlm.cache import CachedModel
from kdsl.vlm.model import Scores

TASK = Task("shop", (Label("调光"), Label("材质"), Label("物流")))


class Server:
    """Scores by what the customer says; raises for 坏."""

    identity = "server"

    def __init__(self, scores: dict[str, Sequence[float]], estimated: bool) -> None:
        self.scores, self.estimated = scores, estimated
        self.asked: list[str] = []
        self.patience = 1000
        """So many are answered, all others only when `open` is set."""
        self.open = threading.Event()

    def sees(self) -> bool:
        return True

    def hears(self) -> bool:
        return False

    def score(self, conversations, options) -> Scores:
        rows = []
        for conversation in conversations:
            text = "".join(map(str, conversation[0].pieces))
            said = next(key for key in self.scores if key in text)
            self.asked.append(said)
            if len(self.asked) > self.patience:
                self.open.wait()
            if said == "坏":
                raise KdslError("the server answers 500")
            rows.append(np.log(self.scores[said]))
        ones = np.ones(len(rows), dtype=np.int64)
        strays = tuple("天气很好" if self.estimated and len(set(row)) == 1 else None for row in rows)
        return Scores(np.array(rows), np.array([2, 2, 2]), ones, ones, ones, self.estimated, strays)


def table(*texts: str) -> FieldTable:
    samples = [Sample(f"u{i}", "shop", (Turn("user", text),)) for i, text in enumerate(texts)]
    return FieldTable(samples, Sidecars())


def ask(server: Server, tmp_path, *texts: str, threads: int = 4):
    return ask_teacher(CachedModel(server, tmp_path / "a.jsonl"), TASK, table(*texts), Prompts(None), threads)


def test_log_probabilities_become_soft_targets(tmp_path):
    """However little of all probability the labels have together."""
    teacher_labels = ask(Server({"亮": [0.08, 0.01, 0.01]}, False), tmp_path, "亮")
    assert teacher_labels.labels.tolist() == [0]
    assert teacher_labels.shares[0] == pytest.approx([0.8, 0.1, 0.1])
    assert teacher_labels.confidence[0] == pytest.approx(0.8)


def test_of_sampled_answers_the_share_is_the_confidence_and_the_label_the_target(tmp_path):
    teacher_labels = ask(Server({"亮": [14 / 17, 2 / 17, 0.5 / 17]}, True), tmp_path, "亮")
    assert teacher_labels.shares[0].tolist() == [1, 0, 0]
    assert teacher_labels.confidence[0] == pytest.approx(14 / 17)


def test_answers_of_which_none_is_a_label_label_nothing(tmp_path):
    teacher_labels = ask(Server({"亮": [1 / 51] * 3, "棉": [1 / 51, 16 / 17, 1 / 51]}, True), tmp_path, "亮", "棉")
    assert teacher_labels.labels.tolist() == [NO_LABEL, 1]
    assert teacher_labels.shares[0].tolist() == [0, 0, 0]
    assert (teacher_labels.nonsense, teacher_labels.example) == (1, "天气很好")


def test_a_teacher_that_never_says_a_label_is_an_error(tmp_path):
    with pytest.raises(KdslError, match=r"^server: none of its 1 answers is a label of shop, for example '天气"):
        ask(Server({"亮": [1 / 51] * 3}, True), tmp_path, "亮")


@pytest.mark.parametrize("threads", [1, 4])
def test_a_sample_without_an_answer_is_told_and_stops_no_other(tmp_path, threads):
    server = Server({"坏": [], "棉": [0.1, 0.8, 0.1]}, False)
    teacher_labels = ask(server, tmp_path, "棉", "坏", "棉棉", "棉棉棉", threads=threads)
    assert teacher_labels.labels.tolist() == [1, NO_LABEL, 1, 1]
    assert teacher_labels.failed == {"u1": "the server answers 500"}
    assert server.asked.count("坏") >= 2  # it was given a second chance
    again = ask(server, tmp_path, "棉", "坏", "棉棉", "棉棉棉", threads=threads)
    assert again.failed == teacher_labels.failed


def test_what_was_answered_is_not_asked_again(tmp_path):
    server = Server({"棉": [0.1, 0.8, 0.1]}, False)
    first = ask(server, tmp_path, *("棉" * n for n in range(1, 20)))
    assert len(server.asked) == 19
    again = ask(server, tmp_path, *("棉" * n for n in range(1, 20)))
    assert len(server.asked) == 19
    assert np.array_equal(first.shares, again.shares)


def test_a_server_that_never_answers_is_an_error(tmp_path):
    server = Server({"坏": []}, False)
    server.patience = 20
    with pytest.raises(KdslError, match="the server answers 500"):
        ask(server, tmp_path, *["坏"] * 40)
    server.open.set()
    for thread in threading.enumerate():
        if thread.name.startswith("ThreadPoolExecutor"):
            thread.join()
    assert len(server.asked) <= 20 + 4
