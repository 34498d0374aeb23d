"""Running reproductions: one or several, one after the other or side by side, each report on disk as soon as it is there.

A run that was interrupted goes on where it stopped: `.IDS-SCALE-SEED.finished` lists the papers that are done, and each paper has a
journal of its sweeps (`attractor.papers.sweep`). Both go when they are no longer needed.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import active_children, get_context, parent_process
from pathlib import Path

import torch

from attractor.app.report import pictures_of, with_provenance
from attractor.app.report_page import Entry, page
from attractor.data import DataUnavailableError
from attractor.papers import Paper, Report, is_stale, last_report, paper_module, source_hash
from attractor.papers.report import Progress, Scale
from attractor.papers.sweep import sweeping
from attractor.papers.sweep_engine import over_engine


@dataclass(frozen=True)
class Order:
    """What is to be measured.

    Args:
        ids: of the papers.
        scale: how large the runs are.
        seed: of everything that is random.
        output: folder of the reports.
        workers: processes in all.
        address: of a cluster that carries out the sweeps. None: this machine.
    """

    ids: tuple[str, ...]
    scale: Scale
    seed: int
    output: Path
    workers: int
    address: str | None = None

    @property
    def ledger(self) -> Path:
        """The file that lists what an unfinished run has done."""
        return self.output / f".{'+'.join(self.ids)}-{self.scale}-{self.seed}.finished"


def reports(order: Order, progress: Progress | None = None) -> Iterator[Report]:
    """The report of each paper, as they come; those of an interrupted run of the same order first.

    Args:
        order: what is to be measured.
        progress: told of what is going on, where papers run one after the other.

    Raises:
        DataUnavailableError: data are missing; raised after all papers that do not need them.
        OSError: the folder cannot be written.
    """
    order.output.mkdir(parents=True, exist_ok=True)
    done = finished_before(order)
    yield from done.values()
    missing: dict[str, DataUnavailableError] = {}
    for one, result in measured(order, [one for one in order.ids if one not in done], progress):
        if isinstance(result, DataUnavailableError):
            missing[one] = result
            continue
        with order.ledger.open("a", encoding="utf-8") as file:
            file.write(f"{one}\n")
        yield result
    if missing:
        raise DataUnavailableError("; ".join(f"paper {one} was not run: {error}" for one, error in missing.items()))
    order.ledger.unlink(missing_ok=True)


def finished_before(order: Order) -> dict[str, Report]:
    """What an interrupted run of `order` has measured with the code that is there now."""
    listed = order.ledger.read_text(encoding="utf-8").split() if order.ledger.exists() else []
    found = {one: read_report(order.output, one) for one in order.ids if one in listed}
    asked = (order.scale, order.seed)
    return {
        one: report for one, report in found.items() if report and (report.scale, report.seed) == asked and not is_stale(report)
    }


def measured(order: Order, ids: Sequence[str], progress: Progress | None) -> Iterator[tuple[str, Report | DataUnavailableError]]:
    """Papers with their reports, or with what they lack."""
    if order.workers == 1 or len(ids) < 2:
        with threads_of_children(1):
            for one in ids:
                yield one, attempt(order, one, order.workers, progress)
        return
    workers = min(order.workers, len(ids))
    share = order.workers // workers
    with threads_of_children(share):
        yield from side_by_side(order, ids, workers, share)


def side_by_side(order: Order, ids: Sequence[str], workers: int, share: int) -> Iterator[tuple[str, Report | DataUnavailableError]]:
    """The same by so many processes, each with its share of the processors."""
    # "spawn": a forked process inherits torch's threads in a state in which they hang.
    pool = ProcessPoolExecutor(workers, get_context("spawn"), begin_process, (share,))
    try:
        running = {pool.submit(attempt, order, one, share): one for one in sorted(ids, key=expected_seconds, reverse=True)}
        for future in as_completed(running):
            yield running[future], future.result()
    except BaseException:
        for process in active_children():  # or they would finish their papers, and begin those that they were sent already
            process.terminate()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def threads_of_children(count: int) -> Iterator[None]:
    """Processes that begin within have libraries of so many threads, unless the user asked for another number.

    torch is told by a call of its own; the libraries under NumPy and scikit-learn would each take all processors in each process.
    """
    name = "OMP_NUM_THREADS"
    if name in os.environ:
        yield
        return
    os.environ[name] = str(count)
    try:
        yield
    finally:
        del os.environ[name]


def expected_seconds(paper_id: str) -> float:
    """How long the last run took: what takes longest starts first, so that no processor waits for it at the end."""
    report = last_report(paper_id)
    return 0.0 if report is None else report.seconds


def begin_process(threads: int) -> None:
    """Limits the threads of torch, and ends the process when its parent is gone: a killed run leaves nothing running.

    Ctrl-C is the parent's to answer: a worker that did would go on with the next paper.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(threads)
    parent = parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def attempt(order: Order, paper_id: str, workers: int, progress: Progress | None = None) -> Report | DataUnavailableError:
    """Measure one paper and write its files, or say what data it lacks."""
    module = paper_module(paper_id)
    code = source_hash(module.__name__)  # before the run: the source may change in its course
    journal = order.output / f".{paper_id}-{order.scale}-{order.seed}-{code}.jsonl"
    try:
        with sweeping(workers, journal, over_engine(order.address)):
            report = with_provenance(module.run(order.scale, order.seed, progress), code)
    except DataUnavailableError as error:
        return error
    write_report(module.PAPER, report, order.output)
    journal.unlink(missing_ok=True)
    return report


def write_report(paper: Paper, report: Report, folder: Path) -> None:
    """Write `NN.json`, `NN.html`, and `NN-NAME.png` for each figure; without matplotlib there are no pictures.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{report.paper}.json", report.to_json())
    pictures = pictures_of(report)
    for name, picture in pictures.items():
        (folder / f"{report.paper}-{name}.png").write_bytes(picture)
    write_whole(folder / f"{report.paper}.html", page(f"[{paper.id}] {paper.title}", [Entry(paper, report, pictures)]))


def read_report(folder: Path, paper_id: str) -> Report | None:
    """The report that a run left in `folder`, or None.

    Raises:
        ValueError: the file is damaged, or another paper's.
    """
    path = folder / f"{paper_id}.json"
    if not path.exists():
        return None
    report = Report.from_json(path.read_text(encoding="utf-8"))
    if report.paper != paper_id:
        raise ValueError(f"{path} must be a report of paper {paper_id}, got one of {report.paper}")
    return report


def pictures_in(folder: Path, report: Report) -> dict[str, bytes]:
    """The pictures that `write_report` left there."""
    paths = {figure.name: folder / f"{report.paper}-{figure.name}.png" for figure in report.figures}
    return {name: path.read_bytes() for name, path in paths.items() if path.exists()}


def write_whole(path: Path, text: str) -> None:
    """Write a file; the old one is there until the new one is whole."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_text(text, encoding="utf-8")
    os.replace(fresh, path)
