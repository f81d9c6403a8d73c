"""How statements of an installation look: language, whose they are, the logo, the font. Pure but for `read_logo`."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ecpmon.errors import PermanentError
from ecpmon.model.tenants import Language
from ecpmon.resources import data_dir
from ecpmon.settings import Settings

MAX_LOGO_BYTES: Final = 256 * 1024
MAX_LOGO_PIXELS: Final = 2000
_PNG: Final = b"\x89PNG\r\n\x1a\n"


class UnusableLogo(PermanentError):
    """`ECPMON_STATEMENT_LOGO` names no picture that can be printed."""

    code = "UNUSABLE_LOGO"
    status = 500


@dataclass(frozen=True, slots=True)
class Logo:
    """A picture: `kind` is `png` or `svg`."""

    kind: str
    data: bytes

    @property
    def url(self) -> str:
        """The picture as a `data:` URL. In an `img` no script of an SVG runs."""
        media = "image/png" if self.kind == "png" else "image/svg+xml"
        return f"data:{media};base64,{base64.b64encode(self.data).decode()}"


@dataclass(frozen=True, slots=True)
class Look:
    """`operator`: who issues the statements; `logo`: a PNG or SVG file; `font`: a TrueType file, None: ours."""

    language: Language = Language.EN
    operator: str = ""
    logo: Path | None = None
    font: Path | None = None

    @classmethod
    def of(cls, settings: Settings, language: Language) -> Look:
        return cls(language, settings.statement_operator, settings.statement_logo, settings.pdf_font)

    @property
    def font_file(self) -> Path:
        return self.font or data_dir("fonts") / "NanumSquareR.ttf"


def read_logo(path: Path) -> Logo:
    """The picture in a file of at most `MAX_LOGO_BYTES`. Raises UnusableLogo."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_LOGO_BYTES + 1)
    except OSError as error:
        raise UnusableLogo(f"{path} cannot be read: {error.strerror or error}") from error
    if len(data) > MAX_LOGO_BYTES:
        raise UnusableLogo(f"{path} is larger than {MAX_LOGO_BYTES // 1024} KiB")
    if data.startswith(_PNG):
        return Logo("png", _checked_png(path, data))
    head = data.lstrip(b"\xef\xbb\xbf \t\r\n")[:2000]
    if head.startswith(b"<") and b"<svg" in data and b"<!ENTITY" not in data:
        return Logo("svg", data)
    raise UnusableLogo(f"{path} is neither a PNG nor an SVG")


def _checked_png(path: Path, data: bytes) -> bytes:
    """A small file may unpack to a huge picture: its header says how large."""
    sides = struct.unpack(">II", data[16:24]) if len(data) >= 24 else (0, 0)
    if not all(1 <= side <= MAX_LOGO_PIXELS for side in sides):
        raise UnusableLogo(f"{path} must have 1 to {MAX_LOGO_PIXELS} pixels on each side")
    return data
