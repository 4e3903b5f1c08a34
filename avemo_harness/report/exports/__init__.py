"""A run's results in the formats of others: the Hub's, papers' and spreadsheets'.

Every export is pure and offline: it gives the texts of files by their paths.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from avemo_harness.options import option

FORMATS = {
    "eval-results": "avemo_harness.report.exports.formats:eval_results",
    "csv": "avemo_harness.report.exports.formats:spreadsheet",
    "latex": "avemo_harness.report.exports.latex:latex",
    "md": "avemo_harness.report.exports.markdown:markdown",
}
"""By format, the function that makes its files; imported when it is the one asked for."""


@dataclass(frozen=True, slots=True)
class Publication:
    """Addresses under which results are published."""

    model_id: str | None = field(default=None, metadata=option("the model on the Hub", metavar="OWNER/NAME"))
    dataset_id: str | None = field(
        default=None, metadata=option("the release on the Hub, if the run read a copy", metavar="OWNER/NAME")
    )
    source_url: str | None = field(
        default=None, metadata=option("where the run directory can be looked at", metavar="URL")
    )
