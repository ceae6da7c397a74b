"""The address that the service listens at."""

from __future__ import annotations

import socket
import urllib.error
import urllib.request
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address

from features.errors import OutsideError, SettingsError
from features.messages import as_message

_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


@dataclass(frozen=True)
class ListenAddress:
    """An IP address and a port."""

    host: str
    port: int

    @property
    def url(self) -> str:
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{shown}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        with suppress(ValueError):
            return ip_address(self.host).is_loopback
        return False

    def check(self) -> None:
        """Raise SettingsError when the host is no IP address, OutsideError when the port is taken."""
        try:
            family = socket.AF_INET6 if ip_address(self.host).version == 6 else socket.AF_INET
        except ValueError:
            raise SettingsError(
                "--host {host!r} is no address; say for example 127.0.0.1, or 0.0.0.0 for all.",
                host=self.host,
            ) from None
        with socket.socket(family) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((self.host, self.port))
            except OSError as problem:
                raise OutsideError(
                    "{url}: cannot be listened at ({reason}). Stop what uses it, or "
                    "choose another with --port.",
                    url=self.url,
                    reason=as_message(str(problem.strerror)),
                ) from None

    def is_ready(self) -> bool:
        url = ListenAddress(_WILDCARDS.get(self.host, self.host), self.port).url
        try:
            with urllib.request.urlopen(f"{url}/readyz", timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False
