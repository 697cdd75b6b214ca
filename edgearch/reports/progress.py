"""Progress on stderr while stages run: bars on a terminal, a line a stage elsewhere."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from edgearch.pipeline import Timing, Watcher
from edgearch.work import Progress as Report


def stdout() -> Console:
    """Return the console that results are printed on."""
    return Console(highlight=False)


@contextlib.contextmanager
def display() -> Iterator[Watcher]:
    """Show stages on stderr while the block runs."""
    console = Console(stderr=True, highlight=False)
    bars = Progress(
        TextColumn("{task.fields[mark]} {task.description:<9}"),
        BarColumn(bar_width=24),
        TimeElapsedColumn(),
        TextColumn("{task.fields[text]}"),
        console=console,
        disable=not console.is_terminal,
    )
    with bars:
        yield _watcher(bars, console)


def _watcher(bars: Progress, console: Console) -> Watcher:
    running: list[TaskID] = []

    def started(stage: str) -> Report:
        task = bars.add_task(stage, total=None, mark="…", text="")
        running.append(task)
        if not console.is_terminal:
            console.print(f"{stage} …")

        def report(fraction: float | None, text: str) -> None:
            total = None if fraction is None else 1.0
            bars.update(task, total=total, completed=fraction or 0, text=escape(text[:70]))

        return report

    def finished(timing: Timing) -> None:
        how = "already done" if timing.cached else f"{timing.seconds:.1f} s"
        if running:
            bars.update(running.pop(), total=1, completed=1, mark="✓", text="")
        elif console.is_terminal:
            bars.add_task(timing.name, total=1, completed=1, mark="✓", text="already done")
        if not console.is_terminal:
            console.print(f"{timing.name}: {how}")

    def pipeline(name: str) -> None:
        console.print(f"[bold]{escape(name)}[/bold]")

    return Watcher(started, finished, pipeline)
