"""RECORD_RAW: frames as received and sent, into compressed hourly files, without ever holding up the worker.

lines.py and packers.py are pure, folder.py and hourly.py touch the disk, recorder.py is the bounded buffer between
the event loop and the one thread that writes. Imports marketdata, and the worker's counters and settings.
"""
