"""What the verbatim pages take in a warehouse file.

What is here: counting the blocks of the page tables. What to add here: another table's bytes. What must not go here:
landing the pages that are counted.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import duckdb


def page_bytes(database: Path) -> int:
    """Return what the verbatim pages take in the file: every block that holds a piece of them."""
    blocks: set[int] = set()
    with duckdb.connect(str(database), read_only=True) as connection:
        for table in ("pages", "page_parts"):
            segments = connection.execute(
                f"select block_id, additional_block_ids from pragma_storage_info('claude_raw.{table}') where persistent"
            ).fetchall()
            for block, more in segments:
                blocks |= {block, *(more or [])}
        size = connection.execute("select block_size from pragma_database_size()").fetchone()
    return len(blocks - {-1}) * (size[0] if size else 0)


def main() -> None:
    """Write the figure."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("database", type=Path)
    parser.add_argument("result", type=Path)
    given = parser.parse_args()
    given.result.write_text(json.dumps({"page_bytes": page_bytes(given.database)}))


if __name__ == "__main__":
    main()
