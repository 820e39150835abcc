"""A model's backbone exported to ONNX and run by ONNX Runtime or OpenVINO."""
