"""How fast, small and frugal a model is in the runtimes that it can be shipped in."""
