"""The licence of each distribution of the lock, as SPDX names, and which of them may come in.

Formula: what a distribution's own metadata says counts, first `License-Expression`, then `License`, then its
classifiers; where these only say "BSD" or "Apache", `READ` has what its licence file says. An expression is allowed
when every licence in it is, though one of an `OR` would do: nobody has to choose. What says nothing is refused.

    python -m release.licences           write docs/licences.md
    python -m release.licences --check   refuse what may not come in
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from release.locked import LOCK, ROOT, Pin, pins

PAGE = ROOT / "docs" / "licences.md"
_FREE = {
    "0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CNRI-Python", "ISC", "MIT", "MIT-0", "MIT-CMU", "PSF-2.0",
    "Unlicense", "Zlib",
}  # fmt: skip
# Who changes files of theirs has to give the changes away; imported as they are, they ask for nothing of ours.
_OF_THEIR_FILES = {"LGPL-3.0-or-later", "MPL-2.0"}
ALLOWED = frozenset(_FREE | _OF_THEIR_FILES)
# Read in the licence files of those whose metadata names a family only.
READ = {
    "cssselect2": "BSD-3-Clause",
    "google-re2": "BSD-3-Clause",
    "jsonpatch": "BSD-3-Clause",
    "kubernetes-validate": "Apache-2.0",
    "reportlab": "BSD-3-Clause",
    "tinycss2": "BSD-3-Clause",
    "webencodings": "BSD-3-Clause",
}
# How metadata before SPDX says it.
_SAID = {
    "apache 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "isc license": "ISC",
    "mit license": "MIT",
    "mozilla public license 2.0 (mpl 2.0)": "MPL-2.0",
    "python software foundation license": "PSF-2.0",
}


class NoLicence(Exception):
    """A distribution whose licence is not known, or may not come in; the message says which and what to do."""


def licence(name: str) -> str:
    """The SPDX expression of an installed distribution. Raises NoLicence."""
    if name in READ:
        return READ[name]
    try:
        metadata = distribution(name).metadata
    except PackageNotFoundError:
        raise NoLicence(f"{name} is in the lock and not installed: run `make setup` or `make lock`") from None
    if metadata.get("License-Expression"):
        return str(metadata["License-Expression"])
    classified = [
        c.rpartition(" :: ")[2] for c in metadata.get_all("Classifier") or () if c.startswith("License")
    ]
    for said in (str(metadata.get("License") or ""), *classified):
        spdx = _SAID.get(said.strip().lower(), said.strip())
        if spdx in ALLOWED:
            return spdx
    raise NoLicence(
        f"{name} says no licence that may come in, in words known here: read its file ({Path(__file__).name})"
    )


def refused(expression: str) -> list[str]:
    """Which licences of an expression may not come in."""
    named = re.findall(r"[A-Za-z0-9.+-]+", expression)
    return [one for one in named if one not in {"AND", "OR"} | ALLOWED]


def listed() -> dict[str, str]:
    """The licence of each distribution of the lock, by name. Raises NoLicence."""
    found = {pin.name: licence(pin.name) for pin in pins(LOCK.read_text()) if _is_for_here(pin)}
    for name, expression in found.items():
        if wrong := refused(expression):
            raise NoLicence(
                f"{name} is under {' and '.join(wrong)}, which may not come in ({Path(__file__).name})"
            )
    return found


def _is_for_here(pin: Pin) -> bool:
    return pin.marker is None or pin.marker.evaluate()


def page() -> str:
    """`docs/licences.md`."""
    rows = "".join(f"| {name} | {expression} |\n" for name, expression in listed().items())
    return f"{_HEAD}{rows}"


_HEAD = """# Licences of what runs with it
Written by `make licences` from `requirements.lock` and what each package says of itself; those of the pages'
JavaScript stand in `ui/lock.json`, that of the font beside it. What is allowed is in `release/licences.py`; a test
refuses the rest.

| package | licence |
|---|---|
"""


def main(arguments: list[str]) -> int:
    try:
        text = page()
    except NoLicence as problem:
        sys.exit(str(problem))
    if "--check" not in arguments:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") != text:
        sys.exit("docs/licences.md is not what the lock says: run `make licences`")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
