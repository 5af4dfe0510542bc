"""`python -m lumirage_lib.cli`."""

from . import main

main()
