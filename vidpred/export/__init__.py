"""Trained predictors for other programs: files, their scores, their cards."""

from vidpred.export.card import model_card
from vidpred.export.exporting import Export, Format, export
from vidpred.export.scores import Score, scores_of

__all__ = ["Export", "Format", "Score", "export", "model_card", "scores_of"]
