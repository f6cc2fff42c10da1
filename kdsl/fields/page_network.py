"""What a pretrained network sees on an image: inner activations of the detector of text that RapidOCR ships.

PP-OCR's detector was trained to find text on pages and photos of all kinds; pooled over the image, what its backbone
computes on the way tells pages apart. Source: Cui et al. 2025, "PaddleOCR 3.0 Technical Report".
"""

import hashlib
import logging
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import first_line

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)

_FILE = "models/PP-OCRv6_det_small.onnx"
"""In the package rapidocr."""
_STAGES = ("p2o.pd_op.add.14.0", "p2o.pd_op.add.27.0", "p2o.pd_op.add.50.0", "p2o.pd_op.add.63.0")
"""What the four stages of its backbone give: 48, 96, 192 and 384 channels."""
_WIDTH, _HEIGHT = 224, 480
NETWORK_SIZE = 2 * (48 + 96 + 192 + 384)


class PageNetwork:
    """The network; may be asked by several threads at once."""

    def __init__(self, content: bytes) -> None:
        """`content` is that of the ONNX file; raises whatever onnxruntime raises for another network."""
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        self.identity = f"page-network-1 {hashlib.sha256(content).hexdigest()[:16]}"
        """Of the weights and of what is pooled."""
        self._session: Any = InferenceSession(_with_outputs(content, _STAGES), options, ["CPUExecutionProvider"])
        [self._input] = (each.name for each in self._session.get_inputs())

    def vector(self, image: "Image") -> NDArray[np.float16]:
        """[NETWORK_SIZE]: mean and standard deviation of every channel of each stage, for an image in RGB."""
        from PIL.Image import Resampling

        small = image.resize((_WIDTH, _HEIGHT), Resampling.BILINEAR)
        pixels = np.asarray(small, dtype=np.float32)[..., ::-1] / 127.5 - 1  # blue, green, red
        stages = self._session.run(list(_STAGES), {self._input: pixels.transpose(2, 0, 1)[None]})
        pooled = [pool(stage[0], axis=(1, 2)) for stage in stages for pool in (np.mean, np.std)]
        return np.concatenate(pooled).astype(np.float16)


@cache
def page_network() -> PageNetwork | None:
    """The network of the RapidOCR that is installed; None without it, or where it ships another one."""
    package = find_spec("rapidocr") if find_spec("onnxruntime") else None
    if package is None or package.origin is None:
        return None
    file = Path(package.origin).parent / _FILE
    if not file.is_file():
        return None
    try:
        return PageNetwork(file.read_bytes())
    except Exception as error:  # onnxruntime's own classes, each a plain Exception
        _log.warning("%s is another network than the known one and is not used (%s)", file, first_line(error))
        return None


def _with_outputs(content: bytes, names: tuple[str, ...]) -> bytes:
    """An ONNX file that gives these inner tensors too.

    Parts of a message that stand behind it are merged into it (protocol buffers, "Last One Wins"), so that a graph
    (field 7 of a model) with nothing but outputs (field 12, named by field 1) adds these to the model's own.
    """
    outputs = b"".join(_field(12, _field(1, name.encode())) for name in names)
    return content + _field(7, outputs)


def _field(number: int, content: bytes) -> bytes:
    """A field of a protocol buffer that holds bytes: key, length in groups of 7 bits, content."""
    length, left = bytearray(), len(content)
    while left > 127:
        length.append(left & 127 | 128)
        left >>= 7
    return bytes([number << 3 | 2, *length, left]) + content
