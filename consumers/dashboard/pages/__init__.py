"""From state and what the user looks at to lines on the screen (pure). One module a page; `frame` puts them together.

Lines are built cell by cell in fixed widths, not by rich's tables: nothing jumps when a number changes, and a frame
costs a few milliseconds.
"""
