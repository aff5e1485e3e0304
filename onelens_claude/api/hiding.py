"""The key, taken out of what others say: a proxy's error page may repeat a request's headers, in any spelling.

What is here: finding and replacing a key, plain or escaped. What to add here: another way to spell a character.
What must not go here: which texts are shown or kept (`answers.py`, `client.py`).
"""

from __future__ import annotations

import re
from functools import lru_cache

HIDDEN_KEY = "[key]"
"""Shown in place of a key."""
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def without_key(text: str, key: str) -> str:
    """Return a text without the key, however its characters are escaped in JSON, HTML or an address."""
    return body_without_key(text.encode("utf-8", "surrogatepass"), key).decode("utf-8", "surrogatepass")


def body_without_key(body: bytes, key: str) -> bytes:
    """Return an answer without the key, to be kept aside."""
    return _anyhow(key).sub(HIDDEN_KEY.encode(), body)


def without_credentials(text: str) -> str:
    """Return a text without the user and password of an address: that of a proxy may have both."""
    return _CREDENTIALS.sub("", text)


def repeats_key(body: bytes, key: str) -> bool:
    """Tell whether JSON has the key in it, plain or escaped."""
    if key.encode() in body:
        return True
    # a page has megabytes: the slow search is for the few that escape a character of the key
    return b"\\u00" in body and _escapes(key).search(body) is not None and _anyhow(key).search(body) is not None


@lru_cache(maxsize=64)
def _anyhow(key: str) -> re.Pattern[bytes]:
    """Return the pattern of a key whose characters may be plain or escaped, each in its own way."""
    return re.compile(b"".join(_spellings(character) for character in key.encode()))


@lru_cache(maxsize=64)
def _escapes(key: str) -> re.Pattern[bytes]:
    return re.compile(rb"\\u00(?i:" + b"|".join(b"%02x" % one for one in sorted(set(key.encode()))) + b")")


def _spellings(character: int) -> bytes:
    plain = re.escape(bytes([character]))
    return rb"(?:\\{0,4}%b|(?i:\\{1,4}u00%02x|%%%02x|&#x0*%x;|&#0*%d;))" % ((plain,) + (character,) * 4)
