"""A vision-language model behind an OpenAI-compatible server: vLLM, SGLang, llama.cpp, transformers serve."""

import json
import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from kdsl.errors import KdslError
from kdsl.hosts import Consent, is_this_machine, origin_of
from kdsl.http_client import HttpClient, ServerError, chosen_model, served_models
from kdsl.vlm.conversation import Conversation, drop_earliest, pictures, sounds
from kdsl.vlm.model import Generation, Scores
from kdsl.vlm.pixels import FACTOR, PixelBudget
from kdsl.vlm.server.capabilities import deaf
from kdsl.vlm.server.completions import Answers, ChatCompletions
from kdsl.vlm.server.constraints import longest_choice
from kdsl.vlm.server.messages import CONTROL, JsonMessages, chat_messages, encode_media
from kdsl.vlm.server.patches import find_patch_factor
from kdsl.vlm.server.scoring import ChatFormat, find_chat_format, option_length, score_closed
from kdsl.vlm.sounds import MOST_SECONDS, CutSounds

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")


class ServedModel:
    """A model behind an OpenAI-compatible server. Implements `VisionLanguageModel`.

    What a server can do is found out by asking: constrained answers, and log-probabilities of the prompt. With those
    options are scored exactly, by one request an option; without, from sampled answers (`Scores.estimated`).
    """

    def __init__(
        self,
        client: HttpClient,
        model: str,
        identity: str,
        budget: PixelBudget,
        concurrency: int = 16,
        samples: int = 16,
        told: Mapping[str, Any] | None = None,
    ) -> None:
        """See `connect`, which asks the server for the model and its identity; `told` is what it said of the model."""
        self.model = model
        self._chat = ChatCompletions(client, model)
        self._identity = identity
        self._said: Mapping[str, Any] = told or {}
        self._budget = budget
        self._concurrency = concurrency
        self._samples = samples
        self._lock = Lock()
        self._many = True
        self._exact = True
        self._told = False
        self._chat_format: ChatFormat | None = None
        self._lengths: dict[str, int] = {}
        self._factor: int | None = None
        self._cut = CutSounds(MOST_SECONDS)

    @classmethod
    def connect(
        cls,
        address: str,
        budget: PixelBudget | None = None,
        timeout: float = 120,
        retries: int = 6,
        concurrency: int = 16,
        samples: int = 16,
        consent: Consent | None = None,
    ) -> "ServedModel":
        """Reach the server at http://host:port/v1, or http://host:port/v1#name where it serves several models.

        `timeout`: seconds for one answer; `concurrency`: requests at the same time; `samples`: sampled answers of an
        estimate. Without `consent` only this machine is contacted. Raises KdslError when there is no server, it does
        not serve this model, or may not be contacted.
        """
        address, _, name = address.partition("#")
        client = HttpClient(address, timeout, retries, concurrency, consent)
        served = served_models(client, name)
        model = chosen_model(client.url, served, name)
        budget = budget or PixelBudget()
        told = served.get(model, {})
        facts = {key: told[key] for key in ("root", "parent", "max_model_len") if told.get(key)}
        identity = f"{client.url} {model} {json.dumps(facts, ensure_ascii=False)} "
        identity += f"{budget.min_pixels}-{budget.max_pixels} samples={samples}"
        return cls(client, model, identity, budget, concurrency, samples, told)

    @property
    def identity(self) -> str:
        return self._identity

    @property
    def url(self) -> str:
        """The server's address, up to and with /v1."""
        return self._chat.url

    @property
    def directory(self) -> Path | None:
        """That a server on this machine says that it loaded the model or adapter from; None where it is not here."""
        if not is_this_machine(origin_of(self.url)):
            return None
        root = self._said.get("root")
        found = Path(root) if isinstance(root, str) and "\0" not in root else None
        return found if found is not None and found.is_absolute() and found.is_dir() else None

    def parameters(self) -> int | None:
        """As the server tells (llama.cpp), or the directory that it loaded; None where neither does."""
        meta = self._said.get("meta")
        told = meta.get("n_params") if isinstance(meta, dict) else None
        if isinstance(told, int) and told > 0:
            return told
        try:
            from kdsl.vlm.parameters import parameters_of

            return None if self.directory is None else parameters_of(str(self.directory))
        except (ImportError, KdslError):  # without torch, or no model of a family that runs here
            return None

    def generate(
        self,
        conversations: Sequence[Conversation],
        max_new_tokens: int,
        choices: Sequence[str] | None = None,
        stop: str | None = None,
    ) -> list[Generation]:
        """See `VisionLanguageModel.generate`.

        With `choices` the server's decoding is constrained to them: one request, but token by token, so that the
        answer is not always the choice that is most probable as a whole (`score` tells that one). A server that cannot
        constrain may say something else, which stays as it is.
        """

        plain = None if choices is None else list(map(CONTROL.plain, choices))

        def answer(conversation: Conversation) -> Generation:
            def ask(messages: JsonMessages) -> Answers:
                body = {"temperature": 0, "max_tokens": max_new_tokens} | ({} if stop is None else {"stop": [stop]})
                if plain is None:
                    return self._chat.ask(messages, body)
                return self._chat.ask_constrained(messages, plain, body | {"max_tokens": longest_choice(plain)})

            found, dropped = self._fitted(conversation, ask)
            answered = found.said[0] if stop is None else _stopped(found.said[0], stop)
            chosen = None if plain is None else answered.label(plain)
            answered = answered if choices is None or chosen is None else Generation(choices[chosen], 0)
            return replace(answered, output_tokens=found.output_tokens, calls=found.calls, dropped=dropped)

        answers = _in_parallel(answer, conversations, self._concurrency)
        self._cut.tell()
        return answers

    def score(self, conversations: Sequence[Conversation], options: Sequence[str], ended: bool = True) -> Scores:
        """See `VisionLanguageModel.score`. Every request counts as a call; only whole answers can be scored.

        An estimate is the smoothed share of sampled answers that are the option, log((n_i + 1/k) / (n + 1)) for k
        options; where the server constrains the sampled answers to the options, it is the share among them. Its
        `lengths` are characters, for the server does not tell tokens. Where none of the sampled answers is an option
        one of them is told (`Scores.strays`).
        """
        if not options or "" in options or len(set(options)) < len(options):
            raise ValueError(f"options must be there, different and not empty, not {list(options)}")
        if not ended:
            raise KdslError(f"{self.url}: a server scores whole answers, not their beginnings; use a local model")
        options = list(map(CONTROL.plain, options))
        scores = self._score_exactly(conversations, options) if self._exact and len(conversations) else None
        scores = self._estimate(conversations, options) if scores is None else scores
        self._cut.tell()
        return scores

    def settle_constraint(self, choices: Sequence[str]) -> None:
        """See `ChatCompletions.settle_constraint`."""
        self._chat.settle_constraint(list(map(CONTROL.plain, choices)))

    def sees(self) -> bool:
        """See `VisionLanguageModel.sees`. A server that ignores what it does not know is taken for one that can."""
        return self._chat.sees()

    def hears(self) -> bool:
        """See `VisionLanguageModel.hears`; the same holds for it."""
        return self._chat.hears()

    def _score_exactly(self, conversations: Sequence[Conversation], options: Sequence[str]) -> Scores | None:
        """None, from then on, when the server does not tell what is needed."""
        scores = None
        try:
            chat, lengths = self._option_lengths(options)
            if chat and lengths:
                scores = self._score_closed(conversations, options, chat, lengths)
        except ServerError as error:
            if not error.refused:
                raise
        if scores is None and self._told:  # it has told them before
            raise self._chat.garbage("an answer without the log-probabilities of its prompt")
        self._told = scores is not None
        if scores is None:
            self._exact = False
            log.warning(
                "%s: the server does not tell a prompt's log-probabilities; options are scored by %d sampled answers",
                self.url,
                self._samples,
            )
        return scores

    def _option_lengths(self, options: Sequence[str]) -> tuple[ChatFormat | None, list[int]]:
        """The chat format and the tokens of each option, asked once an option; nothing when they are not told."""
        with self._lock:
            try:
                self._chat_format = self._chat_format or find_chat_format(self._chat.ask_prompt, options[0])
            except ServerError as error:
                if error.status != 500:  # some servers answer it to a field that they do not know
                    raise
            chat = self._chat_format
            if chat is None:
                return None, []
            new = [option for option in options if option not in self._lengths]
            found = _in_parallel(
                lambda option: option_length(self._chat.ask_prompt, chat, option), new, self._concurrency
            )
            self._lengths |= {option: n for option, n in zip(new, found, strict=True) if n is not None}
            return chat, [self._lengths[option] for option in options] if None not in found else []

    def _score_closed(
        self, conversations: Sequence[Conversation], options: Sequence[str], chat: ChatFormat, lengths: list[int]
    ) -> Scores | None:
        longest = max(range(len(options)), key=lambda i: lengths[i])

        with ThreadPoolExecutor(self._concurrency) as pool:

            def score(conversation: Conversation) -> tuple[list[float | None], int]:
                def ask(messages: JsonMessages) -> list[float | None]:
                    def one(i: int) -> float | None:
                        return score_closed(self._chat.ask_prompt, chat, messages, options[i], lengths[i])

                    values = {longest: one(longest)}  # alone and first: a prompt that is too long shows here
                    others = [i for i in range(len(options)) if i != longest]
                    values |= zip(others, pool.map(one, others), strict=True)
                    return [values[i] for i in range(len(options))]

                return self._fitted(conversation, ask)

            rows = _in_parallel(score, conversations, self._concurrency)
        if any(value is None for values, _ in rows for value in values):
            return None
        log_probabilities = np.array([values for values, _ in rows], dtype=np.float64)
        return Scores(
            log_probabilities,
            np.array(lengths),
            output_tokens=np.array(lengths)[log_probabilities.argmax(axis=1)],
            calls=np.full(len(rows), len(options)),
            dropped=np.array([dropped for _, dropped in rows], dtype=np.int64),
        )

    def _estimate(self, conversations: Sequence[Conversation], options: Sequence[str]) -> Scores:
        def sample(conversation: Conversation) -> tuple[Answers, int]:
            def ask(messages: JsonMessages) -> Answers:
                answers: list[Generation] = []
                tokens = calls = 0
                while len(answers) < self._samples:  # some servers give one answer whatever `n` says
                    many = self._many and self._samples - len(answers) > 1
                    body = {"temperature": 1, "top_p": 1, "max_tokens": longest_choice(options)}
                    body |= {"n": self._samples - len(answers)} if many else {}
                    try:
                        found = self._chat.ask_constrained(messages, options, body)
                    except ServerError as error:
                        if not many or not error.refused or error.too_long:
                            raise
                        self._many = False
                        continue
                    answers += found.said
                    tokens, calls = tokens + found.output_tokens, calls + found.calls
                return Answers(answers, tokens, calls)

            return self._fitted(conversation, ask)

        rows = _in_parallel(sample, conversations, self._concurrency)
        counts = [Counter(each.label(options) for each in found.said) for found, _ in rows]
        shares = [
            [math.log((count[index] + 1 / len(options)) / (count.total() + 1)) for index in range(len(options))]
            for count in counts
        ]
        strays = [
            None if set(count) - {None} else next(each.text or each.aside for each in found.said)
            for count, (found, _) in zip(counts, rows, strict=True)
        ]
        return Scores(
            np.array(shares, dtype=np.float64).reshape(-1, len(options)),
            np.array([len(option) + 1 for option in options]),
            output_tokens=np.array([found.output_tokens for found, _ in rows], dtype=np.int64),
            calls=np.array([found.calls for found, _ in rows], dtype=np.int64),
            dropped=np.array([dropped for _, dropped in rows], dtype=np.int64),
            estimated=True,
            strays=tuple(strays),
        )

    def _patch_factor(self) -> int:
        """Asked for once, when there is the first picture."""
        with self._lock:
            if self._factor is None:
                self._factor = find_patch_factor(self._chat.prompt_tokens, self._budget, self.url)
            return self._factor

    def _fitted(self, conversation: Conversation, ask: Callable[[JsonMessages], Result]) -> tuple[Result, int]:
        """What `ask` gives for the conversation, and how many pieces were dropped until the server took it."""
        heard = sounds(conversation)
        if heard and not self.hears():
            raise deaf(heard[0].path, self.url, self.model)
        media = encode_media(conversation, self._budget, self._patch_factor() if pictures(conversation) else FACTOR)
        self._cut.add(media.cut)
        total = 0
        while True:
            try:
                return ask(chat_messages(conversation, media)), total
            except ServerError as error:
                if not error.too_long:
                    raise
                conversation, dropped = drop_earliest(conversation, 1)
                if dropped == 0:
                    raise KdslError(
                        f"{self.url}: a prompt is too long even without the pieces that can be dropped "
                        f"({error.message}); shorten the text, lower the pixel budget, or serve the model with a "
                        "longer context"
                    ) from error
                total += dropped


def _stopped(answer: Generation, stop: str) -> Generation:
    """Up to where `stop` begins: not every server stops there."""
    text, found, _ = answer.text.partition(stop)
    return replace(answer, text=text.rstrip(), cut=False) if found else answer


def _in_parallel(work: Callable[[Item], Result], items: Sequence[Item], threads: int) -> list[Result]:
    """Results in order; after an error nothing more is begun."""
    with ThreadPoolExecutor(threads) as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
