"""Steps on the workers of a dask cluster: one that runs, one asked of a queue, or processes here.

The process that asked plans, stores and says what comes next; workers get tasks by name and fetch what
these need by its digest. Each step still runs in a child of its worker, with its limits. A worker that
dies costs the steps it was at, which are tried elsewhere, twice.
"""

import atexit
import contextlib
import multiprocessing
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InputError, RegistrationError
from ...files import read_yaml
from ...methods import get_method
from ..child import Outcome, default_memory_mb
from ..workplace import Done, Settings, Workplace, open_workplace, register
from . import Submit
from .needs import predict_mb

MEMORY = "MB"  # the resource by which a worker says how much memory its steps may take together
GPU = "GPU"
QUEUES = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster"}
CONFIG = {
    "distributed.scheduler.allowed-failures": 2,  # times that a step is tried elsewhere
    "distributed.worker.daemon": False,
}
CONNECT_SECONDS = 30
LOOK_SECONDS = 2.0  # how often it is asked who works


@dataclass(frozen=True)
class Cluster:
    """An :class:`~lumirage_lib.runs.executors.Executor` whose steps are carried out by dask."""

    client: Any  # a distributed.Client, which has few types
    seen: dict[str, Any] = field(default_factory=dict)

    def _workers(self) -> list[dict[str, Any]]:
        """Who works now: they come and go, so it is asked for again, but not for every step."""
        if time.monotonic() >= self.seen.get("until", 0.0):
            # Where the scheduler is gone, those who wait for it are told.
            with contextlib.suppress(OSError):
                self.seen["workers"] = self.client.scheduler_info(n_workers=-1)["workers"]
            self.seen["until"] = time.monotonic() + LOOK_SECONDS
        return list(self.seen.get("workers", {}).values())

    @property
    def capacity(self) -> int:
        # As much again waits, so that no worker waits for this process; no more, since what waits for a
        # worker that dies counts as tried there.
        return max(2, 2 * sum(int(worker["nthreads"]) for worker in self._workers()))

    def map(self, function: Callable[..., Any], *iterables: Any) -> Iterator[Any]:
        """As the built-in, on the workers."""
        results: Iterator[Any] = self.client.get_executor(pure=False).map(function, *iterables)
        return results

    @contextlib.contextmanager
    def session(self, settings: Settings) -> Iterator[Submit]:
        pool = self.client.get_executor(pure=False)

        def submit(step: Any, *arguments: Any) -> Future[Any]:
            declared = [worker.get("resources", {}) for worker in self._workers()]
            largest = {
                name: max((d.get(name, 0) for d in declared), default=0) for name in (MEMORY, GPU)
            }
            needs = {}
            if step is register and largest[MEMORY]:
                # What is larger than any worker takes the largest whole, and shows there.
                needs[MEMORY] = min(predict_mb(arguments[0]), largest[MEMORY])
            if (
                step is register
                and largest[GPU]
                and get_method(arguments[0].method).family == "deep"
            ):
                needs[GPU] = 1
            answer: Future[Any] = Future()
            found = pool.submit(_carry_out, settings, step, *arguments, resources=needs or None)
            found.add_done_callback(lambda done: _hand_over(done, answer))
            return answer

        try:
            yield submit
        finally:
            with contextlib.suppress(Exception):  # the scheduler may be gone
                pool.shutdown(wait=False)
                if self.client.status == "running":
                    self.client.run(_leave, settings.owner)


def _hand_over(found: Future[Any], answer: Future[Any]) -> None:
    """The result of a step; of one whose workers died, that it was killed."""
    from distributed import KilledWorker

    error = CancelledError() if found.cancelled() else found.exception()
    if error is None:
        answer.set_result(found.result())
    elif isinstance(error, KilledWorker):
        reason = "every worker that tried it died, as when a machine runs out of memory"
        answer.set_result(Done(Outcome("killed", reason=reason)))
    elif isinstance(error, CancelledError):
        reason = "the scheduler is gone; what was finished is stored, the same command goes on"
        answer.set_exception(RegistrationError(reason, "killed"))
    else:
        answer.set_exception(error)


# ---- on a worker ---------------------------------------------------------------------------------

_places: dict[str, tuple[Workplace, contextlib.ExitStack]] = {}
_opening = threading.Lock()


def _carry_out(settings: Settings, step: Callable[..., Any], *arguments: Any) -> Any:
    with _opening:
        if settings.owner not in _places:
            # dask starts workers as daemons, which may else have no children.
            multiprocessing.current_process()._config["daemon"] = False  # type: ignore[attr-defined]
            stack = contextlib.ExitStack()
            place = stack.enter_context(open_workplace(settings))
            atexit.register(stack.close)
            _places[settings.owner] = (place, stack)
        place, _ = _places[settings.owner]
    return step(place, *arguments)


def _leave(owner: str) -> None:
    """End what a run still does on this worker."""
    with _opening:
        place, stack = _places.pop(owner, (None, None))
    if place is not None and stack is not None:
        place.stop.set()
        stack.close()


# ---- how a cluster is had ------------------------------------------------------------------------


@contextlib.contextmanager
def open_cluster(
    *, scheduler: str | None = None, file: Path | None = None, workers: int | None = None
) -> Iterator[Cluster]:
    """A cluster for the length of the block, by one of three ways.

    Parameters
    ----------
    scheduler : str, optional
        Address of one that runs, such as tcp://HOST:8786. It stays.
    file : path, optional
        Which queue to ask for workers, and how; see the examples in cluster/.
    workers : int, optional
        So many processes on this machine.

    Raises
    ------
    InputError
        Not exactly one way, no scheduler at that address, or a file that says something else.
    """
    import dask
    import distributed

    if sum(way is not None for way in (scheduler, file, workers)) != 1:
        raise InputError("give one of --scheduler, --cluster and --workers")
    with dask.config.set(CONFIG), contextlib.ExitStack() as stack:
        if file is not None:
            cluster, jobs = make_queue(file)
            stack.enter_context(cluster)
            cluster.scale(jobs=jobs)
        elif workers is not None:
            make_local: Any = distributed.LocalCluster
            share = int(default_memory_mb() / max(1, workers))
            cluster = make_local(
                n_workers=max(1, workers),
                threads_per_worker=1,
                memory_limit=0,  # children hold the memory, and have a limit of their own
                resources={MEMORY: share},
                dashboard_address="127.0.0.1:0",
            )
            stack.enter_context(cluster)
        try:
            target = scheduler if scheduler is not None else cluster
            connect: Any = distributed.Client
            client = stack.enter_context(connect(target, timeout=CONNECT_SECONDS))
        except (OSError, ValueError) as error:
            raise InputError(
                f"{scheduler}: no dask scheduler answers ({error}); start one with `dask scheduler`"
            ) from error
        yield Cluster(client)


def make_queue(file: Path) -> tuple[Any, int]:
    """The cluster that a file describes, by dask-jobqueue, and how many jobs to ask for.

    Raises
    ------
    InputError
        The file or an option in it cannot be used.
    """
    import dask_jobqueue

    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: not readable ({error}); see the examples in cluster/") from error
    given = read_yaml(text, str(file))
    options = given.get("options") if isinstance(given, dict) else None
    if not isinstance(options, dict) or given.get("queue") not in QUEUES or "memory" not in options:
        raise InputError(
            f"{file}: expected queue: {', '.join(QUEUES)}; jobs: how many; options: those of "
            "dask-jobqueue, memory among them; see the examples in cluster/"
        )
    share = _read_mb(options["memory"]) / options.get("processes", 1)
    extra = [*options.pop("worker_extra_args", []), "--resources", f"{MEMORY}={share:.0f}"]
    make = getattr(dask_jobqueue, QUEUES[given["queue"]])
    try:
        return make(**options, worker_extra_args=extra), int(given.get("jobs", 1))
    except (TypeError, ValueError) as error:
        raise InputError(f"{file}: dask-jobqueue does not take it ({error})") from error


def _read_mb(memory: str | float) -> float:
    from dask.utils import parse_bytes

    return 0.9 * float(parse_bytes(memory)) / 2**20
