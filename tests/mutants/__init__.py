"""Small changes to the modules that guard a cell, one at a time: the tests must notice each (``python -m tests.mutants``)."""
