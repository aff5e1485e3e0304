"""`query` runs one statement that reads, in a locked configuration, and shows every answer as it is.

Here over a copy of a few tables that no API would send; `end_to_end/test_reading.py` asks a loaded one.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest
from rich.cells import cell_len

from onelens_claude.alerts.fact import literal
from tests.organizations import NOW, write_settings_file
from tests.terminals import on_a_terminal
from tests.worlds import World, scratch_folder

if TYPE_CHECKING:
    from collections.abc import Iterator

AMOUNT = "1234567890123456.000000000001"


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Publish a copy with a wide mart, a long one, and names that a terminal would obey; there is no key."""
    with scratch_folder() as folder:
        world = World(folder, dt.datetime.fromisoformat(NOW))
        world.serving.parent.mkdir()
        organization = {"id": "acme", "api_key_env": "NO_KEY_ANYWHERE", "base_url": "http://127.0.0.1:9"}
        write_settings_file(world.config, [organization])
        with duckdb.connect(str(world.serving)) as connection:
            wide = ", ".join(f"'value {number}' as a_rather_long_name_{number}" for number in range(20))
            connection.execute(
                f"""create schema marts;
                create table marts.wide as select {AMOUNT}::decimal(38, 12) as amount_cents, null as nothing, {wide};
                create table marts.long as select range as number, repeat('x', 400) as padding from range(100_000);
                create table marts.names as select unnest([
                    '[draft]', '[/b]', ':warning:', 'two' || chr(10) || 'lines', chr(27) || '[31mred', chr(155) || '2J',
                    'a' || chr(8238) || 'b', 'José', ''
                ]) as name"""
            )
        yield world


MEASURED = """
import atexit, re, sys
from onelens_claude.cli import main
def most() -> str:
    with open("/proc/self/status") as status:  # unlike getrusage, it leaves out what the parent took
        return re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]
atexit.register(lambda: print(most(), file=sys.stderr))
main()
"""


def answer_of(
    world: World, *arguments: str, output: Any = subprocess.PIPE, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a query in an interpreter of its own; the last line of its errors is how many kilobytes it took."""
    return subprocess.run(
        [sys.executable, "-c", MEASURED, "query", *arguments],
        env={**world.variables(), "PATH": "", **variables},
        stdout=output,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        check=False,
    )


REFUSED = [
    "update marts.names set name = 'x'",
    "insert into marts.names select * from marts.names",
    "delete from marts.names",
    "drop schema marts cascade",
    "create table t as select 1",
    "create temp table t as select 1",
    "copy marts.names to '{folder}/stolen.csv'",
    "copy (select 1) to '{folder}/stolen.parquet' (format parquet)",
    "attach '{folder}/data/onelens.duckdb' as working",
    "from read_csv('{folder}/onelens.yaml')",
    "from read_text('{folder}/onelens.yaml')",
    "from '{folder}/onelens.yaml'",
    "from read_csv('https://example.com/x.csv')",
    "install httpfs",
    "load httpfs",
    "export database '{folder}/stolen'",
    "select * from no_such_table",
    "select",
    "select 'abc'::integer",
    "select 1; select 2",
    "select 1; drop schema marts cascade",
    "pivot marts.names on name using count(*); select 2",
    "set enable_external_access = true",
    "set threads = 1",
    "reset threads",
    "set variable x = 1",
    "pragma enable_profiling",
    "set logging_storage = 'file'",
    "set enable_logging = true",
    "call enable_logging(storage = 'file', storage_path = '{folder}/stolen')",
    "begin",
    "checkpoint",
    "prepare one as select 1",
    "",
    "  ;",
    ";;",
    "/* nothing */",
    "select '\udcff'",
]


@pytest.mark.parametrize("sql", REFUSED)
def test_anything_but_one_statement_that_reads_is_wrong_usage_and_does_nothing(world, sql):
    before = world.serving.read_bytes()
    answer = world.run("query", sql.format(folder=world.folder))
    assert answer.exit_code == 2, answer.text
    assert answer.stderr.startswith("Error: ")
    assert answer.stdout == ""
    assert "Traceback" not in answer.text
    assert not list(world.folder.glob("stolen*"))
    assert world.serving.read_bytes() == before


def test_a_table_function_cannot_make_duckdb_write_a_log_file(world):
    stolen = world.folder / "stolen"
    path = str(stolen).replace("'", "''")
    answer = answer_of(world, f"from enable_logging(level = 'trace', storage = 'file', storage_path = '{path}')")
    assert (answer.returncode, "Traceback" in answer.stderr, stolen.exists()) == (0, False, False)


def test_the_configuration_is_locked_and_days_are_utc(world):
    sql = "select current_setting('lock_configuration') as locked, current_setting('TimeZone') as zone"
    assert world.good("query", "--json", sql).json == [{"locked": True, "zone": "UTC"}]


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("from range(3)", 3),
        ("with one as (select 1) from one;", 1),
        ("values (1), (2)", 2),
        ("describe marts.names", 1),
        ("summarize marts.names", 1),
        ("show all tables", 3),
        ("select 1 -- with a comment", 1),
        ("pivot marts.names on name using count(*)", 1),
        ("pivot (select 1 as a, 2 as b, 3 as c) on a, b using sum(c)", 1),
    ],
)
def test_every_way_to_read_is_one_statement(world, sql, rows):
    assert len(world.good("query", "--json", sql).json) == rows


def test_a_plan_is_shown_line_by_line(world):
    plan = world.good("query", "explain select 1").stdout
    assert "PROJECTION" in plan
    assert len(plan.splitlines()) > 5


def refuse_constant(text: str) -> Any:
    pytest.fail(f"{text} is not JSON")


def test_what_json_has_no_word_for_is_a_string_in_valid_json(world):
    sql = """select 'nan'::double as a, 'inf'::float as b, -'inf'::double as c, ['nan'::double, 1.5] as d,
        {'x': 'inf'::double} as e, map([date '2026-01-01'], [0.10::decimal(4, 2)]) as f, 'ab'::blob as g, null as h"""
    (row,) = json.loads(world.good("query", "--json", sql).stdout, parse_constant=refuse_constant)
    assert row == {
        "a": "NaN",
        "b": "Infinity",
        "c": "-Infinity",
        "d": ["NaN", 1.5],
        "e": {"x": "Infinity"},
        "f": {"2026-01-01": "0.10"},
        "g": "6162",
        "h": None,
    }
    assert world.good("query", "--json", "select 1 where false").json == []


def test_columns_of_the_same_name_are_all_there_under_names_of_their_own(world):
    sql = "select 1 as n, 2 as n, 3 as n_1, 4 as n"
    expected = {"n": 1, "n_1": 2, "n_1_1": 3, "n_2": 4}
    assert world.good("query", "--json", sql).json == [expected]
    (line,) = csv.DictReader(io.StringIO(world.good("query", "--csv", sql).stdout))
    assert line == {name: str(value) for name, value in expected.items()}
    assert all(name in world.good("query", sql).stdout for name in expected)


def test_a_table_is_cut_after_200_rows_and_says_how_to_get_the_rest(world):
    cut = world.good("query", "select number from marts.long order by number")
    assert "│    199 │" in cut.stdout
    assert "│    200 │" not in cut.stdout
    assert "The first 200 rows; there are more. --csv and --json print all of them." in cut.stderr
    whole = world.good("query", "select number from marts.long order by number limit 200")
    assert whole.stdout == cut.stdout
    assert whole.stderr == "200 rows\n"
    assert world.good("query", "select 1").stderr == "1 row\n"


def test_a_long_answer_is_printed_whole_without_being_in_memory_as_a_whole(world):
    """Takes seconds, because what is held must be seen beside what an interpreter takes anyway."""
    memory = {}
    for form, rows in (("--csv", 1), ("--csv", 100_000), ("--json", 100_000)):
        with (world.folder / "printed").open("w+") as printed:
            answer = answer_of(world, form, f"select repeat('x', 400) as padding from range({rows})", output=printed)
            assert answer.returncode == 0, answer.stderr
            memory[form, rows] = int(answer.stderr.split()[-1])
            printed.seek(0)
            assert sum(1 for _ in printed) == rows + (1 if form == "--csv" else 2)
            assert printed.tell() > rows * 400
    least = memory.pop(("--csv", 1))
    assert max(memory.values()) - least < 60_000  # kilobytes: DuckDB's buffers; held as a whole it were twice as much


def test_a_reader_that_has_seen_enough_is_no_error(world):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output:
        for rows in (1, 100_000):  # what is written at the end, and while there is more
            answer = answer_of(world, "--csv", f"from marts.long limit {rows}", output=output)
            assert answer.returncode == 1
            assert "Error" not in answer.stderr


def test_a_full_disk_under_the_output_is_one_sentence(world):
    with Path("/dev/full").open("w") as output:
        answer = answer_of(world, "--csv", "from marts.names", output=output)
    assert answer.returncode == 1
    assert answer.stderr.startswith("Error: output: No space left on device; make room and run it again\n")


def test_names_are_shown_and_not_obeyed(world):
    shown = world.good("query", 'select name, name as "[b]" from marts.names').stdout
    for name in ("[draft]", "[/b]", ":warning:", r"two\nlines", r"\x1b[31mred", r"\x9b2J", r"a\u202eb", "José"):
        assert shown.count(f" {name} ") == 2, name
    assert "[b]" in shown.splitlines()[1]


def test_an_error_that_quotes_a_value_cannot_forge_a_line_and_has_no_tabs(world):
    quoted = world.run("query", "select ('x' || chr(10) || 'Error: forged' || chr(27))::integer").stderr
    assert "\n  Error: forged\\x1b" in quoted
    assert [line for line in quoted.splitlines() if line.startswith("Error: ")] == quoted.splitlines()[:1]
    assert "\n      Candidate functions:\n" in world.run("query", "select lower(1, 2, 3)").stderr


def test_a_terminal_obeys_no_form_of_output(world):
    variables = world.variables()
    for form in ([], ["--csv"], ["--json"]):
        exit_code, screen = on_a_terminal(variables, "query", *form, "from marts.names", columns=60)
        assert exit_code == 0
        assert not {"\x1b", "\x9b", "\u202e"} & set(screen)
        assert "José" in screen


def test_a_file_gets_every_character_as_it_is(world):
    expected = [row["name"] for row in world.rows("from marts.names")]
    as_csv = csv.DictReader(io.StringIO(world.good("query", "--csv", "from marts.names").stdout, newline=""))
    assert [row["name"] for row in as_csv] == expected
    assert [row["name"] for row in world.good("query", "--json", "from marts.names").json] == expected


def test_in_csv_no_text_is_a_formula_and_every_number_is_a_number(world):
    formulas = ["=1+1", "+cmd|'/c calc'!A1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1", "--1", "-1a", "=1"]
    inert = ["-1", "+49.5", "1-1", "a=b", "'=1", "", " =1", "user@example.com"]
    texts = ", ".join(f"({number}, {literal(one)})" for number, one in enumerate(formulas + inert))
    sql = f"select one, -1.50 as amount, -2 as number from (values {texts}) as given(place, one) order by place"
    printed = list(csv.reader(io.StringIO(world.good("query", "--csv", sql).stdout, newline="")))[1:]
    assert [row[0] for row in printed] == [f"'{one}" for one in formulas] + inert
    assert {tuple(row[1:]) for row in printed} == {("-1.50", "-2")}
    assert [row["one"] for row in world.good("query", "--json", sql).json] == formulas + inert
    header = world.good("query", "--csv", 'select 1 as "=cmd()"').stdout.splitlines()[0]
    assert header == "'=cmd()"


def test_a_terminal_without_unicode_gets_right_answers(world):
    for form in ([], ["--csv"], ["--json"]):
        answer = answer_of(world, *form, "from marts.names", PYTHONIOENCODING="ascii")
        assert answer.returncode == 0, answer.stderr
        assert answer.stdout.isascii()
        assert r"Jos\xe9" in answer.stdout or json.loads(answer.stdout)[7] == {"name": "José"}
    lines = answer_of(world, "select 'é' as c", PYTHONIOENCODING="ascii").stdout.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "é" in answer_of(world, "select 'é' as c", LC_ALL="C").stdout


def test_a_row_wider_than_the_terminal_becomes_one_field_per_line(world):
    exit_code, screen = on_a_terminal(world.variables(), "query", "from marts.wide")
    assert exit_code == 0
    lines = screen.splitlines()
    assert lines[0] == "-- row 1 --"
    assert lines[1].split() == ["amount_cents", AMOUNT]
    assert lines[2].split() == ["nothing"]
    assert lines[-2].split(maxsplit=1) == ["a_rather_long_name_19", "value 19"]
    assert lines[-1] == "1 row"
    assert max(cell_len(line) for line in lines) <= 80


def test_a_long_text_is_folded_and_a_number_never(world):
    sql = f"select {AMOUNT}::decimal(38, 12) as amount, repeat('a long text ', 9) as words from range(2)"
    _, screen = on_a_terminal(world.variables(), "query", sql)
    assert screen.count(f"│ {AMOUNT} │") == 2
    assert max(cell_len(line) for line in screen.splitlines()) <= 80


@pytest.mark.parametrize(("long_rows", "lines_between"), [(1, 0), (2, 2)])
def test_where_most_rows_run_on_a_line_parts_them(world, long_rows, lines_between):
    sql = f"select range as number, repeat('a long text ', if(range < {long_rows}, 9, 1)) as words from range(3)"
    _, screen = on_a_terminal(world.variables(), "query", sql)
    assert sum(line.startswith("├") for line in screen.splitlines()) == lines_between


def test_ctrl_c_ends_a_question_that_takes_long_without_a_traceback(world):
    process = world.start("query", "select count(*) from range(1_000_000_000) a, range(1000) b")
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "Traceback" not in errors
