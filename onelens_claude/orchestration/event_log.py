"""Dagster's SQLite event log with many events in one transaction: `dagster.yaml` names it.

A range of days x assets is thousands of events, planned and materialised. Dagster's own SQLite log opens both of its
files and waits for the disk for each of them: minutes before the first request. Dagster hands events over in batches
when `DAGSTER_EVENT_BATCH_SIZE` says so; this stores a batch as one. The files are the same as without it.

What is here: the batching. What to add here: nothing but what a new Dagster version needs.
What must not go here: another format or place of the log.
"""

from __future__ import annotations

import os
import threading
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from onelens_claude.orchestration.private_apis import SqliteEventLogStorage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    import dagster as dg

    from onelens_claude.orchestration.private_apis import EventLogEntry

BATCH_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
BATCH_SIZE = "1000"


class BatchedEventLogStorage(SqliteEventLogStorage):
    """The log in `DAGSTER_HOME/history/runs`, where Dagster keeps it by default."""

    def __init__(self, base_dir: str, inst_data: Any = None) -> None:
        self._batch_lock = threading.RLock()
        self._open: dict[str, Any] | None = None
        self._stack = ExitStack()
        super().__init__(base_dir, inst_data)
        self._db_lock: Any = self._batch_lock  # Dagster's own lets a thread open one of the two files at a time

    @classmethod
    def config_type(cls) -> Mapping[str, Any]:
        """Take no configuration: the place follows from DAGSTER_HOME."""
        return {}

    @classmethod
    def from_config_value(cls, inst_data: Any, config_value: Mapping[str, Any]) -> BatchedEventLogStorage:
        """Return the log of this process's DAGSTER_HOME."""
        return cls(str(Path(os.environ["DAGSTER_HOME"]) / "history" / "runs"), inst_data, **config_value)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store all events in one transaction per file."""
        with self.batch():
            for event in events:
                self.store_event(event)

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Keep each file's transaction open until the end of the block, for this thread alone."""
        with self._batch_lock:
            if self._open is not None:
                yield
                return
            with ExitStack() as self._stack:
                self._open = {}
                try:
                    yield
                finally:
                    self._open = None

    @contextmanager
    def _connect(self, shard: str) -> Iterator[Any]:
        with self._batch_lock:
            if self._open is None:
                with super()._connect(shard) as connection:
                    yield connection
                return
            if shard not in self._open:
                self._open[shard] = self._stack.enter_context(super()._connect(shard))
            yield self._open[shard]


def batch_of(instance: dg.DagsterInstance) -> AbstractContextManager[None]:
    """Return a block whose events are stored at once where the instance's log can do that."""
    storage = instance.event_log_storage
    return storage.batch() if isinstance(storage, BatchedEventLogStorage) else nullcontext()
