"""Which markets there are: from the Gamma REST service or from a file. Imports marketdata."""
