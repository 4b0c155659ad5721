"""Muon for convolutional networks: orthogonalized updates of 1x1 convolutions, AdamW for all other weights.

Keras's Muon orthogonalizes variables of two dimensions only; the kernel of a 1x1 convolution has four and silently gets
AdamW. Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the scale of
Liu et al., arXiv 2502.16982, for which the learning rate and weight decay of AdamW fit.
"""

import keras
from keras import ops

NOT_ORTHOGONAL = ("head", "squeeze", "excite")
"""Parts of the paths of variables that AdamW trains: the last layer, as Muon's authors advise, and narrow matrices."""


@keras.saving.register_keras_serializable(package="lwcnn")
class PointwiseMuon(keras.optimizers.Muon):
    """`keras.optimizers.Muon` that treats the kernel (1, 1, c, f) of a 1x1 convolution as the matrix (c, f).

    Args:
        learning_rate: As in Keras.
        weight_decay: As in Keras; also AdamW's.
        fixed_norm: Whether each matrix is scaled to the norm sqrt(f) before its update. Source: KellerJordan,
            airbench94_muon.
        **arguments: Others of Keras's Muon.
    """

    def __init__(self, learning_rate=0.001, weight_decay=0.004, fixed_norm=False, **arguments):
        arguments.setdefault("adam_weight_decay", weight_decay)
        arguments.setdefault("exclude_layers", list(NOT_ORTHOGONAL))
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **arguments)
        self.fixed_norm = fixed_norm

    @property
    def takes_pointwise_kernels(self):  # the engine recognizes the optimizer by it
        return not self.fixed_norm

    def _should_use_adamw(self, variable):
        is_pointwise = len(variable.shape) == 4 and tuple(variable.shape[:2]) == (1, 1)
        excluded = any(part in variable.path for part in self.exclude_layers)
        return excluded or not (is_pointwise or len(variable.shape) == 2)

    def _muon_update_step(self, gradient, variable, lr, m):
        if self.fixed_norm:
            self.assign(variable, variable * (variable.shape[-1] ** 0.5 / ops.norm(ops.reshape(variable, (-1,)))))
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        g = ops.add(gradient, self.momentum * m) if self.nesterov else m
        update = self.zeropower_via_newtonschulz5(ops.reshape(g, variable.shape[-2:]), self.ns_steps)
        self.assign_sub(variable, ops.reshape(self.lr_adjust(lr * update), variable.shape))

    def get_config(self):
        return super().get_config() | {"fixed_norm": self.fixed_norm}
