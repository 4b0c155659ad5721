"""Muon's updates: orthogonal for the matrices of 1x1 convolutions, AdamW's for other weights."""

import keras
import numpy as np
import pytest

from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.residual_se import build_residual_se
from lwcnn.training.keras_optimizers import PointwiseMuon
from lwcnn.training.optimizers import OptimizerConfig


def one_step(variable, gradient, **arguments):
    before = keras.ops.convert_to_numpy(variable).copy()
    optimizer = PointwiseMuon(learning_rate=0.1, weight_decay=None, **arguments)
    optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    return keras.ops.convert_to_numpy(variable) - before


@pytest.mark.parametrize("shape", [(1, 1, 8, 16), (1, 1, 16, 8), (12, 6)])
def test_a_matrix_moves_by_an_orthogonal_matrix_scaled_by_the_rate(shape):
    gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    move = one_step(keras.Variable(np.zeros(shape, np.float32), name="kernel"), gradient).reshape(shape[-2:])
    values = np.linalg.svd(move, compute_uv=False) / (0.1 * 0.2 * max(shape[-2:]) ** 0.5)
    assert (values > 0.6).all() and (values < 1.3).all()  # five steps of Newton-Schulz come so near
    u, _, v = np.linalg.svd(gradient.reshape(shape[-2:]), full_matrices=False)
    assert np.corrcoef((u @ v).ravel(), -move.ravel())[0, 1] > 0.95


@pytest.mark.parametrize("nesterov", [True, False])
def test_the_second_step_is_along_the_momentum_and_with_nesterov_ahead_of_it(nesterov):
    first, second = np.random.default_rng(0).normal(size=(2, 1, 1, 6, 9)).astype(np.float32)
    variable = keras.Variable(np.zeros_like(first), name="kernel")
    optimizer = PointwiseMuon(learning_rate=0.1, weight_decay=None, momentum=0.5, nesterov=nesterov)
    for gradient in (first, second):
        before = keras.ops.convert_to_numpy(variable).copy()
        optimizer.apply([keras.ops.convert_to_tensor(gradient)], [variable])
    move, momentum = keras.ops.convert_to_numpy(variable) - before, 0.5 * first + second
    expected = {True: second + 0.5 * momentum, False: momentum}
    u, _, v = np.linalg.svd(expected[nesterov][0, 0], full_matrices=False)
    others, _, w = np.linalg.svd(expected[not nesterov][0, 0], full_matrices=False)
    near, far = (np.corrcoef(matrix.ravel(), -move.ravel())[0, 1] for matrix in (u @ v, others @ w))
    assert near > 0.95 and near > far + 0.01


@pytest.mark.parametrize("shape", [(3, 3, 8, 1), (8,), (3, 3, 4, 8)])
def test_other_weights_move_as_by_adamw(shape):
    gradient = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    variable = keras.Variable(np.ones(shape, np.float32), name="kernel")
    other = keras.Variable(np.ones(shape, np.float32), name="kernel")
    move = one_step(variable, gradient)
    keras.optimizers.AdamW(0.1, weight_decay=0.0).apply([keras.ops.convert_to_tensor(gradient)], [other])
    np.testing.assert_allclose(1 + move, keras.ops.convert_to_numpy(other), rtol=1e-5)


def test_which_of_the_network_s_weights_are_orthogonal():
    model = build_residual_se((16, 16, 3), 10, ResidualSEConfig(16, (Stage(16, 1), Stage(32, 1))))
    optimizer = OptimizerConfig("muon", 0.02, weight_decay=0.05).build(10)
    optimizer.build(model.trainable_variables)
    orthogonal = {v.path for v in model.trainable_variables if not optimizer._should_use_adamw(v)}
    assert orthogonal == {
        f"{name}/kernel"
        for name in (
            "stage1_block1_expand", "stage1_block1_project", "stage2_widen", "stage2_block1_expand",
            "stage2_block1_project",
        )
    }  # fmt: skip
    assert optimizer.adam_weight_decay == optimizer.weight_decay == 0.05
    restored = PointwiseMuon.from_config(optimizer.get_config())
    assert restored.exclude_layers == optimizer.exclude_layers and restored.adam_weight_decay == 0.05
