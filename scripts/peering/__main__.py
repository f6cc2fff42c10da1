"""Runs KDSL beside trainers and servers that others wrote, and prints what agrees; exit code 1 where it does not.

Everything is made in FOLDER: an environment for each peer, some 12 GB in all, a tiny model, exports, adapters, logs.
What is there already is not made again. The first run takes half an hour, most of it downloads.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from kdsl.errors import KdslError
from peering.children import Failed
from peering.environments import PEERS, Peer, ensure_environment
from peering.table import Finding, Verdict, failed, table
from peering.workplace import Workplace

_FOLDER = Path(__file__).resolve().parents[2] / "build/peers"


def main(arguments: list[str]) -> int:
    names = [peer.name for peer in PEERS]
    parser = argparse.ArgumentParser(
        prog="scripts/peers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", nargs="?", type=Path, default=_FOLDER, metavar="FOLDER", help="build/peers by default"
    )
    parser.add_argument("--only", action="append", choices=names, help="this peer alone; may be given several times")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    place = Workplace(options.folder.resolve())
    findings: list[Finding] = []
    try:
        place.prepare()
        for peer in PEERS:
            if options.only is None or peer.name in options.only:
                findings += _tried(peer, place)
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from what is in {place.folder}", file=sys.stderr)
        return 130
    print(table(findings))
    return 1 if failed(findings) else 0


def _tried(peer: Peer, place: Workplace) -> Iterator[Finding]:
    """What came of one peer; one that cannot be installed or run is told, and the others go on."""
    try:
        programs = ensure_environment(peer, place.environments, place.log(f"{peer.name}-install"))
    except (Failed, OSError) as error:
        yield Finding(peer.title, "installation", str(error), Verdict.not_run)
        return
    try:
        yield from _steps()[peer.name](peer.name, peer.title, programs, place)
    except (Failed, KdslError) as error:
        yield Finding(peer.title, "stopped", str(error), Verdict.differs)


def _steps() -> dict[str, Callable[[str, str, Path, Workplace], Iterator[Finding]]]:
    from peering.servers import try_transformers_serve, try_vllm
    from peering.trainers import try_trainer

    return {
        "llama-factory": try_trainer,
        "ms-swift": try_trainer,
        "transformers-serve": try_transformers_serve,
        "vllm": try_vllm,
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
