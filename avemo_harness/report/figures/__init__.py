"""A run's figures for papers, as PDF and PNG: the table as bars, accuracy by condition, and trajectories."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from avemo_harness.errors import UsageError
from avemo_harness.paths import write_atomically
from avemo_harness.report.results_file import read_finished_run
from avemo_harness.report.scored_run import read_scored_run

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SETTINGS: Any = {  # matplotlib names the keys one by one since 3.11, and not before
    "font.size": 8.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "pdf.fonttype": 42,  # as fonts that journals take, not as drawings of letters
    "savefig.dpi": 200,
    "legend.frameon": False,
    "text.parse_math": False,  # names may hold a dollar sign
}


def draw_figures(folder: Path, target: Path) -> tuple[Path, ...]:
    """Draw what a run has: `table`, `conditions` and `trajectories`, each as PDF and PNG; equal runs give equal bytes.

    Args:
        folder: the run directory, scored.
        target: where the files go; made where there is none.

    Returns:
        The files; none of a figure that the run has nothing for.

    Raises:
        UsageError: matplotlib is not installed, or the folder is no scored run.
        StoreError: the run directory is damaged.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise UsageError(
            "matplotlib is not installed; figures need it: pip install 'avemo-harness[figures]'"
        ) from error
    with matplotlib.rc_context(_SETTINGS):
        return tuple(path for name, figure in _figures(folder) for path in _save(figure, target / name))


def _figures(folder: Path) -> Iterator[tuple[str, Figure]]:
    from avemo_harness.report.figures.bars import draw_conditions, draw_table
    from avemo_harness.report.figures.trajectories import draw_trajectories

    run = read_finished_run(folder)
    for name, figure in (
        ("table", draw_table(run)),
        ("conditions", draw_conditions(run)),
        ("trajectories", draw_trajectories(read_scored_run(folder))),
    ):
        if figure is not None:
            yield name, figure


def _save(figure: Figure, path: Path) -> Iterator[Path]:
    import io

    # Without these, the files would carry the date and the library's version.
    silent = {"pdf": {"CreationDate": None, "Producer": None, "Creator": None}, "png": {"Software": None}}
    for form, metadata in silent.items():
        data = io.BytesIO()
        figure.savefig(data, format=form, metadata=metadata, bbox_inches="tight")
        file = path.with_suffix(f".{form}")
        write_atomically(file, data.getvalue())
        yield file
