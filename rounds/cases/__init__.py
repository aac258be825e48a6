"""Cases: what a model got wrong, or an audit found wrong, and what people made of it."""
