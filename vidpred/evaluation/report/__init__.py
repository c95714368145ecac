"""The report: one HTML file that shows a comparison and needs nothing else."""

from vidpred.evaluation.report.page import write_report

__all__ = ["write_report"]
