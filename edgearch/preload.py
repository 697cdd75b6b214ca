"""What the fork server imports before it forks: TensorFlow and tfmot, with no op run.

TensorFlow greets on stderr before its own log level counts. The fork server has nothing to say there, and
its children write to a log each, so the stream is closed to all of them first.
"""

import os

from edgearch.framework import keras, tf, tfmot

_nowhere = os.open(os.devnull, os.O_WRONLY)
os.dup2(_nowhere, 1)
os.dup2(_nowhere, 2)
LOADED = (tf.lite, keras.layers, tfmot.sparsity)  # an attribute asked for is the import
