"""`bookstream up`: simulator, worker and engine as child processes, watched over, with a live view or progress lines.

service.py wires the parts; restarts.py and totals.py decide without waiting.
"""
