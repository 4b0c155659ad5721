"""`python -m lwcnn`."""

import sys

from lwcnn.cli import main

sys.exit(main())
