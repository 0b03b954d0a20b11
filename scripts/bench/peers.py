"""What other differentiable QP solvers need for the problems of the GPU benchmark: one JSON object a line.

    gpu_bench --dump FOLDER && python3 scripts/bench/peers.py FOLDER [--peers qpth,qpth-patched,qpax] [--seconds 5]

qpth runs on PyTorch, qpax on JAX; each is measured only where it can be imported (--path adds folders to look in). Times
are milliseconds a batch, the median over runs that are timed by CUDA events (qpth) or until the result is ready (qpax),
with the data on the GPU. `forward` does not record for derivatives, `both` ends with the gradients of Σz with respect to
everything. `--device cpu` is for trying this script out.
"""

import argparse
import importlib.util
import json
import statistics
import struct
import sys
import time
import types
from pathlib import Path

import numpy as np


def read_problems(path):
    """The distinct problems of gpu_problems.h's TiledBatch, repeated to a whole batch."""
    data = path.read_bytes()
    n, m, q, batch, distinct = struct.unpack_from("<5q", data)
    arrays, offset = {}, 40
    for name, shape in {"Q": (n, n), "p": (n,), "G": (m, n), "h": (m,), "A": (q, n), "b": (q,)}.items():
        count = distinct * int(np.prod(shape))
        values = np.frombuffer(data, "<f8", count, offset).reshape(distinct, *shape)
        offset += 8 * count
        arrays[name] = values[np.arange(batch) % distinct]
    return (n, m, q, batch), arrays


def residual(arrays, z, slack, multipliers, nu):
    """The largest of the KKT residuals, each over its largest term, in float64."""
    Q, p, G, h, A, b = (arrays[name] for name in "QpGhAb")
    z, slack, multipliers, nu = (np.asarray(v, np.float64) for v in (z, slack, multipliers, nu))
    dual = np.einsum("bij,bj->bi", Q, z) + p + np.einsum("bij,bi->bj", G, multipliers) + np.einsum("bij,bi->bj", A, nu)
    primal = np.einsum("bij,bj->bi", G, z) + slack - h
    equal = np.einsum("bij,bj->bi", A, z) - b
    gap = (slack * multipliers).mean(1, keepdims=True) if slack.shape[1] else np.zeros((1, 1))
    worst = [np.abs(r).max(axis=1, initial=0) for r in (dual, primal, equal, gap)]
    return np.max(np.stack([np.broadcast_to(w, (z.shape[0],)) for w in worst]), axis=0)


def median(measure, seconds, repeats=20):
    """Of what `measure(i)` gives, in ms, after warming up; at least three, as many of `repeats` as fit into `seconds`."""
    for i in range(2):
        measure(i)
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or (len(times) < repeats and time.perf_counter() < end):
        times.append(measure(len(times)))
    return statistics.median(times)


class Qpth:
    """qpth, as published, or with the work that it does for nothing taken out."""

    def __init__(self, device, patched):
        import torch

        self.torch, self.device = torch, torch.device(device)
        # It imports CVXPY for a solver that is not measured here.
        if "cvxpy" not in sys.modules and importlib.util.find_spec("cvxpy") is None:
            sys.modules["cvxpy"] = types.ModuleType("cvxpy")
        self.layer = importlib.import_module("qpth.qp")
        self.solver = importlib.import_module("qpth.solvers.pdipm.batch")
        self.published = self.solver.factor_kkt
        self.replace(patched)

    def replace(self, patched):
        """qpth means to keep a batch of identity matrices, but compares the size of [batch, m, m] with that of [batch, m]:
        they are made anew in the host's memory, and copied to the GPU, in every iteration, to select a diagonal by. The
        factorisation below adds to the diagonal instead. It is for the GPU, where qpth does not pivot."""

        def factor_kkt(S_LU, R, d):
            m = d.size(1)
            T = R.clone()
            T.diagonal(dim1=1, dim2=2).add_(1 / d)
            S_LU[0][:, -m:, -m:] = self.solver.lu_hack(T)[0]

        self.solver.factor_kkt = factor_kkt if patched and self.device.type == "cuda" else self.published

    def run(self, shape, arrays, dtype, tolerance, seconds):
        torch = self.torch
        n, m, q, batch = shape
        inputs = []
        for k in range(3):
            rolled = {name: np.roll(values, 17 * k, axis=0) for name, values in arrays.items()}
            data = [torch.tensor(rolled[name], dtype=getattr(torch, dtype), device=self.device) for name in "QpGhAb"]
            if q == 0:
                data[4:] = [torch.empty(0, dtype=data[0].dtype, device=self.device) for _ in "Ab"]
            inputs.append(data)
        kept = {}
        forward = self.solver.forward

        def keeping(*args, **kwargs):
            kept["z"], kept["nu"], kept["lambda"], kept["slack"] = result = forward(*args, **kwargs)
            return result

        solve = self.layer.QPFunction(verbose=-1, eps=tolerance, maxIter=50, check_Q_spd=False)

        def both(i):
            data = [x.detach().requires_grad_(x.numel() > 0) for x in inputs[i % 3]]
            return self.timed(lambda: solve(*data).sum().backward())

        def alone(i):
            def call():
                with torch.no_grad():
                    solve(*inputs[i % 3])

            return self.timed(call)

        times = {"forward": median(alone, seconds), "both": median(both, seconds)}
        self.solver.forward = keeping
        try:
            with torch.no_grad():
                solve(*inputs[0])
        finally:
            self.solver.forward = forward
        found = {name: (v.cpu().numpy() if v is not None else np.zeros((batch, 0))) for name, v in kept.items()}
        return times, residual(arrays, found["z"], found["slack"], found["lambda"], found["nu"].reshape(batch, q))

    def timed(self, call):
        if self.device.type != "cuda":
            start = time.perf_counter()
            call()
            return 1e3 * (time.perf_counter() - start)
        start, end = (self.torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        end.synchronize()
        return start.elapsed_time(end)


class Qpax:
    def __init__(self, device, patched=False):
        import jax

        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_platforms", "cuda" if device == "cuda" else "cpu")
        self.jax, self.qpax = jax, importlib.import_module("qpax")

    def run(self, shape, arrays, dtype, tolerance, seconds):
        jax, jnp, qpax = self.jax, self.jax.numpy, self.qpax
        order = "QpAbGh"
        inputs = [
            [jnp.asarray(np.roll(arrays[name], 17 * k, axis=0), dtype=dtype) for name in order] for k in range(3)
        ]
        solve = jax.jit(jax.vmap(lambda *data: qpax.solve_qp(*data, solver_tol=tolerance)))

        def loss(*data):
            # The central path's parameter at which qpax differentiates: its default, 1e-3, is far from the solution.
            primal = jax.vmap(lambda *one: qpax.solve_qp_primal(*one, solver_tol=tolerance, target_kappa=tolerance))
            return primal(*data).sum()

        both = jax.jit(jax.grad(loss, argnums=tuple(range(6))))

        def timed(function):
            def measure(i):
                start = time.perf_counter()
                jax.block_until_ready(function(*inputs[i % 3]))
                return 1e3 * (time.perf_counter() - start)

            return measure

        times = {"forward": median(timed(solve), seconds), "both": median(timed(both), seconds)}
        z, slack, multipliers, nu, *_ = solve(*inputs[0])
        return times, residual(arrays, z, slack, multipliers, nu)


PEERS = {
    "qpth": lambda device: Qpth(device, patched=False),
    "qpth-patched": lambda device: Qpth(device, patched=True),
    "qpax": Qpax,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--path", action="append", default=[], help="a folder that holds peers")
    parser.add_argument("--seconds", type=float, default=5, help="for each measurement")
    parser.add_argument("--dtypes", default="float64")
    parser.add_argument("--tolerance", type=float, default=1e-8)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    sys.path[:0] = options.path
    problems = sorted(options.folder.glob("*.problems"), key=lambda path: path.stat().st_size)
    for name in options.peers.split(","):
        try:
            peer = PEERS[name](options.device)
        except ImportError as error:
            print(f"{name}: {error}", file=sys.stderr)
            continue
        for path in problems:
            shape, arrays = read_problems(path)
            for dtype in options.dtypes.split(","):
                line = {"program": name, "shape": shape[:3], "batch": shape[3], "precision": dtype}
                try:
                    times, residuals = peer.run(shape, arrays, dtype, options.tolerance, options.seconds)
                    line |= {key: float(f"{value:.5g}") for key, value in times.items()}
                    line["solved"] = int((residuals < 100 * options.tolerance).sum())
                    line["residual"] = float(f"{residuals.max():.2g}")
                except Exception as error:  # what one peer cannot do must not keep the others from being measured
                    line["error"] = f"{type(error).__name__}: {error}"[:200]
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
