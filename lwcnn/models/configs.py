"""Networks as data: what the builders of this package build. Nothing here imports Keras.

Experiments are made of these, so that they can be listed and compared without a backend.
"""

from dataclasses import dataclass, replace

from lwcnn.system.settings import added_later

BRANCHES = ("original", "augmented")
"""Names of the two branches of the paper's model."""

EPSILON, MOMENTUM = 1e-3, 0.9
"""Of batch normalization: Keras's epsilon; a momentum for which a few hundred steps an epoch suffice."""


@dataclass(frozen=True)
class Stage:
    """Blocks of one width at one resolution.

    Attributes:
        filters: their width.
        blocks: how many.
        kernel_size: of their depthwise (or, in plain blocks, full) convolutions, odd.
        expansion: hidden width as a multiple of `filters`; plain blocks have none.
    """

    filters: int
    blocks: int
    kernel_size: int = 5
    expansion: float = 2


@dataclass(frozen=True)
class ResidualSEConfig:
    """A residual squeeze-and-excitation network as data.

    Attributes:
        stem: filters of the first convolution, 3x3 at full resolution, followed by ReLU and 2x2 max-pooling: on
            a CPU full-resolution layers with few channels cost the most, so there is only this one.
        stages: each but the first begins with 2x2 max-pooling and, where the width changes, a 1x1 convolution.
        activation: of the blocks.
        se_reduction: of squeeze-and-excitation; None leaves it out.
        residual: whether the blocks add their input.
        head: width of a 1x1 convolution before global average pooling; None leaves it out.
        dropout: before the last layer.
        drop_rate: of stochastic depth in the last block; it rises linearly from the first.
        block: kind of the blocks: "depthwise", "plain" (full convolutions) or "cbam" (depthwise with CBAM-lite).
    """

    stem: int = 32
    stages: tuple[Stage, ...] = (Stage(32, 2), Stage(40, 2))
    activation: str = "hard_silu"
    se_reduction: int | None = 16
    residual: bool = True
    head: int | None = None
    dropout: float = 0.0
    drop_rate: float = 0.0
    block: str = added_later("depthwise")


@dataclass(frozen=True)
class ResNetStage:
    """Blocks of one width.

    Attributes:
        filters: width of their output.
        blocks: how many.
        stride: of the first of them.
    """

    filters: int
    blocks: int
    stride: int = 1


@dataclass(frozen=True)
class ResNetConfig:
    """A residual network of full convolutions as data.

    Attributes:
        stem: filters of the first 3x3 convolution, at full resolution, followed by batch norm and activation.
        stages: the blocks.
        block: "basic" (two 3x3 convolutions) or "bottleneck" (three).
        inner: width of a bottleneck's first two convolutions as a share of its filters, rounded down.
        kernel_sizes: of a bottleneck's convolutions.
        activation: of stem and blocks.
        se_reduction: of squeeze-and-excitation; None leaves it out.
        se_bias: whether its dense layers have biases.
        block_dropout: share of whole channels dropped at the end of each block.
        dropout: before the last layer.
    """

    stem: int
    stages: tuple[ResNetStage, ...]
    block: str = "basic"
    inner: float = 0.25
    kernel_sizes: tuple[int, int, int] = (1, 3, 1)
    activation: str = "relu"
    se_reduction: int | None = None
    se_bias: bool = True
    block_dropout: float = 0.0
    dropout: float = 0.0


# github.com/Esteban-D-Lopez/DeepLearning-ResNet. The text gives widths, depths and "three convolutions" a block, no
# kernels. Its notebook (Shruti/Final_model.ipynb) has three 3x3 convolutions, the first two of half the width, and
# squeeze-and-excitation without biases: that alone gives the 4,905,430 claimed. Its dropout 0.2 is "in fully
# connected layers" in the text, of whole channels in every block in the notebook; the notebook is followed.
SE_RESNET = ResNetConfig(
    stem=96,
    stages=(ResNetStage(124, 4), ResNetStage(189, 4, 2), ResNetStage(280, 3, 2)),
    block="bottleneck",
    inner=0.5,
    kernel_sizes=(3, 3, 3),
    activation="leaky_relu",
    se_reduction=16,
    se_bias=False,
    block_dropout=0.2,
)
# What the text alone would suggest: bottlenecks 1x1-3x3-1x1 of full width. 4,956,174 trainable.
SE_RESNET_FULL_WIDTH = replace(
    SE_RESNET, inner=1.0, kernel_sizes=(1, 3, 1), se_bias=True, block_dropout=0.0, dropout=0.2
)

# github.com/Hashmmath/DL-Project-1-LearningtooDeep-CIFAR-10-Classification. 4,754,218 trainable.
RESNET_4443 = ResNetConfig(
    stem=32,
    stages=(ResNetStage(32, 4), ResNetStage(64, 4, 2), ResNetStage(128, 4, 2), ResNetStage(256, 3, 2)),
)

# github.com/tanaya09/CS6953-Deep-Learning-Project: ResNet-18 of half the width. 2,797,610 trainable.
NARROW_RESNET18 = ResNetConfig(
    stem=32,
    stages=(ResNetStage(32, 2), ResNetStage(64, 2, 2), ResNetStage(128, 2, 2), ResNetStage(256, 2, 2)),
    dropout=0.5,
)


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications` as data.

    Attributes:
        name: a name of `APPLICATIONS`.
        dropout: before the last layer.
        momentum: of the moving statistics of batch normalization; None keeps the network's own.
    """

    name: str
    dropout: float = 0.0
    momentum: float | None = added_later(None)


MOBILENET_V2 = Application("mobilenet_v2")  # 2,270,794 parameters on 32x32x3; Keras's has no dropout
EFFICIENTNET_B0 = Application("efficientnet_b0", dropout=0.2)  # 4,062,381


@dataclass(frozen=True)
class RepoResidualSEConfig:
    """The extension's network as data, with its own values.

    Attributes:
        stem: filters of the first 3x3 convolution, with ReLU and pooling and without batch norm.
        widths: of the residual blocks; there is pooling between them.
        se_reduction: of squeeze-and-excitation; None leaves it out.
        hidden: width of the dense layer before the last.
        dropout: before the last layer, at first.
        initializer: of the blocks' kernels, by its Keras name.
        momentum: of batch norm's moving statistics.
    """

    stem: int = 16
    widths: tuple[int, ...] = (32, 64)
    se_reduction: int | None = 16
    hidden: int = 128
    dropout: float = 0.4
    initializer: str = "glorot_uniform"
    momentum: float = 0.99


Network = ResidualSEConfig | RepoResidualSEConfig | ResNetConfig | Application
