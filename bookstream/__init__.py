"""The command line and the names that users import.

Imports all other packages; nothing imports it.
"""
