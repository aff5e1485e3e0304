"""Amounts exact, counts whole, days of the pull's window; the first row that breaks the contract is named."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal, localcontext

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from onelens_claude.api.windows import Window
from onelens_claude.errors import InvalidPullError
from tests.landing.appended import WINDOW, append, cost, page, raw, refusal, usage

# amounts


amounts = st.builds(
    lambda sign, whole, fraction: f"{sign}{whole}" + (f".{fraction}" if fraction else ""),
    st.sampled_from(["", "-"]),
    st.integers(0, 10**26 - 1).map(str) | st.just("00012"),
    st.text("0123456789", max_size=12),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(given_amounts=st.lists(amounts, min_size=1, max_size=8))
@example(given_amounts=["41280.000000", "0.000000000001", "-0", "99999999999999999999999999.999999999999"])
def test_an_amount_is_stored_as_the_api_said_it_and_adds_up_exactly(connection, spool, given_amounts):
    pull = spool(
        "user_cost_report", page(*[cost(amount, model=f"model-{n}") for n, amount in enumerate(given_amounts)])
    )
    expected = [Decimal(amount) for amount in given_amounts]
    with localcontext(prec=80):
        true_sum, widest_sum = sum(expected), sum(map(abs, expected))
    try:
        (done,) = append(connection, pull)
    except InvalidPullError:
        assert widest_sum >= 10**26  # a sum beyond DECIMAL(38, 12) is refused, never rounded
        return
    stored = connection.execute(
        "select amount from claude_raw.user_cost_report_rows where pull_id = ? order by model", [pull.pull_id]
    ).fetchall()
    assert [value for (value,) in stored] == expected
    assert done.days[0].amount_cents == true_sum


@pytest.mark.parametrize(
    "text", ["7", "-0", "-0.5", "0.5", "-12.000000000001", "007.50", "999999.999999999999", "1000000", "123456789012345678",
             "1234567890123456789.5", "-99999999999999999999999999.999999999999",
             # zeros beyond the twelfth digit lose nothing
             "488.780028000000000", "1234567890123456789.5000000000000000", "-0.000000000001000"],
)  # fmt: skip
def test_every_way_to_write_an_amount_is_read(connection, spool, text):
    append(connection, spool("user_cost_report", page(cost(text))))
    assert connection.execute("select amount from claude_raw.user_cost_report_rows").fetchall() == [(Decimal(text),)]


@pytest.mark.parametrize(
    "text",
    ['"12,5"', '"NaN"', '"1e999"', '"0.1234567890123"', "12.5", "1e999", "12", "true", '""', '" 1"', '"1 "', '"+1"', '".5"', '"5."',
     '"1_000"', '"Infinity"', '"0x10"', '"1\\n"', '"--1"', "{}", "[]", '"100000000000000000000000000"', '"١٢"'],
)  # fmt: skip
def test_an_amount_that_is_no_decimal_string_stops_the_pull_and_is_quoted(connection, spool, text):
    message = refusal(connection, spool("user_cost_report", page(cost()), raw(f'"amount": {text}')))
    assert message.startswith("acme: user_cost_report 2026-11-01..2026-11-03: ")
    assert message.endswith("(request req_2)")
    assert text in message
    if text != "1e999":
        assert "page 2: amount " in message
        assert "is not a decimal string of at most 12 fractional digits" in message


@pytest.mark.parametrize("name", ["list_amount", "amount"])
def test_both_amounts_are_checked(connection, spool, name):
    assert f'{name} "1.2.3" is not a decimal' in refusal(
        connection, spool("user_cost_report", page(cost(**{name: "1.2.3"})))
    )


@pytest.mark.parametrize("gone", ['"amount": null', '"other": 1'])
def test_a_row_without_an_amount_is_refused(connection, spool, gone):
    assert "a row has no amount" in refusal(connection, spool("user_cost_report", raw(gone)))


def test_a_list_amount_may_be_missing(connection, spool):
    row = cost()
    del row["list_amount"]
    append(connection, spool("user_cost_report", page(row, cost(list_amount=None, model="another"))))
    assert connection.execute("select list_amount from claude_raw.user_cost_report_rows").fetchall() == [
        (None,),
        (None,),
    ]


def test_money_of_skills_is_checked_too(connection, spool):
    day = Window(WINDOW.start, WINDOW.start + dt.timedelta(1))
    message = refusal(
        connection, spool("skills", page({"skill_name": "s", "attributed_list_price": "12,5"}), window=day)
    )
    assert 'attributed_list_price "12,5" is not a decimal' in message


def test_another_currency_is_refused(connection, spool):
    assert "amounts are in EUR" in refusal(connection, spool("user_cost_report", page(cost(currency="EUR"))))


# counts


@pytest.mark.parametrize("text", ["12.7", "12.50", "0.1", "1e-1", "-3.5"])
def test_a_counter_with_a_fraction_is_refused_rather_than_rounded(connection, spool, text):
    body = json.dumps(page(usage(output_tokens="@"))).replace('"@"', text).encode()
    message = refusal(connection, spool("user_usage_report", page(usage()), body))
    assert "page 2: " in message
    assert message.endswith(f"output_tokens {float(text)} is not a whole number (request req_2)")


def test_a_counter_deep_inside_is_looked_at_too(connection, spool):
    body = page(usage(cache_creation={"ephemeral_5m_input_tokens": 3, "ephemeral_1h_input_tokens": 0.5}))
    assert '"ephemeral_1h_input_tokens": 0.5' in refusal(connection, spool("user_usage_report", body))


@pytest.mark.parametrize(
    ("text", "count"),
    [("12", 12), ("12.0", 12), ("1e3", 1000), ("null", None), ("9223372036854775807", 2**63 - 1), ("-0.0", 0),
     ("1.5e3", 1500)],
)  # fmt: skip
def test_a_whole_counter_in_any_form_is_read(connection, spool, text, count):
    body = json.dumps(page(usage(output_tokens="@"))).replace('"@"', text).encode()
    append(connection, spool("user_usage_report", body))
    assert connection.execute("select output_tokens from claude_raw.user_usage_report_rows").fetchall() == [(count,)]


@pytest.mark.parametrize("value", ["many", "12.7", 2**63, 9007199254740993.0, {"a": 1}])
def test_a_counter_that_is_no_number_is_refused(connection, spool, value):
    message = refusal(connection, spool("user_usage_report", page(usage(output_tokens=value))))
    assert message.startswith("acme: user_usage_report 2026-11-01..2026-11-03: page 1: output_tokens ")
    assert message.endswith(" is not a whole number (request req_1)")


def test_fractions_elsewhere_are_no_counters(connection, spool):
    day = {"starting_at": "2026-11-01T00:00:00Z", "ending_at": "2026-11-02T00:00:00Z"}
    append(
        connection,
        spool(
            "summaries",
            page({**day, "daily_adoption_rate": 12.75, "a_new_average_count": 1.5, "daily_active_user_count": 3}),
        ),
    )
    assert connection.execute(
        "select daily_adoption_rate, daily_active_user_count from claude_raw.summaries_rows"
    ).fetchall() == [(12.75, 3)]


# days


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        ("2026-10-31T00:00:00Z", "2026-11-01T00:00:00Z", "lies outside the window"),
        ("2026-11-04T00:00:00Z", "2026-11-05T00:00:00Z", "lies outside the window"),
        ("2026-11-01T01:00:00Z", "2026-11-02T01:00:00Z", "is not a whole UTC day"),
        ("2026-11-01T00:00:00+02:00", "2026-11-02T00:00:00+02:00", "is not a whole UTC day"),
        ("2026-11-01T00:00:00Z", "2026-11-03T00:00:00Z", "is not a whole UTC day"),
        ("soon", "2026-11-02T00:00:00Z", "is not a whole UTC day"),
        (None, "2026-11-02T00:00:00Z", "is not a whole UTC day"),
    ],
)
def test_a_row_of_another_day_is_refused(connection, spool, start, end, words):
    message = refusal(connection, spool("user_cost_report", page(cost(), cost(starting_at=start, ending_at=end))))
    assert f"page 1: a row from {start or 'null'} to {end} {words}" in message


@pytest.mark.parametrize("end", [None, "gone"])
def test_a_row_that_does_not_say_its_end_is_of_the_day_it_starts(connection, spool, end):
    row = cost(ending_at=None)
    if end == "gone":
        del row["ending_at"]
    append(connection, spool("user_cost_report", page(row)))
    assert connection.execute("select activity_date from claude_raw.user_cost_report_rows").fetchall() == [
        (WINDOW.start,)
    ]


def test_a_day_in_another_offset_is_the_same_day(connection, spool):
    append(
        connection,
        spool(
            "user_cost_report",
            page(cost(starting_at="2026-11-01T02:00:00+02:00", ending_at="2026-11-02T02:00:00+02:00")),
        ),
    )
    assert connection.execute("select activity_date from claude_raw.user_cost_report_rows").fetchall() == [
        (dt.date(2026, 11, 1),)
    ]
