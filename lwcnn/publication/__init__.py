"""Everything that is published from the results: audit of claims, tables, figures, report, notebook and demo."""
