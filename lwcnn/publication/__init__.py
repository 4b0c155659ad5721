"""What is published from the results: the audit of claims, tables, figures, the report and the notebook."""
