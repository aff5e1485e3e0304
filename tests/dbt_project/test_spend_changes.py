"""Why a month cost more: the effects against a second calculation in plain Python, from the facts of the oracle.

What belongs here: spend_changes and its drivers as built. What does not: single rules (unit tests beside the models).
"""

from __future__ import annotations

import calendar
from collections import defaultdict
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from tests.dbt_project import oracle
from tests.dbt_project.oracle import DAY

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterator

    from tests.dbt_project.conftest import Built

EFFECTS = (
    "volume",
    "mix",
    "price",
    "discount",
    "new_users",
    "gone_users",
    "new_models",
    "gone_models",
    "credits",
    "other",
)
Lines = dict[tuple[Any, ...], tuple[Any, ...]]


def days_of(month: dt.date) -> list[dt.date]:
    return [month + number * DAY for number in range(calendar.monthrange(month.year, month.month)[1])]


def compared_days(known: set[dt.date], month: dt.date) -> tuple[list[dt.date], list[dt.date]]:
    """Return the days of `month` and those of the month before that stand against each other."""
    days, before = days_of(month), days_of((month - DAY).replace(day=1))
    if {*days, *before} <= known:
        return before, days
    pairs = [(old, new) for old, new in zip(before, days, strict=False) if {old, new} <= known]
    return [old for old, _ in pairs], [new for _, new in pairs]


def rounded(value: Decimal) -> Decimal:
    return value.quantize(Decimal("1e-12"), ROUND_HALF_UP)


class Comparison:
    """One month of one organisation against the month before."""

    def __init__(self, built: Built, organization_id: str, month: dt.date) -> None:
        self.costs, self.usage = facts(built)
        days = compared_days(oracle.complete_days(built, "cost")[organization_id], month)
        self.organization_id, self.days = organization_id, days
        has_tokens = oracle.complete_days(built, "usage")[organization_id]
        whole = oracle.partly_detailed_days(self.costs, self.usage)
        self.unpriced: set[dt.date] = set()
        self.undetailed: set[dt.date] = set()
        by_number: dict[int, list[dt.date]] = defaultdict(list)
        for day in (*days[0], *days[1]):
            by_number[day.day].append(day)
        for same in by_number.values():
            if not set(same) <= has_tokens or built.organizations[organization_id]["plan"] == "seat":
                self.unpriced |= set(same)
            if any((organization_id, day) in whole for day in same):
                self.undetailed |= set(same)

    def lines(self, facts: Lines) -> Iterator[tuple[int, bool, tuple[Any, ...], tuple[Any, ...]]]:
        """Yield (side, whether it is priced, user and dimensions, measures)."""
        for (organization_id, day, *key), values in facts.items():
            for side in (0, 1):
                if organization_id == self.organization_id and day in self.days[side]:
                    is_priced = day not in self.unpriced and (key[0] is not None or day not in self.undetailed)
                    yield side, is_priced, tuple(key), values

    def users_of_one_side(self) -> dict[str, int]:
        sides: dict[str, set[int]] = defaultdict(set)
        for side, _, (user, *_), (amount, *_) in self.lines(self.costs):
            if user is not None and amount:
                sides[user].add(side)
        return {user: min(seen) for user, seen in sides.items() if len(seen) == 1}

    def effects(self) -> dict[tuple[Any, Any], dict[str, Decimal]]:
        """Return (product, model) to effects in cents."""
        found: dict[tuple[Any, Any], dict[str, Decimal]] = defaultdict(lambda: dict.fromkeys(EFFECTS, Decimal(0)))
        alone = self.users_of_one_side()
        items: dict[tuple[Any, ...], list[list[Decimal]]] = defaultdict(lambda: [[Decimal(0)] * 3 for _ in range(2)])
        for side, is_priced, (user, *dimensions), (amount, listed, *_) in self.lines(self.costs):
            *key, cost_type, token_type = dimensions
            name = tuple(key[:2])
            sign = 1 if side else -1
            if amount < 0:
                found[name]["credits"] += sign * amount
            elif user in alone:
                found[name]["new_users" if alone[user] else "gone_users"] += sign * amount
            elif not is_priced or cost_type != "tokens" or token_type is None:
                found[name]["other"] += sign * amount
            else:
                item = items[*key, token_type][side]
                item[0] += amount
                item[1] += listed
        for side, is_priced, (user, *key), values in self.lines(self.usage):
            for counter, count in zip(oracle.TOKENS, values, strict=False):
                if is_priced and user not in alone and count:
                    items[*key, oracle.TOKEN_TYPES[counter]][side][2] += count
        for kind, (old, new) in list(items.items()):
            if min(old[2], new[2]) < 0 or (not old[2] and old[0]) or (not new[2] and new[0]):
                found[kind[0], kind[1]]["other"] += new[0] - old[0]
                del items[kind]
        return self.explained(items, found)

    @staticmethod
    def explained(
        items: dict[tuple[Any, ...], list[list[Decimal]]], found: dict[tuple[Any, Any], dict[str, Decimal]]
    ) -> dict[tuple[Any, Any], dict[str, Decimal]]:
        tokens: dict[tuple[Any, ...], list[Decimal]] = defaultdict(lambda: [Decimal(0), Decimal(0)])
        for key, sides in items.items():
            for side in (0, 1):
                tokens[key[:2]][side] = max(tokens[key[:2]][side], sides[side][2])
        both = [name for name, (old, new) in tokens.items() if old and new]
        all_tokens = [sum(sides[side][2] for key, sides in items.items() if key[:2] in both) for side in (0, 1)]
        for key, ((old, old_list, old_tokens), (new, new_list, new_tokens)) in items.items():
            effects = found[key[0], key[1]]
            if key[:2] not in both:
                effects["gone_models" if tokens[key[:2]][0] else "new_models"] += new - old
                continue
            grown = rounded(old * all_tokens[1] / all_tokens[0]) if old else Decimal(0)
            at_old_price = rounded(old * new_tokens / old_tokens) if old_tokens else new
            is_listed = old_tokens and old_list > 0
            at_old_discount = rounded(new_list * rounded(old / old_list)) if is_listed else new
            effects["volume"] += grown - old
            effects["mix"] += at_old_price - grown
            effects["price"] += at_old_discount - at_old_price
            effects["discount"] += new - at_old_discount
        return found


_FACTS: dict[Any, tuple[Lines, Lines]] = {}


def facts(built: Built) -> tuple[Lines, Lines]:
    if built.path not in _FACTS:
        _FACTS[built.path] = oracle.facts(built, "cost"), oracle.facts(built, "usage")
    return _FACTS[built.path]


def said(built: Built) -> dict[tuple[str, dt.date], dict[tuple[Any, Any], dict[str, Decimal]]]:
    columns = ", ".join(f"{effect}_effect_usd" for effect in EFFECTS)
    found: dict[tuple[str, dt.date], dict[tuple[Any, Any], dict[str, Decimal]]] = defaultdict(dict)
    for organization_id, month, product, model, *effects in built.query(
        f"select organization_id, month, product, model, {columns} from marts.spend_change_drivers"
    ):
        found[organization_id, month][product, model] = dict(zip(EFFECTS, effects, strict=True))
    return found


def test_every_effect_is_what_python_finds_to_the_last_digit(built: Built) -> None:
    drivers = said(built)
    seen: set[str] = set()
    for organization_id, known in oracle.complete_days(built, "cost").items():
        for month in sorted({day.replace(day=1) for day in known}):
            expected = Comparison(built, organization_id, month).effects()
            told = drivers.get((organization_id, month), {})
            nothing = dict.fromkeys(EFFECTS, Decimal(0))
            for name in {*expected, *told}:
                cents = expected.get(name, nothing)
                usd = {effect: amount / 100 for effect, amount in cents.items()}
                assert told.get(name, nothing) == usd, (organization_id, month, name)
                seen |= {effect for effect, amount in cents.items() if amount}
    assert seen == set(EFFECTS)


def test_a_month_says_which_days_are_compared_and_has_no_figures_without_any(built: Built) -> None:
    rows = built.dicts("select * from marts.spend_changes")
    known = oracle.complete_days(built, "cost")
    assert {(row["organization_id"], row["month"]) for row in rows} == {
        (organization_id, day.replace(day=1)) for organization_id, days in known.items() for day in days
    }
    for row in rows:
        before, days = compared_days(known[row["organization_id"]], row["month"])
        is_whole = days == days_of(row["month"])
        assert row["comparison"] == ("whole_months" if is_whole else "same_days" if days else "none"), row
        assert (row["compared_day_count"], row["previous_compared_day_count"]) == (len(days), len(before)), row
        assert (row["first_compared_date"], row["last_compared_date"]) == (
            (days[0], days[-1]) if days else (None, None)
        ), row
        assert {name for name, value in row.items() if name.endswith("_usd") and value is None} == (
            set() if days else {name for name in row if name.endswith("_usd")}
        ), row
    assert {row["comparison"] for row in rows} == {"whole_months", "same_days", "none"}


def test_a_seat_plan_s_credits_have_no_price(built: Built) -> None:
    rows = built.query(
        """select plan, count(*), bool_and(volume_effect_usd = 0 and price_effect_usd = 0 and mix_effect_usd = 0)
        from marts.spend_changes where organization_id = 'seat-months' and comparison <> 'none' group by plan"""
    )
    assert rows == [("seat", 4, True)]
