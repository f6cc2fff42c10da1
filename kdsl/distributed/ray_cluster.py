"""Joining a Ray cluster, or starting Ray on this machine: in seconds, or one sentence why not."""

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kdsl.distribution import EXTRAS, install_command, installed_version, requirements
from kdsl.errors import KdslError, first_line
from kdsl.version import __version__

PORT_OF_CLIENTS, PORT_OF_CLUSTER = 10001, 6379
PATIENCE = 5.0
"""Seconds in which somebody must listen at an address."""
_CLIENT = "ray://"


@contextmanager
def joined(address: str | None) -> Iterator[Any]:
    """`ray`, connected to the cluster at an address; without one to that of RAY_ADDRESS, or one on this machine alone.

    A program that has Ray already keeps it. A cluster that was there stays when this ends; one that was begun here
    ends. Raises KdslError where Ray is missing, for an address at which nobody listens, and one that is no address.
    """
    try:
        import ray
    except ImportError as error:
        raise KdslError(f"--engine ray needs Ray, which is not installed: {install_command('ray')}") from error
    if ray.is_initialized():
        yield ray
        return
    address = address or os.environ.get("RAY_ADDRESS") or None
    if address is not None and address not in ("auto", "local"):
        _require_listener(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is told to anybody unasked
    try:
        ray.init(
            address, log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False if not address else None
        )
    except Exception as error:  # Ray and its client raise many kinds
        raise KdslError(
            f"{address or 'Ray'}: cannot be joined ({first_line(error)}); see whether it has this version of Ray "
            f"({ray.__version__}) and of Python"
        ) from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _require_listener(address: str) -> None:
    client = address.startswith(_CLIENT)
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    if not host:
        host, port = port, str(PORT_OF_CLIENTS if client else PORT_OF_CLUSTER)
    if not port.isdecimal() or not 0 < int(port) < 65536 or "/" in host:
        raise KdslError(
            f"--address {address}: is no address of a cluster; give one such as ray://head:{PORT_OF_CLIENTS} or "
            f"head:{PORT_OF_CLUSTER}"
        )
    try:
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()
    except OSError as error:
        raise KdslError(
            f"--address {address}: nobody listens there ({error.strerror or first_line(error)}); start a cluster with "
            f"`ray start --head --ray-client-server-port={PORT_OF_CLIENTS}`, or correct the address"
        ) from error


def require_same_everywhere(ray: Any, needs: Sequence[str]) -> None:
    """Raise KdslError, naming the node, where KDSL is missing or of another version, or an extra of `needs` is."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    ask = ray.remote(num_cpus=0, max_retries=0)(facts)
    asked = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote(
            tuple(needs)
        )
        for node in nodes
    ]
    for node, answer in zip(nodes, asked, strict=True):
        name = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        try:
            version, missing = ray.get(answer)
        except Exception as error:  # what a node cannot import is told in Ray's own way
            raise KdslError(
                f"node {name}: KDSL {__version__} cannot be used there ({_cause(error)}); install it as here"
            ) from error
        if version != __version__:
            raise KdslError(
                f"node {name}: has KDSL {version}, and this machine {__version__}; install the same version everywhere"
            )
        if missing:
            raise KdslError(f"node {name}: lacks {', '.join(missing)}; install there what this step needs")


def facts(needs: tuple[str, ...]) -> tuple[str, list[str]]:
    """The version of KDSL in this process, and the packages that extras of it lack."""
    missing = []
    for extra in EXTRAS:
        if extra in needs:
            names = [_package(requirement) for requirement in requirements(extra)]
            missing += [name for name in names if installed_version(name) is None]
    return __version__, missing


def _package(requirement: str) -> str:
    """The name of the package in a requirement such as `numpy>=2.0`."""
    import re

    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0]


def _cause(error: Exception) -> str:
    lines = [line for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].strip() if lines else type(error).__name__
