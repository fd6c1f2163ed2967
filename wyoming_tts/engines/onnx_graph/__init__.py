"""ONNX graphs as data: reading them, proving what their parts depend on, and cutting parts out.

It knows no engine. What a part is, and where to cut, is decided by the engine whose model it is.
"""
