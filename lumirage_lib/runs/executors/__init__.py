"""Where the steps of a run are carried out: on this machine, or on a cluster by dask."""

from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any, Protocol

from ..workplace import Settings

Submit = Callable[..., "Future[Any]"]


class Executor(Protocol):
    """What carries out the steps of a run."""

    @property
    def capacity(self) -> int:
        """How many steps to have under way, so that nobody waits for one; at least 1."""

    def session(self, settings: Settings) -> AbstractContextManager[Submit]:
        """Within the block ``submit(step, *arguments)`` has a step carried out.

        A step is a function of :mod:`lumirage_lib.runs.workplace` whose first argument, the
        workplace, is filled in there. A block that ends by an exception stops what runs and what
        waits.
        """
