"""Configurations of the networks, as data. Nothing here imports Keras.

Experiments contain them, so that experiments can be listed and compared without a backend.
"""

from dataclasses import dataclass

from lwcnn.system.settings import added_later

BRANCHES = ("original", "augmented")
"""Names of the two branches of the paper's model."""

CONV_FILTERS = (10, 20)
"""Numbers of filters of each branch's two convolutions, as in the paper."""

EPSILON, MOMENTUM = 1e-3, 0.9
"""Batch normalization's epsilon (Keras's default) and momentum (for epochs of a few hundred steps)."""


@dataclass(frozen=True)
class Stage:
    """Blocks of one width at one resolution."""

    filters: int
    blocks: int
    kernel_size: int = 5  # odd; of the depthwise (in plain blocks, full) convolutions
    expansion: float = 2  # hidden width as a multiple of `filters`; unused in plain blocks


@dataclass(frozen=True)
class ResidualSEConfig:
    """Configuration of a residual squeeze-and-excitation network."""

    stem: int = 32  # filters of the 3x3 convolution at full resolution, followed by ReLU and pooling
    stages: tuple[Stage, ...] = (Stage(32, 2), Stage(40, 2))  # each except the first starts with pooling
    activation: str = "hard_silu"  # of the blocks and the head
    se_reduction: int | None = 16  # of squeeze-and-excitation; None omits it
    residual: bool = True  # whether the blocks add their input
    head: int | None = None  # filters of a 1x1 convolution before the head's pooling; None omits it
    dropout: float = 0.0  # before the last layer
    drop_rate: float = 0.0  # of stochastic depth in the last block; it increases linearly over the blocks
    block: str = added_later("depthwise")  # or "plain" (full convolutions), "cbam" (CBAM-lite), "glu" (gated expansion)
    attention: str = added_later("se")  # or "eca": efficient channel attention, which ignores `se_reduction`
    stem_pooling: bool = added_later(True)  # without it the first stage works at full resolution
    pooling: str = added_later("max")  # of stem and stages; or "average", or "hybrid": a learned mix per channel
    head_pooling: str = added_later("average")  # before the last layer, one of the same three
    branch_kernels: tuple[int, ...] = added_later(())  # of parallel depthwise convolutions; see `merge_branches`
    feature_noise: float = added_later(0.0)  # deviation of the Gaussian noise that training adds to pooled features


@dataclass(frozen=True)
class ResNetStage:
    """Residual blocks of one width; the first has the stride."""

    filters: int
    blocks: int
    stride: int = 1


@dataclass(frozen=True)
class ResNetConfig:
    """Configuration of a residual network of full convolutions."""

    stem: int
    stages: tuple[ResNetStage, ...]
    block: str = "basic"  # two 3x3 convolutions; or "bottleneck": three, of `kernel_sizes`
    inner: float = 0.25  # width of a bottleneck's first two convolutions as a fraction of its filters, rounded down
    kernel_sizes: tuple[int, int, int] = (1, 3, 1)
    activation: str = "relu"
    se_reduction: int | None = None
    se_bias: bool = True
    block_dropout: float = 0.0  # fraction of whole channels dropped at the end of each block
    dropout: float = 0.0  # before the last layer
    normalization: tuple | None = added_later(None)  # (mean, std) per channel, set as training begins; None: to -1..1


# github.com/Esteban-D-Lopez/DeepLearning-ResNet. The text gives widths, depths and three convolutions per block, but
# no kernel sizes. The notebook (Final_model.ipynb) has three 3x3 convolutions, the first two of half the width,
# and squeeze-and-excitation without biases; only this gives the 4,905,430 parameters claimed. The text has dropout 0.2
# "in fully connected layers", the notebook has it on whole channels in every block; this follows the notebook.
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
# github.com/Hashmmath/DL-Project-1-LearningtooDeep-CIFAR-10-Classification. 4,754,218 trainable.
RESNET_4443 = ResNetConfig(
    stem=32, stages=(ResNetStage(32, 4), ResNetStage(64, 4, 2), ResNetStage(128, 4, 2), ResNetStage(256, 3, 2))
)

# github.com/tanaya09/CS6953-Deep-Learning-Project: ResNet-18 of half the width. 2,797,610 trainable.
NARROW_RESNET18 = ResNetConfig(
    stem=32,
    stages=(ResNetStage(32, 2), ResNetStage(64, 2, 2), ResNetStage(128, 2, 2), ResNetStage(256, 2, 2)),
    dropout=0.5,
)

# The baseline of two of the texts: He et al. 2016 with a 3x3 stem without pooling. 11,173,962 trainable.
RESNET18 = ResNetConfig(
    stem=64, stages=(ResNetStage(64, 2), ResNetStage(128, 2, 2), ResNetStage(256, 2, 2), ResNetStage(512, 2, 2))
)
# MLPerf Tiny's layout for image classification, without its biases and with batch normalization on the shortcuts.
RESNET8 = ResNetConfig(stem=16, stages=(ResNetStage(16, 1), ResNetStage(32, 1, 2), ResNetStage(64, 1, 2)))


@dataclass(frozen=True)
class ApplicationConfig:
    """Configuration of a network of `keras.applications`."""

    name: str  # a key of `APPLICATIONS`
    dropout: float = 0.0  # before the last layer
    momentum: float | None = added_later(None)  # of batch norm's moving statistics; None keeps the network's own
    cifar_strides: bool = added_later(False)  # 1 for the first two strided convolutions, as usual on 32x32 pixels


MOBILENET_V2 = ApplicationConfig("mobilenet_v2")  # 2,270,794 parameters on 32x32x3; Keras's network has no dropout
EFFICIENTNET_B0 = ApplicationConfig("efficientnet_b0", dropout=0.2)  # 4,062,381


@dataclass(frozen=True)
class RepoResidualSEConfig:
    """Configuration of the network in the reproduction's extension, with its values as defaults."""

    stem: int = 16
    widths: tuple[int, ...] = (32, 64)
    se_reduction: int = 16
    hidden: int = 128
    dropout: float = 0.4
    initializer: str = "glorot_uniform"
    momentum: float = 0.99


@dataclass(frozen=True)
class SubmodelConfig:
    """Configuration of the paper's submodel as a network of its own."""

    filters: tuple[int, int] = CONV_FILTERS


NetworkConfig = ResidualSEConfig | SubmodelConfig | RepoResidualSEConfig | ResNetConfig | ApplicationConfig
