r"""The report: every number, table and sentence that depends on results, made from the results files.

`research_report.tex` names what it needs, by `\val{...}` and `\generated{...}`; `generate` looks the names up,
writes what they stand for as LaTeX, and `build_pdf` has latexmk build the PDF. A name that stands for nothing is an
error; a result that is not there yet becomes a marked "not run".
"""

from lwcnn.publication.report.document import build_pdf, generate

__all__ = ["build_pdf", "generate"]
