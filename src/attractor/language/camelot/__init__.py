"""CAMELoT: a consolidated associative memory for frozen language models (He et al. 2024)."""
