"""Recipes: what a run trains and how, as YAML files, and the types that they must fit."""

from asr_gate.train.recipes.files import RECIPES, load, names, origins, overridden, write
from asr_gate.train.recipes.schema import (
    Augment,
    Budget,
    Checkpoints,
    Data,
    Evaluation,
    Group,
    Logging,
    Lora,
    Model,
    Optimizer,
    Phase,
    Recipe,
    RecipeError,
    SpecAugment,
    TinyModel,
)

__all__ = [
    "RECIPES",
    "Augment",
    "Budget",
    "Checkpoints",
    "Data",
    "Evaluation",
    "Group",
    "Logging",
    "Lora",
    "Model",
    "Optimizer",
    "Phase",
    "Recipe",
    "RecipeError",
    "SpecAugment",
    "TinyModel",
    "load",
    "names",
    "origins",
    "overridden",
    "write",
]
