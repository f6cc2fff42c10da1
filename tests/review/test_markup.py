"""Text of a project that would be markup, a script or a template if it were not escaped, wherever it is shown."""

import json
import re
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from urllib.parse import quote

import pytest
from made_decisions import decision
from reviewed_shop import ORIGIN

pytest.importorskip("fastapi", reason="needs the extra review")
from fastapi.testclient import TestClient

from kdsl.config import ProjectConfig
from kdsl.data.feedback import FeedbackLog
from kdsl.fields.sidecar import OcrLine, OcrPage, Sidecars
from kdsl.project.decision_log import DecisionLog
from kdsl.review import page as page_words
from kdsl.review.app import create_app
from kdsl.review.dataset import Dataset, Source
from kdsl.review.live import LiveSite
from kdsl.rules.condition import Condition
from kdsl.rules.rule import Provenance, Review, Rule, When
from kdsl.rules.rule import Tests as Pinned
from kdsl.rules.rulebase import RuleBase
from kdsl.sample import Label, Sample, Task, Turn

TEMPLATES = Path(page_words.__file__).parent / "templates"
HOSTILE = [
    "javascript:alert(1)//",
    "<script>alert(1)</script>\"><img src=x onerror=alert(1)>' onmouseover='alert(1)` onfocus=alert(1) autofocus ",
    "</textarea></title></option></select></script><svg onload=alert(1)><iframe src=//evil.example>\u2028",
    '" hx-get="http://evil.example" hx-trigger="load" {{ 7 * 7 }}{% raw %}]]><!--&lt;b&gt;&#60;b&#62;',
]


class Page(HTMLParser):
    """A page as a browser takes it apart."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        """Of elements and attributes."""
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names |= {tag, *(name for name, _ in attrs)}
        self.addresses += [value or "" for name, value in attrs if re.search("href|src$|action|hx-(get|post)", name)]

    def handle_data(self, data: str) -> None:
        self.text += data


def foreign(page: Page) -> list[str]:
    """Elements and attributes that stand in no template, and addresses that lead elsewhere."""
    own = "".join(template.read_text(encoding="utf-8") for template in TEMPLATES.glob("*.html"))
    own += Path(page_words.__file__).with_name("charts.py").read_text(encoding="utf-8").lower()
    found = re.findall(r"<(\w+)|([\w-]+)=|\s(data-[\w-]+|hidden|defer|selected|checked)", own)
    known = {name.lower() for names in found for name in names}
    elsewhere = [address for address in page.addresses if not re.match(r"/(?![/\\])|\?", address)]
    return sorted(page.names - known) + elsewhere


def open_with(folder: Path, text: str) -> LiveSite:
    """A shop in which everything that people can name is called `text`."""
    task = Task(f"t {text}".replace("/", "|"), (Label(f"{text}1", text), Label(f"{text}2", text)))
    page = OcrPage("a", (60, 100), (OcrLine(f"亮度{text}", 0.9, (5.0, 80.0, 50.0, 95.0)),))
    samples = [
        Sample(
            f"{text}{i}", task.name, (Turn("user", f"亮度{text}", (text,)), Turn("agent", text)), (text,), label.name
        )
        for i, label in enumerate([*task.labels, *task.labels])
    ]
    sidecars = Sidecars(ocr={text: page}, captions={text: text})
    base = RuleBase(folder / "rules", task.name)
    for number, (label, field) in enumerate([(0, "user"), (0, "dialogue"), (1, "ocr"), (1, "user")]):
        when = When(all=(Condition.model_validate({field: ["亮度", f"a{text}"]}),))
        base.save(
            Rule(
                id=f"r-{number}000", label=task.labels[label].name, when=when, notes=f"{text}\n{text}",
                provenance=Provenance(source=text, proposer=text), review=Review(by=text, at=text, of="0"),
                tests=Pinned(hit=[f"{text}0", text], miss=[f"{text}1"]),
            )
        )  # fmt: skip
    broken = folder / "rules" / task.name / f"{text.replace('/', '|')[:60]}.yaml"
    broken.write_text(text, encoding="utf-8")
    config = ProjectConfig(
        tasks=[task.name], rules=folder / "rules", checkpoint=folder / "c",
        data={"images": folder, "feedback": folder / "feedback.jsonl"}, serve={"log": folder / "decisions"},
    )  # fmt: skip
    serve(config, task, text)
    return LiveSite(
        config, Source(lambda: Dataset([task], {task.name: samples}, sidecars)), text.replace("\u2028", "")
    )


def serve(config: ProjectConfig, task: Task, text: str) -> None:
    """What a service left that decided about samples called `text`, and on which a rule of that name held, too."""
    made = decision(text, (0.6, 0.4), labels=task.label_names, task=task.name, text=text)
    with DecisionLog(config.serve.log, texts=True) as log:
        log.append([made, made], {})
    [path] = config.serve.log.iterdir()
    with path.open("a", encoding="utf-8") as file:
        for line in path.read_text(encoding="utf-8").split("\n")[:-1]:
            file.write(json.dumps({**json.loads(line), "rules": [text]}) + "\n")
    feedback = FeedbackLog(config.data.feedback)
    for sample in (made.sample, Sample(f"{text}0", task.name, (Turn("user", text),))):
        feedback.give(sample, task.label_names[1], text.replace("\u2028", "")[:100], task, text, ["r-0000", text])


def pages_of(live: LiveSite, text: str) -> dict[str, str]:
    """Every page and every answer to a form, by what was asked; `text` is also sent in every way."""
    client = TestClient(create_app(live, ["testserver"], background=False), headers=ORIGIN)
    [task] = live.site.tasks
    asked = {"task": task, "address": "0", "id": "r-1000"}
    form = {
        **dict.fromkeys(("status", "reason", "notes", "must", "sample", "label", "test-0", "other", "language"), text),
        "field-0": "user", "id": "r-1000", "queue": f"text={text}&label={text}", text: text,
    }  # fmt: skip
    shown = {}
    for path, methods in client.app.openapi()["paths"].items():
        place = re.sub(r"\{(\w+)\}", lambda match: quote(asked[match[1]], safe=""), path)
        for method, (id, headers) in product(methods, [(f"{text}0", {}), (text, {"hx-request": "false"})]):
            query = {"id": id, "text": text, "label": text, "field": "user", "term": [text, text], "kind": "cell"}
            sent = {"data": form} if method == "post" else {}
            answer = client.request(method, place, params=query, headers=headers, **sent)
            assert answer.status_code < 500
            shown[f"{method} {path} {headers}"] = answer.text
    for name, values in (("note", {"notes": text}), ("decide", {"status": "rejected", "reason": text})):
        version = live.site.store.get(task, "r-0000").version
        answer = client.post(f"/t/{quote(task, safe='')}/rules/r-0000/{name}", data={"version": version, **values})
        assert answer.status_code == 200
        shown[name] = answer.text
    answer = client.post(f"/t/{quote(task, safe='')}/rules/r-0000/note", data={"version": "0", "notes": f"{text}?"})
    assert answer.status_code == 409
    shown["conflict"] = answer.text
    return shown


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_adds_an_element_an_attribute_or_an_address_elsewhere(tmp_path, text):
    shown = {asked: Page(answer) for asked, answer in pages_of(open_with(tmp_path, text), text).items()}
    assert {asked: found for asked, page in shown.items() if (found := foreign(page))} == {}
    assert any(text.strip() in page.text for page in shown.values())


@pytest.mark.parametrize("text", HOSTILE)
def test_the_words_of_the_page_are_text_too(tmp_path, monkeypatch, text):
    """A translation is data as well: what is wrong in chinese.json is shown, never run."""
    known = page_words.chinese()
    monkeypatch.setattr(page_words, "chinese", lambda: dict.fromkeys(known, text))
    live = open_with(tmp_path, "word")
    client = TestClient(create_app(live, ["testserver"], background=False), headers={"accept-language": "zh"})
    for place in (
        "rules",
        "rules/r-1000",
        "rules/r-1000/edit",
        "new",
        "gaps",
        "progress",
        "service",
        "sample?id=word0",
        "nothing",
    ):
        page = Page(client.get(f"/t/t%20word/{place}").text)
        assert text.strip() in page.text and foreign(page) == [], place


def test_the_chinese_wording_is_plain_text():
    wording = json.loads(Path(page_words.__file__).with_name("chinese.json").read_text(encoding="utf-8"))
    assert [each for each in wording.values() if re.search("[<>&{}]", each)] == []
