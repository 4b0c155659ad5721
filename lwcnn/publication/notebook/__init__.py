"""The notebook: what its cells call, and the form in which it is committed."""
