"""The mean of several weights of one training, which often does better than each.

    python -m recipes.embedded.average HALFWAY END --speech build/embedded/speech \
        --out DIR

Stochastic weight averaging (Izmailov et al. 2018). The last one's card goes on to tell of it, with
what is measured anew on the voice held out.
"""

import argparse
import sys
from pathlib import Path
from typing import cast

from torch.optim.swa_utils import AveragedModel

from asr_gate.embedded.network import EmbeddedNet
from recipes.embedded.dataset import read, summary
from recipes.embedded.language import find
from recipes.embedded.onnx_file import load
from recipes.embedded.train import export, figures

KEPT: tuple[str, ...] = ("tokens", "language", "recipe", "began_with")
"""What stays of the last one's card."""


def main() -> int:
    parser = argparse.ArgumentParser(description="Average weights of one training.")
    parser.add_argument("folders", type=Path, nargs="+", help="each with the model's two files")
    parser.add_argument("--speech", type=Path, required=True, help="the set that they learnt from")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    nets = [load(folder) for folder in options.folders]
    last = nets[-1]
    language = find(last.card.get("language", "en"))
    averaged = AveragedModel(last, use_buffers=True)
    for net in nets:
        averaged.update_parameters(net)
    mean = cast(EmbeddedNet, averaged.module.eval())
    found = figures(mean, read(options.speech, "held_out"), language)
    about = {
        **last.card["trained"],
        "held_out_character_error_rate": found["character_error_rate"],
        "averaged": {net.card["revision"]: net.card["trained"]["progress"] for net in nets},
    }
    card = {key: last.card[key] for key in KEPT if key in last.card}
    data = {**last.card["data"], **summary(options.speech, language)}
    measured = {"delay": found["delay"], "temperature": found["temperature"]}
    export(mean, options.out, {**card, "data": data, **measured, "trained": about})
    print(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
