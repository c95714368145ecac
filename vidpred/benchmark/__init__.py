"""Benchmarks: rows trained on equal budgets, scored in one pass, with what each costs."""

from vidpred.benchmark.benchmark_file import available_benchmarks, load_benchmark
from vidpred.benchmark.specification import Benchmark, Budget, Experiment

__all__ = ["Benchmark", "Budget", "Experiment", "available_benchmarks", "load_benchmark"]
