"""The step in PyTorch on the CPU. Speaks as serve.js does."""

import json
import os
import sys
import time

import torch
import torch.nn.functional as F

from torch_resnet18 import ResNet18, parameters


def say(message):
    print(json.dumps(message), flush=True)


def main():
    batch_size = json.loads(sys.argv[1])["batchSize"]
    torch.manual_seed(1)
    # By itself it leaves the second thread of each core idle.
    torch.set_num_threads(os.cpu_count())
    # channels_last is what PyTorch's own advice for CPUs says, and the faster of the two here.
    layout = torch.channels_last
    model = ResNet18().to(memory_format=layout).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    images = torch.randn(batch_size, 3, 32, 32).to(memory_format=layout)
    labels = torch.arange(batch_size) % 10

    def step():
        began = time.perf_counter()
        optimizer.zero_grad()
        loss = F.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item(), time.perf_counter() - began

    loss, seconds = step()
    version = f"{torch.__version__} (CPU, {torch.get_num_threads()} threads)"
    say({"version": version, "parameters": parameters(model), "loss": loss, "seconds": seconds})
    for line in sys.stdin:
        results = [step() for _ in range(json.loads(line)["steps"])]
        say({"milliseconds": [1000 * seconds for _, seconds in results], "loss": results[-1][0]})


main()
