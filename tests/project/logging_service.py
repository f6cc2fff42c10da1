"""A process that logs batch after batch until it is killed, and says after each that it is logged."""

import sys
from itertools import count
from pathlib import Path

from made_decisions import decision

from kdsl.project.decision_log import DecisionLog

BATCH = 50


def main(folder: str, name: str, most_bytes: str) -> None:
    log = DecisionLog(Path(folder), texts=True, most_bytes=int(most_bytes))
    for batch in count():
        log.append([decision(f"{name}-{batch}-{row}") for row in range(BATCH)], {"rules": "1"})
        print(batch, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
