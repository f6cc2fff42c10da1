"""A drawn app page: a cursor that moves down, and the pieces that all pages are made of."""

from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image, ImageDraw, ImageFont

WIDTH = 360
INK, GREY, PALE, PAPER = "#222222", "#8a8a8a", "#ececec", "#ffffff"
ACCENTS = ("#e8472b", "#f08c1e", "#2b7de8", "#1aa36b", "#c2185b", "#5c4bd6", "#444444")
PASTELS = ("#f3d9c8", "#cfe3f1", "#d8ecd2", "#efd3e2", "#e9e3c4", "#d5d3ee", "#cfd8dc", "#f0e0e0")


@dataclass(frozen=True)
class Written:
    """A text on the page with the pixel row of its top."""

    text: str
    y: int


class Page:
    """One screen, 360 pixels wide; blocks are drawn at `y`, which moves down with every block."""

    def __init__(self, rng: Random, font: Path | None, height: int = 780) -> None:
        """Without a font the texts are only collected in `written`: enough to look at what a page says."""
        self.rng = rng
        self.font = font
        self.height = height
        self.accent = rng.choice(ACCENTS)
        self.image = Image.new("RGB", (WIDTH, height), rng.choice(("#ffffff", "#f6f6f6", "#f2f3f5", "#fafafa")))
        self.draw = ImageDraw.Draw(self.image)
        self.written: list[Written] = []
        self.y = 0
        self.bottom = height  # blocks must end above: a fixed bar may stand there

    # text

    def text(self, x: float, y: float, text: str, size: int = 13, color: str = INK) -> None:
        if y >= self.height or not text:
            return
        self.written.append(Written(text, int(y)))
        if self.font:
            self.draw.text((x, y), text, font=load_font(self.font, size), fill=color)

    def width_of(self, text: str, size: int) -> float:
        if self.font:
            return self.draw.textlength(text, font=load_font(self.font, size))
        return sum(size if ord(c) > 0x2000 else size * 0.55 for c in text)

    def centered(self, middle: float, y: float, text: str, size: int = 13, color: str = INK) -> None:
        self.text(middle - self.width_of(text, size) / 2, y, text, size, color)

    def right(self, x: float, y: float, text: str, size: int = 13, color: str = INK) -> None:
        self.text(x - self.width_of(text, size), y, text, size, color)

    def paragraph(self, x: int, width: int, text: str, size: int = 13, color: str = INK) -> None:
        """The text in lines of `width` pixels, the cursor below it."""
        per_line = max(1, width // size)
        for start in range(0, len(text), per_line):
            self.text(x, self.y, text[start : start + per_line], size, color)
            self.y += size + 6

    # blocks

    def line(self, left: str, right: str = "", size: int = 13, color: str = GREY) -> None:
        """A row with a name at the left and its value at the right."""
        self.text(16, self.y, left, size, color)
        if right:
            self.right(WIDTH - 16, self.y, right, size, INK)
        self.y += size + 13

    def gap(self, pixels: int = 8) -> None:
        self.draw.rectangle((0, self.y, WIDTH, self.y + pixels), fill=PALE)
        self.y += pixels + 8

    def heading(self, text: str, size: int = 18, color: str = INK) -> None:
        self.text(16, self.y, text, size, color)
        self.y += size + 14

    def picture(self, x: int, y: int, width: int, height: int) -> None:
        """Stands for a product photo: a pastel ground with two or three shapes."""
        rng = self.rng
        self.draw.rectangle((x, y, x + width, y + height), fill=rng.choice(PASTELS))
        for _ in range(rng.randint(2, 3)):
            a, b = x + rng.randint(0, width // 2), y + rng.randint(0, height // 2)
            box = (a, b, a + rng.randint(width // 6, width // 2), b + rng.randint(height // 6, height // 2))
            shape = rng.choice((self.draw.ellipse, self.draw.rectangle))
            shape(box, fill=rng.choice(PASTELS + ACCENTS))

    def button(self, x0: float, x1: float, text: str, filled: bool = True, height: int = 34) -> None:
        """A pill at the cursor; the cursor stays."""
        box = (x0, self.y, x1, self.y + height)
        fill, color = (self.accent, PAPER) if filled else (PAPER, INK)
        self.draw.rounded_rectangle(box, radius=height // 2, fill=fill, outline=GREY)
        self.centered((x0 + x1) / 2, self.y + height / 2 - 9, text, 14, color)

    def chips(self, texts: tuple[str, ...] | list[str], chosen: int | None = None) -> None:
        """Small boxes side by side, wrapped."""
        x = 16.0
        for i, text in enumerate(texts):
            width = self.width_of(text, 12) + 18
            if x + width > WIDTH - 12:
                x, self.y = 16.0, self.y + 34
            outline = self.accent if i == chosen else PALE
            self.draw.rounded_rectangle((x, self.y, x + width, self.y + 26), 6, fill=PALE, outline=outline)
            self.text(x + 9, self.y + 5, text, 12)
            x += width + 8
        self.y += 38

    def bar(self, small: tuple[str, ...], buttons: tuple[str, ...], left: str = "") -> None:
        """The fixed bar at the bottom: small entries or a text at the left, buttons at the right."""
        top = self.height - 52
        self.bottom = top - 4
        self.draw.rectangle((0, top, WIDTH, self.height), fill=PAPER)
        for i, text in enumerate(small):
            self.centered(28 + i * 44, top + 26, text, 11, GREY)
            self.draw.ellipse((20 + i * 44, top + 8, 36 + i * 44, top + 22), outline=GREY)
        if left:
            self.text(14, top + 16, left, 14)
        if buttons:
            start = max(20 + len(small) * 44, 24 + self.width_of(left, 14), WIDTH - 108 * len(buttons))
            width, before = (WIDTH - 8 - start) / len(buttons), self.y
            self.y = top + 8
            for i, text in enumerate(buttons):
                self.button(start + i * width, start + (i + 1) * width - 6, text, filled=i == len(buttons) - 1)
            self.y = before

    def toast(self, text: str) -> None:
        """A dark box in the middle of the screen, over whatever is there."""
        width, y = self.width_of(text, 15) + 44, self.height // 2 + self.rng.randint(-60, 60)
        x0 = (WIDTH - width) / 2
        self.draw.rounded_rectangle((x0, y, x0 + width, y + 48), 10, fill="#333333")
        self.centered(WIDTH / 2, y + 14, text, 15, PAPER)

    def cropped(self, top: int, bottom: int) -> None:
        """Cuts the page to the rows from `top` to `bottom`, as a screenshot that was trimmed."""
        self.image = self.image.crop((0, top, WIDTH, bottom))
        self.height = bottom - top
        self.written = [Written(w.text, w.y - top) for w in self.written if top <= w.y < bottom - 8]

    def put_below(self, upper: "Page") -> None:
        """Stitches another page on top of this one."""
        both = Image.new("RGB", (WIDTH, upper.height + self.height))
        both.paste(upper.image, (0, 0))
        both.paste(self.image, (0, upper.height))
        self.image = both
        self.written = upper.written + [Written(w.text, w.y + upper.height) for w in self.written]
        self.height += upper.height


_fonts: dict[tuple[Path, int], ImageFont.FreeTypeFont] = {}


def load_font(path: Path, size: int) -> ImageFont.FreeTypeFont:
    if (path, size) not in _fonts:
        _fonts[path, size] = ImageFont.truetype(path, size)
    return _fonts[path, size]
