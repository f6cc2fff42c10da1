"""However a server puts its answer: it is read, or told in one sentence, and never taken for another one."""

import json
import math
from typing import Any

import pytest
from model_server import RunningServer

from kdsl.errors import KdslError
from kdsl.http_client import ServerError
from kdsl.vlm.conversation import ask
from kdsl.vlm.server.model import ServedModel
from kdsl.vlm.server.scoring import ChatFormat, score_closed

LABELS = ["退款", "退款进度", "发票"]


@pytest.fixture
def server(shared_server: RunningServer) -> RunningServer:
    shared_server.become(constraint=None, lacks=("prompt_logprobs",))
    return shared_server


def model_of(
    server: RunningServer, form: dict[str, Any] | None = None, answer: str = "发票", **options
) -> ServedModel:
    server.become(**{"constraint": None, "lacks": ("prompt_logprobs",), "form": form, "answer": answer} | options)
    return ServedModel.connect(server.url, retries=0, samples=4)


READ = {
    "think": {"message": {"content": "<think>\n\n</think>\n\nANSWER"}},
    "thought without its beginning": {"message": {"content": "好，用户……</think>ANSWER"}},
    "trailing": {"message": {"content": "ANSWER。"}},
    "prefix": {"message": {"content": "**标签：** `ANSWER`"}},
    "reasoning holds it": {"message": {"content": None, "reasoning_content": "ANSWER"}},
    "reasoning holds it, content is empty": {"message": {"content": "", "reasoning": "\nANSWER\n"}},
    "no content": {"message": {"role": "assistant", "reasoning": "ANSWER。"}},
    "reasoning beside": {"message": {"content": "ANSWER", "reasoning_content": "退款进度"}},
    "parts": {"message": {"content": [{"type": "thinking", "thinking": "退款"}, {"type": "text", "text": "ANSWER"}]}},
    "end token": {"message": {"content": "ANSWER<|im_end|>"}, "finish_reason": "length"},
}
NOT_READ = {
    "null": ({"message": {"content": None, "reasoning_content": "想一想…"}}, "想一想…"),
    "empty": ({"message": {"content": ""}}, ""),
    "no parts": ({"message": {"content": []}}, ""),
    "unfinished thought": ({"message": {"content": "<think>ANSWER"}, "finish_reason": "length"}, "<think>发票"),
    "refusal": ({"message": {"content": None, "refusal": "I cannot help."}}, "I cannot help."),
    "tool call": ({"message": {"content": None, "tool_calls": [{"name": "f"}]}}, '[{"name": "f"}]'),
    "half a character": ({"message": {"content": "\ud83d"}}, "\ufffd"),
    "sentence": ({"message": {"content": "It may be ANSWER or not."}}, "It may be 发票 or not."),
}


@pytest.mark.parametrize("form", READ.values(), ids=READ)
def test_a_label_is_read_in_every_form(server, form) -> None:
    model = model_of(server, form)
    [answer] = model.generate([ask("？")], 5)
    [chosen] = model.generate([ask("？")], 5, LABELS)
    scores = model.score([ask("？")], LABELS)
    assert answer.label(LABELS) == 2 and chosen.text == "发票"
    assert scores.answered.all() and scores.log_probabilities[0].argmax() == 2


@pytest.mark.parametrize(("form", "said"), NOT_READ.values(), ids=NOT_READ)
def test_what_is_no_answer_is_none_and_tells_what_was_said(server, form, said) -> None:
    model = model_of(server, form)
    for choices in (None, LABELS):
        [answer] = model.generate([ask("？")], 5, choices)
        assert answer.label(LABELS) is None and (answer.text or answer.aside) == said
    scores = model.score([ask("？")], LABELS)
    assert scores.answered.tolist() == [False] and scores.strays == (said,)


def test_an_answer_without_content_is_empty_however_long_its_thought(server) -> None:
    [answer] = model_of(server, NOT_READ["null"][0]).generate([ask("？")], 5)
    assert answer.text == ""


def test_a_label_that_was_cut_is_not_taken_for_a_shorter_one(server) -> None:
    form = {"message": {"content": "ANSWER"}, "finish_reason": "length"}
    [cut] = model_of(server, form, "退款").generate([ask("？")], 5)
    assert cut.label(LABELS) is None
    assert model_of(server, form, "退款").score([ask("？")], LABELS).answered.tolist() == [False]
    [whole] = model_of(server, form, "退款进度").generate([ask("？")], 5)
    assert whole.label(LABELS) == 1


def test_a_server_that_once_constrained_is_still_told_the_choices_after_a_stray(server) -> None:
    server.become(constraint="structured_outputs", lacks=("prompt_logprobs",))
    model = ServedModel.connect(server.url)
    model.settle_constraint(LABELS)
    server.fail(json.dumps({"choices": [{"message": {"content": None}}]}))
    [stray] = model.generate([ask("？")], 5, LABELS)
    assert stray.text == "" and stray.calls == 1
    model.generate([ask("？")], 5, LABELS)
    assert "structured_outputs" in server.requests()[-1]["body"]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('{"choices": []}', "an answer without choices that hold a message"),
        ('{"choices": null}', "an answer without choices that hold a message"),
        ('{"choices": {"message": {"content": "是"}}}', "an answer without choices that hold a message"),
        ('{"choices": ["是"]}', "an answer without choices that hold a message"),
        ('{"choices": [{"message": "是"}]}', "an answer without choices that hold a message"),
        ('{"choices": [{"message": {"content": {"text": "是"}}}]}', "an answer without choices that hold a message"),
        (
            '{"choices": [{"delta": {"content": "是"}}], "object": "chat.completion.chunk"}',
            "an answer without choices",
        ),
        ('{"error": {"message": "out of credit", "code": 402}}', "the server answers 402 (out of credit 402)"),
        ('{"error": "overloaded"}', "the server answers 200 (overloaded)"),
        ('{"object": "error", "message": "no such model", "code": 40401}', "the server answers 200 (no such model)"),
        ('data: {"choices": [{"delta": {"content": "是"}}]}\n\ndata: [DONE]', "instead of a JSON object"),
        ("packed", "the server answers what cannot be unpacked"),
        ("garbage", "instead of a JSON object"),
    ],
)
def test_what_is_no_reply_is_one_sentence(server, answer, told) -> None:
    model = ServedModel.connect(server.url, retries=0)
    server.fail(answer, forever=True)
    try:
        with pytest.raises(KdslError) as caught:
            model.generate([ask("？")], 5)
    finally:
        server.fail()
    assert told.replace(" 402)", ")") in str(caught.value) and "\n" not in str(caught.value)
    assert server.url in str(caught.value)


def test_a_packed_answer_is_unpacked(server) -> None:
    model = ServedModel.connect(server.url)
    server.fail("gzip")
    assert model.generate([ask("？")], 5)[0].text == "是"


@pytest.mark.parametrize("usage", [None, {}, {"completion_tokens": None}, {"completion_tokens": True}, [], -1])
def test_tokens_that_are_not_told_are_the_most_that_they_can_have_been(server, usage) -> None:
    model = ServedModel.connect(server.url)
    server.fail(json.dumps({"choices": [{"message": {"content": "是"}}], "usage": usage}))
    assert model.generate([ask("？")], 7)[0].output_tokens == 7


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ('{"data": []}', "the server lists no model; load one there, or give its name"),
        ('{"data": null}', "an answer without a list of models"),
        ('{"data": [{"id": 3}, {"id": 4}]}', "an answer without a list of models"),
        ('{"data": ["tiny"]}', "an answer without a list of models"),
        ('{"data": {"id": "tiny"}}', "an answer without a list of models"),
        ("[]", "instead of a JSON object"),
    ],
)
def test_a_list_of_models_that_is_none(server, answer, told) -> None:
    server.fail(answer if answer != "[]" else "data:[]")
    with pytest.raises(KdslError) as caught:
        ServedModel.connect(server.url, retries=0)
    assert told in str(caught.value)


@pytest.mark.parametrize(
    "message",
    [
        "This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.",
        "The input (8000 tokens) is longer than the model's context length (4096 tokens).",
        "the request exceeds the available context size. try increasing the context size",
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 128. Given: 300 `inputs` tokens",
        "`inputs` must have less than 1024 tokens. Given: 2000",
        "Range of input length should be [1, 129024]",
        "prompt is too long: 210000 tokens > 200000 maximum",
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        "Your request exceeded model token limit: 8192",
        "Prompt exceeds max length",
        "输入长度超过最大值",
        "提示词过长，请缩短后重试",
    ],
)
def test_a_prompt_that_is_too_long_is_told_by_servers_in_many_words(message) -> None:
    from kdsl.hosts import contact

    assert ServerError("http://localhost/v1", 400, message, contact("http://localhost")).too_long


@pytest.mark.parametrize(
    "message",
    ["Unrecognized request argument supplied: top_k", "prompt_logprobs not supported", "the image is broken"],
)
def test_other_refusals_are_not_taken_for_that(message) -> None:
    from kdsl.hosts import contact

    assert not ServerError("http://localhost/v1", 400, message, contact("http://localhost")).too_long


@pytest.mark.parametrize(
    ("told", "score"),
    [(-0.5, -1.0), (-math.inf, -2 * 9999.0), (math.nan, None), (math.inf, None), (None, None), ("x", None)],
)
def test_log_probabilities_that_are_no_numbers_say_nothing(told, score) -> None:
    entries = [None, *[{"7": {"logprob": told, "rank": 1}}] * 2]
    found = score_closed(lambda *_: {"prompt_logprobs": entries}, ChatFormat((), 0), [], "发票", 2)
    assert found == score
