"""A stand-in for the challenge's run.py, written from the contract: `stand_in_run.py EXPORT JOB RESULT`.

Runs by itself in a clean process, in the folder that holds images/ and audios/: it knows Python and the exported
folder. JOB is a list of {"convention", "dialogue"}; a dialogue is a list of [query, right answer]. RESULT gets what
was returned in each round, or what was raised. No address can be reached.
"""

import json
import pickle
import socket
import subprocess
import sys
from pathlib import Path


def refused(*arguments: object) -> None:
    raise OSError("there is no network")


socket.socket.connect = refused
socket.getaddrinfo = refused


def documents(dialogue: list) -> list:
    """As the documents of the challenge have it: a text, a number, and a list of pairs."""
    rounds, history = [], []
    for query, right in dialogue:
        answer = generate_text(model=model, tokenizer=tokenizer, cur_query_list=query, history_list=history)
        assert isinstance(answer, str)
        perplexity = get_ppl(model, tokenizer, (query, right), history=history)
        assert isinstance(perplexity, float)
        rounds.append({"answer": answer, "perplexity": perplexity, "length": len(answer), "words": answer.split()})
        history.append((query, answer))
    return rounds


def running(dialogue: list, passed_on=lambda history: history, name: str = "") -> list:
    """As solutions that ran have it: (text, history), (number, history), and one pair that goes to the next round."""
    rounds, history, scored = [], None, None
    for query, right in dialogue:
        given = {name: history} if name else {}
        answer, after = generate_text(model, tokenizer, query, *([] if name else [history]), **given)
        perplexity, scored_after = get_ppl(model, tokenizer, (query, right), scored)
        assert type(answer) is str and type(perplexity) is float
        rounds.append({"answer": answer, "perplexity": perplexity, "history": after, "scored": scored_after})
        history = passed_on((after, answer))
        scored = passed_on((scored_after, right))
    return rounds


def by_another_process(history: object) -> object:
    """Pickled, read by a process that does not know the export, written as JSON there and pickled again."""
    program = (
        "import json, pickle, sys; history = pickle.load(sys.stdin.buffer); "
        "pickle.dump(json.loads(json.dumps(history)), sys.stdout.buffer)"
    )
    command = [sys.executable, "-I", "-c", program]
    return pickle.loads(subprocess.run(command, input=pickle.dumps(history), capture_output=True, check=True).stdout)


CONVENTIONS = {
    "documents": documents,
    "running": running,
    "history": lambda dialogue: running(dialogue, name="history"),
    "history_tensor": lambda dialogue: running(dialogue, name="history_tensor"),
    "pickled": lambda dialogue: running(dialogue, by_another_process),
}


def run(job: dict) -> object:
    try:
        return CONVENTIONS[job["convention"]](job["dialogue"])
    except BaseException as error:  # as in the challenge: the try is void
        return f"raised {type(error).__name__}: {error}"


export, jobs, result = sys.argv[1:]
sys.path.insert(0, export)
from team_code.generate import generate_text, get_ppl, setup_model_and_tokenizer  # noqa: E402

model, tokenizer = setup_model_and_tokenizer()
kdsl = sys.modules.get("kdsl")
found = {"results": [run(job) for job in json.loads(Path(jobs).read_text("utf-8"))], "kdsl": kdsl and kdsl.__file__}
Path(result).write_text(json.dumps(found), "utf-8")
