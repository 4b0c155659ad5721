"""Exports trained models to other runtimes; needs `pip install '.[export]'` in a checkout."""
