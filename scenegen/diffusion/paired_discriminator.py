"""A score that tells a teacher's samples from a student's under the same condition: paired Bradley-Terry loss.

Source: AFD (Luo et al., 2026, arXiv 2605.26105). Its loss is the relativistic pairing loss of Jolicoeur-Martineau
(2019, arXiv 1807.00734) with pairs that share a condition c, so what makes c hard cancels. At the optimum the score is
the log density ratio up to a constant per condition (AFD, eq. 10): D(x, c) = log p_T(x|c) - log p_S(x|c) + k(c).

Zero-centred gradient penalties (R1 on the teacher's samples, R2 on the student's; Mescheder et al., 2018, arXiv
1801.04406) keep a discriminator that wins from becoming a step, whose advantages say nothing.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional


def paired_loss(teacher: Float[Tensor, "B *K"], student: Float[Tensor, "B N *K"]) -> Float[Tensor, ""]:
    """Return the mean of -log sigmoid(D(x_T, c) - D(y, c)) over all pairs that share a condition.

    Args:
        teacher: score of one teacher's sample of each of B conditions, whole or in K parts.
        student: scores of N of the student's samples of the same conditions.
    """
    # L_D = -log sigmoid(D(x_T, c) - D(y, c)), AFD's discriminator loss.
    return functional.softplus(student - teacher.unsqueeze(1)).mean()


def pair_accuracy(teacher: Float[Tensor, "B *K"], student: Float[Tensor, "B N *K"]) -> float:
    """Return the share of pairs in which the teacher's sample scores higher; a tie counts a half.

    0.5 is a discriminator that cannot tell, 1 one that has won; in training 0.6 to 0.9 is informative.
    """
    gap = teacher.unsqueeze(1) - student
    return float(((gap > 0).float() + 0.5 * (gap == 0).float()).mean())


def zero_centred_penalty(score: Float[Tensor, "..."], samples: Float[Tensor, "B *S"]) -> Float[Tensor, ""]:
    """Return the mean of |dD/dx|^2 over samples, with a graph, to be added to the discriminator's loss.

    Args:
        score: D of `samples`, whatever its shape; each value depends on one sample alone.
        samples: leaves that require a gradient.
    """
    (slope,) = torch.autograd.grad(score.sum(), samples, create_graph=True)
    # R1 = E |grad_x D(x)|^2 (Mescheder et al., eq. 9); R2 is the same over the student's samples.
    return slope.flatten(1).square().sum(dim=1).mean()
