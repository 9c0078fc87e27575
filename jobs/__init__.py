"""The data plane: one process trains one job. Importing it repairs what would break torchvision and mmcv-lite."""

from jobs import compat

compat.install()
