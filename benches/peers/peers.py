"""Times PyTorch and Opacus on the networks of `cargo bench --bench training`, and prints the ratios.

Same machine, same run: a figure of another machine or another day is not compared with. Where PyTorch or Opacus is not
installed it says so and ends well.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BATCH = 256


def ours(run_bench):
    """Medians of our bench in milliseconds, by network and way."""
    if run_bench:
        command = ["cargo", "bench", "--workspace", "--bench", "training", "--", "^(cnn|mlp)/"]
        subprocess.run(command, cwd=ROOT, check=True)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    found = {}
    for network in ("cnn", "mlp"):
        for way in ("burn", "plain", "clipped", "private"):
            path = target / "criterion" / network / way / "new" / "estimates.json"
            if not path.exists():
                sys.exit(f"{path} is missing: run without --no-bench")
            found[network, way] = json.loads(path.read_text())["median"]["point_estimate"] / 1e6
    return found


def networks(nn):
    """The networks of `benches/benches/training/nets.rs`."""
    relu, pool = nn.ReLU, lambda: nn.MaxPool2d(2, 1)
    cnn = [nn.Conv2d(1, 16, 8, 2, padding=3), relu(), pool(), nn.Conv2d(16, 32, 4, 2), relu(), pool()]
    cnn += [nn.Flatten(), nn.Linear(512, 32), relu(), nn.Linear(32, 10)]
    mlp = [nn.Linear(784, 256), relu(), nn.Linear(256, 128), relu(), nn.Linear(128, 10)]
    return {"cnn": (nn.Sequential(*cnn), (BATCH, 1, 28, 28)), "mlp": (nn.Sequential(*mlp), (BATCH, 784))}


def median_of(step, repeats):
    """Median time of `step` in milliseconds, after three steps that do not count."""
    times = []
    for repeat in range(repeats + 3):
        start = time.perf_counter()
        step()
        if repeat >= 3:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


def private(torch, nn, model, mode, shape):
    """One private step of Opacus in one of its modes: noise and update included, sampling not."""
    from opacus import GradSampleModule
    from opacus.grad_sample.utils import wrap_model
    from opacus.optimizers import DPOptimizer, DPOptimizerFastGradientClipping
    from opacus.utils.fast_gradient_clipping_utils import DPLossFastGradientClipping

    inputs, labels = torch.rand(shape), torch.arange(BATCH) % 10
    sgd = lambda wrapped: torch.optim.SGD(wrapped.parameters(), lr=1e-3)
    settings = {"noise_multiplier": 1.1, "max_grad_norm": 1.0, "expected_batch_size": BATCH}
    if mode == "ghost":
        wrapped = wrap_model(model, grad_sample_mode="ghost", max_grad_norm=1.0)
        optimiser = DPOptimizerFastGradientClipping(sgd(wrapped), **settings)
        loss = DPLossFastGradientClipping(wrapped, optimiser, nn.CrossEntropyLoss())
    else:
        wrapped = GradSampleModule(model) if mode == "hooks" else wrap_model(model, grad_sample_mode=mode)
        optimiser, loss = DPOptimizer(sgd(wrapped), **settings), nn.CrossEntropyLoss()

    def step():
        optimiser.zero_grad()
        loss(wrapped(inputs), labels).backward()
        optimiser.step()

    return step


def plain(torch, nn, model, shape):
    """One step of PyTorch without privacy."""
    inputs, labels = torch.rand(shape), torch.arange(BATCH) % 10
    optimiser, loss = torch.optim.SGD(model.parameters(), lr=1e-3), nn.CrossEntropyLoss()

    def step():
        optimiser.zero_grad()
        loss(model(inputs), labels).backward()
        optimiser.step()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--no-bench", action="store_true", help="read our figures from the last bench")
    parser.add_argument("--repeats", type=int, default=30, help="steps that are timed (default: 30)")
    arguments = parser.parse_args()
    try:
        import torch
        from torch import nn
    except ImportError as error:
        print(f"no figures of the peers: {error}. `pip install -r benches/peers/requirements.txt` brings them.")
        return
    try:
        import opacus
    except ImportError as error:
        opacus = None
        print(f"no figures of Opacus: {error}.")
    torch.manual_seed(1)
    found = ours(not arguments.no_bench)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    for network in ("cnn", "mlp"):
        model, shape = networks(nn)[network]
        steps = {"PyTorch, plain": lambda: plain(torch, nn, model, shape)}
        if opacus:
            for mode in ("hooks", "ew", "ghost"):
                fresh = networks(nn)[network][0]
                steps[f"Opacus, {mode}"] = lambda mode=mode, fresh=fresh: private(torch, nn, fresh, mode, shape)
        print(f"{network}: " + ", ".join(f"{way} {found[network, way]:.2f} ms" for way in ("burn", "plain", "private")))
        for name, make in steps.items():
            try:
                theirs = median_of(make(), arguments.repeats)
            except Exception as error:  # a mode that this version of Opacus lacks is no failure of ours
                print(f"  {name}: not measured ({type(error).__name__}: {error})")
                continue
            way = "plain" if name.startswith("PyTorch") else "private"
            ratio, other = found[network, "private"] / theirs, found[network, way] / theirs
            print(f"  {name}: {theirs:.2f} ms; our private step takes {ratio:.2f} of it, our {way} one {other:.2f}")


if __name__ == "__main__":
    main()
