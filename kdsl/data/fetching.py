"""Fetching the images and sounds that samples name by address: from public places, within limits, and nothing else.

The addresses stand in data that anybody may have written. So whoever asks for them decides which private places, this
machine among them, may be asked: a name is looked up first, all that it stands for must be public, and the connection
is made to what was looked up. That holds for every redirection too.
"""

import ipaddress
import socket
import time
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urljoin

import urllib3
from urllib3.exceptions import HTTPError, LocationParseError, MaxRetryError, ReadTimeoutError
from urllib3.util import Retry, Timeout, Url, parse_url

from kdsl.data.media_folder import MediaFolder, NoMedium
from kdsl.errors import KdslError, first_line
from kdsl.progress import Progress, track

_REDIRECTIONS = 5
_CONNECT, _READ, _WHOLE = 10, 20, 120
"""Seconds: to be connected, between two pieces of an answer, and for all of it."""
_AT_ONCE = 8
_PIECE = 1 << 16
_AGAIN = Retry(
    total=2, redirect=False, status_forcelist={429, 500, 502, 503, 504}, backoff_factor=0.5, retry_after_max=10,
    raise_on_status=False,
)  # fmt: skip
_PORTS = {"http": 80, "https": 443}
_TRANSLATED = ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("64:ff9b:1::/48")
"""Addresses of IPv6 that stand for one of IPv4: nobody knows where they lead."""


class NotFetched(KdslError):
    """Why there is no file at an address; the message does not repeat the address."""


@dataclass
class FetchOutcome:
    """How many files were fetched, and why the others were not: address → reason."""

    fetched: int = 0
    problems: dict[str, str] = field(default_factory=dict)


def fetch_files(
    addresses: Iterable[str], folder: MediaFolder, private: Collection[str] = (), progress: Progress | None = None
) -> FetchOutcome:
    """Fetch what is at `addresses` into the cache of `folder`; each file is kept as soon as it is there.

    `private` are hosts that may be asked although they are not public. Raises KdslError where the cache cannot be
    written; whatever else goes wrong is among the problems.
    """
    wanted = list(dict.fromkeys(addresses))
    outcome = FetchOutcome()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            reasons = pool.map(partial(_fetch, folder, {host.lower().strip("[]") for host in private}), wanted)
            for address, reason in zip(wanted, track(reasons, "Fetching", len(wanted), progress), strict=True):
                if reason is None:
                    outcome.fetched += 1
                else:
                    outcome.problems[address] = reason
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return outcome


def _fetch(folder: MediaFolder, private: Collection[str], address: str) -> str | None:
    """Why what is at `address` is not in the cache; None where it is."""
    try:
        folder.keep_fetched(address, _answer(address, folder, private, time.monotonic() + _WHOLE))
    except NoMedium as error:
        return f"what it sends cannot be used, as such {folder.medium.themselves} {error}"
    except NotFetched as error:
        return str(error)
    return None


def _answer(address: str, folder: MediaFolder, private: Collection[str], until: float) -> bytes:
    """What is at the end of all redirections; NotFetched where there is nothing that may be read."""
    for _ in range(_REDIRECTIONS + 1):
        url = _parsed(address)
        response = _asked(url, _looked_up(url, private), folder.accepted)
        try:
            if response.status in (301, 302, 303, 307, 308) and response.headers.get("Location"):
                address = urljoin(address, response.headers["Location"])
                continue
            if response.status != 200:
                raise NotFetched(f"the server answers {response.status}")
            return _read(response, folder.largest, until)
        finally:
            response.close()
    raise NotFetched(f"it is redirected more than {_REDIRECTIONS} times")


def _parsed(address: str) -> Url:
    try:
        url = parse_url(address)
    except LocationParseError as error:
        raise NotFetched("is no address") from error
    if url.scheme not in _PORTS or not url.host:
        raise NotFetched(f"leads to {address[:60]!r}, which is no http:// address")
    if url.auth is not None:
        raise NotFetched("holds a password, which is not sent")
    return url


def _looked_up(url: Url, private: Collection[str]) -> str:
    """An IP address of the host, where all that it has may be asked."""
    host = (url.host or "").strip("[]").lower()
    try:
        found = socket.getaddrinfo(host, url.port or _PORTS[url.scheme or "http"], type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise NotFetched(f"the host {host} is not known") from error
    known = [str(each[4][0]).partition("%")[0] for each in found]
    if host not in private and not all(map(_is_public, known)):
        raise NotFetched(f"{host} is a private place; --host {host} allows it")
    return known[0]


def _is_public(address: str) -> bool:
    """Whether anybody in the world may be meant by an IP address."""
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        elif ip.sixtofour is not None or ip.teredo is not None or any(ip in network for network in _TRANSLATED):
            return False
    return ip.is_global and not ip.is_multicast


def _asked(url: Url, ip: str, accepted: str) -> urllib3.BaseHTTPResponse:
    """The answer of the machine at `ip`, of which only the head is read; proxies of the environment are not used."""
    name = (url.host or "").strip("[]")
    timeout = Timeout(connect=_CONNECT, read=_READ)
    # Packed, an answer could become any size.
    headers = {"Host": url.netloc or name, "Accept": accepted, "Accept-Encoding": "identity", "User-Agent": "kdsl"}
    try:
        if url.scheme == "https":
            pool: urllib3.HTTPConnectionPool = urllib3.HTTPSConnectionPool(
                ip, url.port, timeout=timeout, retries=_AGAIN, assert_hostname=name, server_hostname=name
            )
        else:
            pool = urllib3.HTTPConnectionPool(ip, url.port, timeout=timeout, retries=_AGAIN)
        return pool.request("GET", url.request_uri, headers=headers, redirect=False, preload_content=False)
    except MaxRetryError as error:
        raise NotFetched(_why(error.reason or error)) from error
    except HTTPError as error:
        raise NotFetched(_why(error)) from error


def _read(response: urllib3.BaseHTTPResponse, most: int, until: float) -> bytes:
    pieces, size = [], 0
    try:
        for piece in response.stream(_PIECE, decode_content=False):
            size += len(piece)
            if size > most:
                raise NotFetched(f"has more than {most >> 20} MB")
            if time.monotonic() > until:
                raise NotFetched(f"takes more than {_WHOLE} seconds")
            pieces.append(piece)
    except HTTPError as error:
        raise NotFetched(_why(error)) from error
    return b"".join(pieces)


def _why(error: Exception) -> str:
    if isinstance(error, ReadTimeoutError):
        return f"there is no answer within {_READ} seconds"
    return f"it cannot be reached ({first_line(error).rsplit(': ', 1)[-1][:100]})"
