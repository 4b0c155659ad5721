r"""The report: `research_report.tex` holds the sentences, and every number and table in it comes from the results.

The text names what it needs by `\val{...}` and `\generated{...}`; `generate` writes both as LaTeX, and `build_pdf`
runs latexmk. An unknown name is an error; a result that is missing shows as "not run".
"""

from lwcnn.publication.report.document import build_pdf, generate

__all__ = ["build_pdf", "generate"]
