"""List prices as integers, and money as text: everything the server knows about an amount.

What is here: the price table, the units, the discounts and the formatting of money.
What to add here: another model, price or discount.
What must not go here: token counts (events.py) and the truth, which has its own decimal price table on purpose.

Units: a price is a whole number of 10^-7 cents, a discount factor of 10^-5, an amount of 10^-12 cents.
Every price in the contract is whole in these units, so no amount is ever rounded and none has more than 12 digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

PRICE_UNITS_PER_CENT = 10**7
FACTOR_UNIT = 10**5
AMOUNT_UNITS_PER_CENT = PRICE_UNITS_PER_CENT * FACTOR_UNIT

WEB_SEARCH_PRICE = PRICE_UNITS_PER_CENT
"""10 USD per 1,000 searches: one cent each."""
CODE_EXECUTION_PRICE = 4_375_000
"""0.4375 cents per execution span."""

TOKEN_TYPES = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "output_tokens",
)
COMPONENTS: tuple[tuple[str, str | None], ...] = (
    *(("tokens", token_type) for token_type in TOKEN_TYPES),
    ("web_search", None),
    ("code_execution", None),
)
"""(cost_type, token_type) of the seven money columns, in their order."""


_OUTPUT = TOKEN_TYPES.index("output_tokens")
_PREMIUM = 2
"""Code of the dearer value of context, geo and speed."""


@dataclass(frozen=True)
class Model:
    """A model: dollars per million input and output tokens, and which premiums it offers."""

    name: str
    input_usd: int
    output_usd: int
    has_fast: bool = False
    has_long_context: bool = True


MODELS = (
    Model("claude-opus-4-5", 5, 25, has_long_context=False),
    Model("claude-opus-4-6", 5, 25, has_fast=True),
    Model("claude-opus-4-7", 5, 25, has_fast=True),
    Model("claude-sonnet-4-5", 3, 15),
    Model("claude-sonnet-4-6", 3, 15),
    Model("claude-haiku-4-5", 1, 5, has_long_context=False),
)


def models_of(wide: int) -> tuple[Model, ...]:
    """Return the models of an organisation; `wide` adds that many more (True: 130), priced as Sonnet."""
    extra = 130 if wide is True else int(wide)
    return (*MODELS, *(Model(f"claude-sonnet-4-6-build-{number:03d}", 3, 15) for number in range(extra)))


def price_table(models: tuple[Model, ...]) -> Ints:
    """Return the price per token in 10^-7 cents, indexed [model, context, geo, speed, token type].

    Index 0 of each dimension is null: no model costs nothing; no context, geo or speed is the plain price.
    Context 2 is 200k-1M, geo 2 is us, speed 2 is fast.
    """
    table = np.zeros((len(models) + 1, 3, 3, 3, 5), dtype=np.int64)
    for row, model in enumerate(models, start=1):
        price = model.input_usd * 1000
        plain = (price, price // 10, price * 5 // 4, price * 2, model.output_usd * 1000)
        for context in range(3):
            for geo in range(3):
                for speed in range(3):
                    for kind, value in enumerate(plain):
                        long = (3 if kind == _OUTPUT else 4) * value // 2 if context == _PREMIUM else value
                        fast = long * 6 if speed == _PREMIUM else long
                        scaled = fast * 11 if geo == _PREMIUM else fast * 10
                        if scaled % 10:
                            raise AssertionError("a price is not whole in 10^-7 cents")
                        table[row, context, geo, speed, kind] = scaled // 10
    return table


def format_amount(units: int) -> str:
    """Write an amount of 10^-12 cents as a decimal string in cents, with 6 to 12 fractional digits."""
    sign = "-" if units < 0 else ""
    whole, fraction = divmod(abs(units), AMOUNT_UNITS_PER_CENT)
    digits = f"{fraction:012d}"
    return f"{sign}{whole}.{digits[:6]}{digits[6:].rstrip('0')}"
