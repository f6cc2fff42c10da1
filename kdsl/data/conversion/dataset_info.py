"""The `dataset_info.json` in which LLaMA-Factory looks up data sets: an entry is added, the others stay."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from kdsl.errors import KdslError
from kdsl.files import is_there
from kdsl.json_file import read_json

FILE = "dataset_info.json"


def with_entry(path: Path, data: Path, form: str, files: Collection[str]) -> str:
    """The text of the file at `path` with an entry for `data`, called like that without its ending.

    `form` is "sharegpt" or "alpaca"; `files` are those of the columns "images" and "audios" that it
    has. Raises KdslError where the file holds something else than data sets, or has a data set of that name in another
    file.
    """
    known = read_json(path) if is_there(path) else {}
    if not isinstance(known, dict) or not all(isinstance(entry, dict) for entry in known.values()):
        raise KdslError(
            f'{path}: is no list of data sets like {{"name": {{"file_name": "…"}}}}; write into another folder'
        )
    before = known.get(data.stem, {})
    if before and before.get("file_name") != data.name:
        raise KdslError(
            f"{path}: has a data set {data.stem!r} in another file already; call the output something else"
        )
    entry = entry_of(form, data.name, files)
    return json.dumps({**known, data.stem: {**before, **entry}}, ensure_ascii=False, indent=2) + "\n"


def entry_of(form: str, name: str, files: Collection[str]) -> dict[str, Any]:
    named = {column: column for column in files}
    if form == "alpaca":
        columns = {"prompt": "instruction", "query": "input", "response": "output", **named}
        return {"file_name": name, "formatting": "alpaca", "columns": columns}
    tags = {"role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant"}
    return {
        "file_name": name,
        "formatting": "sharegpt",
        "columns": {"messages": "messages", **named},
        "tags": {**tags, "system_tag": "system"},
    }
