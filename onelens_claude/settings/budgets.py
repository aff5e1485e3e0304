"""Budgets of the settings file: what each limits, and why one is refused.

What is here: the keys of `budgets`. What to add here: a key, a scope, a period.
What must not go here: the spend beside a limit (`dbt_project/models/marts/budgets`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args

from pydantic import Field, field_validator, model_validator

from onelens_claude.settings.values import EACH, Amount, Section

if TYPE_CHECKING:
    from decimal import Decimal

Scope = Literal["organization", "user", "product", "model", "team"]
_LATER_SCOPES = {"provider"}


class Budget(Section):
    """A limit on what an organisation, user, product, model or team may cost in a day, a week or a month (UTC)."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$")]
    organization: str
    scope: Scope = "organization"
    value: Annotated[str, Field(min_length=1)] | None = None
    period: Literal["monthly", "weekly", "daily"] = "monthly"
    limit_usd: Amount | None = None
    monthly_usd: Amount | None = None
    warn_percent: Annotated[tuple[Annotated[int, Field(gt=0, le=1000)], ...], Field(strict=False)] = (50, 80, 100)
    forecast: bool = False

    @field_validator("scope", mode="before")
    @classmethod
    def _scope_of_this_version(cls, value: Any) -> Any:
        if value in _LATER_SCOPES:
            raise ValueError(f"{value} is not part of this version; use one of {', '.join(get_args(Scope))}")
        return value

    @field_validator("warn_percent")
    @classmethod
    def _each_percent_once(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a percent is given twice")
        return tuple(sorted(value))

    @model_validator(mode="after")
    def _whole(self) -> Budget:
        if (self.limit_usd is None) == (self.monthly_usd is None):
            raise ValueError("give exactly one of limit_usd and monthly_usd")
        if self.monthly_usd is not None and self.period != "monthly":
            raise ValueError(f"monthly_usd does not go with period {self.period}; use limit_usd")
        if self.forecast and self.period != "monthly":
            raise ValueError(f"forecast does not go with period {self.period}; what is forecast is a month")
        if self.scope == "organization" and self.value is not None:
            raise ValueError("scope organization takes no value; `organization` names it")
        if self.scope != "organization" and self.value is None:
            raise ValueError(f"scope {self.scope} needs a value; '{EACH}' is each one")
        return self

    @property
    def limit(self) -> Decimal:
        """The limit in US dollars, under whichever key it was given."""
        return self.monthly_usd if self.limit_usd is None else self.limit_usd  # type: ignore[return-value]
