"""Addresses of this computer that a page or a service is reached by."""

import ipaddress
import socket

from kdsl.errors import KdslError

LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
"""What this computer is called by those on it, without the port."""


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there already, so that who comes before the server runs waits; port 0 takes a free one.

    Raises KdslError, as the options --host and --port tell it, for an address that cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # By its protocol asyncio knows that answers must not wait for each other (TCP_NODELAY): that takes 40 ms each.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()
    except (OSError, OverflowError, TypeError) as error:
        listening.close()
        told = error.strerror if isinstance(error, OSError) else "no number from 0 to 65535"
        raise KdslError(f"--host {host} --port {port}: {told}; choose another with --port") from error
    return listening


def is_local(host: str) -> bool:
    """Whether only this computer reaches the address.

    >>> is_local("127.0.0.1"), is_local("0.0.0.0")
    (True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def shown_host(host: str) -> str:
    """What an address calls the computer: where it listens on all of its addresses, by its name."""
    return socket.gethostname() if host in ("0.0.0.0", "::") else f"[{host}]" if ":" in host else host


def host_name(header: str) -> str:
    """What the header `Host` calls the computer, without the port.

    >>> host_name("LocalHost:8400"), host_name("[::1]")
    ('localhost', '[::1]')
    """
    head, colon, port = header.lower().rpartition(":")
    return head if colon and port.isdecimal() else header.lower()
