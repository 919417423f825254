"""Adapters are inside the weights while the policy samples, and the weights come back as they were."""

from __future__ import annotations

import pytest
import torch

from tests.grpo_runs import trainer

pytestmark = pytest.mark.slow


def trained(folder):
    """A trainer whose adapters have learned something."""
    one = trainer(folder, lora={"rank": 4, "alpha": 8}, learning_rate=1e-2)
    one.train()
    return one


def test_sampling_reads_the_adapters_from_inside_the_weights(tmp_path):
    learner = trained(tmp_path).learner
    layer = learner.policy.model.model.language_model.layers[0].self_attn.q_proj
    states_ND = torch.randn(8, layer.in_features)
    before, beside = layer.get_base_layer().weight.clone(), layer(states_ND)
    with learner.folded():
        assert layer.merged
        assert torch.allclose(layer(states_ND), beside, atol=1e-5)
        assert torch.equal(layer(states_ND), layer.get_base_layer()(states_ND))
    assert not torch.allclose(layer.get_base_layer()(states_ND), beside, atol=1e-3), "the adapters had learned nothing"
    assert torch.equal(layer(states_ND), beside)
    assert torch.equal(layer.get_base_layer().weight, before)


def test_weights_come_back_when_sampling_fails(tmp_path):
    one = trained(tmp_path)
    before = {name: each.clone() for name, each in one.learner.policy.model.state_dict().items()}
    with pytest.raises(RuntimeError, match="no memory"), one.learner.folded():
        raise RuntimeError("no memory")
    assert all(torch.equal(each, before[name]) for name, each in one.learner.policy.model.state_dict().items())


def test_bfloat16_keeps_its_adapters_beside_the_weights(tmp_path):
    learner = trained(tmp_path).learner
    learner.policy.model.to(torch.bfloat16)
    layer = learner.policy.model.model.language_model.layers[0].self_attn.q_proj
    with learner.folded():
        assert not layer.merged
