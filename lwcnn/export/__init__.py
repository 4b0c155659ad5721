"""Exports trained models to other runtimes and compares each export with the Keras model before writing it.

TensorFlow, LiteRT and ONNX are imported by the functions that use them. Install them with
`pip install 'lwcnn[export]'`.
"""
