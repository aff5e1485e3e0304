"""`backup` says what the copy is of, and is made for its owner only."""

from __future__ import annotations

from onelens_claude.warehouse.connections import connect


def test_the_command_says_where_the_copy_is_and_what_it_is_of(world, tmp_path):
    kept = tmp_path / "kept.duckdb"
    refused = world.run("backup", str(kept))
    assert refused.exit_code == 1
    assert "nothing to back up yet" in refused.stderr
    world.warehouse.parent.mkdir(parents=True, exist_ok=True)
    with connect(world.warehouse) as connection:
        connection.execute("create table numbers as select 1 as n")
    told = world.good("backup", str(kept), "--json").json
    assert told == {"file": str(kept), "bytes": kept.stat().st_size, "source": str(world.warehouse)}
    assert kept.stat().st_mode & 0o077 == 0
    assert "is there already" in world.run("backup", str(kept)).stderr
    assert "as it is now" in world.good("backup", str(tmp_path / "again.duckdb")).text
