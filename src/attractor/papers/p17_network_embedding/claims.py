"""What the paper states, and what this library asks of itself: the figures of the paper could not be read."""

from __future__ import annotations

from attractor.papers.claim import Claim, Paper

GRAPHS = ("connectome", "lastfm-asia", "wordnet-verbs", "cora", "citeseer", "pubmed")
SHARES = (10, 50)
CONNECTOME, LASTFM, VERBS = GRAPHS[:3]

COMPETITIVE = "competitive with factorisation and walk methods"
ABSTRACT = "the paper's abstract, whose tables could not be read; the bound is this library's"
BAR = "not in the paper: the bar of this library"
LOWER = ", lower end of the 95% interval"

DESCENT = Claim("the energy never rises along a recall: worst rise in 200 steps", "no rise", BAR, most=1e-9)
MICRO = {
    (graph, share): Claim(
        f"{graph}, {share}% labels: micro-F1 above the better of NetMF and DeepWalk" + (LOWER if graph == CONNECTOME else ""),
        COMPETITIVE,
        ABSTRACT,
        least=0.0 if graph == CONNECTOME else -0.01,
    )
    for graph in GRAPHS
    for share in SHARES
}
MACRO = {
    graph: Claim(f"{graph}, 50% labels: macro-F1 above the better of NetMF and DeepWalk", COMPETITIVE, ABSTRACT) for graph in GRAPHS
}
CONNECTOME_MICRO = Claim("connectome, 50% labels: micro-F1", ">= 0.83", BAR, least=0.83)
VERBS_MICRO = Claim("WordNet verbs, 50% labels: micro-F1", ">= 0.77", BAR, least=0.77)
VERBS_SECONDS = Claim("WordNet verbs: time of training, one thread, the slowest setting", "< 180", BAR, "s", most=180.0)
RECALL = Claim("connectome, 64 memories: masked nodes that come first, from their neighbours", ">= 0.9", BAR, "rate", least=0.9)
LINKS = Claim("LastFM Asia, a fifth of the edges hidden: AUC of the cosine of activities", ">= 0.88", BAR, least=0.88)
LINKS_LEAD = Claim("LastFM Asia, the same: AUC above the better of NetMF and DeepWalk" + LOWER, ">= 0", BAR, least=0.0)
INDUCTIVE = Claim(
    "LastFM Asia, a tenth of the nodes hidden in training: micro-F1 of them below that of seen nodes", "<= 0.05", BAR, most=0.05
)
MODULARITY = Claim("LastFM Asia: modularity of the nodes' strongest memories", "> 0.5", BAR, least=0.5)
WEIGHT = Claim("LastFM Asia: weight of edges lost in coarsening", 0, BAR, most=0.0)

PAPER = Paper(
    "17",
    "Associative Learning for Network Embedding",
    ("Yuchen Liang", "Dmitry Krotov", "Mohammed J. Zaki"),
    2022,
    "Deep Learning on Graphs workshop 2022; Frontiers in Big Data 5",
    "https://arxiv.org/abs/2208.14376",
    (
        DESCENT,
        *MICRO.values(),
        *MACRO.values(),
        CONNECTOME_MICRO,
        VERBS_MICRO,
        VERBS_SECONDS,
        RECALL,
        LINKS,
        LINKS_LEAD,
        INDUCTIVE,
        MODULARITY,
        WEIGHT,
    ),
)
