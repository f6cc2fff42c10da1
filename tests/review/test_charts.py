import re

from kdsl.review.charts import similarities


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
