"""What predicting says about its input, and what it keeps of texts and images, in files and in memory."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from concept_encoder import ConceptEncoder
from PIL import Image

from kdsl.embeddings import load, sentence_vectors
from kdsl.fields import pages, pictures
from kdsl.fields.ocr import OcrOutcome, PageReader
from kdsl.fields.sidecar import OcrLine, OcrPage
from kdsl.project import prediction
from kdsl.project.prediction import ProjectPredictor
from kdsl.project.project import Project
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Rule, When
from kdsl.sample import Label, Sample, Task, Turn


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

    def settle(self, samples):
        pass

    def tell(self):
        pass


def dialogue(answered: bool) -> Sample:
    answer = (Turn("agent", "可以退"),) if answered else ()
    return Sample("s", "shop", (Turn("user", "能退吗"), *answer))


def warned(caplog, views: dict[str, float], *batches: list[Sample]) -> list[str]:
    predictor = ProjectPredictor(Told(views), Told(), Told())
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
    predictor = ProjectPredictor(Told({"last_agent": 1.0}), Told(), Told())
    for _ in range(2):
        predictor.decide([dialogue(False)])
        predictor.warn()
    assert [message.split(";")[0] for message in caplog.messages] == [
        "shop: none of 1 dialogues ends with an answer of the agent, by which the model goes to 100 %"
    ] * 2


SHOP = Task("shop", (Label("退款"), Label("物流")))
RULES = [
    Rule(
        id="r-0000aaaa",
        label="退款",
        when=When(all=(Condition.model_validate({"means": {"user": "退钱", "at": 0.9}}),)),
    ),
    Rule(id="r-0000bbbb", label="物流", when=When(all=(Condition(field="ocr", terms=("快递",)),))),
    Rule(id="r-0000cccc", label="物流", when=When(all=(Condition.model_validate({"image.kind": "screenshot"}),))),
]


@pytest.fixture
def shop(tmp_path, monkeypatch) -> Path:
    """A project with an encoder, images and text on them, whose memory is short."""
    monkeypatch.setattr(load, "load_encoder", lambda *given: ConceptEncoder())
    monkeypatch.setattr(pages, "ocr_installed", lambda: True)
    monkeypatch.setattr(pages, "fill_ocr", read_text)
    monkeypatch.setattr(PageReader, "pages", lambda self, images, folder: [(image, page(image)) for image in images])
    for module in (sentence_vectors, pictures, prediction):
        monkeypatch.setattr(module, "_HELD", 8)
    folder = tmp_path / "shop"
    Project.create(folder, [SHOP])
    texts = {"退款": ("我要退款", "退钱", "还没退款"), "物流": ("快递呢", "物流到哪了", "快递慢")}
    records = [{"id": text, "text": text, "label": label} for label, said in texts.items() for text in said]
    (folder / "data/train.json").write_text(json.dumps(records), "utf-8")
    (folder / "data/images").mkdir(exist_ok=True)
    (folder / "data/ocr.jsonl").write_text("", "utf-8")
    project = opened(folder)
    project.mine(workers=1)
    for rule in RULES:
        project.rules().save(rule)
    project.train()
    return folder


def opened(folder: Path) -> Project:
    return Project.open(folder, {"mining.iterations": 3, "encoder": "use", "small": "lexical"})


def page(image: str) -> OcrPage:
    """Every image says 快递."""
    return OcrPage(image, (8, 8), (OcrLine("快递", 1.0, (0, 0, 8, 8)),))


def read_text(images, folder, sidecar, progress, known, stop) -> OcrOutcome:
    """Stands for RapidOCR, and writes what it reads."""
    with Path(sidecar).open("a", encoding="utf-8") as file:
        for image in images:
            known[image] = page(image)
            file.write(json.dumps({"image": image}) + "\n")
    return OcrOutcome()


def newcomers(folder: Path, first: int, n: int) -> list[Sample]:
    """Samples of which neither text nor image was there before."""
    for number in range(first, first + n):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(folder / f"data/images/{number}.png")
    return [
        Sample(f"n{number}", "shop", (Turn("user", f"退钱{number}", (f"{number}.png",)),), (f"{number}.png",))
        for number in range(first, first + n)
    ]


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.suffix != ".png"}


def test_without_keeping_nothing_is_written_and_memory_has_an_end(shop):
    predictor = ProjectPredictor.open(opened(shop), keeping=False)
    before = files(shop)
    sidecars, held = predictor.images.sidecars, []
    for first in range(0, 48, 4):
        decisions = predictor.decide(newcomers(shop, first, 4))
        for decision in decisions:
            assert {hit.rule.id for hit in decision.rules} >= {rule.id for rule in RULES}
        held.append(
            (len(sidecars.vectors._known), len(sidecars.pictures._known), len(sidecars.ocr), len(sidecars.answers))
        )
    assert max(held) == held[-1] == (8, 8, 8, 0)
    assert files(shop) == before


def test_what_came_last_is_known_and_what_came_before_is_read_again(shop):
    predictor = ProjectPredictor.open(opened(shop), keeping=False)
    samples = newcomers(shop, 0, 12)
    before = [decision.record() for decision in predictor.decide(samples)]
    assert len(predictor.images.sidecars.ocr) == 12, "a batch is never forgotten while it is decided"
    predictor.decide(newcomers(shop, 20, 1))
    assert list(predictor.images.sidecars.ocr) == [*(f"{number}.png" for number in range(5, 12)), "20.png"]
    assert [decision.record() for decision in predictor.decide(samples)] == before


def test_with_keeping_files_hold_what_was_found(shop):
    project = opened(shop)
    predictor = ProjectPredictor.open(project)
    before = files(shop)
    predictor.decide(newcomers(shop, 0, 12))
    changed = {path.name for path, content in files(shop).items() if before.get(path) != content}
    assert changed == {"ocr.jsonl", "vectors.sqlite"}
    assert len(predictor.images.sidecars.ocr) == 12


def test_what_is_known_from_files_is_never_forgotten(shop):
    lines = [{"text": "快递", "score": 1, "box": [0, 0, 8, 8]}]
    known = "".join(json.dumps({"image": f"{n}.png", "size": [8, 8], "lines": lines}) + "\n" for n in range(12))
    (shop / "data/ocr.jsonl").write_text(known, "utf-8")
    predictor = ProjectPredictor.open(opened(shop), keeping=False)
    predictor.decide(newcomers(shop, 0, 24))
    predictor.decide(newcomers(shop, 24, 1))
    assert set(predictor.images.sidecars.ocr) >= {f"{n}.png" for n in range(12)}
    assert len(predictor.images.sidecars.ocr) == 12 + 8
