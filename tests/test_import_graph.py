"""Which module of the package imports which: no circle, every import towards the ground, Dagster in its own rooms.

Read from the source, so that imports inside functions and for types alone count too. What belongs here: rules about
imports. What does not: rules about what a module may contain.
"""

from __future__ import annotations

import ast
import graphlib
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "onelens_claude"
ROOMS = (
    ("onelens_claude", "states", "visible"),
    ("errors",),
    ("clock", "folders", "paths", "waiting"),
    ("api",),
    ("keys",),
    ("settings",),
    ("warehouse",),
    ("dbt_command", "landing", "frames"),
    ("backtest", "ledger", "report", "watch"),
    ("alerts", "privacy"),
    ("dbt_plugin", "orchestration"),
    ("definitions",),
    ("cli",),
)
"""From the ground up: a room imports itself and what stands on earlier lines, nothing else."""
SERVER = "fake_api"
WITH_DAGSTER = {"dbt_plugin", "orchestration", "definitions", "cli"}

_FOR_TYPES = ast.dump(ast.parse("TYPE_CHECKING", mode="eval").body)


def sources(folder: Path = PACKAGE) -> dict[str, str]:
    """Return the source of every module of a package, by dotted name."""
    return {
        ".".join(path.relative_to(folder.parent).with_suffix("").parts).removesuffix(".__init__"): path.read_text()
        for path in folder.rglob("*.py")
    }


def statements(tree: ast.AST, *, on_import: bool) -> list[ast.Import | ast.ImportFrom]:
    """Return a module's imports: all of them, or those that run when the module itself is imported."""
    found: list[ast.Import | ast.ImportFrom] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        elif not on_import:
            found += statements(node, on_import=False)
        elif isinstance(node, ast.If) and ast.dump(node.test) == _FOR_TYPES:
            found += statements(ast.Module(node.orelse, []), on_import=True)
        elif not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            found += statements(node, on_import=True)
    return found


def imports(modules: dict[str, str], *, on_import: bool = False) -> dict[str, set[str]]:
    """Return what each module imports, of the package and from outside.

    `from a import b` imports module a.b where there is one, else a. That a.b also runs a's `__init__` is no edge: every
    package that re-exports its modules would be a circle.
    """
    graph: dict[str, set[str]] = {}
    for name, source in modules.items():
        graph[name] = set()
        for statement in statements(ast.parse(source), on_import=on_import):
            if isinstance(statement, ast.Import):
                graph[name] |= {alias.name for alias in statement.names}
                continue
            assert statement.module, f"{name}: relative imports hide which module is meant"
            assert statement.level == 0, f"{name}: relative imports hide which module is meant"
            whole = {f"{statement.module}.{alias.name}" for alias in statement.names}
            graph[name] |= {one if one in modules else statement.module for one in whole}
    return graph


def room(module: str) -> str:
    first, *rest = module.split(".")
    return rest[0] if rest else first


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of one circle, or nothing."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def against_the_direction(graph: dict[str, set[str]]) -> list[str]:
    """Return each import of the package by itself that does not lead towards the ground."""
    floor = {name: number for number, names in enumerate(ROOMS) for name in names}
    # the local server is its own ground, and only the command line, which starts it, stands above it
    floor[SERVER] = floor["cli"] - 1
    pairs = [(module, imported) for module in sorted(graph) for imported in sorted(graph[module] & graph.keys())]
    return [
        f"{module} imports {imported}"
        for module, imported in pairs
        if (here := room(module)) != (there := room(imported))
        and (here == SERVER or floor[here] <= floor[there] or (there == SERVER and here != "cli"))
    ]


def users_of(outside: str, graph: dict[str, set[str]]) -> set[str]:
    return {
        module for module, imported in graph.items() if any(one.split(".")[0].startswith(outside) for one in imported)
    }


def test_importing_the_package_meets_no_circle() -> None:
    assert circle(imports(sources(), on_import=True)) == []


def test_late_imports_and_imports_for_types_hide_no_circle() -> None:
    assert circle(imports(sources())) == []


def test_every_import_is_towards_the_ground_and_the_local_server_knows_nothing_of_what_it_is_to_prove() -> None:
    graph = imports(sources())
    assert {room(module) for module in graph} == {*(name for line in ROOMS for name in line), SERVER}
    assert against_the_direction(graph) == []


def test_dagster_and_dbt_stay_in_their_rooms() -> None:
    graph = imports(sources())
    users = users_of("dagster", graph) | users_of("dbt", graph)
    assert {room(module) for module in users} <= WITH_DAGSTER
    assert {room(module) for module in users} >= {"orchestration", "definitions"}  # the search finds what there is


def test_a_circle_and_an_import_upwards_are_found(tmp_path: Path) -> None:
    late = {
        "clock.py": "def now():\n    from onelens_claude.ledger import status\n",
        "ledger/status.py": "from onelens_claude.clock import now\n",
        "landing/day.py": "if TYPE_CHECKING:\n    from onelens_claude.cli import runs\nimport dagster_dbt\n",
        "cli/runs.py": "import onelens_claude.landing.day\nfrom onelens_claude.fake_api import api\n",
        "fake_api/api.py": "from onelens_claude.clock import now\n",
    }
    for name, source in late.items():
        path = tmp_path / "onelens_claude" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    modules = sources(tmp_path / "onelens_claude")
    graph = imports(modules)
    assert circle(imports(modules, on_import=True)) == []
    assert len(set(circle(graph))) == 2
    assert against_the_direction(graph) == [
        "onelens_claude.clock imports onelens_claude.ledger.status",
        "onelens_claude.fake_api.api imports onelens_claude.clock",
        "onelens_claude.landing.day imports onelens_claude.cli.runs",
    ]
    assert users_of("dagster", graph) == {"onelens_claude.landing.day"}

    modules["onelens_claude.clock"] = "try:\n    import onelens_claude.ledger.status\nexcept ImportError: pass\n"
    assert set(circle(imports(modules, on_import=True))) == {"onelens_claude.clock", "onelens_claude.ledger.status"}
