"""The session that the notebook's cells use, and the script that strips the notebook before a commit."""
