"""A web page to try networks: `network.py` computes the answer for an image, `page.py` lays out and serves the page."""
