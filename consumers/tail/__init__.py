"""`bookstream tail`: entries of the streams as lines of text or JSON."""
