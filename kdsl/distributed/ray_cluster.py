"""Joining a Ray cluster, or starting Ray on this machine: in seconds, or one sentence why not."""

import logging
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kdsl.distribution import EXTRAS, Extra, install_command, package, requirements
from kdsl.errors import KdslError, first_line
from kdsl.version import __version__

PORT_OF_CLIENTS, PORT_OF_CLUSTER = 10001, 6379
PATIENCE = 5.0
"""Seconds in which somebody must listen at an address."""
ANSWER = 120.0
"""Seconds in which a node must say what is installed there; its first process may take long to start."""
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
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        try:
            ray.init(address, include_dashboard=None if address else False, **options)
        except ConnectionAbortedError:  # the process that a head starts for a client may hang as it starts
            ray.init(address, **options)
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
    host, colon, port = address.removeprefix(_CLIENT).rpartition(":")
    if not colon:
        host, port = port, str(PORT_OF_CLIENTS if client else PORT_OF_CLUSTER)
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
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
    if os.environ.get("RAY_USE_TLS", "0") in ("0", "") and not _speaks_grpc(f"{host}:{port}"):
        raise KdslError(
            f"--address {address}: who listens there is no Ray cluster; its head listens at {PORT_OF_CLUSTER}, and "
            f"for ray:// at {PORT_OF_CLIENTS}, where it was not told otherwise"
        )


def _speaks_grpc(target: str) -> bool:
    """Whether a server answers as those of Ray do: Ray itself would try for minutes, and then end this process."""
    import grpc

    with grpc.insecure_channel(target, [("grpc.enable_http_proxy", 0)]) as channel:
        try:
            grpc.channel_ready_future(channel).result(PATIENCE)
        except grpc.FutureTimeoutError:
            return False
    return True


def is_client(ray: Any) -> bool:
    """Whether this process is none of the cluster's, but talks to its head: the address is one of ray://."""
    return bool(ray.util.client.ray.is_connected())


def require_same_everywhere(ray: Any, needs: Sequence[str]) -> None:
    """Raise KdslError, naming the node, where KDSL is missing or of another version, or an extra of `needs` is."""
    from ray.exceptions import GetTimeoutError, RayError, RayTaskError
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    wanted: list[Extra] = [extra for extra in EXTRAS if extra in needs]
    packages = {package(requirement): extra for extra in wanted for requirement in requirements(extra)}
    nodes = [node for node in ray.nodes() if node["Alive"] and node["Resources"].get("CPU")]
    ask = ray.remote(num_cpus=0, max_retries=0)(_asked_there())
    asked = [
        ask.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)).remote([*packages])
        for node in nodes
    ]
    for node, answer in zip(nodes, asked, strict=True):
        name = f"node {node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
        try:
            version, missing = ray.get(answer, timeout=ANSWER)
        except GetTimeoutError as error:
            raise KdslError(f"{name}: does not answer within {ANSWER:.0f} seconds; look at its logs") from error
        except RayTaskError as error:
            raise KdslError(f"{name}: KDSL cannot be used there ({first_line(error.cause)})") from error
        except RayError:
            continue  # the node has just been lost: what it would have done goes to the others
        if version != __version__:
            has = "has no KDSL" if version is None else f"has KDSL {version}"
            raise KdslError(f"{name}: {has}, and this machine {__version__}; install the same version everywhere")
        if missing:
            commands = "; ".join(dict.fromkeys(install_command(packages[each]) for each in missing))
            raise KdslError(f"{name}: lacks {', '.join(missing)}, which this step needs; install there: {commands}")


def _asked_there() -> Callable[[list[str]], tuple[str | None, list[str]]]:
    """What a node is asked: its version of KDSL, None without it, and which of some packages it lacks.

    A function within one is sent as it is, so that a node without KDSL can answer, too.
    """

    def facts(packages: list[str]) -> tuple[str | None, list[str]]:
        from importlib.metadata import PackageNotFoundError, version

        missing = []
        for name in packages:
            try:
                version(name)
            except PackageNotFoundError:
                missing.append(name)
        try:
            from kdsl.version import __version__
        except ImportError:
            return None, missing
        return __version__, missing

    return facts


def cause(error: BaseException) -> str:
    """What an error of Ray's goes back to, in a line: its own messages are traces of other processes."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not said:
        return type(error).__name__
    return said[-1] if len(said) > 1 and ("Traceback" in str(error) or "ray::" in said[0]) else said[0]
