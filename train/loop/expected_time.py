"""How often a run evaluates and saves, and how long it will take, before weights are loaded.

The figures are estimates on paper, of the 1.7B with arithmetic in bfloat16, and nothing here was
measured on a GPU; `budget.realtime`, from a run of one's own, replaces those of the training. They
are such that steps of 52 s of audio take what the same count gives for the whole step: 0.11 to
0.16 s in phase B of `round2` on an A100, 0.15 to 0.20 s in A with checkpointed activations, and
0.13 to 0.17 s in B on two over NVLink.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asr_gate.corpus.utterance import Seconds
from asr_gate.train.data.rows import Row, Selection
from asr_gate.train.evaluation.reading import evaluation_batches, most_tokens
from asr_gate.train.loop.cadence import Step, plan_evaluations
from asr_gate.train.model.parameter_groups import MatchedGroup
from asr_gate.train.plan import PlannedTime, TimeSpent
from asr_gate.train.recipes import Gpu, Phase, Recipe

MEMORY_SPEED: Mapping[Gpu, float] = {"A100-40GB": 1.2e12, "A100-80GB": 1.6e12}
"""Bytes a second of the GPU's memory, four fifths of the makers' figure."""
LINK_SPEED = 2e11
"""Bytes a second between GPUs (NVLink)."""
LAUNCHING: Seconds = 0.04
"""Of a batch, however small: its kernels are started one after the other."""
COMPUTING: Seconds = 1.5e-3
"""Of a second of audio, with `COUNTED` parameters."""
COUNTED = 2.35e9
RECOMPUTED = 4 / 3
"""Factor where activations are checkpointed: one more forward pass."""
THAWED = 1.15
"""Factor where layers of the audio tower train."""
DECODED: Seconds = 0.037
"""Of one more token of a batch in an evaluation: 1,860 kernels, whatever the batch."""
ADAMW_TRAFFIC, GRADIENT, STATE, CHECKPOINT = 28, 4, 12, 2
"""Bytes of each parameter: that AdamW reads and writes, that processes send, of a state (with two
moments; only of those that train), and of a checkpoint."""
DISK_SPEED, COPY_SPEED = 1e9, 5e9
"""Bytes a second that a checkpoint is written with, and that a state is copied to main memory with;
from there it is written while the training goes on."""
READING: Mapping[str, float] = {".wav": 604, ".flac": 506, ".mp3": 282, ".opus": 115, ".ogg": 115}
"""Seconds of audio that one worker reads per second (measured on a processor)."""
STARTING: Seconds = 120.0


def expected_time(
    selection: Selection,
    recipe: Recipe,
    planned: Sequence[Sequence[Step]],
    groups: Mapping[str, Sequence[MatchedGroup]],
    *,
    audio: str,
    parameters: int,
    world: int,
    gpu: Gpu | None,
) -> PlannedTime:
    """Count evaluations, checkpoints, states and bytes, and the time of each on a machine.

    Args:
        selection: which rows train and which evaluate.
        recipe: of the run.
        planned: the steps of each epoch.
        groups: of each phase.
        audio: begins the names of the audio encoder's parameters.
        parameters: of the whole model.
        world: number of processes.
        gpu: what each process computes on; None: nothing is known about it.
    """
    evaluations = plan_evaluations(planned, selection.training, recipe.evaluation)
    steps = sum(map(len, planned))
    trained = {name: sum(group.size for group in some) for name, some in groups.items()}
    state, checkpoint = STATE * max(trained.values()), CHECKPOINT * parameters
    every = recipe.checkpoints.state_every_steps
    states = len(set(range(every, steps + 1, every)) | set(evaluations) if every else evaluations)
    if gpu is None:
        return PlannedTime(
            evaluations=len(evaluations),
            checkpoints=len(evaluations) + 1,
            states=states,
            written=(len(evaluations) + 1) * checkpoint + states * state,
        )
    epochs = [
        _training(
            selection,
            recipe,
            steps,
            recipe.phase_of(epoch),
            groups,
            audio,
            parameters,
            world,
            gpu,
        )
        for epoch, steps in enumerate(planned, start=1)
    ]
    training = sum(epochs)
    evaluation = len(evaluations) * _evaluation(selection.evaluation, recipe, world)
    evaluation += _evaluation(selection.test, recipe, world)
    states += _states_by_the_clock(recipe, len(evaluations), training + evaluation)
    spent = TimeSpent(
        training=training,
        evaluation=evaluation,
        checkpoints=(len(evaluations) + 1) * checkpoint / DISK_SPEED + states * state / COPY_SPEED,
        waiting=_waiting(selection.training, recipe, epochs, world),
        other=STARTING,
    )
    heard = sum(row.seconds for row in selection.training) * len(planned)
    return PlannedTime(
        evaluations=len(evaluations),
        checkpoints=len(evaluations) + 1,
        states=states,
        written=(len(evaluations) + 1) * checkpoint + states * state,
        machine=f"{world} x {gpu}",
        expected=spent,
        realtime=heard / world / training,
    )


def _training(
    selection: Selection,
    recipe: Recipe,
    steps: Sequence[Step],
    phase: Phase,
    groups: Mapping[str, Sequence[MatchedGroup]],
    encoder: str,
    parameters: int,
    world: int,
    gpu: Gpu,
) -> Seconds:
    """Of the steps of one epoch."""
    audio = sum(row.seconds for row in selection.training) / world
    if recipe.budget.realtime is not None:
        return audio / recipe.budget.realtime
    names = [name for group in groups[phase.name] for name in group.parameters]
    trained = sum(group.size for group in groups[phase.name])
    update = trained * ADAMW_TRAFFIC / MEMORY_SPEED[gpu]
    if world > 1:
        update += trained * GRADIENT / LINK_SPEED
    batches = sum(-(-len(step) // world) for step in steps)
    computing = COMPUTING * parameters / COUNTED
    if any(name.startswith(encoder) for name in names):
        computing *= THAWED
    factor = RECOMPUTED if phase.gradient_checkpointing else 1.0
    return len(steps) * update + factor * (batches * LAUNCHING + audio * computing)


def _evaluation(rows: Sequence[Row], recipe: Recipe, world: int) -> Seconds:
    """Of one evaluation, by the process that does most; each transcript goes on to its limit."""
    settings = recipe.evaluation
    planned = evaluation_batches(rows, settings.batch_seconds)
    tokens = [most_tokens(settings, rows[batch[0]], reference=0) for batch in planned]
    return DECODED * sum(tokens[::world])


def _states_by_the_clock(recipe: Recipe, evaluations: int, time: Seconds) -> int:
    """States that are due between evaluations because of the time."""
    minutes = recipe.checkpoints.state_every_minutes
    return 0 if minutes is None else evaluations * int(time / evaluations / (60 * minutes))


def _waiting(rows: Sequence[Row], recipe: Recipe, epochs: Sequence[Seconds], world: int) -> Seconds:
    """For audio that the workers read more slowly than the steps use it."""
    slowest = min(READING.values())
    reading = sum(row.seconds / READING.get(_ending(row), slowest) for row in rows) / world
    workers = recipe.data.workers
    if not workers:
        return reading * len(epochs)
    return sum(max(0.0, reading / workers - training) for training in epochs)


def _ending(row: Row) -> str:
    name = row.utterance.audio_name
    return name[name.rfind(".") :].lower()
