"""The functions of torch that may draw random numbers."""

import torch
import torch.nn.functional as F
from torch import nn

# As they are called in any of the places below.
_NAMES = """
    alpha_dropout alpha_dropout_ bernoulli bernoulli_ binomial cauchy_ dropout dropout_ dropout1d
    dropout2d dropout3d exponential_ feature_alpha_dropout feature_alpha_dropout_ feature_dropout
    feature_dropout_ fractional_max_pool2d fractional_max_pool2d_with_indices fractional_max_pool3d
    fractional_max_pool3d_with_indices geometric_ gru gumbel_softmax log_normal_ lstm
    multi_head_attention_forward multinomial native_dropout normal normal_ pca_lowrank poisson
    rand rand_like randint randint_like randn randn_like random_ randperm rnn_relu rnn_tanh rrelu
    rrelu_ rrelu_with_noise rrelu_with_noise_ scaled_dot_product_attention svd_lowrank uniform_
    _fused_dropout _sample_dirichlet _standard_gamma
    kaiming_normal_ kaiming_uniform_ orthogonal_ sparse_ trunc_normal_ xavier_normal_
    xavier_uniform_
""".split()
_PLACES = (torch, torch.Tensor, F, torch._C._nn, torch._VF, torch._lowrank, nn.init)

FUNCTIONS_THAT_DRAW = frozenset(
    getattr(place, name) for place in _PLACES for name in _NAMES if hasattr(place, name)
)
# Of these the ones that take the keyword `generator`, in all releases of torch.
FUNCTIONS_WITH_GENERATOR = frozenset(
    [torch.rand, torch.randn, torch.randint, torch.randperm, torch.bernoulli, torch.normal]
    + [getattr(torch.Tensor, name) for name in ("uniform_", "normal_", "bernoulli_", "random_")]
)
