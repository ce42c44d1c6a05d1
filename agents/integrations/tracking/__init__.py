"""Training and online runs in the trackers that people have: callbacks to give to `fit`, `play_online` and the rest.

JSON lines need nothing (`RunFolder`, `agents.callbacks.JSONLines`); TensorBoard, Weights & Biases and Trackio are thin.
"""

from .benchmark_runs import track_benchmark
from .json_lines import RunFolder
from .tensorboard import TensorBoard
from .tracker import Prefixed, Several, Tracker, plain_config
from .trackio import Trackio
from .weights_and_biases import WeightsAndBiases

__all__ = [
    "Prefixed",
    "RunFolder",
    "Several",
    "TensorBoard",
    "Tracker",
    "Trackio",
    "WeightsAndBiases",
    "plain_config",
    "track_benchmark",
]
