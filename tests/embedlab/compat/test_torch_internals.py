"""torch's private API is what embedlab reads it for."""

import os

import pytest
import torch
from torch import nn
from torch.nn import functional

from embedlab.compat import torch_internals


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize("activation", ["none", "gelu"])
@pytest.mark.parametrize("bias", [True, False])
def test_a_packed_layer_gives_what_the_layer_gives(activation, bias):
    torch.manual_seed(0)
    linear, states = nn.Linear(24, 40, bias=bias), torch.randn(2, 5, 24)
    with torch.no_grad():
        packed = torch_internals.packed_weight(linear.weight.detach())
        found = torch_internals.packed_linear(states, packed, linear.bias, activation)
        expected = functional.gelu(linear(states)) if activation == "gelu" else linear(states)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
def test_whether_bfloat16_is_multiplied_is_known():
    assert torch_internals.packs_bfloat16() in (True, False)


def test_the_compilers_cache_is_a_folder_in_the_temporary_one():
    assert os.path.isabs(torch_internals.compiler_cache())  # noqa: PTH117
    assert "torchinductor" in torch_internals.compiler_cache()


def test_hooks_of_both_kinds_are_seen():
    module = nn.Linear(1, 1)
    assert not torch_internals.has_hooks(module)
    for register in (module.register_forward_hook, module.register_forward_pre_hook):
        handle = register(lambda *_: None)
        assert torch_internals.has_hooks(module)
        handle.remove()
        assert not torch_internals.has_hooks(module)
