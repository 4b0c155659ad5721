"""Benchmarks models in several runtimes: latency, throughput, size and memory."""
