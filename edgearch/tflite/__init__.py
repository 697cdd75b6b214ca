"""Read ``.tflite`` files: operators, tensors, quantization, multiply-accumulates, memory. No TensorFlow."""
