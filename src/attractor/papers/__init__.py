"""Reproductions of published results: each claim is a measurement, made by one command."""

from attractor.papers.claim import Claim, Paper, Row
from attractor.papers.dependencies import source_hash
from attractor.papers.registry import is_stale, last_report, module_names, paper_module
from attractor.papers.report import Provenance, Report

__all__ = [
    "Claim",
    "Paper",
    "Provenance",
    "Report",
    "Row",
    "is_stale",
    "last_report",
    "module_names",
    "paper_module",
    "source_hash",
]
