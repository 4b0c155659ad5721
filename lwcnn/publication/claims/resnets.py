"""Claims of three reference networks under five million parameters."""

from lwcnn.publication.claims.claim import Claim, measured

SE_RESNET = "SE-ResNet [4,4,3]"  # github.com/Esteban-D-Lopez/DeepLearning-ResNet
RESNET_4443 = "ResNet [4,4,4,3]"  # github.com/Hashmmath/DL-Project-1-LearningtooDeep-CIFAR-10-Classification
NARROW = "narrow ResNet-18"  # github.com/tanaya09/CS6953-Deep-Learning-Project

CLAIMS = (
    Claim(
        SE_RESNET,
        "parameters",
        "4,905,430",
        "its component table fits no layout of these widths; its notebook's layout gives the sum",
        measured("cifar10/se_resnet:trainable"),
    ),
    Claim(
        SE_RESNET,
        "accuracy",
        "94 % on validation",
        "its validation images are the official test set; 88 % elsewhere in its text, 82 % on shifted data",
        measured("cifar10/se_resnet:spread"),
    ),
    Claim(
        SE_RESNET,
        "recipe",
        "cosine; pruning, depthwise convolutions",
        "MultiStepLR; no pruning and no depthwise convolution in the code",
    ),
    Claim(
        RESNET_4443,
        "parameters",
        "4.87M by a formula",
        "4,754,218 trainable; the formula's terms sum to 5,090,656",
        measured("cifar10/resnet_4443:trainable"),
    ),
    Claim(
        RESNET_4443,
        "accuracy",
        "94.65 %, 100 epochs",
        "first run: best 94.08, chosen on the test set; a second, cosine from 0.01, goes from 89.5 to 94.65; "
        "85.4 % on shifted data",
        measured("cifar10/resnet_4443:spread"),
    ),
    Claim(
        RESNET_4443,
        "recipe",
        "CutMix, crop from 36x36, cosine from 0.1",
        "`cutmix_data` is defined and never called; MultiStepLR without blur, then cosine; crop from 40x40, and "
        "random erasing",
    ),
    Claim(
        NARROW,
        "parameters",
        "2,797,610",
        "2,797,610 trainable",
        measured("cifar10/narrow_resnet18:trainable"),
    ),
    Claim(
        NARROW,
        "accuracy",
        "95.53 %",
        "its log: last epoch 94.48, best 95.07, chosen on the test set",
        measured("cifar10/narrow_resnet18:spread"),
    ),
    Claim(NARROW, "confusion matrix", "of its predictions", "drawn from random numbers (`np.random.randint`)"),
)
