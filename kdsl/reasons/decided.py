"""What became of every sample that a model was asked to give a reason for, kept so that nothing is decided twice."""

from pathlib import Path
from typing import Literal, get_args

from kdsl.errors import KdslError
from kdsl.json_file import append_jsonl, read_jsonl
from kdsl.sample import Sample

DECIDED_FILE = "reasons.jsonl"
"""In the checkpoint: people can look there at what was left out, and why."""
_REMEDY = "take this line out to decide it anew, or delete the file to decide all anew"
Verdict = Literal["written", "thinned", "not recovered", "another label", "says nothing"]


class Decided:
    """One JSON line a sample in `path`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._verdicts: dict[tuple[str, str, str], dict[str, Verdict]] = {}
        if not path.exists():
            return
        with append_jsonl(path):
            pass  # takes away a line that an interruption tore
        for line, record in read_jsonl(path, _REMEDY):
            key = tuple(record.get(part) for part in ("task", "id", "label", "model"))
            if not all(isinstance(part, str) for part in key) or record.get("verdict") not in get_args(Verdict):
                raise KdslError(f"{path}, line {line}: not what `kdsl reasons` wrote; {_REMEDY}")
            task, identity, label, model = map(str, key)
            self._verdicts.setdefault((task, identity, label), {})[model] = record["verdict"]

    def covers(self, sample: Sample, model: str) -> bool:
        """Whether the sample need not be asked about: this model's reason was left out, or people took one away."""
        known = self._verdicts.get((*sample.key, sample.label or ""), {})
        return model in known or "written" in known.values()

    def add(self, sample: Sample, model: str, verdict: Verdict, reason: str, said: str) -> None:
        """Note what became of a sample; `said` is the label that the model found again."""
        record = {"task": sample.task, "id": sample.id, "label": sample.label, "model": model}
        with append_jsonl(self.path) as append:
            append({**record, "verdict": verdict, "said": said, "reason": reason})
        self._verdicts.setdefault((*sample.key, sample.label or ""), {})[model] = verdict
