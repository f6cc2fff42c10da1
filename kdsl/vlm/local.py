"""A model that reads, sees and hears in this process, by transformers."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from peft import PeftModel
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, StoppingCriteria, StoppingCriteriaList

from kdsl.errors import KdslError
from kdsl.pretrained import fingerprint, loading_in_one_sentence
from kdsl.vlm.batching import Answer, Batches, Work
from kdsl.vlm.checkpoint import (
    adapter_base,
    find_model,
    is_adapter,
    load_adapters,
    load_base,
)
from kdsl.vlm.conversation import Conversation
from kdsl.vlm.feeding import ahead
from kdsl.vlm.free_text import said
from kdsl.vlm.model import Generation, Scores
from kdsl.vlm.picture_cache import PictureCache
from kdsl.vlm.pixels import PixelBudget
from kdsl.vlm.processor import Processor, Prompt
from kdsl.vlm.scoring import mean_hidden_states, near_ties, score_options
from kdsl.vlm.sounds import CutSounds

_WINDOW = 32
"""Conversations that are prepared ahead and sorted by length; no batch is larger."""


class LocalModel:
    """A model of one of `FAMILIES` with its weights in this process. Implements `VisionLanguageModel`.

    Not for several threads at once.
    """

    def __init__(
        self,
        model: PreTrainedModel | PeftModel,
        processor: Processor,
        identity: str,
        adapter: str | None = None,
    ) -> None:
        """`adapter`: the name of the loaded adapter to answer with; None is the base model."""
        self._peft = model if isinstance(model, PeftModel) else None
        self.model: PreTrainedModel = model.get_base_model() if isinstance(model, PeftModel) else model
        self.processor = processor
        self._batches = Batches(self.model)
        self.decoding_seconds: float | None = None
        """How long decoding the answers to a batch may take; what was said until then is the answer. None is any."""
        self._identity = identity
        self._adapter = adapter
        self._cut = CutSounds(processor.sound_seconds)

    @classmethod
    def load(
        cls,
        name: str,
        budget: PixelBudget | None = None,
        max_tokens: int = 32768,
        device: str | None = None,
        adapters: Mapping[str, Path] | None = None,
        pictures: Path | None = None,
    ) -> "LocalModel":
        """From a model directory, an adapter's directory (its base is loaded too) or a hub id.

        With `adapters` (name → directory) the first one answers; `with_adapter` gives the others and the base. In the
        folder `pictures` what is prepared of pictures is kept (`PictureCache`). Raises KdslError in one sentence for
        whatever cannot be loaded.
        """
        adapters = dict(adapters or {})
        if is_adapter(name):
            folder = Path(name).expanduser()
            adapters = {"default": folder, **adapters}
            name = adapter_base(folder)
        location = find_model(name)
        with loading_in_one_sentence(name):
            cache = None if pictures is None else PictureCache(pictures)
            processor = Processor.load(location, budget, max_tokens, cache)
        model = load_base(name, device)
        parts = [fingerprint(name), *(f"{key}={fingerprint(str(folder))}" for key, folder in adapters.items())]
        parts.append(f"{processor.budget}-{max_tokens}")
        with_adapters = load_adapters(model, adapters) if adapters else model
        return cls(with_adapters, processor, " ".join(parts), next(iter(adapters), None))

    @property
    def identity(self) -> str:
        return f"{self._identity} {self._adapter or 'base'}"

    def sees(self) -> bool:
        """See `VisionLanguageModel.sees`."""
        return self.processor.sees

    def hears(self) -> bool:
        """See `VisionLanguageModel.hears`."""
        return self.processor.hears

    def with_adapter(self, adapter: str | None) -> "LocalModel":
        """The same weights with another of the loaded adapters, or with none."""
        if adapter is not None and (self._peft is None or adapter not in self._peft.peft_config):
            raise KdslError(f"no adapter is called {adapter!r}; loaded are {', '.join(self._loaded()) or 'none'}")
        other = LocalModel(self._peft or self.model, self.processor, self._identity, adapter)
        other._batches = self._batches  # what was learned about memory
        return other

    def generate(
        self,
        conversations: Sequence[Conversation],
        max_new_tokens: int,
        choices: Sequence[str] | None = None,
        stop: str | None = None,
    ) -> list[Generation]:
        """See `VisionLanguageModel.generate`; with `choices` by exact scoring, however many tokens they have."""
        if choices is not None:
            scores = self.score(conversations, choices)
            return [
                Generation(choices[best], int(tokens), int(calls), int(dropped))
                for best, tokens, calls, dropped in zip(
                    scores.log_probabilities.argmax(axis=1),
                    scores.output_tokens,
                    scores.calls,
                    scores.dropped,
                    strict=True,
                )
            ]
        config = self._generation_config(max_new_tokens)
        stops = set(config.eos_token_id)
        ending = [] if stop is None else self.processor.answer_ids(stop, ended=False)

        def work(prompts: list[Prompt]) -> list[Generation]:
            batch = self._batch(prompts)
            start = batch["input_ids"].shape[1]
            stopping = StoppingCriteriaList([_Ending(ending, start)] if ending else [])
            with torch.inference_mode(), _last_logits_alone(self.model):
                output = self.model.generate(**batch, generation_config=config, stopping_criteria=stopping)
            answers = output[:, start:].tolist()
            return [
                self._generation(answer, stops, ending, stop, prompt)
                for answer, prompt in zip(answers, prompts, strict=True)
            ]

        return [answer for _, answer in self._in_batches(conversations, work, [max_new_tokens])]

    def score(self, conversations: Sequence[Conversation], options: Sequence[str], ended: bool = True) -> Scores:
        """See `VisionLanguageModel.score`. A near tie of 16-bit weights is decided by the prompt alone, which is no
        further call: the same question goes through the same weights, as packing and generating take several passes,
        too. Which option is best, and so what a call costs, depends on no other prompt."""
        if not options or "" in options or len(set(options)) < len(options):
            raise ValueError(f"options must be there, different and not empty, not {list(options)}")
        ids = [self.processor.answer_ids(option, ended=ended) for option in options]

        def work(prompts: list[Prompt]) -> list[list[float]]:
            scores = score_options(self.model, self._batch(prompts), ids)
            rows: list[list[float]] = scores.tolist()
            if len(prompts) > 1:
                for row in near_ties(scores, self.model.dtype):
                    [rows[row]] = score_options(self.model, self._batch([prompts[row]]), ids).tolist()
            return rows

        answers = self._in_batches(conversations, work, [len(option) for option in ids])
        log_probabilities = np.array([row for _, row in answers], dtype=np.float64).reshape(-1, len(options))
        lengths = np.array([len(option) for option in ids])
        return Scores(
            log_probabilities,
            lengths,
            output_tokens=lengths[log_probabilities.argmax(axis=1)],
            calls=np.ones(len(answers), dtype=np.int64),
            dropped=np.array([dropped for dropped, _ in answers], dtype=np.int64),
        )

    def embed(self, conversations: Sequence[Conversation]) -> NDArray[np.float32]:
        """The mean of the last hidden states over each conversation's tokens: [n_conversations, hidden]."""

        def work(prompts: list[Prompt]) -> list[NDArray[np.float32]]:
            return list(mean_hidden_states(self.model, self._batch(prompts)).numpy())

        width = self.model.config.get_text_config().hidden_size
        return np.array([row for _, row in self._in_batches(conversations, work, [1])], np.float32).reshape(-1, width)

    def _in_batches(
        self, conversations: Sequence[Conversation], work: Work[Answer], lengths: Sequence[int]
    ) -> list[tuple[int, Answer]]:
        """(dropped pieces, answer) for every conversation, in order; `lengths` as `Batches.map` takes them."""
        results: list[tuple[int, Answer]] = []
        self._activate()
        for window in ahead(self.processor, conversations, _WINDOW):
            answers = self._batches.map(window, work, lengths)
            results += [(prompt.dropped, answer) for prompt, answer in zip(window, answers, strict=True)]
            self._cut.add(path for prompt in window for path in prompt.cut)
        self._cut.tell()
        return results

    def _batch(self, prompts: list[Prompt]) -> dict[str, Tensor]:
        return self.processor.batch(prompts, self.model.device)

    def _generation_config(self, max_new_tokens: int) -> GenerationConfig:
        """Greedy, whatever sampling the checkpoint suggests; it ends where the checkpoint or the chat format does."""
        stops = self.model.generation_config.eos_token_id
        stops = {*(stops if isinstance(stops, list) else [stops]), self.processor.end_id} - {None}
        return GenerationConfig(
            max_new_tokens=max_new_tokens,
            do_sample=False,
            eos_token_id=sorted(stops),
            pad_token_id=self.processor.pad_id,
            max_time=self.decoding_seconds,
        )

    def _generation(
        self, answer: list[int], stops: set[int], ending: list[int], stop: str | None, prompt: Prompt
    ) -> Generation:
        end = next((i for i, token in enumerate(answer) if token in stops), None)
        tokens = answer if end is None else answer[: end + 1]
        place = _place(tokens, ending)
        if place is not None:
            text = said(self.processor.text(tokens[:place]))
            return Generation(text, place + len(ending), dropped=prompt.dropped)
        text = self.processor.text(tokens)
        # The model may have written the same characters by other tokens, which is seen in the text alone.
        return Generation(said(text.partition(stop)[0] if stop else text), len(tokens), dropped=prompt.dropped)

    def _activate(self) -> None:
        if self._peft is None:
            return
        if self._adapter is None:
            self._peft.base_model.disable_adapter_layers()
        else:
            self._peft.base_model.enable_adapter_layers()
            self._peft.set_adapter(self._adapter)

    def _loaded(self) -> list[str]:
        return [] if self._peft is None else list(self._peft.peft_config)


@contextmanager
def _last_logits_alone(model: PreTrainedModel) -> Iterator[None]:
    """Models that hear compute the logits of whole prompts otherwise, which are as large as their keys and values."""
    hook = model.lm_head.register_forward_pre_hook(lambda module, arguments: (arguments[0][:, -1:],))
    try:
        yield
    finally:
        hook.remove()


class _Ending(StoppingCriteria):
    """Stops every answer that ends in certain tokens; prompts are the first `start` columns."""

    def __init__(self, tokens: list[int], start: int) -> None:
        self._tokens = tokens
        self._start = start

    def __call__(self, input_ids: Tensor, scores: Tensor, **named: object) -> Tensor:
        tokens = torch.tensor(self._tokens, device=input_ids.device)
        if input_ids.shape[1] < self._start + len(tokens):
            return torch.zeros(len(input_ids), dtype=torch.bool, device=input_ids.device)
        return (input_ids[:, -len(tokens) :] == tokens).all(dim=1)


def _place(tokens: list[int], part: list[int]) -> int | None:
    """Where `part` begins in `tokens`; None where it does not occur or is empty."""
    starts = range(len(tokens) - len(part) + 1) if part else ()
    return next((start for start in starts if tokens[start : start + len(part)] == part), None)
