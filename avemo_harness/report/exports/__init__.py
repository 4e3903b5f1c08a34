"""A run's results in the formats of others: the Hub's, papers' and spreadsheets'.

Every export is pure and offline: it gives the texts of files by their paths.
"""

from __future__ import annotations

FORMATS = {
    "eval-results": "avemo_harness.report.exports.formats:eval_results",
    "csv": "avemo_harness.report.exports.formats:spreadsheet",
    "latex": "avemo_harness.report.exports.latex:latex",
    "md": "avemo_harness.report.exports.markdown:markdown",
}
"""By format, the function that makes its files; imported when it is the one asked for."""
