"""API: the keys of a company's systems, the addresses they come from, the numbers that test keys send to."""
