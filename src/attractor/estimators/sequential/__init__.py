"""Learning one task after the other without forgetting the earlier ones, with any `torch.nn.Module`.

`SequentialLearner` trains, strategies keep what was learned, `Evaluation` says how well they did. Strategies compose:
`strategies=[Rehearsal(0.1), EWC(0.5)]`. None of them is plain training; all tasks at once are one task, `joint(tasks)`.
"""

from attractor.estimators.sequential.evaluation import Evaluation, correct, score, stable
from attractor.estimators.sequential.importance import EWC, L2, MAS, SI, QuadraticPenalty
from attractor.estimators.sequential.learner import SequentialLearner
from attractor.estimators.sequential.projection import GEM, AveragedGEM, project
from attractor.estimators.sequential.rehearsal import PseudoRehearsal, Rehearsal, random_signs
from attractor.estimators.sequential.strategy import Strategy, Training
from attractor.estimators.sequential.tasks import Task, joint, permuted, random_patterns, split_classes

__all__ = [
    "EWC",
    "GEM",
    "L2",
    "MAS",
    "SI",
    "AveragedGEM",
    "Evaluation",
    "PseudoRehearsal",
    "QuadraticPenalty",
    "Rehearsal",
    "SequentialLearner",
    "Strategy",
    "Task",
    "Training",
    "correct",
    "joint",
    "permuted",
    "project",
    "random_patterns",
    "random_signs",
    "score",
    "split_classes",
    "stable",
]
