"""He et al., "CAMELoT: Towards Large Language Models with Training-Free Consolidated Associative Memory", 2024.

The paper couples a memory to Llama-2-7B and reads arXiv, PG-19 and Wikitext-103. Here a model of 135 million parameters,
tuned to instructions and rounded to 4 bits, reads speeches to the Congress: the size of an effect can be compared, perplexities
cannot. The paper's own way of reading is measured as it is, with a causal mask, and beside it the steps from there to what works
best.
"""

from attractor.papers.p11_camelot.claims import PAPER
from attractor.papers.p11_camelot.reproduction import run

__all__ = ["PAPER", "run"]
