"""
PyTorch's training step of ResNet-18 on an NVIDIA GPU, in the six modes that people use: what Kiln is compared with there.

python3 torch_gpu.py [--batch-sizes 128,512] [--compile]

Prints a JSON line for each batch size and mode: {"mode", "batchSize", "stepMs", "imagesPerSecond", "peakBytes", "loss"}. Needs
PyTorch with CUDA and nothing else. `--compile` adds torch.compile, which takes minutes.
"""

import argparse
import json
import statistics

import torch
import torch.nn.functional as F

from torch_resnet18 import ResNet18, parameters

# Its newer name; PyTorch before 2.3 has the other.
GradScaler = getattr(torch.amp, "GradScaler", None) or torch.cuda.amp.GradScaler

WARM_UP = 15
ROUNDS = 5
STEPS = 10

# cudnn.allow_tf32 is on by default: what PyTorch calls float32 is not, unless it is told so.
MODES = [
    {"mode": "f32 strict"},
    {"mode": "f32 strict, channels_last", "channels_last": True},
    {"mode": "tf32", "tf32": True},
    {"mode": "tf32, channels_last", "tf32": True, "channels_last": True},
    {"mode": "amp f16, channels_last", "tf32": True, "channels_last": True, "amp": torch.float16},
    {"mode": "amp bf16, channels_last", "tf32": True, "channels_last": True, "amp": torch.bfloat16},
]
COMPILED = [
    {"mode": "f32 strict, channels_last, compiled", "channels_last": True, "compiled": True},
    {
        "mode": "amp bf16, channels_last, compiled",
        "tf32": True,
        "channels_last": True,
        "amp": torch.bfloat16,
        "compiled": True,
    },
]


def training_step(batch_size, tf32=False, channels_last=False, amp=None, compiled=False):
    """A function that queues one step and returns its loss, still on the GPU."""
    torch.backends.cudnn.allow_tf32 = tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = ResNet18().cuda().to(memory_format=layout).train()
    assert parameters(model) == 11_173_962
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4, fused=True)
    scaler = GradScaler(enabled=amp == torch.float16)
    forward = torch.compile(model) if compiled else model
    images = torch.randn(batch_size, 3, 32, 32, device="cuda").to(memory_format=layout)
    labels = torch.arange(batch_size, device="cuda") % 10

    def step():
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cuda", dtype=amp or torch.float16, enabled=amp is not None):
            loss = F.cross_entropy(forward(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    return step


def measure(batch_size, mode, **settings):
    torch.manual_seed(1)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    step = training_step(batch_size, **settings)
    first = step().item()
    for _ in range(WARM_UP):
        step()
    rounds = []
    for _ in range(ROUNDS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        for _ in range(STEPS):
            loss = step()
        end.record()
        torch.cuda.synchronize()
        rounds.append(start.elapsed_time(end) / STEPS)
    step_ms = statistics.median(rounds)
    return {
        "mode": mode,
        "batchSize": batch_size,
        "stepMs": step_ms,
        "imagesPerSecond": 1000 * batch_size / step_ms,
        "peakBytes": torch.cuda.max_memory_allocated(),
        "loss": [first, loss.item()],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch-sizes", default="128,512")
    parser.add_argument("--compile", action="store_true")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("torch_gpu.py: PyTorch sees no CUDA device here")
    torch.backends.cudnn.benchmark = True
    print(json.dumps({"device": torch.cuda.get_device_name(), "torch": torch.__version__}), flush=True)
    for batch_size in map(int, arguments.batch_sizes.split(",")):
        for mode in MODES + (COMPILED if arguments.compile else []):
            print(json.dumps(measure(batch_size, **mode)), flush=True)


main()
