"""The venue's face: websocket, Gamma and CLOB REST, control. Knows a feed only through simulator.feed."""
