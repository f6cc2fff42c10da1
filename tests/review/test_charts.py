import re

from kdsl.review.charts import compared, histogram, similarities


def bars(chart: str, kind: str) -> list[tuple[float, float, str]]:
    """(x, height, words) of all bars that can be seen."""
    found = re.findall(rf'bar {kind}" x="([\d.]+)" y="[\d.]+" width="[\d.]+" height="([\d.]+)"><title>([^<]*)', chart)
    return [(float(x), float(height), words) for x, height, words in found if float(height)]


def test_samples_stand_where_their_similarity_is_right_ones_apart_from_wrong_ones():
    chart = str(similarities("退款", [0.55, 0.56, 0.551, 0.559], [0.25, 1.0, 0.05], 0.1, 0.6, steps=9))
    assert [words for *_, words in bars(chart, "accepted")] == ["0.50: 4"]
    assert [words for *_, words in bars(chart, "rejected")] == ["0.20: 1", "0.90: 1"]  # 0.05 is left of the scale
    [(_, four, _)], [(_, one, _), _] = bars(chart, "accepted"), bars(chart, "rejected")
    assert four == 2 * one  # square roots


def test_the_threshold_stands_on_the_scale_of_the_bars():
    chart = str(similarities("退款", [1.0], [0.1], 0.1, 0.1, steps=9))
    assert 'class="threshold" x1="12.0"' in chart and bars(chart, "rejected")[0][0] == 12.0
    chart = str(similarities("退款", [1.0], [], 0.1, 1.0, steps=9))
    assert 'class="threshold" x1="528.0"' in chart
    assert 'class="threshold" x1="12.0"' in str(similarities("退款", [], [], 0.1, 0.05))
    assert re.findall(r'class="tick"[^>]*>([\d.]+)<', chart) == [
        "0.1",
        "0.2",
        "0.3",
        "0.4",
        "0.5",
        "0.6",
        "0.7",
        "0.8",
        "0.9",
        "1",
    ]


def test_parts_of_a_column_lie_on_each_other_and_the_highest_column_fills_the_chart():
    parts = [("model", "by the model", 3), ("accepted", "by rules", 1)]
    chart = str(histogram("置信度", [("0–0.5", [("model", "by the model", 2)]), ("0.5–1", parts)]))
    assert bars(chart, "model") == [(12.0, 60.0, "0–0.5: by the model 2"), (270.0, 90.0, "0.5–1: by the model 3")]
    assert bars(chart, "accepted") == [(270.0, 30.0, "0.5–1: by rules 1")]
    assert re.findall(r'bar \w+" x="270.0" y="([\d.]+)"', chart) == ["30.0", "0.0"]
    assert 'role="img" aria-label="置信度"' in chart
    assert re.findall(r'class="tick"[^>]*>([\d.]+)<', chart) == ["0", "0.2", "0.4", "0.6", "0.8", "1"]


def test_a_histogram_of_nothing_is_empty():
    assert bars(str(histogram("", [("0–1", [("model", "", 0)])])), "model") == []


def test_a_line_stands_where_a_bar_is_compared_with():
    chart = str(compared("标签", [("调光", 0.25, 0.5, "1 (25.0%)"), ("<b>", 0.1, None, "<i>")]))
    assert re.findall(r'<rect[^>]* x="([\d.]+)"[^>]* width="([\d.]+)"', chart) == [
        ("150.0", "115.0"),
        ("150.0", "46.0"),
    ]
    assert re.findall(r'class="marker" x1="([\d.]+)" y1="(\d+)"', chart) == [("380.0", "2")]
    assert "1 (25.0%)" in chart and "<b>" not in chart and "&lt;i&gt;" in chart
    assert "<rect" in str(compared("", [("a", 0.0, 0.0, "0")]))  # nothing is divided by nothing
