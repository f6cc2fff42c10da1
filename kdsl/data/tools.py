"""The records of labelling tools as flat ones: what was asked about, and what annotators answered."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from kdsl.data.annotations import agreed, choices
from kdsl.data.audio_folder import is_waveform
from kdsl.data.media import MEDIA
from kdsl.data.record import Record, shown


@dataclass(frozen=True)
class Flat:
    """`values` by column; of these `answers` were given by annotators."""

    values: Mapping[str, Any]
    answers: Set[str] = frozenset()


@dataclass(frozen=True)
class Form:
    """How a tool writes records: what tells them, and how they become flat.

    The tool's own keys, which say nothing of a sample, are not among the values that `flat` gives.
    """

    name: str
    fits: Callable[[Mapping[str, Any]], bool]
    flat: Callable[[Record], Flat]


def _listed(record: Record, key: str, value: Any) -> list[Any]:
    """A list that may be missing."""
    if value is None or isinstance(value, list):
        return value or []
    raise record.error(f"{key} is {shown(value)}; it must be a list")


def _object(record: Record, key: str, value: Any) -> dict[str, Any]:
    """An object that may be missing."""
    if value is None or isinstance(value, dict):
        return value or {}
    raise record.error(f"{key} is {shown(value)}; it must be an object")


def form_of(value: Mapping[str, Any]) -> Form | None:
    """The tool that writes such records; None for no known one."""
    return next((form for form in FORMS if form.fits(value)), None)


# Label Studio -----------------------------------------------------------------------------------------------

_MIN_OWN = {"annotator", "annotation_id", "lead_time", "created_at", "updated_at", "agreement", "annotation_skipped"}
_CHOOSING = ("choices", "taxonomy", "rating")


def _label_studio(record: Record) -> Flat:
    """Exports as JSON: {id, data: {…}, annotations: [{result: [{from_name, type, value}]}], …}."""
    key = "completions" if record.value.get("annotations") is None else "annotations"
    annotations = [_object(record, key, each) for each in _listed(record, key, record.value.get(key))]
    if any(annotation.get("was_cancelled") or annotation.get("skipped") for annotation in annotations):
        record.notes.note("samples with cancelled annotations, which were left out", record.where)
    annotations = [each for each in annotations if not each.get("was_cancelled") and not each.get("skipped")]
    annotations = [each for each in annotations if each.get("ground_truth")] or annotations
    if not annotations and record.value.get("predictions"):
        record.notes.note("samples with predictions only, which are no labels", record.where)
    answers: dict[str, list[list[Any]]] = {}
    for annotation in annotations:
        for name, answer in _results(record, annotation).items():
            answers.setdefault(name, []).append(answer)
    return _with_answers(record, record.value["data"], answers)


def _results(record: Record, annotation: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The answer of one annotator to each question, which is called as its control in the labelling interface."""
    found: dict[str, list[Any]] = {}
    for result in _listed(record, "result", annotation.get("result")):
        kind = _object(record, "a result", result).get("type")
        if kind not in _CHOOSING:
            record.notes.note(f"results of the type {shown(kind)} left out", record.where)
            continue
        chosen = choices(_object(record, "value", result.get("value")).get(kind))
        if kind == "taxonomy":  # paths from the top: the last step says the most
            chosen = [path[-1] if isinstance(path, list) and path else path for path in chosen]
        found.setdefault(str(result.get("from_name") or "label"), []).extend(chosen)
    return found


def _label_studio_min(record: Record) -> Flat:
    """Exports as JSON_MIN, one annotation each: the data and the answers side by side."""
    if record.value.get("annotation_skipped"):
        record.notes.note("samples with cancelled annotations, which were left out", record.where)
    kept = {key: value for key, value in record.value.items() if key not in _MIN_OWN}
    return Flat({key: choices(value) if _chosen(value) else value for key, value in kept.items()})


def _chosen(value: Any) -> bool:
    return isinstance(value, dict) and "choices" in value


# Argilla ----------------------------------------------------------------------------------------------------

_ARGILLA_SUFFIXES = (
    ".responses.users", ".responses.status", ".suggestion.score", ".suggestion.agent", "-suggestion",
    "-suggestion-metadata", ".suggestion",
)  # fmt: skip
_ARGILLA_OWN = {"_server_id", "status", "vectors", "inserted_at", "updated_at"}


def _argilla(record: Record) -> Flat:
    """Records with {fields, responses: {question: [{value, status}]}}, and those of the REST interface."""
    given = record.value.get("responses") or {}
    responses: dict[str, list[Any]] = {}
    if isinstance(given, list):
        for each in given:
            response = _object(record, "a response", each)
            for name, value in _object(record, "values", response.get("values")).items():
                responses.setdefault(name, []).append({"status": response.get("status"), **_response(value)})
    else:
        answered = _object(record, "responses", given).items()
        responses = {name: value if isinstance(value, list) else [value] for name, value in answered}
    if not any(responses.values()) and record.value.get("suggestions"):
        record.notes.note("samples with suggestions only, which are no labels", record.where)
    data = {**record.value["fields"], **_metadata(record)}
    return _with_answers(record, data, {name: _submitted(record, each) for name, each in responses.items()})


def _response(value: Any) -> dict[str, Any]:
    """An answer with its status, or one alone."""
    return value if isinstance(value, dict) else {"value": value}


def _metadata(record: Record) -> dict[str, Any]:
    metadata = record.value.get("metadata")
    return {f"metadata.{key}": value for key, value in metadata.items()} if isinstance(metadata, dict) else {}


def _submitted(record: Record, responses: list[Any]) -> list[list[Any]]:
    """The answers that annotators handed in."""
    found = [_response(response) for response in responses if response is not None]
    submitted = [each for each in found if each.get("status") in (None, "submitted")]
    if len(submitted) < len(found):
        record.notes.note("samples with discarded or unfinished responses, which were left out", record.where)
    return [choices(value) for response in submitted if (value := response.get("value")) is not None]


def _argilla_flat(record: Record) -> Flat:
    """Rows of a data set that Argilla exported: {text, intent.responses: […], intent.responses.status: […], …}."""
    answers, data = {}, {}
    for key, value in record.value.items():
        if key.endswith(".responses"):
            given = _listed(record, key, value)
            states = _listed(record, f"{key}.status", record.value.get(f"{key}.status"))
            pairs = zip_longest(given, states[: len(given)])
            answers[key.removesuffix(".responses")] = _submitted(
                record, [{"value": each, "status": status} for each, status in pairs]
            )
        elif not key.endswith(_ARGILLA_SUFFIXES) and key not in _ARGILLA_OWN:
            data[key] = value
    return _with_answers(record, data, answers)


def _argilla_old(record: Record) -> Flat:
    """Text classification of Argilla before feedback data sets: {text or inputs, prediction, annotation, …}."""
    inputs = record.value.get("inputs")
    data = {"text": record.value.get("text")} if record.value.get("text") or not isinstance(inputs, dict) else inputs
    annotation = record.value.get("annotation")
    return _with_answers(record, data, {"label": [] if annotation is None else [choices(annotation)]})


# Prodigy, doccano, spaCy ------------------------------------------------------------------------------------

_PRODIGY_DATA = ("text", "image", "audio", "html", "turns")


def _prodigy(record: Record) -> Flat:
    """Tasks with {text, options, accept, answer}, or {text, label, answer} where one label was asked about."""
    value, answer = record.value, record.value.get("answer", "accept")
    options = [_object(record, "an option", each) for each in _listed(record, "options", value.get("options"))]
    texts = {str(option.get("id")): option.get("text") for option in options}
    if answer != "accept":
        record.notes.note(f"samples answered with {answer!r}, taken as unlabelled", record.where)
        chosen: list[list[Any]] = []
    elif "accept" in value:
        # An option's number says nothing, its text does.
        accepted = choices(value["accept"])
        chosen = [[texts.get(str(each)) or each if isinstance(each, int) else each for each in accepted]]
    else:
        chosen = [choices(value["label"])] if value.get("label") is not None else []
    data = {key: value[key] for key in _PRODIGY_DATA if value.get(key) is not None}
    return _with_answers(record, data, {"label": chosen})


def _doccano(record: Record) -> Flat:
    """Exports as JSONL: {id, text or data, label: […]}, the list being empty where nobody has labelled the text."""
    value = dict(record.value)
    label = value.pop("label", value.pop("labels", None))
    if isinstance(label, list) and any(isinstance(each, list) for each in label):
        raise record.error(
            f"label is {shown(label)}, which marks words; KDSL classifies whole texts: export a project for text "
            "classification"
        )
    for key in ("Comments", "comments"):
        value.pop(key, None)
    return _with_answers(record, value, {"label": [choices(label)] if label else []})


def _spacy(record: Record) -> Flat:
    """{text, cats: {label: 1.0 or 0.0}}."""
    value = dict(record.value)
    cats = value.pop("cats")
    held = [name for name, weight in cats.items() if _holds(weight)]
    return _with_answers(record, value, {"label": [held] if cats else []})


def _holds(weight: Any) -> bool:
    return isinstance(weight, int | float) and weight >= 0.5


def _with_answers(record: Record, data: Any, answers: Mapping[str, list[list[Any]]]) -> Flat:
    """The data, and beside it what annotators agreed on; a question that is called like data gets another name."""
    if not isinstance(data, dict):
        raise record.error(f'data is {shown(data)}; it must be an object like {{"text": "…"}}')
    found: dict[str, Any] = {}
    for name, given in answers.items():
        # That nothing was chosen counts where nobody chose anything: with several labels a sample none holds then.
        chosen = [each for each in given if each] or given[:1]
        found[name if name not in data or name == "label" else f"{name} (answer)"] = agreed(record, chosen)
    identity = {"id": record.value["id"]} if record.value.get("id") is not None else {}
    return Flat({**data, **identity, **found}, frozenset(found))


# Instructions -----------------------------------------------------------------------------------------------


def alpaca(record: Record, prompt: str | None) -> Flat:
    """{instruction, input, output, system, history, images, audios}; `prompt` is an instruction that all share.

    What all share is no text of a sample. A history makes turns, which the user and the agent say in turn.
    """
    value = record.value
    asked = [record.text(key, value.get(key) or "") for key in ("instruction", "input")]
    text = "\n".join(each for each in asked if each.strip() and each != prompt)
    for medium in MEDIA:
        files: list[Any] = next((value[key] for key in medium.keys if isinstance(value.get(key), list)), [])
        text = text.replace(medium.placeholder, "", len(files))
    history = _listed(record, "history", value.get("history"))
    said = [each for pair in history for each in _listed(record, "a pair of history", pair)]
    kept = {key: each for key, each in value.items() if key not in _ALPACA}
    if said:
        return Flat({**kept, "turns": [*said, text], "label": value.get("output")}, frozenset({"label"}))
    return Flat({**kept, "text": text, "label": value.get("output")}, frozenset({"label"}))


_ALPACA = frozenset({"instruction", "input", "output", "history", "system", "text"})


# Anything else ----------------------------------------------------------------------------------------------

_DEPTH = 4


def _table(record: Record) -> Flat:
    """Rows of tables, and records of any shape: the keys of objects within objects are joined by dots."""
    return Flat(_flattened(record.value, "", _DEPTH))


def _flattened(value: Mapping[str, Any], before: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, held in value.items():
        name = f"{before}{key}"
        if isinstance(held, dict) and held and depth and not _is_file(held):
            found.update(_flattened(held, f"{name}.", depth - 1))
        else:
            found[name] = choices(held) if _chosen(held) else held
    return found


def _is_file(held: Mapping[str, Any]) -> bool:
    """Whether it is a picture or sound as Hugging Face keeps it."""
    return {"bytes", "path"} <= held.keys() or is_waveform(held)


TABLE = Form("a table", lambda value: True, _table)
FORMS = (
    Form("Label Studio", lambda v: isinstance(v.get("data"), dict) and bool(
        {"annotations", "completions", "predictions"} & v.keys()), _label_studio),
    Form("Label Studio (JSON_MIN)", lambda v: {"annotation_id", "lead_time"} & v.keys() != set() and "annotator" in v,
         _label_studio_min),
    Form("Argilla", lambda v: isinstance(v.get("fields"), dict) and bool(
        {"responses", "suggestions", "status", "metadata"} & v.keys()), _argilla),
    Form("Argilla (data set)", lambda v: any(key.endswith(".responses") for key in v), _argilla_flat),
    Form("Argilla (text classification)", lambda v: "annotation" in v and {"prediction", "inputs"} <= v.keys(),
         _argilla_old),
    Form("Prodigy", lambda v: v.get("answer") in ("accept", "reject", "ignore") and bool(
        {"text", "image", "audio", "html", "options"} & v.keys()), _prodigy),
    Form("spaCy", lambda v: "text" in v and isinstance(v.get("cats"), dict), _spacy),
    Form("doccano", lambda v: bool({"Comments", "comments"} & v.keys()) and bool({"label", "labels"} & v.keys()),
         _doccano),
)  # fmt: skip
"""The known ones; of those that fit a record the first counts."""
