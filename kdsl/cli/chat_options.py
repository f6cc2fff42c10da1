"""What several commands of `kdsl chat` share."""

from pathlib import Path
from typing import Annotated

import typer

DialoguesOption = Annotated[
    Path, typer.Option("--input", metavar="FILE", help="Dialogues, in JSON.", show_default=False)
]
