"""The OCR page of a changed image, without looking at its pixels."""

from math import cos, radians, sin

from kdsl.augmentation.plan import WHOLE, Plan
from kdsl.fields.sidecar import Box, OcrLine, OcrPage

STILL_THERE = 0.9
"""A line of which less than this share of its box is left counts as gone."""


def moved_page(plan: Plan, page: OcrPage, name: str) -> OcrPage:
    """The page of the image that `plan` makes of the one of `page`; lines keep their order."""
    size = plan_size(plan, page.size)
    moved = (_moved_line(plan, line, page.size) for line in page.lines)
    # Where nothing is cut away, so that the aspect stays the same to the last digit.
    original = page.original_size if plan.crop == WHOLE else None
    return OcrPage(name, size, tuple(line for line in moved if line is not None), original)


def plan_size(plan: Plan, size: tuple[int, int]) -> tuple[int, int]:
    """(width, height) in pixels of what `plan` makes of an image of `size`."""
    x0, y0, x1, y1 = crop_pixels(plan, size)
    return max(1, round((x1 - x0) * plan.scale)), max(1, round((y1 - y0) * plan.scale))


def crop_pixels(plan: Plan, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """What the crop leaves of an image of `size`."""
    width, height = size
    x0, y0, x1, y1 = plan.crop
    left, top = round(x0 * width), round(y0 * height)
    return left, top, max(left + 1, round(x1 * width)), max(top + 1, round(y1 * height))


def _moved_line(plan: Plan, line: OcrLine, size: tuple[int, int]) -> OcrLine | None:
    middle = (line.box[0] + line.box[2]) / 2 / size[0], (line.box[1] + line.box[3]) / 2 / size[1]
    if any(x0 <= middle[0] <= x1 and y0 <= middle[1] <= y1 for x0, y0, x1, y1 in plan.covered):
        return None
    box = _moved(plan, line.box, size)
    width, height = plan_size(plan, size)
    kept = max(box[0], 0.0), max(box[1], 0.0), min(box[2], float(width)), min(box[3], float(height))
    if kept[0] >= kept[2] or kept[1] >= kept[3] or _area(kept) < STILL_THERE * _area(box):
        return None
    return OcrLine(line.text, line.score, kept)


def _moved(plan: Plan, box: Box, size: tuple[int, int]) -> Box:
    """Where the box's content lies afterwards, perhaps beyond the edges: the upright box around its corners."""
    left, top, right, bottom = crop_pixels(plan, size)
    middle_x, middle_y = (right - left) / 2, (bottom - top) / 2
    cosine, sine = cos(radians(plan.angle)), sin(radians(plan.angle))
    width, height = plan_size(plan, size)
    across, down = width / (right - left), height / (bottom - top)
    corners = []
    for x in (box[0], box[2]):
        for y in (box[1], box[3]):
            dx, dy = x - left - middle_x, y - top - middle_y
            corners.append(
                ((middle_x + dx * cosine + dy * sine) * across, (middle_y - dx * sine + dy * cosine) * down)
            )
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return min(xs), min(ys), max(xs), max(ys)


def _area(box: Box) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])
