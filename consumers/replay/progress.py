"""How far a replay is: a bar on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn


@contextmanager
def progress_bar(
    first_ms: int, last_ms: int, *, lines_on_stdout: bool
) -> Iterator[Callable[[int, int], None]]:
    """Gives what is to be called with the milliseconds of the newest entry and the number of all so far.

    The bar is on stderr; where the lines themselves go to a terminal it would only cut them up.
    """
    if not sys.stderr.isatty() or (lines_on_stdout and sys.stdout.isatty()):
        yield lambda _ms, _entries: None
        return
    columns = (
        TextColumn("replay"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[entries]} entries"),
        TimeElapsedColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), transient=True, redirect_stdout=False, refresh_per_second=4
    ) as progress:
        task = progress.add_task("replay", total=max(last_ms - first_ms, 1), entries=0)

        def show(ms: int, entries: int) -> None:
            progress.update(task, completed=ms - first_ms, entries=entries)

        yield show
