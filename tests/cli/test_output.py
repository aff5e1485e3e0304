"""What a terminal shows while requests are on their way."""

from __future__ import annotations

import io
import itertools
import logging
import re

from rich.console import Console

from onelens_claude.cli import output
from onelens_claude.cli.terminal import kept_console


def test_a_terminal_sees_how_much_of_everything_is_done_and_how_long_it_will_take():
    ticks = itertools.count()  # seconds
    console = Console(
        file=(shown := io.StringIO()), force_terminal=True, width=120, get_time=lambda: float(next(ticks))
    )
    with output.progress_bars({"users": 30, "cost_report": 10}, console) as on_progress:
        for done in range(1, 31):
            on_progress("users", done, 30, done)
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    (last,) = [line for line in seen.splitlines() if line.startswith("all requests")][-1:]
    assert "30/40" in last
    assert re.search(r"left 0:\d\d:\d\d", last), last
    assert re.search(r"users .*30/30", seen)


def test_pages_that_no_plan_knew_of_lengthen_the_bar_of_all_requests():
    console = Console(file=(shown := io.StringIO()), force_terminal=True, width=120)
    with output.progress_bars({"user_cost_report": 2, "users": 5}, console) as on_progress:
        on_progress("user_cost_report", 0, 0, 40)  # the first of two windows is not whole yet
        on_progress("user_cost_report", 1, 2, 60)
    seen = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown.getvalue())
    assert " 60/125" in seen  # the other window will take as many


def test_what_is_no_terminal_sees_no_bars():
    with output.progress_bars({"users": 30}, Console(file=io.StringIO())) as on_progress:
        assert on_progress is None


def test_a_log_line_of_a_running_step_is_shown_and_not_obeyed(capfd):
    said = "acme: users: [/b] :warning: \x1b[2J \u202e"
    with kept_console():
        logging.getLogger("onelens_claude.landing").warning("%s", said)
    assert capfd.readouterr().err == "acme: users: [/b] :warning: \\x1b[2J \\u202e\n"
