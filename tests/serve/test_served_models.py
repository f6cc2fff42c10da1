"""The service decides with every `large:` as the command does, and explains it in JSON and in HTML."""

import json
from collections.abc import Sequence
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest

pytest.importorskip("fastapi", reason="needs the extra serve")

import several_labels_world
import small_shop
from concept_encoder import ConceptEncoder
from model_server import RunningServer
from service_on_port import ServiceOnPort, heard, on_port, request
from service_shop import RETURNS, opened
from waiting import until

from kdsl.project.project import Project
from kdsl.serve.schema import Explanation, Predictions

ASKED = {"id": "a", "task": "returns", "text": "钱退了吗"}


def decides(service: ServiceOnPort, project: Project, *samples: dict[str, Any]) -> list[dict[str, Any]]:
    """The predictions, which are those of the command, each of which is explained in JSON and in HTML."""
    answer = service.predict(*samples)
    assert answer.status == 200, answer.body
    records = answer.json["predictions"]
    assert records == [each.record() for each in project.predict(list(samples))]
    assert Predictions.model_validate(answer.json)
    for sample, record in zip(samples, records, strict=True):
        explained = service.post({"samples": [sample]}, "/v1/explain")
        assert Explanation.model_validate(explained.json)
        assert explained.json["prediction"] == record
        page = service.post({"samples": [sample]}, "/v1/explain", {"Accept": "text/html"})
        assert page.status == 200 and "<script" not in page.body.decode()
        assert record["decision"]["by"] in ("abstained", "other") or all(
            label in page.body.decode() for label in _labels(record["label"])
        )
    return list(records)


def _labels(label: str | Sequence[str]) -> Sequence[str]:
    return [label] if isinstance(label, str) else label


def explanation(service: ServiceOnPort, sample: dict[str, Any]) -> Any:
    return service.post({"samples": [sample]}, "/v1/explain").json["explanation"]


def retrained(shop: Path, **changes: object) -> Project:
    project = opened(shop, **changes)
    project.train()
    return project


def test_linear(shop):
    project = opened(shop)
    with on_port(project) as service:
        decides(service, project, ASKED, {"id": "b", "task": "desk", "text": "太小"})
        assert explanation(service, ASKED)["near"] is None


def test_neighbours_are_explained_by_the_samples_that_are_near(shop):
    project = retrained(shop, large="neighbours")
    with on_port(project) as service:
        decides(service, project, ASKED)
        near = explanation(service, {**ASKED, "text": "太小想换"})["near"]
        assert (near[0]["label"], near[0]["words"]) == ("尺码", "尺码太小")


def test_recorded_answers_are_found_by_id_and_rules_decide_where_there_is_none(shop):
    ids = [each["id"] for each in json.loads((shop / "data" / "train.json").read_text("utf-8"))]
    answers = [{"id": id, "label": id[:2]} for id in dict.fromkeys(ids)] + [{"id": "known", "label": "尺码"}]
    (shop / "answers.jsonl").write_text("".join(json.dumps(each) + "\n" for each in answers), "utf-8")
    project = retrained(shop, large=f"recorded:{shop / 'answers.jsonl'}")
    known, unknown = {**ASKED, "id": "known", "text": "你好"}, {**ASKED, "id": "new", "text": "你好"}
    with on_port(project) as service:
        first, second = decides(service, project, known, unknown)
        assert first["label"] == first["model"]["label"] == "尺码"
        assert second["decision"]["reason"].startswith("the model has no answer")
        assert explanation(service, known) is None


def test_a_project_without_labelled_samples_goes_by_the_names_of_its_labels(tmp_path, monkeypatch):
    monkeypatch.setattr("kdsl.embeddings.load.load_encoder", lambda name, consent: ConceptEncoder(name))
    Project.create(tmp_path / "cold", [RETURNS])
    (tmp_path / "cold" / "data" / "train.json").unlink(missing_ok=True)
    project = Project.open(tmp_path / "cold", {"encoder": "use", "data.train": None, "data.ocr": None})
    project.train()
    with on_port(project) as service:
        [record] = decides(service, project, {"id": "a", "text": "refund please"})
        assert record["label"] == "退款"
        assert "no labelled sample was there to learn from" in record["decision"]["reason"]
        assert explanation(service, {"text": "refund please"})["described"]["label"] == "退款"


def test_several_labels_of_a_sample(tmp_path):
    folder = several_labels_world.write_project(tmp_path / "topics", train=60, test=0)
    project = Project.open(folder, {"mining.iterations": 20, "mining.max_conditions": 1})
    project.mine(workers=1)
    project.train()
    with on_port(project) as service:
        both, none = decides(
            service, project, {"id": "a", "text": "我要退款，衣服破了个洞"}, {"id": "b", "text": "在"}
        )
        assert set(both["label"]) == {"退款", "质量"}
        assert none["label"] == [] and set(none["decisions"]) == set(several_labels_world.LABELS)
        assert [each["label"] for each in service.logged[:2]] == [both["label"], []]


def test_what_belongs_to_no_label_and_what_a_person_has_to_decide(tmp_path):
    folder = small_shop.write_project(tmp_path / "shop")
    with (folder / "task.yaml").open("a", encoding="utf-8") as file:
        file.write("other: 其他\n")
    changes = {"abstain": {"share": 0.2}, "mining.iterations": 10, "mining.max_conditions": 1, "data.ocr": None}
    project = Project.open(folder, changes)
    project.mine(workers=1)
    project.train()
    with on_port(project) as service:
        texts = ["亮度", "棉麻快递", "吟诗作对", "亮度面料发货"]
        records = decides(service, project, *({"id": str(n), "text": text} for n, text in enumerate(texts)))
        by = [record["decision"]["by"] for record in records]
        assert "abstained" in by or "other" in by
        for record, line in zip(records, service.logged, strict=False):
            assert (line["label"], line["by"]) == (record["label"], record["decision"]["by"])
            assert (record["label"] is None) == (record["decision"]["by"] == "abstained")


# A vision-language model


@pytest.fixture(scope="module")
def tuned(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose model was fine-tuned, a little; not to be written to."""
    from tiny_project import SMALL, write_project

    training = "training: {epochs: 1, learning_rate: 0.005, batch: 8, at_once: 8}\n"
    folder = write_project(tmp_path_factory.mktemp("tuned") / "project", tiny_model, n=16, extra=SMALL + training)
    project = Project.open(folder, {"mining.iterations": 2, "data.ocr": None})
    project.mine(workers=1)
    project.train()
    return folder


@pytest.fixture
def fine_tuned(tuned: Path, tmp_path: Path) -> Project:
    return Project.open(copytree(tuned, tmp_path / "tuned"), {"data.ocr": None})


def of_test(project: Project, number: int) -> list[dict[str, Any]]:
    lines = (project.config.folder / "test.jsonl").read_text("utf-8").splitlines()[:number]
    return [{key: value for key, value in json.loads(line).items() if key != "label"} for line in lines]


@pytest.fixture
def asked_together(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many samples the model was asked about in each call."""
    from kdsl.vlm.local import LocalModel

    calls: list[int] = []
    score = LocalModel.score

    def counted(self: Any, conversations: Sequence[Any], options: Sequence[str]) -> Any:
        calls.append(len(conversations))
        return score(self, conversations, options)

    monkeypatch.setattr(LocalModel, "score", counted)
    return calls


def test_a_fine_tuned_model_is_asked_about_samples_of_several_requests_at_once(fine_tuned, asked_together):
    """Each costs what it costs alone, though all have the same id."""
    samples = [{**sample, "id": "1"} for sample in of_test(fine_tuned, 4)]
    with on_port(fine_tuned) as service:
        alone = [decides(service, fine_tuned, sample)[0] for sample in samples]
        assert [record["cost"]["calls"] for record in alone] == [1] * 4
        kept = fine_tuned.config.checkpoint / "pictures"
        rmtree(kept)  # of training, and of the command
        asked_together.clear()
        with service.held_up() as held:
            first = service.client(request("/v1/predict", json.dumps({"samples": samples[:1]}).encode()))
            assert held.begun.wait()
            others = []
            for number, sample in enumerate(samples, start=1):
                others.append(service.client(request("/v1/predict", json.dumps({"samples": [sample]}).encode())))
                until(lambda number=number: service.service.batcher.waiting == number)
        together = [heard(client).prediction for client in [first, *others]]
        assert asked_together == [1, 4]
        assert not kept.exists()  # a service keeps no pictures of customers
        for one, record in zip([alone[0], *alone], together, strict=True):
            assert (one["label"], one["cost"], one["rules"]) == (record["label"], record["cost"], record["rules"])
            assert one["probabilities"] == pytest.approx(record["probabilities"], abs=1e-3)
        assert {line["id"] for line in service.logged} == {"1"}
        assert service.service.live.served.predictor.predictor.usage.of(("shop", "1")).calls == 0


# A model behind a server


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(replies=(("退", "退款"), ("小", "尺码"), ("", "退款")))
    return shared_server


@pytest.fixture
def remote(shop: Path, server: RunningServer) -> Project:
    return retrained(shop, large=server.url)


def calls(server: RunningServer) -> int:
    return sum(asked["path"].endswith("/chat/completions") for asked in server.requests())


def test_a_served_model_is_asked_within_its_limits_however_often_an_id_comes(remote, server):
    with on_port(remote) as service:
        decides(service, remote, ASKED)
        before = calls(server)
        for _ in range(5):
            assert service.predict(ASKED).prediction["cost"]["calls"] == 1
        together = service.predict(*[ASKED] * 3).json["predictions"]
        assert [record["cost"]["calls"] for record in together] == [1] * 3
        assert calls(server) - before == 5 + 3


@pytest.mark.parametrize(
    ("fault", "told"), [("401", "the server answers 401 (EngineCore died); "), ("drop", "the connection breaks off")]
)
def test_a_server_that_fails_is_told_with_503_and_asked_again_for_the_next(remote, server, monkeypatch, fault, told):
    monkeypatch.setattr("urllib3.util.Retry.sleep", lambda *_: None)
    with on_port(remote) as service:
        assert service.predict(ASKED).status == 200
        server.fail(fault, forever=True)
        answer = service.predict(ASKED)
        assert answer.status == 503
        assert answer.sentence.startswith(f"{server.url}/chat/completions: {told}")
        assert answer.headers["retry-after"] == "1"
        server.become(replies=(("", "退款"),))
        assert service.predict(ASKED).status == 200
        assert service.is_alive()


def test_a_server_that_is_slow_keeps_nobody_longer_than_serve_seconds(remote, server, shop):
    with on_port(opened(shop, large=server.url, serve__seconds=0.5)) as service:
        server.become(replies=(("", "退款"),), delay=2.0)
        answer = service.predict(ASKED)
        assert answer.status == 503
        assert answer.sentence.startswith("the decision took longer than 0.5 seconds (`serve.seconds`)")
        assert service.is_alive()
