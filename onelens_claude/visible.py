"""Text from elsewhere, made safe to show: what a terminal or a reader would obey becomes an escape that is seen.

Names, messages and keys come from the API. A line break in one could forge a line of ours, an escape code could repaint
the screen, and a bidi control could turn an amount around.

What is here: the one helper, and which characters it escapes. What to add here: another such character.
What must not go here: markup of rich, which is not interpreted anywhere (`cli/output.py`), and data for programs, which
stays as it is.
"""

from __future__ import annotations

import re

OBEYED = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters: line breaks, escape, and the one-byte escapes of C1
    "\u00ad\u180e\u200b\u2060-\u2064\ufeff\ufff9-\ufffb"  # invisible, but not the joiners that names are written with
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"  # the direction of text
    "\u2028\u2029"  # breaks of lines and paragraphs
    "\ud800-\udfff"  # half a surrogate pair: cannot be printed
    "\U000e0000-\U000e007f"  # tags: invisible letters
    "]"
)
"""What is not shown but done, or not shown at all."""


def visible(text: str, *, keep: str = "") -> str:
    r"""Return the text on one line, with every character that would be obeyed as an escape such as `\n` or `\x1b`.

    `keep` are characters that stay as they are: line breaks in a message of our own.
    """
    return OBEYED.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
