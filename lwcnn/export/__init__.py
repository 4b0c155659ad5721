"""Trained models as files for other runtimes, each checked against the Keras model before it is written.

What needs TensorFlow, LiteRT or ONNX is imported by the functions that use it: `pip install 'lwcnn[export]'`.
"""
