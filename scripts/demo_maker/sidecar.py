"""Reads the drawn pages and hears the voice messages with the real engines, so that their mistakes are real too."""

from pathlib import Path

import jsonlines
from PIL import Image

# The pages are small and their letters clear: without the usual doubling of small images this is three times as fast.
ENGINE = {
    "Global.use_cls": False,
    "Global.log_level": "critical",
    "Det.limit_type": "min",
    "Det.limit_side_len": 360,
    "EngineConfig.onnxruntime.intra_op_num_threads": 1,
    "EngineConfig.onnxruntime.inter_op_num_threads": 1,
}


def read_pages(images: Path, sidecar: Path) -> None:
    """Writes one line of JSON an image, in the order of the file names; lines of text from top to bottom."""
    from rapidocr import RapidOCR

    engine = RapidOCR(params=ENGINE)
    unfinished = sidecar.with_suffix(".part")
    with unfinished.open("w", encoding="utf-8") as file, jsonlines.Writer(file, flush=True) as writer:
        for path in sorted(images.iterdir()):
            found = engine(path)
            lines = []
            rows = zip(found.txts, found.scores, found.boxes, strict=True) if found.boxes is not None else ()
            for text, score, corners in rows:
                xs, ys = [round(float(x)) for x, _ in corners], [round(float(y)) for _, y in corners]
                box = [min(xs), min(ys), max(xs), max(ys)]
                lines.append({"text": text, "score": round(float(score), 3), "box": box})
            lines.sort(key=lambda line: (line["box"][1], line["box"][0]))
            size = list(Image.open(path).size)
            record = {"image": path.name, "size": size, "original_size": size, "lines": lines}
            writer.write(record)
    unfinished.replace(sidecar)


def hear_voices(audio: Path, sidecar: Path) -> None:
    """Writes one line of JSON a sound, in the order of the file names, as `kdsl transcribe` does."""
    from kdsl.audio.transcribe import Transcriber, fill_transcripts
    from kdsl.config import EMBEDDED_SPEECH

    sidecar.unlink(missing_ok=True)
    with Transcriber(EMBEDDED_SPEECH) as transcriber:
        outcome = fill_transcripts(sorted(path.name for path in audio.iterdir()), audio, sidecar, transcriber)
    if outcome.problems:
        raise SystemExit(f"{audio}: {outcome.problems}")
