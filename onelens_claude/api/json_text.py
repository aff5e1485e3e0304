"""JSON that is legal, but that strict readers refuse: a byte order mark, half of a surrogate pair.

What is here: the same text, byte for byte as long, in a form that every reader takes. What to add here: another such
form. What must not go here: JSON that is wrong; that stays an error. The bytes as they came are kept in the raw layer.
"""

from __future__ import annotations

import re

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ESCAPE = re.compile(
    rb"\\(?:(u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""A pair, a half, or any other escape, read from the left: an escaped backslash begins none."""


def readable_json(text: bytes) -> bytes:
    """Return `text` with spaces for a byte order mark and U+FFFD for each half surrogate pair; of the same length."""
    if text.startswith(_BYTE_ORDER_MARK):
        text = b"   " + text[len(_BYTE_ORDER_MARK) :]
    if b"\\ud" not in text and b"\\uD" not in text:
        return text
    return _ESCAPE.sub(lambda found: b"\\ufffd" if found[2] else found[0], text)
