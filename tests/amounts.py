"""Exact arithmetic for what tests expect of money.

What belongs here: a rounding that a table promises. What does not: which amounts there are.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal, localcontext


def share_of(part: Decimal, whole: Decimal) -> Decimal:
    """Return the quotient rounded half away from zero at 12 digits, as `organization_share` promises."""
    with localcontext(prec=60):
        return (part / whole).quantize(Decimal("1e-12"), ROUND_HALF_UP)
