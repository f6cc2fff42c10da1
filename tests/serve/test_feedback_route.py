"""Feedback over HTTP lands in the project, with its sample and pictures, as data that people can train on."""

import base64

from service_shop import MONEY, opened, picture

ASKED = {"id": "a", "task": "returns", "text": "钱不够"}
SAID = {"id": "a", "task": "returns", "label": "尺码", "by": "Li"}


def give(client, **said):
    return client.post("/v1/feedback", json={**SAID, **said})


def refused(client, **said) -> tuple[int, str]:
    answer = give(client, **said)
    return answer.status_code, answer.json()["error"]


def shown(image: bytes) -> dict:
    return {"id": "p", "task": "returns", "images": [{"base64": base64.b64encode(image).decode()}]}


def test_feedback_on_a_decision_of_a_moment_ago_needs_no_sample(serve, shop):
    client = serve()
    [record] = client.post("/v1/predict", json={"samples": [ASKED]}).json()["predictions"]
    answer = give(client)
    assert (answer.status_code, answer.json()["saved"]) == (200, True)
    [event] = opened(shop).feedback_log.events()
    assert (event.by, event.label, event.predicted) == ("Li", "尺码", record["label"])
    assert MONEY.id in event.rules
    [sample] = [each for each in opened(shop).samples() if each.id == "a"]
    assert (sample.turns[0].text, sample.label) == ("钱不够", "尺码")


def test_of_what_was_not_decided_lately_the_sample_is_sent_along(serve, shop):
    client = serve()
    assert refused(client) == (404, "'a' is none of the last decisions; send the sample along, as `sample`")
    assert give(client, sample={"text": "钱不够"}).status_code == 200
    [event] = opened(shop).feedback_log.events()
    assert (event.predicted, event.rules) == (None, ())
    assert event.sample.turns[0].text == "钱不够"


def test_another_sample_of_the_same_id_was_not_decided(serve, shop):
    client = serve()
    client.post("/v1/predict", json={"samples": [ASKED]})
    give(client, sample={"text": "太小"})
    give(client, sample={"text": "钱不够"})
    other, same = opened(shop).feedback_log.events()
    assert (other.predicted, other.rules) == (None, ())
    assert (same.predicted is not None, MONEY.id in same.rules) == (True, True)


def test_pictures_that_came_with_the_request_are_kept_beside_those_of_the_project(serve, shop):
    client = serve()
    client.post("/v1/predict", json={"samples": [shown(picture("red"))]})
    assert give(client, id="p").status_code == 200
    [sample] = [each for each in opened(shop).samples() if each.id == "p"]
    assert (shop / "data" / "images" / sample.images[0]).read_bytes() == picture("red")


def test_so_are_those_that_come_with_the_feedback(serve, shop):
    assert give(serve(), id="p", sample=shown(picture("blue"))).status_code == 200
    [sample] = [each for each in opened(shop).samples() if each.id == "p"]
    assert (shop / "data" / "images" / sample.images[0]).read_bytes() == picture("blue")


def test_without_a_folder_for_images_they_cannot_be_kept(serve):
    status, sentence = refused(serve(data__images=None), id="p", sample=shown(picture("blue")))
    assert (status, sentence) == (
        422, "data.images is not set, so that pictures of feedback cannot be kept; name a folder"
    )  # fmt: skip


def test_what_is_wrong_is_told_before_anything_is_kept(serve, shop):
    client = serve()
    sample = {"text": "钱"}
    for said, status, words in [
        ({"label": "贵"}, 422, "'贵' is none of the labels of returns"),
        ({"label": None}, 422, "no label for what belongs to none of the others"),
        ({"label": ["尺码"]}, 422, "has one label"),
        ({"by": " "}, 422, "'by' is ' '; give a text, such as the name of who says so"),
        ({"id": 7}, 422, "'id' is 7; give a text"),
        ({"task": "post"}, 422, "the task 'post' is none of returns, desk"),
        ({"task": None}, 422, "the task None is none of returns, desk"),
        ({"vote": 1}, 422, "the key 'vote' is not known; feedback has the keys id, task, label, by, sample"),
        ({"sample": {"text": "钱", "id": "b"}}, 422, "the sample is 'b' of returns, the feedback"),
        ({"sample": {"text": "钱", "task": "desk"}}, 422, "the sample is 'a' of desk"),
        ({"sample": "钱"}, 422, "'sample' is '钱'; give an object"),
        ({"sample": {}}, 422, "sample, item 1"),
    ]:  # fmt: skip
        answer = client.post("/v1/feedback", json={**SAID, "sample": sample, **said})
        assert (answer.status_code, words in answer.text) == (status, True), answer.text
    assert "label" in client.post("/v1/feedback", json={"id": "a", "by": "Li"}).json()["error"]
    assert opened(shop).feedback_log.events() == []
