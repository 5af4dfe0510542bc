"""Steps side by side on this machine."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from ..workplace import Settings, open_workplace
from . import Submit


@dataclass(frozen=True)
class Local:
    """An :class:`~lumirage_lib.runs.executors.Executor`: each of `capacity` threads has a child at a time."""

    capacity: int = 1

    @contextlib.contextmanager
    def session(self, settings: Settings) -> Iterator[Submit]:
        with (
            open_workplace(settings) as place,
            ThreadPoolExecutor(max_workers=self.capacity) as pool,
        ):

            def submit(step: Any, *arguments: Any) -> Future[Any]:
                return pool.submit(step, place, *arguments)

            try:
                yield submit
            except BaseException:
                place.stop.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
