"""Tries an export as a runner of the challenge would: in a process of its own that knows nothing but the folder."""

import json
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from kdsl.errors import KdslError

_RUNNER = """
import json, sys
sys.path.insert(0, ".")
from team_code.generate import generate_text, get_ppl, setup_model_and_tokenizer

model, tokenizer = setup_model_and_tokenizer()
query = [{"type": "text", "content": "Hello! Who are you?"}]
first = generate_text(model, tokenizer, query, None)
answer, history = first
again = generate_text(model, tokenizer, [{"type": "text", "content": "What did I ask you?"}], (history, answer))
scored = get_ppl(model, tokenizer, (query, "I am a model that answers questions."), None)
called = zip(("generate_text", "generate_text", "get_ppl"), (first, again, scored))
print(json.dumps([[name, str(result[0]), result.problem] for name, result in called]))
"""


class Returned(NamedTuple):
    """What a function of generate.py returned."""

    function: str
    value: str
    problem: str
    """Why it is no answer of the model; empty where it is one."""


def check_export(out: Path) -> list[Returned]:
    """What the functions of `out`/team_code return for a dialogue of two questions, asked in `out`.

    What they tell on stderr goes to this process's. Raises KdslError where the process ends before it has answers.
    """
    # Isolated, so that KDSL comes from the export; and without caches of byte code, which would stay there.
    command = [sys.executable, "-I", "-B", "-c", _RUNNER]
    done = subprocess.run(command, cwd=out, stdout=subprocess.PIPE, text=True, encoding="utf-8")
    if done.returncode:
        raise KdslError(f"{out}: the process that tried it ended with {done.returncode}; what it told is above")
    return [Returned(*each) for each in json.loads(done.stdout.splitlines()[-1])]
