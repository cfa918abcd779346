"""The training loop of a plain script around plain_step.py, and the clock for it."""

import time

import torch
from plain_step import StepInputs, StepSettings, plain_step
from step_models import Student, TeacherBundle, layer_norm_names, normalised
from torch import nn

LAMBDA = 0.001
LR = 1e-6  # small, so that all steps are alike


class PlainTraining:
    """One optimizer step at a time: normalising pixels, draws, forward, backward, AdamW."""

    def __init__(
        self,
        student: Student,
        teacher: TeacherBundle,
        inputs: dict[str, torch.Tensor],
        precision: str,
        device: str = "cpu",
    ):
        self.clip, self.teacher, self.precision = student.model.to(device), teacher.teacher, precision
        self.inputs, self.device = {name: tensor.to(device) for name, tensor in inputs.items()}, device
        norms = layer_norm_names(self.clip)
        for name, parameter in self.clip.named_parameters():
            parameter.requires_grad_(name in norms)
        config = self.teacher.unet.config
        self.latent = (config.in_channels, config.sample_size, config.sample_size)
        self.h_w = nn.Linear(self.clip.visual.output_dim, config.in_channels * config.sample_size**2).to(device)
        trained = [parameter for parameter in self.clip.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW([*trained, *self.h_w.parameters()], lr=LR, weight_decay=0.2)

    def set_precision(self) -> None:
        """Converts the frozen networks to the precision, as both sides use them."""
        for network in (self.teacher.unet, self.teacher.text_encoder):
            network.to(self.device, torch.bfloat16 if self.precision == "bf16" else torch.float32)

    def step(self) -> None:
        preprocess = self.clip.visual.preprocess_cfg
        batch, steps = len(self.inputs["pixels"]), self.teacher.scheduler.config.num_train_timesteps
        inputs = StepInputs(
            images=normalised(self.inputs["pixels"], preprocess["mean"], preprocess["std"]),
            text_ids=self.inputs["text_ids"],
            teacher_ids=self.inputs["teacher_ids"],
            timesteps=torch.randint(0, steps, (batch,), device=self.device),
            noise=torch.randn(batch, *self.latent, device=self.device),
        )
        settings = StepSettings(sds_lambda=LAMBDA)
        losses = plain_step(self.clip, self.teacher, {"sds": self.h_w}, inputs, settings, self.precision)
        losses["total"].backward()
        self.optimizer.step()
        self.optimizer.zero_grad()

    def measure(self, warm_up: int, steps: int) -> list[float]:
        """Returns the time of each step after the warm-up in seconds."""
        self.set_precision()
        seconds = []
        for step in range(warm_up + steps):
            start = seconds_now(self.device)
            self.step()
            end = seconds_now(self.device)
            if step >= warm_up:
                seconds.append(end - start)
        return seconds


def seconds_now(device: str) -> float:
    """Returns processor time, or on a GPU wall-clock time after all queued work is done."""
    if device == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()
