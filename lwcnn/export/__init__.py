"""Exports trained models to other runtimes; needs `pip install 'lwcnn[export]'`."""
