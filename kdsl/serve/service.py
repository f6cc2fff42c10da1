"""What the service does for each request, whatever HTTP says around it."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from starlette.requests import Request

from kdsl.arbiter.multi_label_decision import AnyDecision
from kdsl.data.feedback import FeedbackEvent
from kdsl.errors import KdslError
from kdsl.files import Stamp
from kdsl.http_client import ServerError, Unanswered
from kdsl.json_file import json_bytes
from kdsl.models.explanation import Explanation
from kdsl.project.decision_log import DecisionLog
from kdsl.sample import Sample
from kdsl.serve.asked import Reader
from kdsl.serve.batching import Batcher
from kdsl.serve.body import Body, Intake
from kdsl.serve.feedback import FeedbackTaker
from kdsl.serve.live import LiveProject, Served
from kdsl.serve.media import RequestMedia, SeenFiles, Uploads, as_called, released, require_pictures, without_paths
from kdsl.serve.metrics import Metrics
from kdsl.serve.refusal import Refusal, come_again
from kdsl.serve.remembered import LastDecisions
from kdsl.serve.sounds import require_sounds

_log = logging.getLogger(__name__)

_STILL_THERE = 0.5
"""Seconds between looks whether a client still waits."""
_WARN = 60.0
"""Seconds between counted warnings about what was missing or unusable."""

T = TypeVar("T")


@dataclass(frozen=True)
class Asked:
    """A sample to decide about."""

    sample: Sample
    counted: Sample
    """The same, with an id of its own where what it may cost is counted by that."""
    kept: Mapping[str, str]
    """Path of a file that came along → what the request calls it."""
    explain: bool = False


@dataclass(frozen=True)
class Answered:
    """What was decided about it."""

    asked: Asked
    decision: AnyDecision
    record: bytes
    """The prediction record, as JSON."""
    explanation: Explanation | None = None


class Service:
    """Decides about samples of requests, together, and remembers what it decided."""

    def __init__(self, live: LiveProject, uploads: Uploads) -> None:
        """Raises KdslError where the decision log cannot be written."""
        project, config = live.project, live.project.config
        self.live = live
        self.limits = config.serve
        self.intake = Intake(self.limits.body)
        self.reader = Reader(project.tasks, config.data, uploads, self.limits.samples)
        self.batcher: Batcher[Asked, Answered] = Batcher(self._decide, self.limits.waiting)
        self.log = DecisionLog(self.limits.log, self.limits.texts, self.limits.days)
        self.metrics = Metrics()
        self._waiters = _Waiters()
        self._seen = SeenFiles()
        self._last = LastDecisions()
        self._numbers = count(1)
        self._feedback = FeedbackTaker(project, self.reader, uploads, self._last)
        self._log_problem = ""
        self._images = ThreadPoolExecutor(1, thread_name_prefix="kdsl-images")
        self._sounds = ThreadPoolExecutor(1, thread_name_prefix="kdsl-sounds")
        self._warned = time.monotonic()
        self._measure_with(live.served)
        live.tell = self._reloaded

    @property
    def problems(self) -> list[str]:
        """Why the service does not do all that it should, a sentence each."""
        return [*self.live.problems, *([self._log_problem] if self._log_problem else [])]

    def rendered_metrics(self) -> tuple[bytes, str]:
        """See `Metrics.render`."""
        self.metrics.waiting(self.batcher.waiting)
        self.metrics.problems(len(self.problems))
        return self.metrics.render()

    async def feedback(self, request: Request) -> FeedbackEvent:
        """Take what a person says about a decision; errors of `FeedbackTaker.take`."""
        body: Body | None = None
        try:
            async with asyncio.timeout(self.limits.seconds):
                async with self.intake.read(request) as body:
                    return await asyncio.to_thread(self._feedback.take, body)
        except TimeoutError as error:
            raise self._out_of_time(body) from error

    async def answers(self, request: Request, explain: bool = False) -> list[Answered]:
        """One answer for every sample in the request.

        Raises Refusal for what cannot be done now or at all, and KdslError for samples that cannot be decided.
        """
        body: Body | None = None
        try:
            async with asyncio.timeout(self.limits.seconds):
                async with self.intake.read(request) as body:
                    samples, media = await self._samples(body)
                    with released(media):
                        if explain and len(samples) != 1:
                            raise Refusal(422, f"explain takes one sample, not {len(samples)}; send it alone")
                        counted = self._counted(samples)
                        await self._hear(counted, media)
                        await self._read_images(counted, media)
                        asked = [
                            Asked(sample, alike, media.kept, explain)
                            for sample, alike in zip(samples, counted, strict=True)
                        ]
                        return await self._waiters.answer(request, self.batcher.answers(asked))
        except TimeoutError as error:
            raise self._out_of_time(body) from error

    def _out_of_time(self, body: Body | None) -> Refusal:
        limit = f"{self.limits.seconds:g} seconds (`serve.seconds`)"
        if body is None:
            return Refusal(408, f"the body took longer than {limit}", {"Connection": "close"})
        return come_again(f"the decision took longer than {limit}; send fewer samples at once")

    async def _samples(self, body: Body) -> tuple[list[Sample], RequestMedia]:
        if not body.is_large:
            return self.reader.samples(body)
        reading = asyncio.create_task(asyncio.to_thread(self.reader.samples, body))
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            reading.add_done_callback(_release)  # a thread cannot be ended: what it has read is let go of later
            raise

    def _counted(self, samples: Sequence[Sample]) -> Sequence[Sample]:
        """The samples as `Asked.counted`: those of other clients, which are decided with them, may have their ids."""
        if self.live.project.config.recorded is not None or not self.live.served.predictor.counts_costs:
            return samples  # recorded answers are found by the ids
        return [replace(sample, id=f"{sample.id} (number {next(self._numbers)})") for sample in samples]

    async def _hear(self, samples: Sequence[Sample], media: RequestMedia) -> None:
        """Transcribe sounds, which takes long, before the samples join the others."""
        if any(sample.audio for sample in samples):
            await asyncio.get_running_loop().run_in_executor(self._sounds, self._listen, samples, media)

    def _listen(self, samples: Sequence[Sample], media: RequestMedia) -> None:
        filler = self.live.served.predictor.sounds
        require_sounds(samples, media.sounds, filler.sidecars.transcripts)
        with _asking_servers():
            filler.fill(samples)
        for sample in samples:
            for name in sample.audio:
                if reason := filler.missing.get(name):
                    shown = media.sounds.called(media.sounds.path(name))
                    raise KdslError(f"the sound {shown!r} cannot be transcribed: {reason}")

    async def _read_images(self, samples: Sequence[Sample], media: RequestMedia) -> None:
        """Look at pictures, too, before the samples join the others, which need not wait for that."""
        if any(sample.images for sample in samples):
            new = self._seen.new(media.images.path(name) for sample in samples for name in sample.images)
            if new:
                loop = asyncio.get_running_loop()
                await loop.run_in_executor(self._images, self._look, samples, media, new)

    def _look(self, samples: Sequence[Sample], media: RequestMedia, new: Mapping[Path, Stamp | None]) -> None:
        require_pictures(media.images, new)
        with _asking_servers():
            self.live.served.predictor.images.fill(samples)
        self._seen.add(new)

    def _decide(self, asked: list[Asked]) -> list[Answered]:
        """In the thread that decides: all of them by the same rules and the same checkpoint."""
        served, begun = self.live.served, time.perf_counter()
        with _asking_servers():
            found = served.decide([each.counted for each in asked])
        decisions = [
            decision if each.counted is each.sample else replace(decision, sample=each.sample)
            for each, decision in zip(asked, found, strict=True)
        ]
        answered = [
            Answered(
                each,
                decision,
                json_bytes(as_called(decision.record(), each.kept)),
                served.explain(each.sample) if each.explain else None,
            )
            for each, decision in zip(asked, decisions, strict=True)
        ]
        # Nobody but who sent them knows where their files lie.
        known = [
            replace(decision, sample=without_paths(decision.sample, each.kept)) if each.kept else decision
            for each, decision in zip(asked, decisions, strict=True)
        ]
        self._write_down(known, served)
        self._last.add(known)
        self.metrics.decided(known, time.perf_counter() - begun)
        if time.monotonic() - self._warned > _WARN:
            served.predictor.warn()
            self._warned = time.monotonic()
        return answered

    def _write_down(self, decisions: Sequence[AnyDecision], served: Served) -> None:
        """Log decisions before they are answered; where that fails they are answered nevertheless, and it is told."""
        try:
            self.log.append(decisions, served.versions)
            self._log_problem = ""
        except KdslError as error:
            if not self._log_problem:
                _log.error("decisions are not logged: %s", error.in_commands())
            self._log_problem = error.in_commands()
        self.metrics.logged(not self._log_problem)

    def _reloaded(self, worked: bool) -> None:
        self.metrics.reloaded(worked)
        if worked:
            self._measure_with(self.live.served)

    def _measure_with(self, served: Served) -> None:
        self.metrics.serves(served.state, served.versions, served.predictor.predictor.label_shares())

    async def run(self) -> None:
        """Decide what is asked, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.batcher.run())
            tasks.create_task(self._waiters.look())

    def close(self) -> None:
        """End what runs beside requests."""
        self.live.stop()
        self._images.shutdown()
        self._sounds.shutdown()
        self.log.close()


def _release(read: "asyncio.Task[tuple[list[Sample], RequestMedia]]") -> None:
    if not read.cancelled() and read.exception() is None:
        _, media = read.result()
        media.release()


@contextmanager
def _asking_servers() -> Iterator[None]:
    """Where a model's server fails whatever it is asked, no sample is at fault: Refusal, for all that ask now."""
    try:
        yield
    except (Unanswered, ServerError) as error:
        if isinstance(error, ServerError) and error.refused:
            raise
        raise come_again(error.in_commands()) from error


class _Waiters:
    """Clients that wait for an answer: for who has gone away nothing is decided."""

    def __init__(self) -> None:
        self._waiting: dict[asyncio.Task[Any], Request] = {}

    async def answer(self, request: Request, answer: Awaitable[T]) -> T:
        """The answer; Refusal where the client goes away before it is there."""
        task = asyncio.current_task()
        assert task is not None
        self._waiting[task] = request
        try:
            return await answer
        except asyncio.CancelledError as error:
            if task not in self._waiting and task.uncancel() == 0:
                raise Refusal(400, "the client went away") from error
            raise
        finally:
            self._waiting.pop(task, None)

    async def look(self) -> None:
        """Look again and again who is still there, until cancelled."""
        before: set[asyncio.Task[Any]] = set()
        while True:
            await asyncio.sleep(_STILL_THERE)
            for task, request in list(self._waiting.items()):
                # Most have their answer before the next look.
                if task in before and await request.is_disconnected() and self._waiting.pop(task, None) is not None:
                    task.cancel()
            before = set(self._waiting)
