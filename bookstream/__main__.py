"""`python -m bookstream` is `bookstream`."""

import sys

from bookstream.cli import main

sys.exit(main())
