"""Which servers a project may contact, and which key belongs to which server.

A project comes from anybody, so it decides neither. Keys belong to the servers that the user names outside of it: the
one in the environment variable OPENAI_BASE_URL has the key in OPENAI_API_KEY, and `keys.yaml` in the user's folder
names others, a line each (`https://api.example.com: EXAMPLE_KEY`, an environment variable that holds a key). Contact
with a server that is not this machine takes the user's yes, which is kept for each project in `allowed.jsonl` there.
"""

import ipaddress
import os
import re
import shlex
import sys
from dataclasses import dataclass, field
from pathlib import Path

from kdsl.errors import KdslError
from kdsl.json_file import append_jsonl, read_jsonl

API_KEY, BASE_URL = "OPENAI_API_KEY", "OPENAI_BASE_URL"
KEYS, ALLOWED = "keys.yaml", "allowed.jsonl"

# Stricter than RFC 3986: no user, no zone, no escapes, ASCII alone, so that nothing is read in two ways.
_ADDRESS = re.compile(r"(https?)://(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?(/[!-~]*)?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": 80, "https": 443}
_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")
_LOOPBACK = ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")


@dataclass(frozen=True, slots=True)
class Consent:
    """On whose behalf a server is contacted."""

    project: Path
    """The folder of the project."""
    by_hand: tuple[str, ...] = ()
    """Addresses that the user typed for this run: they may be contacted in it, but get no key for that."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server that may be contacted."""

    url: str
    """Up to and with /v1."""
    variable: str | None
    """The environment variable for its key; None where the user names no key for it."""
    key: str = field(repr=False)
    """Empty where there is none."""


def is_address(name: str) -> bool:
    """Whether the name of a model means a server."""
    return name.startswith(("http://", "https://"))


def contact(address: str, consent: Consent | None = None) -> Server:
    """The server at http://host:port/v1, once it is sure that it may be contacted; nothing is sent, no name looked up.

    This machine always may. For another one the user is asked at a terminal, unless the address was typed by hand or
    an earlier yes is known. Raises KdslError for what is no address, without a yes, and for a key that can be none.
    """
    origin, path = _parsed(address)
    variable = key_variables().get(origin)
    key = "" if variable is None else os.environ.get(variable, "").strip()
    if not re.fullmatch(r"[!-~]*", key):  # http.client would quote it in its error
        raise KdslError(f"{variable}: holds spaces or characters outside ASCII; copy the key again")
    if not is_this_machine(origin):
        _require_consent(origin, consent, variable if key else None)
    return Server(origin + path, variable, key)


def origin_of(address: str) -> str:
    """scheme://host:port of an address, the port only where it is not the scheme's own; errors as of `contact`."""
    return _parsed(address)[0]


def key_variables() -> dict[str, str]:
    """Server → the environment variable that holds its key, as the user's folder and environment name them.

    Raises KdslError, which quotes nothing that may be a key, for what names no server.
    """
    found: dict[str, str] = {}
    if base := os.environ.get(BASE_URL, "").strip():
        try:
            found[origin_of(base)] = API_KEY
        except KdslError as error:
            raise KdslError(f"{BASE_URL}: {error}") from None
    path = user_folder() / KEYS
    if path.exists():
        found |= _read_keys(path)
    return found


def allowed_contacts() -> list[tuple[str, str]]:
    """(project, server) of every yes that was not taken back, in the order they were given."""
    path = user_folder() / ALLOWED
    allowed: dict[tuple[str, str], bool] = {}
    for number, record in read_jsonl(path) if path.exists() else ():
        project, server, yes = (record.get(key) for key in ("project", "server", "allowed"))
        if not isinstance(project, str) or not isinstance(server, str) or not isinstance(yes, bool):
            raise KdslError(f"{path}, line {number}: not a yes that KDSL kept; take this line out")
        allowed[project, server] = yes
    return [pair for pair, yes in allowed.items() if yes]


def remember(project: Path, origin: str, allowed: bool) -> None:
    """Keep the user's yes for a project, or take it back. Raises KdslError where that cannot be written."""
    path = user_folder() / ALLOWED
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.chmod(path, 0o600)
        finally:
            os.close(handle)
    except OSError as error:
        raise KdslError(
            f"{path}: cannot be written ({error.strerror}); set XDG_CONFIG_HOME to a folder that you may write to"
        ) from error
    with append_jsonl(path) as append:  # one write a line: two commands at once lose nothing
        append({"project": project_name(project), "server": origin, "allowed": allowed})


def take_back(project: Path, origin: str) -> None:
    """Take back the user's yes for a project, which need not be there any more; KdslError where there was none."""
    if (project_name(project), origin) not in allowed_contacts():
        raise KdslError(f"{project.resolve()}: was not allowed to contact {origin}; `kdsl hosts list` shows what was")
    remember(project, origin, False)


def project_name(project: Path) -> str:
    """What a project's folder is called in `allowed.jsonl`: links are followed, so a moved project is another one."""
    return os.fsencode(os.path.realpath(project)).decode("utf-8", "backslashreplace")


def user_folder() -> Path:
    """$XDG_CONFIG_HOME/kdsl, by default ~/.config/kdsl."""
    base = os.environ.get("XDG_CONFIG_HOME", "")
    if not os.path.isabs(base):  # as the XDG specification says; a relative one could lie in the project
        base = os.path.join(os.path.expanduser("~"), ".config")
    if not os.path.isabs(base):
        raise KdslError("the user has no home folder; set XDG_CONFIG_HOME to the absolute path of one")
    return Path(base) / "kdsl"


def _require_consent(origin: str, consent: Consent | None, variable: str | None) -> None:
    if consent is None:
        raise KdslError(f"{origin}: is not this machine, and no project asks for it; give the project that does")
    if origin in map(origin_of, consent.by_hand):
        return
    if (project_name(consent.project), origin) in allowed_contacts():
        return
    # A folder's name comes with the project, and a terminal would obey control characters in it.
    folder = "".join(c if c.isprintable() else "?" for c in project_name(consent.project))
    if not sys.stdin.isatty() or not sys.stderr.isatty():
        raise KdslError(
            f"{origin}: is not this machine, and {folder} may not send dialogues, screenshots and sounds there yet; "
            f"allow it with `kdsl hosts allow {origin} {shlex.quote(folder)}`"
        )
    key = "without a key" if variable is None else f"with the key in {variable}"
    # A whole line: where a progress bar is shown, only such are.
    print(
        f"{folder} wants to contact {origin}, which is not this machine.\n"
        f"It would be sent dialogues, screenshots and sounds of this project, {key}.\n"
        "Allow this, now and later? [y/N]",
        file=sys.stderr,
        flush=True,
    )
    if sys.stdin.readline().strip().lower() not in ("y", "yes", "是"):
        raise KdslError(f"{origin}: not contacted, as you did not allow it; name another model, or answer y")
    remember(consent.project, origin, True)


def _parsed(address: str) -> tuple[str, str]:
    """Origin and path of an address."""
    address = address.partition("#")[0]
    match = _ADDRESS.fullmatch(address)
    if match is None or "?" in address:
        raise _no_address(address)
    scheme, host, port = match[1].lower(), match[2].lower(), int(match[3] or _DEFAULT_PORTS[match[1].lower()])
    try:
        host = f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]" if host.startswith("[") else host
    except ValueError:
        raise _no_address(address) from None
    if not 0 < port < 65536:
        raise _no_address(address)
    at_port = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{at_port}", (match[4] or "").rstrip("/") or "/v1"


def _no_address(address: str) -> KdslError:
    """The error, without what may be a secret: a password before the host, or what follows a question mark."""
    shown = address.partition("?")[0]
    scheme, _, rest = shown.partition("://")
    authority = rest.partition("/")[0]
    host = authority.rpartition("@")[2]
    if host != authority:
        return KdslError(f"{scheme}://{host}: the address holds a password; put a key into {API_KEY} instead")
    return KdslError(f"{shown}: not the address of a server; write it like http://localhost:8000/v1")


def is_this_machine(origin: str) -> bool:
    """By its text alone: what a name server says of a name is not asked."""
    host = re.sub(r":[0-9]+$", "", origin.partition("://")[2]).strip("[]")
    if host == "localhost":
        return True
    try:
        found = ipaddress.ip_address(host)
    except ValueError:
        return False
    return any(found in network for network in _LOOPBACK if network.version == found.version)


def _read_keys(path: Path) -> dict[str, str]:
    from kdsl.yaml_file import read_yaml

    right = "write lines like `https://api.example.com: EXAMPLE_KEY`, an environment variable that holds the key"
    try:
        file = read_yaml(path)
    except KdslError:  # its sentence quotes the file, in which somebody may have put the key itself
        raise KdslError(f"{path}: cannot be read as YAML; {right}") from None
    found = {}
    for server, variable in file.value.items():
        try:
            origin = origin_of(str(server))
        except KdslError:
            raise KdslError(f"{file.where([server])}: does not begin with the address of a server; {right}") from None
        if not isinstance(variable, str) or not _VARIABLE.fullmatch(variable):
            raise KdslError(f"{file.where([server])}: names no environment variable; {right}")
        found[origin] = variable
    return found
