"""Certificates of authorities, read when a connection first needs them: reading them takes 20 ms.

aiohttp makes two contexts for TLS when it is imported, and a process that talks to nobody by https needs neither.
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class LateContext(ssl.SSLContext):
    """Without the certificates of the system until it is used, and for good when it verifies nothing."""

    _is_read = False

    def wrap_bio(self, *args: Any, **named: Any) -> ssl.SSLObject:
        self._read()
        return super().wrap_bio(*args, **named)

    def wrap_socket(self, *args: Any, **named: Any) -> ssl.SSLSocket:
        self._read()
        return super().wrap_socket(*args, **named)

    def _read(self) -> None:
        if not self._is_read and self.verify_mode is not ssl.CERT_NONE:
            self._is_read = True
            self.set_default_verify_paths()


@contextmanager
def reading_late() -> Iterator[None]:
    """Who would read the certificates of the system meanwhile does so late. For imports: nothing else may go on."""

    def late(context: ssl.SSLContext) -> None:
        context.__class__ = LateContext

    ssl.SSLContext.set_default_verify_paths = late  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        del ssl.SSLContext.set_default_verify_paths
