"""What the notebook's cells call: a session with its data and results, and showing figures."""

from lwcnn.publication.notebook.display import show, tell
from lwcnn.publication.notebook.session import Session, open_session

__all__ = ["Session", "open_session", "show", "tell"]
