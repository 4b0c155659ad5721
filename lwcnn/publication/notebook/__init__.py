"""What the notebook's cells call: results found or made, figures shown, and sentences that hold for their numbers.

Nothing here is needed to train or to draw; the functions that do both are the library's own.
"""

from lwcnn.publication.notebook.display import show, tell
from lwcnn.publication.notebook.opening import open_story
from lwcnn.publication.notebook.places import committed_folders
from lwcnn.publication.notebook.story import Story

__all__ = ["Story", "committed_folders", "open_story", "show", "tell"]
