"""Muon for convolutional networks: orthogonal updates for the matrices of 1x1 convolutions, AdamW for the rest.

Keras's Muon acts on variables of two dimensions only; a 1x1 convolution's kernel has four, and silently gets AdamW.
Source: Jordan et al., "Muon: An optimizer for hidden layers in neural networks" (2024), with the scale of Liu et al.,
arXiv 2502.16982, by which it takes AdamW's rate and decay.
"""

import keras
from keras import ops

NOT_ORTHOGONAL = ("head", "squeeze", "excite")
"""Parts of the paths of matrices that AdamW trains: the last layer, as its authors advise, and those of few columns."""


@keras.saving.register_keras_serializable(package="lwcnn")
class PointwiseMuon(keras.optimizers.Muon):
    """`keras.optimizers.Muon`, for which a kernel (1, 1, c, f) is the matrix (c, f) that it stands for.

    Args:
        learning_rate: of both kinds of update.
        weight_decay: of both.
        **arguments: further ones of `keras.optimizers.Muon`.
    """

    takes_pointwise_kernels = True  # by which the engine recognizes it

    def __init__(self, learning_rate=0.001, weight_decay=0.004, **arguments):
        arguments.setdefault("adam_weight_decay", weight_decay)
        arguments.setdefault("exclude_layers", list(NOT_ORTHOGONAL))
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **arguments)

    def _should_use_adamw(self, variable):
        is_pointwise = len(variable.shape) == 4 and tuple(variable.shape[:2]) == (1, 1)
        excluded = any(part in variable.path for part in self.exclude_layers)
        return excluded or not (is_pointwise or len(variable.shape) == 2)

    def _muon_update_step(self, gradient, variable, lr, m):
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        g = ops.add(gradient, self.momentum * m) if self.nesterov else m
        update = self.zeropower_via_newtonschulz5(ops.reshape(g, variable.shape[-2:]), self.ns_steps)
        self.assign_sub(variable, ops.reshape(self.lr_adjust(lr * update), variable.shape))
