from .benchmark_file import load_benchmark
from .packaged import available_benchmarks
from .specification import Benchmark, Budget, Experiment

__all__ = ["Benchmark", "Budget", "Experiment", "available_benchmarks", "load_benchmark"]
