"""`python -m lwcnn`."""

import sys

from lwcnn.cli.main import main

sys.exit(main())
