"""Two runs side by side as a page that needs nothing else: scores, labels that moved, every sample that changed."""

from html import escape
from pathlib import Path

from kdsl.evaluate.comparison import KINDS, Change, LabelGain, TaskComparison
from kdsl.evaluate.paired import Gain
from kdsl.evaluate.runs import KeptPrediction, label_words
from kdsl.evaluate.side_by_side import SideBySide
from kdsl.files import write_atomically
from kdsl.notebook import shown, table

PAGE_FILE = "comparison.html"
_MOVES = 30
_UNDEFINED = "–"
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{color-scheme: light dark}}
body {{font: 15px/1.5 system-ui, sans-serif; max-width: 62em; margin: 0 auto; padding: .5em 1em 3em}}
h1 {{font-size: 1.3em; overflow-wrap: anywhere}}
h2 {{font-size: 1.1em; margin: 1.6em 0 .3em}}
article {{border-top: 1px solid rgba(128, 128, 128, .3); padding: .4em 0; overflow-wrap: anywhere}}
article p {{margin: .15em 0}}
.dim {{opacity: .7}}
</style>
</head>
<body>
{body}</body>
</html>
"""


def write_comparison(folder: Path, found: SideBySide) -> Path:
    """Write the page into `folder` and return its path; KdslError where it cannot be written."""
    path = folder / PAGE_FILE
    write_atomically(path, comparison_page(found).encode("utf-8", "replace"))
    return path


def comparison_page(found: SideBySide) -> str:
    """The whole page, without scripts and outside resources."""
    new, old = map(escape, found.names)
    changed = "".join(f"<li>{escape(str(each))}</li>" for each in found.changed)
    parts = [
        f"<h1>Run {new}<br>against {old}</h1>\n",
        f"<p>What changed between them:</p>\n<ul>{changed}</ul>\n" if changed else "",
        *(f"<p>{escape(note)}</p>\n" for note in found.notes),
        *map(_scores, found.comparison.tasks),
        f'<p class="dim">In brackets: {found.comparison.level:.0%} intervals of the difference, paired bootstrap, '
        f"{found.comparison.resamples} resamples, seed {found.comparison.seed}. p: McNemar's exact test that gains "
        "and losses are equally likely.</p>\n",
        *map(_task, found.comparison.tasks),
    ]
    title = f"{found.names[0]} against {found.names[1]}"
    return _PAGE.format(title=escape(title), body=shown(*parts))


def _scores(task: TaskComparison) -> str:
    rows = [(name, f"{gain.old:.3f}", f"{gain.new:.3f}", _difference(gain)) for name, gain in task.scores]
    title = f"{task.task}: {task.samples} samples, {task.gained} gained and {task.lost} lost, p = {task.p_value:.3g}"
    return table(("", ">old", ">new", ">difference"), rows, title)


def _task(task: TaskComparison) -> str:
    if not task.labels:
        return ""
    labels = [
        (escape(row.label), str(row.samples), _number(row.old), _number(row.new), _difference(row))
        for row in task.moved
    ]
    moves = [
        (*map(escape, map(label_words, (move.old, move.new))), *map(str, (move.samples, move.gained, move.lost)))
        for move in task.moves[:_MOVES]
    ]
    columns = ("label", ">samples", ">F1 old", ">F1 new", ">difference")
    parts = [f"<h2>{escape(task.task)}</h2>\n"]
    if labels:
        parts.append(table(columns, labels, "Labels that moved"))
    if moves:
        parts.append(table(("from", "to", ">samples", ">gained", ">lost"), moves, "Where predictions went"))
    for kind in KINDS:
        if changes := task.of(kind):
            parts.append(f"<h2>{escape(task.task)}: {kind} ({len(changes)})</h2>\n{''.join(map(_change, changes))}")
    return "".join(parts)


def _change(change: Change) -> str:
    return (
        f"<article><p><b>{escape(change.new.id)}</b> is {escape(label_words(change.truth))}</p>\n"
        f"<p>{_said(change.old)}</p>\n<p>{_said(change.new, 'now ')}</p></article>\n"
    )


def _said(prediction: KeptPrediction, when: str = "was ") -> str:
    confidence = prediction.confidence
    number = "" if confidence is None else f" {confidence:.2f}"
    return f'{when}<b>{escape(prediction.words)}</b>{number} <span class="dim">{escape(prediction.reason)}</span>'


def _difference(of: Gain | LabelGain) -> str:
    return f"{of.difference:+z.3f} [{of.interval.low:+z.3f}, {of.interval.high:+z.3f}]"


def _number(value: float | None) -> str:
    return _UNDEFINED if value is None else f"{value:.3f}"
