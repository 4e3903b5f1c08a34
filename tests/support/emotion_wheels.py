"""Small emotion wheels in the files of AffectGPT's folder `emotion_wheel`, as these name their columns."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def write_workbook(path: Path, rows: Sequence[Sequence[str | None]], inline: bool = False) -> Path:
    """An Excel workbook of one sheet; texts are shared, as Excel writes them, or stand in their cells."""
    shared = list(dict.fromkeys(cell for row in rows for cell in row if cell is not None))

    def cell(row: int, column: int, text: str) -> str:
        name = f"{chr(ord('A') + column)}{row + 1}"
        if inline:
            return f'<c r="{name}" t="inlineStr"><is><t>{escape(text)}</t></is></c>'
        return f'<c r="{name}" t="s"><v>{shared.index(text)}</v></c>'

    lines = [
        f'<row r="{number + 1}">{"".join(cell(number, at, text) for at, text in enumerate(row) if text)}</row>'
        for number, row in enumerate(rows)
    ]
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="a" r:id="rId1"/></sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="rId1" Target="worksheets/sheet1.xml"/>'
            "</Relationships>",
        )
        book.writestr(
            "xl/worksheets/sheet1.xml",
            f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(lines)}</sheetData></worksheet>',
        )
        if not inline:
            runs = [f"<si><r><t>{escape(text[:1])}</t></r><r><t>{escape(text[1:])}</t></r></si>" for text in shared]
            book.writestr("xl/sharedStrings.xml", f'<sst xmlns="{MAIN}">{"".join(runs)}</sst>')
    return path


RINGS = [
    ("level1", "level2", "level3"),
    (" Mad ", "Hurt", "Jealous"),
    (None, "Hostile", "Angry"),
    ("Joy", "Calm", "Grateful"),
    (None, "Happy", "Amused"),
    ("Sad", "Lonely", "Sad"),
]
"""Two rings in, and words of a sector below an empty cell."""
SYNONYMS = {"Joy": "delight", "Happy": "glad, joyful", "Angry": "furious", "Jealous": "furious", "Sad": "unhappy"}
FORMS = {
    "happy": "happiness,happily",
    "joy": "joys",
    "glad": "gladly",
    "joyful": "",
    "angry": "anger",
    "jealous": "",
    "furious": "",
    "sad": "sadness",
    "unhappy": "",
}
LAST = [*RINGS[:3], ("Joy", "Happy", "Amused")]
"""A wheel without sadness."""


def write_wheels(folder: Path, last: Sequence[Sequence[str | None]] = LAST) -> Path:
    """Four wheels that are alike and a fifth, their synonyms and the forms of these."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(1, 6):
        write_workbook(folder / f"wheel{number}.xlsx", last if number == 5 else RINGS, inline=number == 2)
    names = [name for run in range(1, 9) for name in (f"word_run{run}", f"synonym_run{run}")]
    cells = [[*(word, synonyms) * 8] for word, synonyms in SYNONYMS.items()]
    write_workbook(folder / "synonym.xlsx", [names, *cells])
    lines = ["name,format", *(f'{word},"{forms}"' for word, forms in FORMS.items())]
    (folder / "format.csv").write_text("\n".join(lines) + "\n")
    return folder


def reference(truths: Mapping[str, set[str]], answers: Mapping[str, set[str]]) -> tuple[float, float, float]:
    """F1, precision and recall of sectors on one wheel, as a reference: means over items, and F1 of the means."""
    pairs = [(truth, answers[name]) for name, truth in truths.items() if truth]
    precision = sum(len(truth & given) / len(given) if given else 0.0 for truth, given in pairs) / len(pairs)
    recall = sum(len(truth & given) / len(truth) for truth, given in pairs) / len(pairs)
    return 2 * precision * recall / (precision + recall), precision, recall
