"""The folder in which everything is made: environments, base model, project, one folder a peer, logs."""

import sys
from dataclasses import dataclass
from pathlib import Path

from peering import base, world
from peering.children import run_logged


@dataclass(frozen=True)
class Workplace:
    folder: Path

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def environments(self) -> Path:
        return self.folder / "environments"

    def log(self, name: str) -> Path:
        return self.folder / f"logs/{name}.log"

    def prepare(self) -> None:
        """The base model and the project, where they are not there yet."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not (self.base / "model.safetensors").is_file():
            self.say(f"training the tiny base model {self.base}")
            base.make(self.base, self.folder / "pages", [base.TEXTS])
        if not (self.project / world.TEST).is_file():
            world.write_project(self.project, self.base)

    def kdsl(self, name: str, *arguments: str) -> None:
        """`kdsl ARGUMENTS`, its output in the log of `name`."""
        run_logged([sys.executable, "-m", "kdsl", *arguments], self.log(name), self.folder, own=True)

    def predicted(
        self, name: str, what: str, large: str, steps: tuple[str, ...] = ("mine", "train")
    ) -> dict[str, world.Answer]:
        """What `kdsl predict` says of the test samples with this large model, after these steps."""
        checkpoint = self.folder / name / f"kdsl-{what}"
        output = checkpoint / "of-test.jsonl"
        settings = (str(self.project), f"large={large}", f"checkpoint={checkpoint}", f"rules={checkpoint / 'rules'}")
        for step in steps:
            self.kdsl(name, step, *settings)
        self.kdsl(
            name, "predict", *settings, "--input", str(self.project / world.TEST), "--output", str(output), "--again"
        )
        return world.read_predictions(output)

    def say(self, text: str) -> None:
        """Tell whoever waits what goes on."""
        print(text, file=sys.stderr, flush=True)
