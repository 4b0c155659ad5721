"""A web page to try networks on: `network.py` answers for an image, `page.py` lays out and serves the page."""
