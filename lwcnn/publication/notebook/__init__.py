"""What the notebook's cells call, and the form in which the notebook is committed."""
