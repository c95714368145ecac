from .benchmark_file import available_benchmarks, load_benchmark
from .specification import Benchmark, Budget, Experiment

__all__ = ["Benchmark", "Budget", "Experiment", "available_benchmarks", "load_benchmark"]
