"""The service over HTTP, in memory: what is asked, what is answered, and what stands in the decision log then."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
from service_shop import MONEY, opened, picture

from kdsl.project.decision_log import read_decisions

ASKED = {"id": "a", "task": "returns", "text": "钱退了吗"}


def predict(client, *samples, **more):
    return client.post("/v1/predict", json={"samples": list(samples)}, **more)


def predicted(client, *samples):
    answer = predict(client, *samples)
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"]


def logged(shop):
    return list(read_decisions(shop / "decisions", datetime.now(UTC) - timedelta(hours=1)))


def test_predictions_are_the_records_that_the_command_writes(serve, shop):
    samples = [ASKED, {"id": "b", "task": "desk", "turns": [{"role": "user", "text": "太小"}]}]
    assert predicted(serve(), *samples) == [each.record() for each in opened(shop).predict(samples)]


def test_without_an_id_samples_are_numbered(serve):
    samples = [{"task": "returns", "text": "钱"}, {"task": "returns", "text": "尺码"}]
    assert [each["id"] for each in predicted(serve(), *samples)] == ["1", "2"]


def test_every_decision_is_logged_with_its_rules_and_versions_and_without_what_was_said(serve, shop):
    client = serve()
    [record] = predicted(client, ASKED)
    [line] = logged(shop)
    assert (line.id, line.task, line.label, line.by) == ("a", "returns", record["label"], record["decision"]["by"])
    assert line.rules == tuple(rule["id"] for rule in record["rules"])
    assert MONEY.id in line.rules
    assert line.versions == client.get("/readyz").json()["versions"]
    assert line.sample is None
    assert "钱" not in "".join(path.read_text("utf-8") for path in (shop / "decisions").iterdir())


def test_the_log_holds_texts_where_it_is_told_to(serve, shop):
    predicted(serve(serve__texts=True), ASKED)
    assert logged(shop)[0].sample["turns"] == [{"role": "user", "text": "钱退了吗"}]


def test_where_the_log_cannot_be_written_decisions_are_made_and_the_service_says_that_it_is_degraded(serve, shop):
    client = serve()
    predicted(client, ASKED)
    for file in (shop / "decisions").iterdir():
        file.unlink()
    (shop / "decisions").rmdir()
    (shop / "decisions").write_text("in the way", "utf-8")
    predicted(client, ASKED)
    ready = client.get("/readyz").json()
    assert ready["status"] == "degraded"
    assert "is a file; set serve.log to a folder" in ready["problems"][0]
    assert 'kdsl_log_writes_total{outcome="failed"} 1.0' in client.get("/metrics").text


def test_an_explanation_is_json_or_what_a_browser_shows(serve):
    client = serve()
    answer = client.post("/v1/explain", json={"samples": [ASKED]}).json()
    assert answer["prediction"] == predicted(client, ASKED)[0]
    assert set(answer["explanation"]) == {"near", "described", "weights"}
    page = client.post("/v1/explain", json={"samples": [ASKED]}, headers={"accept": "text/html"})
    assert page.headers["content-type"].startswith("text/html")
    assert "<mark" in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


def test_an_explanation_is_of_one_sample(serve):
    answer = serve().post("/v1/explain", json={"samples": [ASKED, ASKED]})
    assert (answer.status_code, answer.json()) == (
        422, {"error": "explain takes one sample, not 2; send it alone"}
    )  # fmt: skip


def as_name(data):
    return {"json": {"samples": [{"id": "p", "task": "desk", "images": ["known.png"]}]}}


def as_base64(data):
    images = [{"name": "shot.png", "base64": base64.b64encode(data).decode()}]
    return {"json": {"samples": [{"id": "p", "task": "desk", "images": images}]}}


def as_address(data):
    images = f"data:image/png;base64,{base64.b64encode(data).decode()}"
    return {"json": {"samples": [{"id": "p", "task": "desk", "images": images}]}}


def in_a_turn(data):
    image = {"base64": base64.b64encode(data).decode()}
    turns = [{"role": "user", "text": "看", "images": [image]}]
    return {"json": {"samples": [{"id": "p", "task": "desk", "turns": turns}]}}


def as_form(data):
    samples = [{"id": "p", "task": "desk", "images": ["shot.png"]}]
    return {"data": {"samples": json.dumps(samples)}, "files": {"file": ("shot.png", data, "image/png")}}


@pytest.mark.parametrize("sent", [as_name, as_base64, as_address, in_a_turn, as_form])
def test_pictures_come_by_name_in_the_json_or_in_a_form(serve, sent):
    answer = serve().post("/v1/predict", **sent(picture("white")))
    assert answer.status_code == 200, answer.text
    assert answer.json()["predictions"][0]["label"] in ("退款", "尺码")


def test_where_a_picture_lies_on_the_server_is_told_to_nobody(serve, shop, tmp_path):
    client = serve(serve__texts=True)
    request = as_base64(picture("red"))
    assert str(tmp_path) not in client.post("/v1/predict", **request).text
    assert str(tmp_path) not in client.post("/v1/explain", **request).text
    assert str(tmp_path) not in client.post("/v1/explain", **request, headers={"accept": "text/html"}).text
    for line in logged(shop):
        assert line.sample["images"][0].startswith(".kdsl/embedded/")


def test_the_same_picture_gives_the_same_fingerprint_in_every_run(serve, shop):
    for _ in range(2):
        serve().post("/v1/predict", **as_base64(picture("red")))
    serve().post("/v1/predict", **as_base64(picture("blue")))
    first, again, other = (line.fingerprint for line in logged(shop))
    assert first == again != other


def test_requests_are_counted_by_route_and_status_and_decisions_by_who_decided(serve):
    client = serve()
    predicted(client, ASKED, {"id": "b", "task": "desk", "text": "太小"})
    predict(client, {"id": "c", "task": "no such"})
    text = client.get("/metrics").text
    assert 'kdsl_requests_total{route="/v1/predict",status="200"} 1.0' in text
    assert 'kdsl_requests_total{route="/v1/predict",status="422"} 1.0' in text
    assert f'kdsl_rule_hits_total{{rule="{MONEY.id}",task="returns"}} 1.0' in text
    assert "kdsl_batch_samples_sum 2.0" in text
    assert "kdsl_waiting_samples 0.0" in text


def test_with_a_token_only_what_tells_nothing_is_open(serve):
    client = serve(token="s3cret")
    assert predict(client, ASKED).status_code == 401
    assert client.get("/metrics").status_code == 401
    assert client.get("/openapi.json").status_code == 401
    for path in ("/healthz", "/readyz", "/docs"):
        assert client.get(path).status_code == 200
    assert predict(client, ASKED, headers={"Authorization": "Bearer s3cret"}).status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status", "sentence"),
    [
        ("GET", "/nope", 404, "GET /nope: not found; /docs lists what there is"),
        ("GET", "/v1/predict", 405, "GET /v1/predict: method not allowed; /docs lists what there is"),
    ],
)
def test_what_there_is_not_is_told_in_a_sentence(serve, method, path, status, sentence):
    answer = serve().request(method, path)
    assert (answer.status_code, answer.json()) == (status, {"error": sentence})


def test_a_text_that_would_hold_up_everybody_is_refused(serve):
    client = serve()
    assert predict(client, {**ASKED, "text": "钱" * 200_000}).status_code == 200
    answer = predict(client, {**ASKED, "text": "钱" * 200_001})
    assert (answer.status_code, answer.json()["error"]) == (
        422,
        "samples, item 1: its texts have more than 200,000 characters together; send what matters of them",
    )


def test_a_task_that_was_not_trained_is_refused_while_others_are_decided(serve, shop):
    for file in (shop / "checkpoints" / "run" / "desk").iterdir():
        file.unlink()
    client = serve()
    assert client.get("/readyz").json()["status"] == "degraded"
    answer = predict(client, {"id": "b", "task": "desk", "text": "太小"})
    assert answer.status_code == 409
    assert "run `kdsl train` first" in answer.json()["error"]
    assert predict(client, ASKED).status_code == 200
